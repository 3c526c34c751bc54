//! Enrolment, as a person goes through it.

use super::client::{Client, Options, ROOT, is};
use super::failure::Failure;
use super::output::{document, string, write};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use tokio::sync::mpsc;

/// What is agreed to here; a ROM shows its own text and names it by `--consent`.
const CONSENT: &str = "shunt-enrol-1";
const LOCALE: &str = "en";
const TEXT: &str = "Enrolling shows this phone's number, encrypted, to the directory of the service, which sends it a
code by SMS and forgets it within ten minutes. It keeps a pseudonym. Whoever has your number and uses
the service can then see when this phone is online, unless you change PresencePolicy; texts to them may
travel as end-to-end encrypted messages. `shuntctl withdraw` ends all of it. The phone sends no SMS.";

pub(super) async fn enrol(
    client: &Client,
    json: bool,
    number: &str,
    consent: &Option<String>,
    locale: &Option<String>,
) -> Result<(), Failure> {
    let mut options = Options::new();
    match consent {
        Some(consent) => {
            options.insert("consent", consent.as_str().into());
            options.extend(locale.as_deref().map(|locale| ("locale", locale.into())));
        }
        None => {
            agree()?;
            options.extend([("consent", CONSENT.into()), ("locale", LOCALE.into())]);
        }
    }
    let mut signals = client.listen().await?;
    let () = client.call(ROOT, "Enrol", &(number, options)).await?;
    let mut typed = std::io::stdin().is_terminal().then(lines);
    let mut told = String::new();
    loop {
        let (state, reason) = (client.property(ROOT, "State").await?, client.property(ROOT, "StateReason").await?);
        if state != "enrolling" {
            return end(json, state.as_str().unwrap_or_default(), reason.as_str().unwrap_or_default());
        }
        let reason = reason.as_str().unwrap_or_default();
        if reason != told {
            told = reason.to_owned();
            tell(reason);
        }
        tokio::select! {
            // Whatever changed: the state is read again.
            signal = changed(&mut signals) => signal?,
            Some(line) = next(&mut typed) => confirm(client, &line).await?,
        }
    }
}

pub(super) async fn withdraw(client: &Client, json: bool, yes: bool) -> Result<(), Failure> {
    if !yes {
        note("This ends the account and deletes keys, settings and texts here.");
        said_yes("not confirmed: nothing was ended. Say --yes")?;
    }
    let () = client.call(ROOT, "Withdraw", &(Options::new(),)).await?;
    if json { document(&json!({ "withdrawn": true })) } else { write("withdrawn") }
}

async fn changed(signals: &mut super::client::Signals) -> Result<(), Failure> {
    while !is(&signals.next().await?, "org.freedesktop.DBus.Properties", "PropertiesChanged") {}
    Ok(())
}

async fn confirm(client: &Client, code: &str) -> Result<(), Failure> {
    if code.trim().is_empty() {
        return Ok(());
    }
    let empty = Options::new();
    match client.call::<()>(ROOT, "ConfirmEnrolment", &(code.trim(), empty)).await {
        Ok(()) => Ok(()),
        // The state tells what came of it; another code may be typed.
        Err(Failure::Daemon { message, .. }) => {
            note(&message);
            Ok(())
        }
        Err(other) => Err(other),
    }
}

fn end(json: bool, state: &str, reason: &str) -> Result<(), Failure> {
    // Off, or waiting without an account.
    if state == "off" || state == "stopping" || (state == "waiting" && ENDED.contains(&reason)) {
        return Err(Failure::NotEnrolled(if reason.is_empty() { state.to_owned() } else { reason.to_owned() }));
    }
    let all = json!({ "enrolled": true, "state": state, "reason": reason });
    if json { document(&all) } else { write(&format!("enrolled: {}", string(&all, "state"))) }
}

/// Reasons of a phone without an account.
const ENDED: [&str; 10] = [
    "no-account",
    "enrolment-expired",
    "attempts-used",
    "number-refused",
    "too-many-codes",
    "epoch-unknown",
    "clock-wrong",
    "enrolment-closed",
    "enrolment-refused",
    "signed-out",
];

fn agree() -> Result<(), Failure> {
    note(TEXT);
    said_yes("not agreed: nothing was sent. Name the text that was agreed to by --consent")
}

fn said_yes(otherwise: &str) -> Result<(), Failure> {
    let refused = || Failure::Usage(otherwise.to_owned());
    if !std::io::stdin().is_terminal() {
        return Err(refused());
    }
    note("Type yes to go on:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused()) }
}

fn tell(reason: &str) {
    note(match reason {
        "asking-directory" => "asking the directory for a code",
        "code-awaited" => "the code is on its way by SMS and is taken by itself; if it comes elsewhere, type it here",
        "wrong-code" => "that was not the code; type it again",
        "confirming" => "the code is given back",
        "directory-unreachable" => "the directory can't be reached; it is tried again",
        other => other,
    });
}

/// To the person, beside what a program reads.
fn note(text: &str) {
    // A closed standard error is no reason to stop.
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Lines as they are typed. The thread ends with the process.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn next(lines: &mut Option<mpsc::UnboundedReceiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

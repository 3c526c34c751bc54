//! oFono's own scripts, unmodified.

use crate::{
    ALICE, BOB,
    core::{Core, LINE, Script},
    diverting::IM,
    programs,
    receiving::im,
};
use shunt_kit::{Door, Incoming, Phone, Smsc, table::row};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use zbus::OwnedObjectPath;

/// Debian's python, which has the D-Bus modules that the scripts need; unbuffered, for receive-sms never ends.
fn script(phone: &Phone, door: &Door, name: &str) -> Command {
    let mut command = Command::from(phone.command("/usr/bin/python3"));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", door.address());
    command.arg("-u").arg(format!("/usr/share/ofono/scripts/{name}"));
    command.kill_on_drop(true);
    command
}

async fn said(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn ofonos_own_scripts_send_and_receive_instant_messages() {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).with_ofono().start().await.unwrap();
    let door = phone.door(programs()).unwrap();
    let lines = vec![(LINE.to_owned(), OwnedObjectPath::try_from("/phonesim").unwrap())];
    let core = Core::start(phone.bus(), Script { lines, ..IM }).await;

    let modems = said(script(&phone, &door, "list-modems")).await;
    let modems: Vec<&str> = modems.lines().filter(|line| line.starts_with("[ /")).collect();
    assert_eq!(modems, ["[ /phonesim ]"]);
    row("oFono's scripts", "list-modems", modems.concat());
    let send = |text: &str| {
        let mut command = script(&phone, &door, "send-sms");
        command.args([BOB, text, "0"]);
        said(command)
    };
    // Emoji too, which oFono's SMS can't carry.
    assert!(send("by IM 👋").await.contains("/phonesim/message_"));
    assert_eq!((core.calls("Divert")[0].0.as_str(), smsc.submitted_total()), ("by IM 👋", 0));
    row("oFono's scripts", "send-sms, which is diverted", format_args!("{} SMS at the SMSC", smsc.submitted_total()));
    core.set(|script| script.outcome = Some("sms"));
    assert!(send("by SMS").await.contains("/phonesim/message_"));
    smsc.wait_for_text("oFono's own SMS", |sms| sms.text.as_deref() == Some("by SMS")).await.unwrap();
    assert_eq!((core.calls("Divert").len(), smsc.submitted_total()), (2, 1));
    row("oFono's scripts", "send-sms, which is not", format_args!("{} SMS at the SMSC", smsc.submitted_total()));

    // One that came before the app listened, and one after.
    core.set(|script: &mut Script| script.inbox.push(im(1, "before")));
    let mut receiving = script(&phone, &door, "receive-sms").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(receiving.stdout.take().unwrap()).lines();
    // The text, then its three details in any order; how those are written.
    let mut hear = async |text: &str| {
        assert!(lines.next_line().await.unwrap().unwrap().contains(text));
        let mut details = Vec::new();
        for _ in 0..3 {
            details.push(lines.next_line().await.unwrap().unwrap());
        }
        details.sort();
        let details = details.join("\n");
        assert!(details.contains(&format!("Sender = {BOB}")), "{details}");
        details.replace(|c: char| c.is_ascii_digit(), "0")
    };
    let before = hear("before").await;
    core.called("Delete", 1).await;
    core.receive(im(2, "after")).await;
    assert_eq!(hear("after").await, before);
    core.called("Delete", 2).await;
    smsc.inject(ALICE, &Incoming::text(BOB, "oFono's own"));
    assert_eq!(hear("oFono's own").await, before, "an SMS looks the same");
    row("oFono's scripts", "receive-sms", format_args!("{} instant messages shown", core.calls("Delete").len()));
}

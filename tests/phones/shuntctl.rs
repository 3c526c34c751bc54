//! The command line against a live phone: what it prints, and its exit statuses.

use super::enrolment::{blank, code, enrolling, other};
use super::{ALICE, BOB, acquainted, programs, world};
use shunt_kit::phone::Phone;
use shunt_kit::private::found_in;
use shunt_kit::process::Process;
use shunt_kit::world::{go_off, go_online};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Output, Stdio};

pub(crate) async fn run(phone: &Phone, arguments: &[&str]) -> (i32, String, String) {
    let mut command = phone.command(programs().join("shuntctl"));
    command.args(arguments);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    // It may end in a log; what it is asked for is on the standard output.
    assert_eq!(found_in(&stderr), [] as [String; 0]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tester_switches_sends_and_reads() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(bob.shunt()).await.unwrap();
    let (code, out, _) = run(&alice, &["status"]).await;
    assert!(code == 0 && out.contains("off"), "{out}");
    assert_eq!(run(&alice, &["on"]).await.0, 0);
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    acquainted(&alice, &bob).await;
    let (code, out, _) = run(&alice, &["send", BOB, "hello", "--wait"]).await;
    assert!(code == 0 && out.contains("im-delivered"), "{out}");
    let (code, out, _) = run(&alice, &["--json", "route", BOB]).await;
    let route: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &route["bearer"], &route["reason"]), (0, &"im".into(), &"online".into()), "{out}");
    let (code, theirs, _) = run(&bob, &["peers", "safety", ALICE]).await;
    assert_eq!((code, theirs.split_whitespace().count()), (0, 12), "groups of five: {theirs}");
    assert_eq!(run(&alice, &["peers", "safety", BOB]).await.1, theirs);
    assert_eq!(run(&alice, &["peers", "verify", BOB]).await.0, 0);
    assert!(run(&alice, &["peers"]).await.1.contains("verified"));
    assert_eq!(run(&alice, &["peers", "accept", BOB]).await.0, 1, "no changed key waits");
    let contacts = alice.path("contacts");
    std::fs::write(&contacts, format!("{BOB}\n\n0151 12345603\n")).unwrap();
    assert_eq!(run(&alice, &["peers", "contacts", contacts.to_str().unwrap()]).await.0, 0);
    let (code, out, _) = run(&bob, &["inbox", "--ack"]).await;
    assert!(code == 0 && out.contains("hello") && out.contains(ALICE), "{out}");
    let (_, out, _) = run(&bob, &["inbox"]).await;
    assert!(!out.contains("hello"), "acknowledged: {out}");
    for command in ["list", "peers", "ledger", "identity"] {
        let (code, out, err) = run(&alice, &[command]).await;
        assert!(code == 0 && !out.is_empty(), "{command}: {out}{err}");
        let (code, out, _) = run(&alice, &["--json", command]).await;
        assert!(code == 0 && serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{command}: {out}");
    }
    assert_eq!(run(&alice, &["off"]).await.0, 0);
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_exit_status() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    assert_eq!(run(&alice, &["nonsense"]).await.0, 2);
    assert_eq!(run(&alice, &["--json", "--help"]).await.0, 0);
    let error = |(code, out, err): (i32, String, String)| {
        let error: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        assert!(!error["message"].as_str().unwrap().is_empty() && err.is_empty(), "{out}{err}");
        (code, error["error"].as_str().unwrap().to_owned(), error["id"].as_str().map(str::to_owned))
    };
    let usage = (2, "usage".to_owned(), None);
    for words in
        [&["nonsense", "--json"][..], &["--json"], &["--json", "send", BOB], &["--json", "list", "--since", "1y"]]
    {
        assert_eq!(error(run(&alice, words).await), usage, "{words:?}");
    }
    let refused = error(run(&alice, &["--json", "send", "+12ab34", "x"]).await);
    assert_eq!(refused, (2, "org.shunt.Error.BadNumber".into(), None));
    // A text that was handed over is named, whatever became of it.
    assert_eq!(run(&alice, &["peers", "policy", BOB, "im-only"]).await.0, 0);
    let (code, name, id) = error(run(&alice, &["--json", "send", BOB, "x", "--wait"]).await);
    assert_eq!((code, name.as_str()), (7, "held"));
    assert_eq!(run(&alice, &["cancel", &id.unwrap()]).await.0, 0);
    assert_eq!(run(&alice, &["peers", "policy", BOB, "auto"]).await.0, 0);
    world.smsc.pause_answers(ALICE);
    let (code, name, id) = error(run(&alice, &["--json", "send", BOB, "y", "--wait", "--timeout", "0"]).await);
    assert_eq!((code, name.as_str(), id.map(|id| id.len())), (8, "timeout", Some(32)));
    world.smsc.resume_answers(ALICE);
    assert_eq!(run(&alice, &["send", "+12ab34", "x"]).await.0, 2);
    assert_eq!(run(&alice, &["cancel", "01a205e0a6ed7e61ae9ccdb30e09941a"]).await.0, 1);
    let junk = alice.path("junk.json");
    std::fs::write(&junk, "{}").unwrap();
    let (code, _, err) = run(&alice, &["import", junk.to_str().unwrap()]).await;
    assert!(code != 0 && err.contains("account file"), "{code} {err}");
    alice.stop_shunt().await.unwrap();
    assert_eq!(run(&alice, &["status"]).await.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_shows_the_icon_change() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(bob.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let mut command = alice.command(programs().join("shuntctl"));
    command.args(["--json", "watch", BOB]).stdout(Stdio::piped());
    let mut watch = Process::start_as_is("shuntctl", command, None).unwrap();
    let lines = BufReader::new(watch.child().stdout.take().unwrap()).lines();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let mut until = async |key: &str, value: &str| loop {
        let line = told.recv().await.expect("watch goes on");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line[key] == value {
            return;
        }
    };
    until("reason", "enrolled").await;
    alice.shunt().send(BOB, "are you there?").await.unwrap();
    until("bearer", "im").await;
    go_off(bob.shunt()).await.unwrap();
    until("bearer", "sms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_enrols_at_the_prompt_and_types_the_code() {
    let world = enrolling().await;
    let alice = blank(&world, ALICE).await;
    world.smsc.hold(ALICE);
    let shuntctl = programs().join("shuntctl");
    assert_eq!(run(&alice, &["enrol", ALICE]).await.0, 2, "nobody is there to agree");
    // util-linux's script makes the terminal.
    let mut command = alice.command("script");
    command.args(["-qefc", &format!("{} enrol {ALICE}", shuntctl.display()), "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = Process::start_as_is("script", command, None).unwrap();
    let mut keyboard = terminal.child().stdin.take().unwrap();
    let mut screen = terminal.child().stdout.take().unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut bytes) {
            let _gone = tell.send(String::from_utf8_lossy(&bytes[..n]).into_owned());
        }
    });
    let mut shown = String::new();
    let mut until = async |words: &str| {
        while !shown.contains(words) {
            shown.push_str(&told.recv().await.unwrap_or_else(|| panic!("no {words:?} in {shown}")));
        }
        shown.clear();
    };
    until("Type yes to go on").await;
    writeln!(keyboard, "yes").unwrap();
    until("the code is on its way").await;
    let sms = world.smsc.wait_for_text("the code", |sms| sms.to == ALICE).await.unwrap();
    let code = code(&sms.text.unwrap());
    writeln!(keyboard, "{}", other(&code)).unwrap();
    until("that was not the code").await;
    // As people write it.
    writeln!(keyboard, "{} {}", &code[..4], &code[4..]).unwrap();
    until("enrolled: ").await;
    assert!(terminal.ended().await.unwrap().success());
    assert_ne!(alice.shunt().state().await.unwrap().0, "waiting");
}

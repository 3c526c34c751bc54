//! `shuntctl doctor` on a phone that is broken piece by piece.

use super::agent::agent_phone;
use super::{BOB, programs, world};
use shunt_kit::agent::Agent;
use shunt_kit::private::found_in;
use shunt_kit::world::go_online;
use shunt_kit::{Phone, ShuntConfig, Smsc};
use std::collections::HashMap;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

const NOBODY: u32 = 65534;
/// An administrator's rule that comes before ours.
const NO_SMS_FOR_THE_CORE: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.freedesktop.ModemManager1.Messaging' && subject.user == 'shunt-core') {
        return polkit.Result.NO; } });";
const NO_SHUNT_FOR_NOBODY: &str = "polkit.addRule(function (action, subject) {
    if (action.id == 'org.shunt.Shunt1.send') { return polkit.Result.NO; }
    if (action.id == 'org.freedesktop.ModemManager1.Messaging') { return polkit.Result.YES; } });";

fn doctor(phone: &Phone) -> Command {
    let mut command = phone.command(programs().join("shuntctl"));
    command.args(["--json", "doctor"]).env("XDG_RUNTIME_DIR", phone.dir());
    command
}

/// The verdicts by line; several of one name are joined.
async fn verdicts(mut command: Command) -> HashMap<String, String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!(found_in(&output.stderr), [] as [String; 0]);
    let found: Vec<HashMap<String, String>> = serde_json::from_slice(&output.stdout).unwrap();
    let mut all = HashMap::<String, String>::new();
    for finding in &found {
        assert!(!finding["text"].is_empty() && !finding["text"].contains("4915"), "{finding:?}");
        all.entry(finding["what"].clone()).or_default().push_str(&finding["verdict"]);
    }
    let problem = found.iter().any(|finding| finding["verdict"] == "problem");
    assert_eq!(output.status.code(), Some(i32::from(problem)), "the exit status says whether there is a problem");
    all
}

/// Asks again until a line has that verdict: what polkit and the daemon notice by themselves gives no sign.
async fn until(command: impl Fn() -> Command, what: &str, verdict: &str) {
    let asking = async { while verdicts(command()).await[what] != verdict {} };
    let patience = tokio::time::timeout(Duration::from_secs(60), asking).await;
    assert!(patience.is_ok(), "{what} never was {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_piece_has_its_line() {
    let world = world().await;
    let mut bob = world.builder(BOB).start().await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    let seen = verdicts(doctor(&bob)).await;
    for (what, verdict) in [("bus", "ok"), ("daemon", "ok"), ("modem service", "ok"), ("polkit", "ok"), ("clock", "ok")]
    {
        assert_eq!(seen[what], verdict, "{what}");
    }
    assert_eq!((seen["line"].as_str(), seen["cloud"].as_str()), ("warning", "ok"), "not enrolled, and off");
    assert_eq!((seen["store"].as_str(), seen["CA"].as_str(), seen["epochs"].as_str()), ("ok", "ok", "warning"));
    assert!(!seen.contains_key("certificate"), "without an account there is none");
    assert_eq!(seen["door"], "warning");
    let door = UnixListener::bind(bob.path("shunt-door")).unwrap();
    assert_eq!(verdicts(doctor(&bob)).await["door"], "ok");
    drop(door);
    assert_eq!(verdicts(doctor(&bob)).await["door"], "warning", "a socket that nobody answers at");

    world.enrol(&bob).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let seen = verdicts(doctor(&bob)).await;
    assert_eq!((seen["line"].as_str(), seen["cloud"].as_str()), ("ok", "ok"));
    assert_eq!((seen["certificate"].as_str(), seen["epochs"].as_str()), ("ok", "ok"));

    bob.stop_polkit();
    assert_eq!(verdicts(doctor(&bob)).await["polkit"], "problem");
    bob.stop_modem_service().await;
    assert_eq!(verdicts(doctor(&bob)).await["modem service"], "problem");
    bob.stop_shunt().await.unwrap();
    let seen = verdicts(doctor(&bob)).await;
    assert_eq!(seen["daemon"], "problem");
    assert!(seen.contains_key("bus policy") && !seen.contains_key("line"));
    let mut nowhere = doctor(&bob);
    nowhere.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    assert_eq!(verdicts(nowhere).await["bus"], "problem");
}

#[tokio::test(flavor = "multi_thread")]
async fn polkit_is_asked_who_may_text_whatever_the_files_are_called() {
    let smsc = Smsc::new();
    let mut bob = Phone::builder(&smsc, BOB).start().await.unwrap();
    bob.start_shunt(ShuntConfig::new(programs())).await.unwrap();
    let seen = verdicts(doctor(&bob)).await;
    assert_eq!((seen["core's right"].as_str(), seen["users' right"].as_str()), ("ok", "ok"));
    // Another user, who may not see where the programs were built.
    let program = bob.path("shuntctl");
    std::fs::copy(programs().join("shuntctl"), &program).unwrap();
    let nobodys = || {
        let mut command = bob.command(&program);
        command.args(["--json", "doctor"]).env_remove("XDG_RUNTIME_DIR").uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    };
    let seen = verdicts(nobodys()).await;
    assert_eq!((seen["core's right"].as_str(), seen["users' right"].as_str()), ("unseen", "ok"));
    bob.add_polkit_rule("10-core", NO_SMS_FOR_THE_CORE).unwrap();
    until(|| doctor(&bob), "core's right", "problem").await;
    bob.add_polkit_rule("20-nobody", NO_SHUNT_FOR_NOBODY).unwrap();
    until(nobodys, "users' right", "warning").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_with_an_agent_is_asked_for_the_agent_and_for_no_modem_service() {
    let world = world().await;
    let (alice, socket) = agent_phone(&world).await;
    assert_eq!(verdicts(doctor(&alice)).await["modem service"], "problem", "nobody is registered");
    let agent = Agent::start(&alice, Some(&socket)).await.unwrap();
    let seen = verdicts(doctor(&alice)).await;
    assert!(!seen.values().any(|verdict| verdict.contains("problem")), "{seen:?}");
    assert_eq!((seen["modem service"].as_str(), seen["line"].as_str(), seen["polkit"].as_str()), ("ok", "ok", "ok"));
    assert!(seen.contains_key("owners") && !seen.contains_key("core's right") && !seen.contains_key("users' right"));
    drop(agent);
    until(|| doctor(&alice), "modem service", "problem").await;
}

//! `shuntctl doctor` on a phone that is broken piece by piece.

use super::{BOB, programs, world};
use shunt_kit::Phone;
use shunt_kit::world::go_online;
use std::collections::HashMap;
use std::os::unix::net::UnixListener;

/// The verdicts by line; several of one name are joined.
async fn verdicts(phone: &Phone, changed: &[(&str, &str)]) -> HashMap<String, String> {
    let mut command = phone.command(programs().join("shuntctl"));
    command.args(["--json", "doctor"]).env("XDG_RUNTIME_DIR", phone.dir()).envs(changed.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_piece_has_its_line() {
    let world = world().await;
    let mut bob = world.builder(BOB).start().await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    let seen = verdicts(&bob, &[]).await;
    for (what, verdict) in [("bus", "ok"), ("daemon", "ok"), ("modem service", "ok"), ("polkit", "ok"), ("clock", "ok")]
    {
        assert_eq!(seen[what], verdict, "{what}");
    }
    assert_eq!((seen["line"].as_str(), seen["cloud"].as_str()), ("warning", "ok"), "not enrolled, and off");
    assert_eq!((seen["store"].as_str(), seen["CA"].as_str(), seen["epochs"].as_str()), ("ok", "ok", "warning"));
    assert!(!seen.contains_key("certificate"), "without an account there is none");
    assert_eq!(seen["door"], "warning");
    let door = UnixListener::bind(bob.path("shunt-door")).unwrap();
    assert_eq!(verdicts(&bob, &[]).await["door"], "ok");
    drop(door);
    assert_eq!(verdicts(&bob, &[]).await["door"], "warning", "a socket that nobody answers at");

    world.enrol(&bob).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let seen = verdicts(&bob, &[]).await;
    assert_eq!((seen["line"].as_str(), seen["cloud"].as_str()), ("ok", "ok"));
    assert_eq!((seen["certificate"].as_str(), seen["epochs"].as_str()), ("ok", "ok"));

    bob.stop_polkit();
    assert_eq!(verdicts(&bob, &[]).await["polkit"], "problem");
    bob.stop_modem_service().await;
    assert_eq!(verdicts(&bob, &[]).await["modem service"], "problem");
    bob.stop_shunt().await.unwrap();
    let seen = verdicts(&bob, &[]).await;
    assert_eq!(seen["daemon"], "problem");
    assert!(seen.contains_key("bus policy") && !seen.contains_key("line"));
    let nowhere = [("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")];
    assert_eq!(verdicts(&bob, &nowhere).await["bus"], "problem");
}

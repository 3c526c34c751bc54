//! A stranger with an account of its own, on an independent XMPP client (slixmpp), against a live phone.

use super::{ALICE, BOB, world};
use shunt_kit::world::go_online;
use std::process::Command;

/// Made by `tests/packages test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/stranger.py");

#[tokio::test(flavor = "multi_thread")]
async fn malformed_stanzas_show_nothing_get_no_answer_and_end_nothing() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    let mut alice = world.builder(ALICE).start().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    let file = world.directory.provision(ALICE, &identity).await.unwrap();
    let jid = serde_json::from_slice::<serde_json::Value>(&file).unwrap()["jid"].as_str().unwrap().to_owned();
    let path = alice.path("account.json");
    std::fs::write(&path, file).unwrap();
    alice.shunt().import(&path).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    let pids = || (alice.shunt_pid("shuntd-core"), alice.shunt_pid("shuntd-uplink"));
    let before = pids();

    world.cloud.register("stranger", "a password of its own").await.unwrap();
    let (xmpp, domain) = (world.cloud.xmpp_addr(), world.cloud.domain());
    let mut stranger = Command::new(PYTHON);
    stranger.arg(SCRIPT).arg(xmpp.ip().to_string()).arg(xmpp.port().to_string());
    stranger.arg(format!("stranger@{domain}")).arg("a password of its own").arg(world.cloud.ca_path()).arg(&jid);
    let output = tokio::task::spawn_blocking(move || stranger.output()).await.unwrap();
    let output = output.expect("run `tests/packages test` first");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().any(|line| line.starts_with("done ")), "{said}\n{errors}");
    assert!(!said.contains("answered:"), "the phone answered a stranger: {said}");

    // What the server took before this text, the phone had before it.
    bob.shunt().send(ALICE, "from a friend").await.unwrap();
    let got = alice.shunt().wait_received(|_| true).await.unwrap();
    assert_eq!((got.text.as_str(), got.bearer.as_str()), ("from a friend", "im"));
    assert_eq!(alice.shunt().received().len(), 1, "something else was shown");
    assert_eq!(alice.shunt().state().await.unwrap().0, "online");
    assert_eq!(pids(), before, "a daemon was restarted");
}

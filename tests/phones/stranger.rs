//! A stranger with an account of its own, on an independent XMPP client (slixmpp), against a live phone.

use super::enrolled::Relay;
use super::{ALICE, BOB, acquainted, programs, world};
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_online};
use std::process::Command;

/// Made by `tests/packages test`.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/phones/stranger.py");

/// Alice's phone, online, and its address.
async fn addressed(world: &World) -> (Phone, String) {
    let mut alice = world.builder(ALICE).start().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    let identity = alice.shunt().identity().await.unwrap();
    let file = world.directory.provision(ALICE, &identity).await.unwrap();
    let jid = serde_json::from_slice::<serde_json::Value>(&file).unwrap()["jid"].as_str().unwrap().to_owned();
    let path = alice.path("account.json");
    std::fs::write(&path, file).unwrap();
    alice.shunt().import(&path).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    (alice, jid)
}

/// Bob's phone holds a lease of Alice's, and waits for no slow machine.
async fn friends(alice: &Phone, bob: &Phone) {
    bob.shunt().set("FallbackAfter", 120_u32).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    acquainted(bob, alice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_stanzas_show_nothing_get_no_answer_and_end_nothing() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    let (alice, jid) = addressed(&world).await;
    friends(&alice, &bob).await;
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
    let got = alice.shunt().wait_received(|got| got.text == "from a friend").await.unwrap();
    assert_eq!(got.bearer, "im");
    assert_eq!(alice.shunt().received().len(), 2, "something else was shown");
    assert_eq!(alice.shunt().state().await.unwrap().0, "online");
    assert_eq!(pids(), before, "a daemon was restarted");
}

/// A client with an account of that name, and its address.
async fn account(world: &World, name: &str) -> (Relay, String) {
    world.cloud.register(name, "a password of its own").await.unwrap();
    let jid = format!("{name}@{}", world.cloud.domain());
    (Relay::start(world, &jid, "a password of its own"), jid)
}

/// As many letters of the least size as may go unanswered, and accounts that may owe an answer (`mod_shunt`).
const UNANSWERED: usize = 512;
const STRANGERS: usize = 256;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_floods_nobody_and_others_are_heard_meanwhile() {
    let world = world().await;
    let bob = world.phone(BOB).await.unwrap();
    let (alice, alices) = addressed(&world).await;
    friends(&alice, &bob).await;
    let (mut stranger, strangers) = account(&world, "stranger").await;
    let (mut victim, victims) = account(&world, "victim").await;
    let (mut friend, friends) = account(&world, "friend").await;
    // What the friend has got, the server has carried with all that was said before it; and what the victim has sent,
    // it has sent after all that came.
    let mut come_to_the_victim = |stranger: &mut Relay, letters| {
        stranger.send_many(&victims, letters, b"spam");
        stranger.send(&friends, b"done");
        friend.letter();
        victim.send(&strangers, b"an answer");
        stranger.letter();
        victim.letters()
    };
    assert_eq!(come_to_the_victim(&mut stranger, UNANSWERED + 200), UNANSWERED);
    assert_eq!(come_to_the_victim(&mut stranger, 3), 3, "whoever is answered goes on");

    stranger.send_many(&alices, 2000, b"spam");
    bob.shunt().send(ALICE, "from a friend").await.unwrap();
    let got = alice.shunt().wait_received(|got| got.text == "from a friend").await.unwrap();
    assert_eq!(got.bearer, "im");
    // Alice and the friend have not answered, the victim has.
    let (mut last, lasts) = account(&world, "last").await;
    let (mut none, nones) = account(&world, "none").await;
    stranger.send_many(&format!("nobody-{{}}@{}", world.cloud.domain()), STRANGERS - 3, b"spam");
    stranger.send(&lasts, b"spam");
    stranger.send(&nones, b"spam");
    // Nor is it another one when it comes again.
    drop(stranger);
    let mut stranger = Relay::start(&world, &strangers, "a password of its own");
    stranger.send(&nones, b"spam");
    assert_eq!(last.letter(), b"spam");
    stranger.send(&lasts, b"again");
    assert_eq!(last.letter(), b"again");
    none.send(&lasts, b"from somebody else");
    assert_eq!(none.letters(), 0);
    assert_eq!(last.letter(), b"from somebody else");
    world.cloud.an_hour_passes().await.unwrap();
    stranger.send(&nones, b"spam");
    assert_eq!(none.letter(), b"spam");
    assert_eq!(come_to_the_victim(&mut stranger, UNANSWERED + 1), UNANSWERED);
    assert_eq!(alice.shunt().state().await.unwrap().0, "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_sends_more_than_it_may_sends_sms_and_each_text_is_shown_once() {
    let world = World::limited(programs(), "sent: 8192").await.unwrap();
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(bob.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    alice.shunt().set("FallbackAfter", 120_u32).await.unwrap();
    acquainted(&alice, &bob).await;
    let sent = alice.shunt().send(BOB, "within its limits").await.unwrap();
    alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    let texts: Vec<_> = (0..11).map(|nth| format!("text number {nth}")).collect();
    let mut ends = Vec::new();
    for text in &texts {
        let sent = alice.shunt().send(BOB, text).await.unwrap();
        ends.push(alice.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap());
        bob.shunt().wait_received(|got| got.text == *text).await.unwrap();
    }
    // Each took a KB at least, whichever way it went in the end.
    assert!(ends.iter().skip(8).all(|end| end == "sms-sent"), "{ends:?}");
    assert!(texts.iter().all(|text| bob.shunt().shown(text) == 1));
}

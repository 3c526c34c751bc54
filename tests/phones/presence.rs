//! Presence towards others (protocol.md §3), at live phones.

use super::enrolled::Stranger;
use super::{ALICE, BOB, world};
use rand_core::{OsRng, RngCore};
use shunt::model::{LeaseId, TextId};
use shunt::seal::{Payload, Session};
use shunt_kit::shunt::Shunt;
use shunt_kit::world::go_online;

/// How many frames could tell a peer anything.
async fn told(shunt: &Shunt) -> usize {
    let ledger = shunt.ledger(0).await.unwrap();
    ledger.iter().filter(|row| row.1 == "send" || row.1 == "presence").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_nobody_the_phone_looks_offline_and_leases_of_before_are_honoured() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let (alice, bob) = (alice.shunt(), bob.shunt());
    go_online(alice).await.unwrap();
    go_online(bob).await.unwrap();
    alice.set("PresencePolicy", "nobody").await.unwrap();
    let sent = bob.send(ALICE, "are you there?").await.unwrap();
    bob.wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert_eq!(bob.get(&sent).await.unwrap().text("reason"), "registered-offline");
    assert_eq!(alice.wait_received(|text| text.text == "are you there?").await.unwrap().bearer, "sms");
    assert_eq!(told(alice).await, 0, "silence costs no frame");
    // Whoever hides may write nevertheless.
    alice.wait_route(BOB, "im", "online").await.unwrap();
    alice.send(BOB, "I am").await.unwrap();
    assert_eq!(bob.wait_received(|text| text.text == "I am").await.unwrap().bearer, "im");

    alice.set("PresencePolicy", "anyone").await.unwrap();
    bob.wait_route(ALICE, "im", "online").await.unwrap();
    bob.send(ALICE, "now I see you").await.unwrap();
    assert_eq!(alice.wait_received(|text| text.text == "now I see you").await.unwrap().bearer, "im");
    alice.set("PresencePolicy", "nobody").await.unwrap();
    let sent = bob.send(ALICE, "as promised").await.unwrap();
    assert_eq!(alice.wait_received(|text| text.text == "as promised").await.unwrap().bearer, "im");
    bob.wait_state(&sent, &["im-delivered"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_conversation_is_opened_learns_the_number_no_sooner_than_the_first_text() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let (alice, bob) = (alice.shunt(), bob.shunt());
    go_online(alice).await.unwrap();
    go_online(bob).await.unwrap();
    alice.wait_route(BOB, "sms", "enrolled").await.unwrap();
    assert_eq!(told(alice).await, 0, "nothing was said to him");
    assert!(bob.peers().await.unwrap().is_empty());
    alice.send(BOB, "hello").await.unwrap();
    let got = bob.wait_received(|text| text.text == "hello").await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("im", ALICE));
    alice.wait_route(BOB, "im", "online").await.unwrap();
    // He looks at her conversation, and has written nothing himself.
    bob.wait_route(ALICE, "sms", "enrolled").await.unwrap();
}

/// Probes once more, and reads what comes.
fn probe(stranger: &mut Stranger, sessions: &mut Vec<Session>) -> LeaseId {
    stranger.say(&mut sessions[0], Payload::Probe);
    match stranger.read(sessions) {
        Payload::Answer { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_three_leases_without_a_text_hears_nothing_until_it_writes() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let mut stranger = Stranger::enrol(&world, &alice).await;
    let (envelope, session) = stranger.first_probe();
    let mut sessions = vec![session];
    stranger.send(&envelope);
    assert!(matches!(stranger.read(&mut sessions), Payload::Answer { .. }));
    probe(&mut stranger, &mut sessions);
    let lease = probe(&mut stranger, &mut sessions);
    let before = told(alice.shunt()).await;
    // What is owed under a lease is answered; in between there would have been an answer to the probe.
    let mut id = [0; 16];
    OsRng.fill_bytes(&mut id);
    let id = TextId(id);
    stranger.say(&mut sessions[0], Payload::Probe);
    stranger.say(&mut sessions[0], Payload::Revoke { id });
    assert_eq!(stranger.read(&mut sessions), Payload::RevokeAnswer { id, shown: false });
    assert_eq!(told(alice.shunt()).await, before + 1, "the answer to the revoke alone");
    stranger.say(&mut sessions[0], super::enrolled::text(lease));
    assert!(matches!(stranger.read(&mut sessions), Payload::Receipt { .. }));
    assert_eq!(alice.shunt().shown("from a stranger"), 1);
    probe(&mut stranger, &mut sessions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_bundle_that_is_over_age_or_replayed_is_refused_and_the_text_goes_by_sms() {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let mut stranger = Stranger::enrol(&world, &alice).await;
    let to = stranger.number();
    let write = async |text: &str| {
        let sent = alice.shunt().send(&to, text).await.unwrap();
        alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    };
    stranger.publish(DAY * 16);
    write("to a drawer phone").await;
    alice.logged("the bundle is over 15 days old", 1).await.unwrap();
    alice.shunt().wait_unverified(&[(&stranger.pseudonym(), "old-bundle", 1)]).await.unwrap();
    assert!(!stranger.has_letter(), "nothing went to it");
    stranger.publish(DAY);
    write("to one that is there").await;
    // The bundle holds: a probe came, which nobody answers here.
    stranger.letter_came();
    alice.shunt().wait_unverified(&[]).await.unwrap();
    stranger.publish(DAY * 3);
    write("to whom a server would like").await;
    alice.logged("the bundle is older than one seen before", 1).await.unwrap();
    alice.shunt().wait_unverified(&[(&stranger.pseudonym(), "old-bundle", 1)]).await.unwrap();
    assert!(!stranger.has_letter());
}

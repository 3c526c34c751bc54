//! A sleeping phone does not look online.

use super::{ALICE, BOB, acquainted, world};
use shunt_kit::proxy::Mode;
use shunt_kit::world::{go_off, go_online};
use shunt_kit::{Logind, Phone};

/// Both online, Bob's sleep held up, and a text of Alice's there by IM.
async fn awake(alice: &Phone, bob: &Phone) -> Logind {
    let logind = Logind::start(bob).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    logind.wait_held(1).await.unwrap();
    acquainted(alice, bob).await;
    alice.shunt().send(BOB, "awake").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "awake").await.unwrap().bearer, "im");
    logind
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_end_before_sleep_and_are_granted_again_after_it() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let logind = awake(&alice, &bob).await;
    assert_eq!(alice.shunt().route(BOB).await.unwrap().bearer, "im");

    logind.sleep().await.unwrap();
    alice.shunt().wait_route(BOB, "sms", "registered-offline").await.unwrap();
    alice.shunt().send(BOB, "asleep").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "asleep").await.unwrap().bearer, "sms");

    logind.wake().await.unwrap();
    logind.wait_held(1).await.unwrap();
    by_im_at_last(&alice, &bob, "awake again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logind_that_comes_late_or_anew_is_listened_to() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    for _ in 0..2 {
        let logind = Logind::start(&bob).await.unwrap();
        logind.wait_held(1).await.unwrap();
    }
    // It told that the system sleeps, and ended before it could tell that it woke.
    let logind = Logind::start(&bob).await.unwrap();
    logind.wait_held(1).await.unwrap();
    logind.sleep().await.unwrap();
    alice.shunt().send(BOB, "asleep").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "asleep").await.unwrap().bearer, "sms");
    drop(logind);
    by_im_at_last(&alice, &bob, "awake").await;
    let logind = Logind::start(&bob).await.unwrap();
    logind.wait_held(1).await.unwrap();
    logind.sleep().await.unwrap();
}

/// Until the link is checked, probes are met with silence, and texts go by SMS.
async fn by_im_at_last(alice: &Phone, bob: &Phone, said: &str) {
    let mut bearer = String::new();
    for n in 0..10 {
        let text = format!("{said}, {n}");
        alice.shunt().send(BOB, &text).await.unwrap();
        bearer = bob.shunt().wait_received(|got| got.text == text).await.unwrap().bearer;
        if bearer == "im" {
            break;
        }
    }
    assert_eq!(bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_switched_off_while_it_falls_asleep_stays_off_and_can_be_switched_on_again() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    let (bob, mut network) = world.phone_behind_proxy(BOB).await.unwrap();
    let logind = awake(&alice, &bob).await;

    // The server's word that it has heard the leases' end does not come: sleep is held up.
    network.set(Mode::Stall).await.unwrap();
    logind.prepare().await.unwrap();
    bob.logged("the system is about to sleep", 1).await.unwrap();
    go_off(bob.shunt()).await.unwrap();
    logind.wait_held(0).await.unwrap();
    logind.wake().await.unwrap();
    network.set(Mode::Pass).await.unwrap();
    alice.shunt().wait_route(BOB, "sms", "registered-offline").await.unwrap();
    let before = bob.shunt().ledger(0).await.unwrap().len();
    alice.shunt().send(BOB, "to nobody").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "to nobody").await.unwrap().bearer, "sms");
    assert_eq!(bob.shunt().state().await.unwrap().0, "off");
    assert_eq!((bob.inet_sockets().unwrap(), bob.shunt_pid("shuntd-uplink")), (0, None));
    assert_eq!(bob.shunt().ledger(0).await.unwrap().len(), before, "nothing left, a lease neither");

    go_online(bob.shunt()).await.unwrap();
    logind.wait_held(1).await.unwrap();
    by_im_at_last(&alice, &bob, "on again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_off_holds_no_sleep_up() {
    let world = world().await;
    let mut bob = world.builder(BOB).start().await.unwrap();
    let logind = Logind::start(&bob).await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    world.enrol(&bob).await.unwrap();
    logind.sleep().await.unwrap();
    logind.wake().await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    logind.wait_held(1).await.unwrap();
    go_off(bob.shunt()).await.unwrap();
    logind.wait_held(0).await.unwrap();
}

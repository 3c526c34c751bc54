//! A phone whose modem service is oFono, and one with ModemManager.

use super::enrolment::{blank_on, enrol, enrolling};
use super::{ALICE, BOB, world};
use shunt_kit::shunt::error_name;
use shunt_kit::world::{World, go_off, go_online};
use shunt_kit::{Incoming, Phone};

/// Bob's phone, on oFono, enrolled; the switch is off.
async fn bob(world: &World) -> Phone {
    let mut bob = world.builder(BOB).with_ofono().start().await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    world.enrol(&bob).await.unwrap();
    bob
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emoji_that_ofono_cannot_send_travels_as_im_both_ways_and_by_sms_has_a_clear_error() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), bob(&world).await);
    let sent = bob.shunt().send(ALICE, "by SMS 👍").await.unwrap();
    assert_eq!(bob.shunt().wait_state(&sent, &["failed"]).await.unwrap(), "failed");
    assert_eq!(bob.shunt().get(&sent).await.unwrap().text("cause"), "not-sendable");
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    for (from, to, number) in [(&bob, &alice, ALICE), (&alice, &bob, BOB)] {
        // An answer to the probe that comes late would mean SMS, which is not to be had for this text.
        from.shunt().wait_route(number, "im", "online").await.unwrap();
        let sent = from.shunt().send(number, "by IM 👍🏽").await.unwrap();
        let got = to.shunt().wait_received(|text| text.text == "by IM 👍🏽").await.unwrap();
        assert_eq!((got.bearer.as_str(), got.from.as_str()), ("im", from.number()));
        assert_eq!(from.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap(), "im-delivered");
    }
    assert_eq!(world.smsc.submitted_total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_off_texts_are_sms_both_ways_and_a_repeat_is_shown_once() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), bob(&world).await);
    for (from, to, number) in [(&bob, &alice, ALICE), (&alice, &bob, BOB)] {
        let sent = from.shunt().send(number, "by SMS").await.unwrap();
        assert_eq!(to.shunt().wait_received(|text| text.text == "by SMS").await.unwrap().bearer, "sms");
        assert_eq!(from.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    }
    world.smsc.repeat_last(BOB);
    world.smsc.inject(BOB, &Incoming::text(ALICE, "after it"));
    bob.shunt().wait_received(|text| text.text == "after it").await.unwrap();
    assert_eq!(bob.shunt().shown("by SMS"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn core_killed_under_a_send_never_sends_again_and_says_uncertain() {
    let world = world().await;
    let mut bob = bob(&world).await;
    world.smsc.pause_answers(BOB);
    let sent = bob.shunt().send(ALICE, "once").await.unwrap();
    world.smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
    bob.kill_core().await.unwrap();
    bob.start_shunt(world.config()).await.unwrap();
    assert_eq!(bob.shunt().wait_state(&sent, &["uncertain"]).await.unwrap(), "uncertain");
    world.smsc.resume_answers(BOB);
    let next = bob.shunt().send(ALICE, "next").await.unwrap();
    assert_eq!(bob.shunt().wait_state(&next, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!(world.smsc.traffic().between(BOB, ALICE), ["once", "next"]);
}

/// Has Alice ask for a new lease and send a text; whether it came by IM.
async fn reached(alice: &Phone, bob: &Phone, text: &str) -> bool {
    // A lease that was granted before runs on for three minutes; whoever asks anew has none.
    go_off(alice.shunt()).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let sent = alice.shunt().send(BOB, text).await.unwrap();
    let state = alice.shunt().wait_state(&sent, &["sms-sent", "im-delivered"]).await.unwrap();
    assert_eq!(bob.shunt().shown(text), usize::from(state == "im-delivered"));
    state == "im-delivered"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modem_that_came_without_sim_grants_no_lease_and_with_its_sim_grants_them_again() {
    let world = world().await;
    let (alice, mut bob) = (world.phone(ALICE).await.unwrap(), bob(&world).await);
    go_online(bob.shunt()).await.unwrap();
    assert!(reached(&alice, &bob, "with SIM").await);

    bob.modem().set_sim_present(false);
    bob.reattach().await.unwrap();
    bob.logged("the account's SIM has not been read", 1).await.unwrap();
    assert!(!reached(&alice, &bob, "without SIM").await);
    let refused = bob.shunt().send(ALICE, "no SIM").await.unwrap_err();
    assert_eq!(error_name(&refused).as_deref(), Some("org.shunt.Error.NoModem"));
    assert_eq!(world.smsc.traffic().between(BOB, ALICE).len(), 0);

    bob.modem().set_sim_present(true);
    bob.reattach().await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    assert!(reached(&alice, &bob, "SIM again").await, "it was not away for long enough to be in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sim_that_was_out_for_longer_has_to_prove_its_number_anew() {
    let world = enrolling().await;
    let alice = world.phone(ALICE).await.unwrap();
    let mut bob = blank_on(&world, world.builder(BOB).with_ofono()).await;
    enrol(bob.shunt(), BOB).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    assert!(reached(&alice, &bob, "with SIM").await);
    let gateway = world.gateway().unwrap().number().to_owned();
    let codes = || world.smsc.traffic().between(&gateway, BOB).len();
    assert_eq!(codes(), 1);

    bob.modem().set_sim_present(false);
    bob.reattach().await.unwrap();
    bob.logged("the account's SIM is not in this phone", 1).await.unwrap();
    bob.modem().set_sim_present(true);
    bob.reattach().await.unwrap();
    bob.logged("the number was proven anew", 1).await.unwrap();
    assert_eq!(codes(), 2);
    assert!(reached(&alice, &bob, "SIM again").await);
}

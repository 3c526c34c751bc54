//! Crashes, repeats and other mishaps: never lost, never twice.

use super::{ALICE, BOB, acquainted, world};
use rustix::process::{Pid, Signal, kill_process};
use shunt_kit::Incoming;
use shunt_kit::proxy::Mode;
use shunt_kit::world::go_online;
use std::collections::HashMap;
use zbus::Variant;

#[tokio::test(flavor = "multi_thread")]
async fn an_sms_under_way_when_the_core_dies_is_never_sent_twice() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    world.smsc.pause_answers(ALICE);
    let sent = alice.shunt().send(BOB, "is it gone?").await.unwrap();
    world.smsc.wait_for("the modem took it", |traffic| traffic.attempts > 0).await.unwrap();
    alice.kill_core().await.unwrap();
    world.smsc.resume_answers(ALICE);
    alice.start_shunt(world.config()).await.unwrap();
    let state = alice.shunt().wait_state(&sent, &["uncertain", "sms-sent"]).await.unwrap();
    assert!(world.smsc.submitted_total() <= 1, "sent twice, ends {state}");
    assert_eq!(alice.shunt().get(&sent).await.unwrap().text("state"), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sms_that_the_network_repeats_is_shown_once_across_a_crash_too() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    world.smsc.inject(ALICE, &Incoming::text(BOB, "only once"));
    let got = alice.shunt().wait_received(|text| text.text == "only once").await.unwrap();
    world.smsc.repeat_last(ALICE);
    world.smsc.inject(ALICE, &Incoming::text(BOB, "a later one"));
    alice.shunt().wait_received(|text| text.text == "a later one").await.unwrap();
    assert_eq!(alice.shunt().shown("only once"), 1);
    alice.kill_core().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    world.smsc.inject(ALICE, &Incoming::text(BOB, "after the crash"));
    alice.shunt().wait_received(|text| text.text == "after the crash").await.unwrap();
    assert_eq!(alice.shunt().shown("only once"), 0, "shown before the crash, and not again");
    // It stays listed until it is acknowledged.
    assert!(alice.shunt().list().await.unwrap().contains(&got.path));
    alice.shunt().acknowledge(&got.path).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_survives_a_crash() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    alice.kill_core().await.unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_token_is_the_same_text() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    let options = || HashMap::from([("token", Variant::from("app-7"))]);
    let first = alice.shunt().send_with(BOB, "once", options()).await.unwrap();
    let second = alice.shunt().send_with(BOB, "once", options()).await.unwrap();
    assert_eq!(first, second);
    for (to, text) in [(BOB, "twice"), ("+4915112345603", "once")] {
        let refused = alice.shunt().send_with(to, text, options()).await.unwrap_err();
        assert!(format!("{refused:#}").contains("that token is another text's"), "{refused:#}");
    }
    alice.shunt().wait_state(&first, &["sms-sent"]).await.unwrap();
    assert_eq!(world.smsc.submitted_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_while_the_modem_comes_up_is_taken_once_each() {
    let world = world().await;
    let mut alice = world.phone(ALICE).await.unwrap();
    alice.stop_shunt().await.unwrap();
    // The modem service is there, and says nothing yet.
    let modem_manager = i32::try_from(alice.modem_manager().unwrap().pid()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(modem_manager, Signal::STOP).unwrap();
    alice.start_shunt(world.config()).await.unwrap();
    let shunt = alice.shunt();
    let token = || HashMap::from([("token", Variant::from("app-8"))]);
    let repeated = async { tokio::join!(shunt.send_with(BOB, "once", token()), shunt.send_with(BOB, "once", token())) };
    let alike = async { tokio::join!(shunt.send(BOB, "ok"), shunt.send(BOB, "ok")) };
    let goes_on = async {
        // On the same connection, and so behind them.
        shunt.state().await.unwrap();
        kill_process(modem_manager, Signal::CONT).unwrap();
    };
    let (repeated, alike, ()) = tokio::join!(repeated, alike, goes_on);
    let (first, second) = (repeated.0.unwrap(), repeated.1.unwrap());
    let (one, other) = (alike.0.unwrap(), alike.1.unwrap());
    assert!(first == second && one != other);
    for text in [first, one, other] {
        alice.shunt().wait_state(&text, &["sms-sent"]).await.unwrap();
    }
    assert_eq!(world.smsc.submitted_total(), 3);
    assert_eq!(alice.shunt().state().await.unwrap().1, "", "the store is as good as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_text_passes_one_that_waits() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    // Never evaluated before: this one waits for the directory and a probe.
    let waiting = alice.shunt().send(BOB, "waits for a probe").await.unwrap();
    let emergency = alice.shunt().send("112", "help").await.unwrap();
    alice.shunt().wait_state(&emergency, &["sms-sent"]).await.unwrap();
    assert_eq!(alice.shunt().get(&emergency).await.unwrap().text("reason"), "emergency");
    assert_eq!(world.smsc.traffic().between(ALICE, BOB), [] as [&str; 0], "the other one still waits");
    alice.shunt().wait_state(&waiting, &["sms-sent"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn im_only_is_held_until_the_user_decides() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    alice.shunt().set_policy(BOB, "im-only").await.unwrap();
    let sent = alice.shunt().send(BOB, "by IM or not at all").await.unwrap();
    alice.shunt().wait_state(&sent, &["held"]).await.unwrap();
    let asked = alice.shunt().wait_heard("a question", |heard| heard.name.ends_with(".DecisionNeeded")).await.unwrap();
    assert_eq!(asked.words, ["peer-offline"]);
    assert_eq!(world.smsc.submitted_total(), 0);
    alice.shunt().resolve(&sent, "sms").await.unwrap();
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn emoji_and_long_texts_travel_both_ways_by_both_bearers() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let long = "Grüße 👍🏽 und mehr, Zeile um Zeile\n".repeat(8);
    alice.shunt().send(BOB, &long).await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == long).await.unwrap().bearer, "sms");
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    acquainted(&bob, &alice).await;
    let longer = format!("{long}!");
    bob.shunt().send(ALICE, &longer).await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == longer).await.unwrap().bearer, "im");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_twin_of_what_was_shown_by_im_is_not_shown_again() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    let (bob, mut proxy) = world.phone_behind_proxy(BOB).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    acquainted(&alice, &bob).await;

    // Bob hears everything, and nothing that he says arrives: neither receipt nor revoke's answer.
    proxy.set(Mode::LoseUp).await.unwrap();
    let twin = "shown, but who knows";
    let sent = alice.shunt().send(BOB, twin).await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == twin).await.unwrap().bearer, "im");
    assert_eq!(alice.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap(), "sms-sent");
    let traffic = world.smsc.traffic();
    let over_the_air = traffic.between(ALICE, BOB);
    assert!(over_the_air.len() == 1 && over_the_air[0].len() == twin.len() + 8, "marked: {over_the_air:?}");
    assert!(over_the_air[0].starts_with(twin));
    // What came after the marked SMS is shown, so the marked one was there.
    world.smsc.inject(BOB, &Incoming::text(ALICE, "a later SMS"));
    bob.shunt().wait_received(|text| text.text == "a later SMS").await.unwrap();
    assert_eq!(bob.shunt().shown(twin), 1);

    // The same words again are another text, and are shown, whichever way they come.
    alice.shunt().send(BOB, twin).await.unwrap();
    bob.shunt().wait_heard("the repeat", |_| bob.shunt().shown(twin) == 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_report_makes_it_delivered() {
    let world = world().await;
    let (alice, _bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let options = HashMap::from([("report", Variant::from(true))]);
    let sent = alice.shunt().send_with(BOB, "tell me", options).await.unwrap();
    assert_eq!(alice.shunt().wait_state(&sent, &["sms-delivered"]).await.unwrap(), "sms-delivered");
}

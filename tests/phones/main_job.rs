//! The main job on real parts: an ordinary text goes by IM when the recipient is online, else by SMS.

use super::{ALICE, BOB, world};
use shunt_kit::phone::measure::anonymous;
use shunt_kit::proxy::Mode;
use shunt_kit::world::{go_off, go_online};

#[tokio::test(flavor = "multi_thread")]
async fn with_both_on_a_text_travels_as_im_and_the_smsc_sees_nothing() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let sent = alice.shunt().send(BOB, "hello by IM").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "hello by IM").await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("im", ALICE));
    assert_eq!(alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap(), "im-delivered");
    assert_eq!(world.smsc.submitted_total(), 0);
    // Each has evaluated two numbers by now, at 19 MiB each.
    for phone in [&alice, &bob] {
        let core = phone.shunt_pid("shuntd-core").unwrap();
        assert!(anonymous(core).unwrap() < 16 << 10, "what was needed once is given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_switch_off_a_text_is_an_sms_and_no_socket_exists() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let sent = alice.shunt().send(BOB, "hello by SMS").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "hello by SMS").await.unwrap();
    assert_eq!(got.bearer, "sms");
    assert_eq!(alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
    go_online(alice.shunt()).await.unwrap();
    assert!(alice.inet_sockets().unwrap() > 0, "the count of sockets sees one when there is one");
    go_off(alice.shunt()).await.unwrap();
    assert_eq!((alice.inet_sockets().unwrap(), alice.shunt_pid("shuntd-uplink")), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_who_is_offline_gets_an_sms_and_an_im_when_back() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    go_off(bob.shunt()).await.unwrap();
    let sent = alice.shunt().send(BOB, "you are away").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "you are away").await.unwrap().bearer, "sms");
    alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    assert_eq!(alice.shunt().get(&sent).await.unwrap().text("reason"), "registered-offline");
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    alice.shunt().send(BOB, "you are back").await.unwrap();
    assert_eq!(bob.shunt().wait_received(|text| text.text == "you are back").await.unwrap().bearer, "im");
    assert_eq!(world.smsc.submitted_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_in_a_black_hole_gets_the_fallback_once() {
    let world = world().await;
    let alice = world.phone(ALICE).await.unwrap();
    let (bob, mut proxy) = world.phone_behind_proxy(BOB).await.unwrap();
    alice.shunt().set("FallbackAfter", 3_u32).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let first = alice.shunt().send(BOB, "first").await.unwrap();
    // Its receipt must be through before the network is gone.
    alice.shunt().wait_state(&first, &["im-delivered"]).await.unwrap();
    proxy.set(Mode::BlackHole).await.unwrap();
    let sent = alice.shunt().send(BOB, "into the hole").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "into the hole").await.unwrap();
    assert_eq!(got.bearer, "sms");
    assert_eq!(alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert!(alice.shunt().states(&sent).iter().any(|state| state == "revoking"));
    proxy.set(Mode::Pass).await.unwrap();
    // What the server held back comes now, or never: a further text shows that the way is free again.
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    assert_eq!(bob.shunt().shown("into the hole"), 1);
    assert_eq!(world.smsc.submitted_total(), 1);
}

//! Whose key is whose: safety numbers, a peer's new phone, contacts.

use super::{ALICE, BOB, acquainted, world};
use shunt_kit::shunt::{Shunt, error_name};
use shunt_kit::world::go_online;
use std::collections::HashMap;

async fn refused(result: anyhow::Result<()>, name: &str) {
    assert_eq!(error_name(&result.unwrap_err()), Some(format!("org.shunt.Error.{name}")));
}

async fn shown_by(to: &Shunt, text: &str) -> String {
    to.wait_received(|got| got.text == text).await.expect(text).bearer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peers_new_phone_gets_sms_until_the_user_has_confirmed_its_key() {
    let world = world().await;
    let (phone, old_bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let alice = phone.shunt();
    refused(alice.safety_number(BOB).await.map(drop), "NotFound").await;
    refused(alice.verify("12", true).await, "BadNumber").await;
    go_online(alice).await.unwrap();
    go_online(old_bob.shunt()).await.unwrap();
    acquainted(&phone, &old_bob).await;
    alice.send(BOB, "to the old phone").await.unwrap();
    assert_eq!(shown_by(old_bob.shunt(), "to the old phone").await, "im");
    let before = alice.safety_number(BOB).await.unwrap();
    assert_eq!(before, old_bob.shunt().safety_number(ALICE).await.unwrap(), "both read out the same");
    assert_eq!(alice.standing(BOB).await.unwrap(), "pinned");
    alice.verify(BOB, true).await.unwrap();
    assert_eq!(alice.standing(BOB).await.unwrap(), "verified");
    assert_eq!(alice.route(BOB).await.unwrap().details.get("verified"), Some(true));

    // The SIM moves; enrolling ends the old phone's account.
    drop(old_bob);
    let new_bob = world.phone(BOB).await.unwrap();
    let bob = new_bob.shunt();
    go_online(bob).await.unwrap();
    alice.send(BOB, "sent meanwhile").await.unwrap();
    assert_eq!(shown_by(bob, "sent meanwhile").await, "sms");
    alice.send(BOB, "and once more").await.unwrap();
    assert_eq!(shown_by(bob, "and once more").await, "sms");
    let changed = |heard: &shunt_kit::shunt::Heard| heard.name.ends_with(".IdentityChanged");
    let told = alice.wait_heard("the changed key", changed).await.unwrap();
    assert_eq!(told.words, [BOB]);
    let route = alice.route(BOB).await.unwrap();
    assert_eq!((route.bearer.as_str(), route.reason.as_str()), ("sms", "key-changed"));
    assert_eq!(route.details.get("verified"), Some(false));
    assert_eq!(alice.standing(BOB).await.unwrap(), "changed");
    bob.send(ALICE, "from my new phone").await.unwrap();
    assert_eq!(shown_by(alice, "from my new phone").await, "sms");
    let only_im = HashMap::from([("bearer", zbus::Variant::from("im"))]);
    let held = alice.send_with(BOB, "for the right key only", only_im).await.unwrap();
    alice.wait_state(&held, &["held"]).await.unwrap();
    assert_eq!(alice.get(&held).await.unwrap().text("question"), "key-changed");

    refused(alice.accept(BOB, &before).await, "TooLate").await;
    refused(alice.verify(BOB, true).await, "TooLate").await;
    let after = alice.safety_number(BOB).await.unwrap();
    assert!(after != before && after == bob.safety_number(ALICE).await.unwrap());
    alice.accept(BOB, &after).await.unwrap();
    // Whoever compared the key before shall compare this one.
    assert_eq!(alice.standing(BOB).await.unwrap(), "changed");
    assert_eq!(alice.route(BOB).await.unwrap().reason, "key-changed");
    alice.verify(BOB, true).await.unwrap();
    assert_eq!(alice.standing(BOB).await.unwrap(), "verified");
    assert_eq!(shown_by(bob, "for the right key only").await, "im");
    bob.send(ALICE, "now by IM").await.unwrap();
    assert_eq!(shown_by(alice, "now by IM").await, "im");
    assert_eq!(alice.heard().iter().filter(|heard| changed(heard)).count(), 1);
    refused(alice.accept(BOB, &after).await, "TooLate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_mutual_only_contacts_and_those_written_to_find_the_phone_online() {
    let world = world().await;
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().set("PresencePolicy", "mutual").await.unwrap();
    bob.shunt().send(ALICE, "do you know me?").await.unwrap();
    assert_eq!(shown_by(alice.shunt(), "do you know me?").await, "sms");
    // As an address book writes them.
    alice.shunt().set_contacts(&["0151 12345602", "+49 30 123456", "110", ""]).await.unwrap();
    bob.shunt().send(ALICE, "you know me").await.unwrap();
    assert_eq!(shown_by(alice.shunt(), "you know me").await, "im");
}

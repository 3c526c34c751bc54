//! Damage to what is known of one peer is in nobody's way, and loses no text.

use super::{ALICE, BOB, acquainted, programs, world};
use shunt_kit::phone::{Phone, ShuntConfig};
use shunt_kit::shunt::Shunt;
use shunt_kit::smsc::Smsc;
use shunt_kit::world::go_online;

const CAROL: &str = "+4915112345603";

/// A text goes and is shown: the bearer that it came by, and the reason that its sender is told.
async fn goes(from: &Phone, to: &Phone, text: &str) -> (String, String) {
    let sent = from.shunt().send(to.number(), text).await.unwrap();
    let bearer = to.shunt().wait_received(|got| got.text == text).await.unwrap().bearer;
    from.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap();
    (bearer, from.shunt().get(&sent).await.unwrap().text("reason"))
}

/// The same of a peer that is looked up first, and asked if it was written to before: a busy machine may take longer
/// than a text itself waits.
async fn goes_by_im(from: &Phone, to: &Phone, text: &str) {
    from.shunt().wait_route(to.number(), "im", "online").await.unwrap();
    assert_eq!(goes(from, to, text).await, by("im", "online"));
}

fn by(bearer: &str, reason: &str) -> (String, String) {
    (bearer.to_owned(), reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_peer_or_session_costs_its_next_text_the_im_and_nobody_else_anything() {
    let world = world().await;
    let (mut alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    let carol = world.phone(CAROL).await.unwrap();
    for phone in [&alice, &bob, &carol] {
        go_online(phone.shunt()).await.unwrap();
    }
    acquainted(&alice, &bob).await;
    alice.stop_shunt().await.unwrap();
    let path = alice.state_dir().join("store.db");
    let database = || rusqlite::Connection::open(&path).unwrap();
    let bobs: Vec<u8> = database().query_row("SELECT number FROM peers", [], |row| row.get(0)).unwrap();
    for (round, damage) in ["peers SET record", "sessions SET pickle"].iter().enumerate() {
        alice.start_shunt(world.config()).await.unwrap();
        alice.shunt().wait_service_state(&["online"]).await.unwrap();
        goes_by_im(&alice, &carol, &format!("before, {round}")).await;
        alice.stop_shunt().await.unwrap();
        let damaged = database().execute(&format!("UPDATE {damage} = x'00' WHERE number = ?1"), [&bobs]).unwrap();
        assert!(damaged > 0);
        alice.start_shunt(world.config()).await.unwrap();
        alice.shunt().wait_service_state(&["online"]).await.unwrap();

        let texts = ["from the damaged", "to the damaged", "to the others", "from the others", "and again"];
        let texts = texts.map(|text| format!("{text}, {round}"));
        let [from, to, others, back, again] = &texts;
        // Bob's session is his alone now: he meets silence, as of somebody who is not online.
        assert_eq!(goes(&bob, &alice, from).await, by("sms", "registered-offline"));
        goes_by_im(&alice, &carol, others).await;
        goes_by_im(&carol, &alice, back).await;
        // Writing to him makes another one.
        goes_by_im(&alice, &bob, to).await;
        goes_by_im(&bob, &alice, again).await;
        for (phone, text) in [(&alice, from), (&bob, to), (&carol, others), (&alice, back), (&alice, again)] {
            assert_eq!(phone.shunt().shown(text), 1, "{text}");
        }
        assert!(alice.shunt_log().contains("what is known of a peer is damaged"));
        alice.stop_shunt().await.unwrap();
    }
}

/// A text waits for the user, for that reason; and so says the icon, asked before.
async fn waits(shunt: &Shunt, to: &str, text: &str, reason: &str) -> zbus::OwnedObjectPath {
    let route = shunt.route(to).await.unwrap();
    assert_eq!((route.bearer, route.reason), by("im", reason));
    let sent = shunt.send(to, text).await.unwrap();
    shunt.wait_state(&sent, &["held"]).await.unwrap();
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_peer_keeps_its_policy_and_where_nobody_can_read_it_texts_wait_for_the_user() {
    let smsc = Smsc::new();
    let mut alice = Phone::builder(&smsc, ALICE).start().await.unwrap();
    let config = || ShuntConfig::new(programs());
    alice.start_shunt(config()).await.unwrap();
    alice.shunt().set_policy(BOB, "im-only").await.unwrap();
    let by_sms = async |alice: &Phone, to: &str, text: &str| {
        let sent = alice.shunt().send(to, text).await.unwrap();
        alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap();
    };
    by_sms(&alice, CAROL, "no policy").await;
    let path = alice.state_dir().join("store.db");
    let damage = |column: &str| {
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute(&format!("UPDATE peers SET {column} = x'00' WHERE {column} IS NOT NULL"), []).unwrap()
    };
    alice.stop_shunt().await.unwrap();
    assert_eq!(damage("record"), 2);
    alice.start_shunt(config()).await.unwrap();
    waits(alice.shunt(), BOB, "by IM or not at all", "switch-off").await;
    by_sms(&alice, CAROL, "no policy, and damaged").await;

    alice.stop_shunt().await.unwrap();
    assert_eq!((damage("record"), damage("said")), (2, 1), "nothing was said of Carol");
    alice.start_shunt(config()).await.unwrap();
    let held = waits(alice.shunt(), BOB, "still not by SMS", "policy").await;
    assert!(alice.shunt_log().contains("nor can the policy towards it be read"));
    by_sms(&alice, CAROL, "in nobody's way").await;
    assert_eq!(smsc.traffic().between(ALICE, BOB), [] as [&str; 0]);
    let told = (BOB.to_owned(), "im-only".to_owned(), "blocked".to_owned());
    assert!(alice.shunt().peers().await.unwrap().contains(&told));
    alice.shunt().block(BOB, false).await.unwrap();
    alice.shunt().set_policy(BOB, "auto").await.unwrap();
    alice.shunt().wait_state(&held, &["sms-sent"]).await.unwrap();
    alice.stop_shunt().await.unwrap();
    alice.start_shunt(config()).await.unwrap();
    by_sms(&alice, BOB, "what was said anew lasts").await;
}

//! Two operators: the directory's, and a second one who only evaluates. Real parts, each with its own CA.

use super::enrolment::{blank, enrol, reason, withdraw};
use super::{ALICE, BOB, files, programs};
use shunt_kit::shunt::Shunt;
use shunt_kit::world::{World, go_online};

const CAROL: &str = "+4915112345603";

async fn kinds(shunt: &Shunt) -> Vec<String> {
    shunt.ledger(0).await.unwrap().into_iter().map(|row| row.1).collect()
}

async fn registered(world: &World) -> i64 {
    let database = world.second.as_ref().unwrap().database();
    let database = rusqlite::Connection::open(database).unwrap();
    database.query_row("SELECT count(*) FROM account", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_to_a_new_number_asks_both_operators_and_goes_by_sms_when_the_second_is_away() {
    let mut world = World::of_two_operators(programs()).await.unwrap();
    let (alice, bob) = (world.phone(ALICE).await.unwrap(), world.phone(BOB).await.unwrap());
    go_online(alice.shunt()).await.unwrap();
    go_online(bob.shunt()).await.unwrap();
    alice.shunt().wait_route(BOB, "im", "online").await.unwrap();
    let sent = alice.shunt().send(BOB, "hello by IM").await.unwrap();
    let got = bob.shunt().wait_received(|text| text.text == "hello by IM").await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("im", ALICE), "both transcripts prove who is calling");
    assert_eq!(alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap(), "im-delivered");
    assert_eq!(world.smsc.submitted_total(), 0);
    let asked = kinds(alice.shunt()).await;
    let count = |wanted: &str| asked.iter().filter(|kind| *kind == wanted).count();
    // More than once where a new secret's token came between.
    assert!(count("evaluate") > 0 && count("evaluate") == count("evaluate-second"), "{asked:?}");

    // What the second operator keeps and logs: neither number, nor pseudonym, nor domain.
    let rows = alice.shunt().ledger(0).await.unwrap();
    let bobs = rows.into_iter().map(|row| row.2).find(|name| !name.is_empty()).unwrap();
    let known: Vec<String> = vec![ALICE[3..].into(), BOB[3..].into(), bobs[1..].into(), world.cloud.domain().into()];
    let holds = |content: &[u8], text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    let second = world.second.as_ref().unwrap();
    for (path, content) in files(second.dir()) {
        for text in &known {
            assert!(!holds(&content, text), "{} in {}", text, path.display());
        }
    }
    assert!(second.log().unwrap().contains("evaluated"), "the log is the one that is looked at");
    assert!(files(world.directory.dir()).iter().any(|(_, content)| holds(content, &known[2])), "the search finds");
    assert_eq!(registered(&world).await, 2);

    // Who is known is reached; who is not goes by SMS, and by IM no sooner than both answer.
    world.second.as_mut().unwrap().crash().await.unwrap();
    let sent = alice.shunt().send(BOB, "still there").await.unwrap();
    assert_eq!(alice.shunt().wait_state(&sent, &["im-delivered"]).await.unwrap(), "im-delivered");
    let sent = alice.shunt().send(CAROL, "who are you").await.unwrap();
    assert_eq!(alice.shunt().wait_state(&sent, &["sms-sent"]).await.unwrap(), "sms-sent");
    assert_eq!(world.smsc.submitted_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_enrols_at_both_operators_and_withdraws_from_both() {
    let mut world = World::of_two_operators(programs()).await.unwrap();
    let alice = blank(&world, ALICE).await;
    world.second.as_mut().unwrap().crash().await.unwrap();
    enrol(alice.shunt(), ALICE).await.unwrap();
    reason(alice.shunt(), "directory-unreachable").await;
    world.second.as_mut().unwrap().restart().await.unwrap();
    alice.shunt().wait_service_state(&["online"]).await.unwrap();
    assert_eq!(registered(&world).await, 1);
    let bob = blank(&world, BOB).await;
    enrol(bob.shunt(), BOB).await.unwrap();
    bob.shunt().wait_service_state(&["online"]).await.unwrap();
    bob.shunt().wait_route(ALICE, "im", "online").await.unwrap();
    bob.shunt().send(ALICE, "welcome").await.unwrap();
    assert_eq!(alice.shunt().wait_received(|text| text.text == "welcome").await.unwrap().bearer, "im");

    world.second.as_mut().unwrap().crash().await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Err("org.shunt.Error.Unreachable".into()));
    world.second.as_mut().unwrap().restart().await.unwrap();
    assert_eq!(withdraw(alice.shunt()).await, Ok(()));
    assert_eq!(registered(&world).await, 1, "Bob's");
}

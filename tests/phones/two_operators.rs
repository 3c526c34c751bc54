//! Two operators: the directory's, and a second one who only evaluates. Real parts, each with its own CA.

use super::enrolled::{Stranger, evaluator, text, transcripts};
use super::enrolment::{blank, enrol, reason, withdraw};
use super::{ALICE, BOB, files, programs};
use rand_core::OsRng;
use shunt::model::PhoneNumber;
use shunt::seal::{Evaluator, Payload, Transcript};
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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_the_word_of_one_operator_of_another_number_or_of_a_foreign_key_is_nobody() {
    let world = World::of_two_operators(programs()).await.unwrap();
    let alice = world.phone(ALICE).await.unwrap();
    go_online(alice.shunt()).await.unwrap();
    let mut stranger = Stranger::enrol(&world, &alice).await;
    let number = |number: &str| PhoneNumber::from_e164(number).unwrap();
    let (own, bobs) = (number(&stranger.number()), number(BOB));
    let [first, second] = <[Transcript; 2]>::try_from(stranger.transcripts().to_vec()).unwrap();
    let [bobs_first, bobs_second] = <[Transcript; 2]>::try_from(transcripts(&world, &bobs)).unwrap();
    let foreign = |seed| Evaluator::from_seed([seed; 32], 'a').unwrap().own_transcript(&own, &mut OsRng).unwrap();
    // The first operator would like to speak for the second too.
    let again = evaluator(world.directory.dir()).own_transcript(&own, &mut OsRng).unwrap();

    const ONE: &str = "one transcript is needed for each evaluator";
    const KEY: &str = "is not by the pinned directory key";
    const NUMBER: &str = "is not the pseudonym of that number";
    let pair = |first: &Transcript, second: &Transcript| vec![first.clone(), second.clone()];
    let claims = [
        (ONE, &own, vec![first.clone()]),
        (ONE, &own, vec![second.clone()]),
        (KEY, &own, pair(&first, &again)),
        (KEY, &own, pair(&second, &first)),
        (KEY, &own, pair(&first, &foreign(5))),
        (KEY, &own, pair(&foreign(5), &second)),
        (KEY, &own, pair(&foreign(5), &foreign(6))),
        (KEY, &own, pair(&first, &bobs_second)),
        (KEY, &bobs, pair(&bobs_first, &second)),
        (KEY, &bobs, pair(&first, &second)),
        (NUMBER, &bobs, pair(&bobs_first, &bobs_second)),
    ];
    for (nth, (refusal, whose, transcripts)) in claims.iter().enumerate() {
        let claim = stranger.claim(whose, transcripts.clone());
        stranger.send(&claim);
        let earlier = claims[..nth].iter().filter(|(earlier, ..)| earlier == refusal).count();
        alice.logged(refusal, earlier + 1).await.unwrap();
    }
    alice.shunt().wait_unverified(&[(&stranger.pseudonym(), "other-number", 11)]).await.unwrap();
    assert_eq!(alice.shunt().peers().await.unwrap(), [], "a claim is no number");
    assert!(stranger.met_silence() && alice.shunt().received().is_empty());

    // Both words, of its own number: it is answered, and shown by it.
    let (envelope, session) = stranger.first_probe();
    stranger.send(&envelope);
    let mut sessions = vec![session];
    let Payload::Answer { lease, .. } = stranger.read(&mut sessions) else { panic!("no answer") };
    stranger.say(&mut sessions[0], text(lease));
    let got = alice.shunt().wait_received(|_| true).await.unwrap();
    assert_eq!((got.bearer.as_str(), got.from.as_str()), ("im", own.as_e164()));
    assert_eq!(alice.shunt().received().len(), 1);
    assert_eq!(alice.shunt().unverified().await.unwrap(), [], "it has proven its number");
}

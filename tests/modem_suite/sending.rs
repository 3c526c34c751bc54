//! Sending: parts, alphabets, reports, and proof of what was sent.

use crate::bench::{ALICE, BOB, Bench, Proof, Service, expressible, to_bob};
use shunt::model::{Address, Body};
use shunt::modem::{Modem, ModemError, ModemEvent, NewSms, Outcome};
use shunt_kit::Phone;
use std::time::Duration;

pub(crate) async fn texts_of_every_alphabet_and_length_arrive_whole<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let long = "All work and no play makes Jack a dull boy. ".repeat(9);
    let both = "Привет 👍 ".repeat(20);
    let texts = ["Hallo", "Grüße [aus] {Köln} für 5€ ~ \\o/ ^|", "Привет", "👍🏽 ok", &long, &both];
    for text in expressible::<S>(&texts) {
        let before = bench.smsc.traffic().texts.len();
        bench.text(&line, text).await.unwrap();
        let sent = bench.smsc.traffic().texts;
        assert_eq!(sent.len(), before + 1, "{text}");
        assert_eq!((sent[before].from.as_str(), sent[before].to.as_str()), (ALICE, BOB));
        assert_eq!(sent[before].text.as_deref(), Some(text));
    }
}

pub(crate) async fn spaces_and_line_feeds_at_the_end_survive<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.text(&line, "marked \n\n \n  \n ").await.unwrap();
    assert_eq!(bench.smsc.traffic().texts[0].text.as_deref(), Some("marked \n\n \n  \n "));
}

pub(crate) async fn addresses_are_written_as_the_modem_takes_them<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    for (written, dialled) in [("tel:+49 (0)151 1234-5602", BOB), ("0 151/123 456 02", BOB), ("22000", "22000")] {
        let new = NewSms { to: Address(written.into()), ..to_bob("x") };
        let sms = bench.modem.create(&line, &new).await.unwrap();
        bench.modem.send(&line, &sms).await.unwrap();
        let to = bench.smsc.traffic().texts.pop().unwrap().to;
        assert_eq!(to, dialled, "{written}");
    }
}

pub(crate) async fn what_cannot_be_sent_is_refused_before_it_reaches_the_modem<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let nowhere = NewSms { to: Address("+".into()), ..to_bob("x") };
    assert_eq!(bench.modem.create(&line, &nowhere).await, Err(ModemError::NotSendable));
    assert_eq!(bench.modem.create(&line, &to_bob(&"a".repeat(255 * 153 + 1))).await, Err(ModemError::TooLong));
    assert_eq!(bench.smsc.traffic().attempts, 0);
}

pub(crate) async fn a_report_names_the_reference_that_send_gave<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let new = NewSms { report: true, validity_minutes: Some(24 * 60), ..to_bob("tell me") };
    bench.smsc.hold(BOB);
    let sms = bench.modem.create(&line, &new).await.unwrap();
    let sent = bench.modem.send(&line, &sms).await.unwrap();
    let part = bench.smsc.traffic().parts[0].clone();
    assert!(part.report);
    assert_eq!(part.validity, Some(Duration::from_secs(24 * 3600)));
    assert_eq!(sent.references, [part.reference]);
    bench.smsc.expire(BOB);
    let report = bench.report().await;
    assert_eq!((report.reference, report.delivered), (part.reference, Some(false)));
    assert_eq!(report.to, Address(BOB.into()));
    assert_eq!(bench.modem.delete(&line, &report.sms).await, Ok(()));
}

pub(crate) async fn a_delivered_text_is_reported_so<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let _bob = S::on(Phone::builder(&bench.smsc, BOB)).start().await.unwrap();
    let new = NewSms { report: true, ..to_bob(&"long ".repeat(60)) };
    let sms = bench.modem.create(&line, &new).await.unwrap();
    let sent = bench.modem.send(&line, &sms).await.unwrap();
    let report = bench.report().await;
    assert_eq!(report.delivered, Some(true));
    assert_eq!(vec![report.reference], sent.references, "the last part's");
}

pub(crate) async fn the_outcome_is_proven_by_owner_number_and_text<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let (sms, sent) = bench.text(&line, "proof").await.unwrap();
    let (to, body) = (Address(BOB.into()), Body("proof".into()));
    let proven = if S::PROOF == Proof::None { Outcome::Unknown } else { Outcome::Sent(sent.clone()) };
    assert_eq!(bench.modem.outcome(&line, &sms, &to, &body).await, proven);
    let other = if S::PROOF == Proof::Name { proven } else { Outcome::Unknown };
    assert_eq!(bench.modem.outcome(&line, &sms, &to, &Body("proof ".into())).await, other);
    assert_eq!(bench.modem.outcome(&line, &sms, &Address(ALICE.into()), &body).await, other);
    // A second Send of what is sent sends nothing.
    let again = if S::PROOF == Proof::Text { Ok(sent) } else { Err(ModemError::Gone) };
    assert_eq!(bench.modem.send(&line, &sms).await, again);
    assert_eq!(bench.smsc.submitted_total(), 1);
}

pub(crate) async fn the_outcome_of_a_send_under_way_is_waited_for<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let sms = bench.modem.create(&line, &to_bob("slow")).await.unwrap();
    bench.smsc.pause_answers(ALICE);
    // The core that issued it is gone before the answer comes.
    tokio::select! {
        answer = bench.modem.send(&line, &sms) => panic!("answered: {answer:?}"),
        submitted = bench.smsc.wait_for("the submit", |traffic| traffic.attempts == 1) => submitted.unwrap(),
    }
    let (to, body) = (Address(BOB.into()), Body("slow".into()));
    let outcome = bench.modem.outcome(&line, &sms, &to, &body);
    let answers = async { bench.smsc.resume_answers(ALICE) };
    let (outcome, ()) = tokio::join!(outcome, answers);
    assert!(matches!(outcome, Outcome::Sent(_)), "{outcome:?}");
}

pub(crate) async fn own_objects_are_not_reported_as_received<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let (sms, _) = bench.text(&line, "mine").await.unwrap();
    assert_eq!(bench.modem.list(&line).await, Ok(Vec::new()));
    assert_eq!(bench.modem.delete(&line, &sms).await, Ok(()));
    assert_eq!(bench.modem.delete(&line, &sms).await, Ok(()), "gone already is no error");
    assert!(!bench.unasked().iter().any(|event| matches!(event, ModemEvent::Received(_))));
}

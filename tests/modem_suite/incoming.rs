//! Receiving: whole texts once, and what is not ours left alone.

use crate::bench::{ALICE, BOB, Bench, Service, expressible};
use shunt::model::{Address, Body, Timestamp};
use shunt::modem::{Kind, Modem, ModemEvent};
use shunt_kit::{Incoming, Phone, Smsc};
use std::time::{Duration, SystemTime};

pub(crate) async fn a_text_is_received_whole_with_sender_and_time<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let (long, thumbs) = ("Ein langer Text. ".repeat(30), "👍".repeat(100));
    for text in expressible::<S>(&["Hallo Alice", "Grüße 5€", "👍🏽 Привет", "Привет", &long, &thumbs])
    {
        bench.smsc.inject(ALICE, &Incoming::text(BOB, text).at(at));
        let sms = bench.received().await;
        assert_eq!(sms.kind, Kind::Plain, "{text}");
        assert_eq!(sms.from, Address(BOB.into()));
        assert!(sms.body == Body((*text).into()), "{text}");
        assert_eq!(sms.sent, Some(Timestamp(1_767_225_600_000)), "{}", sms.stamp);
        assert_eq!(sms.line, line);
        let held = if S::KEEPS { std::slice::from_ref(&sms) } else { &[] };
        assert_eq!(bench.modem.list(&line).await.as_deref(), Ok(held));
        assert_eq!(bench.modem.delete(&line, &sms.sms).await, Ok(()));
        bench.phone.modem().wait_emptied().await.unwrap();
    }
}

pub(crate) async fn senders_may_be_names_and_short_codes<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    bench.line().await;
    for from in ["Shop", "22000"] {
        bench.smsc.inject(ALICE, &Incoming::text(from, "code 1234"));
        assert_eq!(bench.received().await.from, Address(from.into()));
    }
}

pub(crate) async fn a_text_of_which_a_part_is_missing_waits_for_it<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.smsc.hold(ALICE);
    bench.smsc.inject(ALICE, &Incoming::text(BOB, &"x".repeat(200)));
    bench.smsc.release_one(ALICE);
    if S::KEEPS {
        bench.phone.modem().wait_for("the first part", |modem| modem.stored() == 1).await.unwrap();
    }
    // Something whole overtakes it: by then the first part was read.
    bench.smsc.release(ALICE);
    let sms = bench.received().await;
    assert!(sms.body == Body("x".repeat(200).into()));
    assert_eq!(bench.modem.list(&line).await.unwrap().len(), usize::from(S::KEEPS));
    assert!(!bench.unasked().iter().any(|event| matches!(event, ModemEvent::Received(_))), "told once");
}

pub(crate) async fn what_the_modem_held_before_is_received_at_the_start<S: Service>() {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    smsc.inject(ALICE, &Incoming::text(BOB, "early"));
    phone.sms().wait_received(|sms| sms.text == "early").await.unwrap();
    let mut bench = Bench::<S>::on(smsc, phone).await;
    assert!(bench.received().await.body == Body("early".into()));
}

pub(crate) async fn a_repeated_sms_has_the_same_marks<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    bench.line().await;
    bench.smsc.inject(ALICE, &Incoming::text(BOB, "twice"));
    let first = bench.received().await;
    bench.smsc.repeat_last(ALICE);
    let second = bench.received().await;
    assert!(first.sms != second.sms || !S::KEEPS);
    assert_eq!((first.from, first.body, first.stamp), (second.from, second.body, second.stamp));
}

pub(crate) async fn what_is_no_text_for_the_user_is_told_as_such<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    for sms in [
        Incoming::text(BOB, "flash").class(0),
        Incoming::to_port(BOB, 2948, &[1, 6, 3, 0xbe, 0xaf, 0x84]),
        Incoming::data(BOB, &[0, 1, 2, 255]),
    ] {
        bench.smsc.inject(ALICE, &sms);
        if S::KEEPS {
            let told = bench.received().await;
            assert_eq!(told.kind, Kind::Other, "{sms:?}");
            assert!(told.body == Body("".into()));
        }
    }
    if S::KEEPS {
        assert_eq!(bench.modem.list(&line).await.unwrap().len(), 3, "left in the modem");
    } else {
        // What is for others is not even told; a text after it is.
        bench.smsc.inject(ALICE, &Incoming::text(BOB, "last"));
        assert!(bench.received().await.body == Body("last".into()));
    }
}

//! Failures: what each proves, shown by the service that makes them.

use crate::bench::{ALICE, BOB, Bench, Service, to_bob};
use shunt::model::{Address, Body, Cause};
use shunt::modem::{Modem, ModemError, Outcome, Retry};
use shunt_kit::Fault;

pub(crate) async fn each_refusal_of_modem_and_network_is_judged_by_what_it_proves<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    for (fault, retry) in [
        (Fault::Cms(331), Retry::Later(Cause::NoNetwork)),
        (Fault::Cms(332), Retry::Unknown(Cause::NetworkTimeout)),
        (Fault::Cms(310), Retry::Later(Cause::NoSim)),
        (Fault::Cms(302), Retry::Never(Cause::Refused)),
        (Fault::Cms(21), Retry::Never(Cause::Refused)),
        (Fault::Cms(38), Retry::Later(Cause::Refused)),
        (Fault::Cms(500), Retry::Unknown(Cause::ModemError)),
        (Fault::Error, Retry::Unknown(Cause::ModemError)),
    ] {
        bench.smsc.fail_next(ALICE, fault, 1);
        let error = bench.text(&line, "x").await.unwrap_err();
        assert_eq!(error.retry(), retry, "{fault:?}: {error}");
        assert_eq!(bench.smsc.submitted_total(), 0);
    }
    bench.text(&line, "x").await.unwrap();
}

pub(crate) async fn a_refused_part_of_a_long_text_shows_nothing_and_a_new_attempt_sends_it_whole<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    let long = "Nothing by halves. ".repeat(20);
    let sms = bench.modem.create(&line, &to_bob(&long)).await.unwrap();
    bench.smsc.fail_next(ALICE, Fault::Slow(std::time::Duration::from_millis(1)), 1);
    bench.smsc.fail_next(ALICE, Fault::Cms(331), 1);
    let error = bench.modem.send(&line, &sms).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later(Cause::NoNetwork));
    assert_eq!((bench.smsc.submitted_parts(), bench.smsc.submitted_total()), (1, 0));
    bench.text(&line, &long).await.unwrap();
    assert_eq!(bench.smsc.traffic().between(ALICE, BOB), [long.as_str()]);
}

pub(crate) async fn a_mute_modem_leaves_the_outcome_open<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.smsc.fail_next(ALICE, Fault::MuteAfterTaking, 1);
    let error = bench.text(&line, "heard?").await.unwrap_err();
    assert_eq!(error, ModemError::Mute);
    assert_eq!(error.retry(), Retry::Unknown(Cause::ModemMute));
    assert_eq!(bench.smsc.submitted_total(), 1, "it had left");
}

pub(crate) async fn a_lost_port_leaves_the_outcome_open<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.smsc.pause_answers(ALICE);
    let sms = bench.modem.create(&line, &to_bob("cut")).await.unwrap();
    let cut = async {
        bench.smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
        bench.phone.lose_port().await;
    };
    let (sent, ()) = tokio::join!(bench.modem.send(&line, &sms), cut);
    assert_eq!(sent.unwrap_err().retry(), Retry::Unknown(Cause::ModemLost));
    let after = bench.text(&line, "after").await.unwrap_err();
    assert!(matches!(after.retry(), Retry::Unknown(_)) == S::LISTS_LOST, "{after}");
}

pub(crate) async fn a_service_that_dies_under_a_send_leaves_the_outcome_open<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.smsc.pause_answers(ALICE);
    let sms = bench.modem.create(&line, &to_bob("orphan")).await.unwrap();
    let Bench::<S> { smsc, phone, modem, rest, .. } = &mut bench;
    let kill = async {
        smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
        S::stop(phone, rest).await;
    };
    let (sent, ()) = tokio::join!(modem.send(&line, &sms), kill);
    assert_eq!(sent.unwrap_err().retry(), Retry::Unknown(Cause::ModemLost));
    let (to, body) = (Address(BOB.into()), Body("orphan".into()));
    assert_eq!(modem.outcome(&line, &sms, &to, &body).await, Outcome::Unknown);
    // To a service that is not there nothing was handed at all.
    let error = modem.send(&line, &sms).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later(Cause::ModemLost));
}

pub(crate) async fn a_broken_bus_leaves_the_outcome_open<S: Service>() {
    let mut bench = Bench::<S>::new().await;
    let line = bench.line().await;
    bench.smsc.pause_answers(ALICE);
    let sms = bench.modem.create(&line, &to_bob("cut")).await.unwrap();
    let Bench::<S> { smsc, phone, modem, .. } = &mut bench;
    let kill = async {
        smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
        phone.bus_mut().kill();
    };
    let (sent, ()) = tokio::join!(modem.send(&line, &sms), kill);
    assert_eq!(sent.unwrap_err().retry(), Retry::Unknown(Cause::ModemLost));
}

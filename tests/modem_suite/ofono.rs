//! The real oFono, and what only it does.

use crate::bench::{ALICE, BOB, Bench, Proof, Service, name, run, to_bob};
use shunt::model::{Cause, SimState};
use shunt::modem::ofono::Ofono;
use shunt::modem::{Modem, ModemError, ModemEvent, Retry};
use shunt_kit::phone::PhoneBuilder;
use shunt_kit::{Fault, Phone, Registration};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) struct Real;

impl Service for Real {
    type Backend = Ofono;
    type Rest = ();
    const EMOJI: bool = false;
    const PROOF: Proof = Proof::None;
    const KEEPS: bool = false;
    const LISTS_LOST: bool = false;
    const UP_WITHOUT_SIM: bool = true;

    fn on(phone: PhoneBuilder) -> PhoneBuilder {
        phone.with_ofono()
    }

    async fn backend(phone: &Phone) -> (Ofono, UnboundedReceiver<ModemEvent>, ()) {
        let connection = phone.bus().connect().await.unwrap();
        let (modem, events) = Ofono::start(&connection, std::rc::Rc::new(name)).await.unwrap();
        (modem, events, ())
    }
}

#[test]
fn what_ofono_reports_as_failed_proves_nothing_since_it_tells_no_reason() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        for code in [38, 500] {
            bench.smsc.fail_next(ALICE, Fault::Cms(code), 1);
            let error = bench.text(&line, "x").await.unwrap_err();
            assert_eq!(error.retry(), Retry::Unknown(Cause::ModemError), "{code}: {error}");
        }
        assert_eq!((bench.smsc.traffic().attempts, bench.smsc.submitted_total()), (2, 0), "and was not sent again");
    });
}

#[test]
fn a_text_that_the_network_did_not_answer_is_repeated_by_ofono_itself() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        bench.smsc.fail_next(ALICE, Fault::Error, 1);
        bench.text(&line, "once more").await.unwrap();
        assert_eq!((bench.smsc.traffic().attempts, bench.smsc.submitted_total()), (2, 1));
    });
}

#[test]
fn characters_beyond_ucs2_are_refused_before_they_reach_ofono_which_would_refuse_them_too() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        let error = bench.modem.create(&line, &to_bob("👍")).await.unwrap_err();
        assert_eq!((&error, error.retry()), (&ModemError::NotSendable, Retry::Never(Cause::NotSendable)));
        let own = bench.phone.ofono().send(BOB, "👍").await.unwrap_err().to_string();
        assert!(own.contains("InvalidFormat"), "{own}");
    });
}

#[test]
fn a_modem_without_network_is_handed_no_text_to_keep() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        bench.phone.modem().set_registration(Registration::Searching);
        bench.line_where("no network", |line| line.sim == SimState::Searching).await;
        let error = bench.text(&line, "x").await.unwrap_err();
        assert_eq!(error.retry(), Retry::Later(Cause::NoNetwork), "{error}");
        bench.phone.modem().set_registration(Registration::Home);
        bench.line_where("the network", |line| line.sim == SimState::Home).await;
        bench.text(&line, "y").await.unwrap();
        assert_eq!(bench.smsc.traffic().between(ALICE, BOB), ["y"]);
    });
}

#[test]
fn a_text_still_pending_when_patience_ends_is_taken_back() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        bench.smsc.fail_next(ALICE, Fault::Error, 1);
        let sms = bench.modem.create(&line, &to_bob("late")).await.unwrap();
        let lose = async {
            bench.smsc.wait_for("the first attempt", |traffic| traffic.attempts == 1).await.unwrap();
            bench.phone.modem().set_registration(Registration::Searching);
        };
        let (sent, ()) = tokio::join!(bench.modem.send(&line, &sms), lose);
        assert_eq!(sent.unwrap_err().retry(), Retry::Unknown(Cause::ModemMute));
        bench.line_where("no network", |line| line.sim == SimState::Searching).await;
        bench.phone.modem().set_registration(Registration::Home);
        bench.line_where("the network", |line| line.sim == SimState::Home).await;
        bench.text(&line, "next").await.unwrap();
        assert_eq!(bench.smsc.traffic().between(ALICE, BOB), ["next"]);
    });
}

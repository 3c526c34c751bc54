//! The real ModemManager, and what only it does.

use crate::bench::{ALICE, BOB, Bench, Proof, Service, name, run, to_bob};
use shunt::model::{Body, Cause, SimState};
use shunt::modem::modemmanager::{ModemManager, Options};
use shunt::modem::{Modem, ModemError, ModemEvent, Retry};
use shunt_kit::shunt::error_name;
use shunt_kit::{Incoming, Phone, Smsc};
use tokio::sync::mpsc::UnboundedReceiver;
use zbus::Connection;

pub(crate) struct Real;

impl Service for Real {
    type Backend = ModemManager;
    type Rest = ();
    const EMOJI: bool = true;
    const PROOF: Proof = Proof::Text;
    const KEEPS: bool = true;
    const LISTS_LOST: bool = true;
    const UP_WITHOUT_SIM: bool = true;

    async fn backend(phone: &Phone) -> (ModemManager, UnboundedReceiver<ModemEvent>, ()) {
        started(&phone.bus().connect().await.unwrap(), Options::default()).await
    }
}

async fn started(connection: &Connection, options: Options) -> (ModemManager, UnboundedReceiver<ModemEvent>, ()) {
    let (modem, events) = ModemManager::start(connection, options, std::rc::Rc::new(name)).await.unwrap();
    (modem, events, ())
}

/// A phone whose modem somebody disabled.
async fn disabled(options: Options) -> Bench<Real> {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    let modem = phone.modem_manager().unwrap().modem().unwrap();
    let interface = Some("org.freedesktop.ModemManager1.Modem");
    let service = Some("org.freedesktop.ModemManager1");
    phone.connection().call_method(service, modem, interface, "Enable", &(false,)).await.unwrap();
    let connection = phone.bus().connect().await.unwrap();
    Bench::of(smsc, phone, started(&connection, options).await)
}

#[test]
fn a_disabled_modem_is_left_disabled() {
    run(async {
        let mut bench = disabled(Options::default()).await;
        let line = bench.line_where("the line", |line| line.sim == SimState::Searching).await.id;
        let error = bench.text(&line, "x").await.unwrap_err();
        assert!(matches!(error.retry().before_send(), Retry::Later(_)), "{error}");
        assert!(!bench.unasked().iter().any(|event| matches!(event, ModemEvent::Line(_))), "nothing changed");
        assert_eq!(bench.smsc.submitted_total(), 0);
    });
}

#[test]
fn a_disabled_modem_is_enabled_where_the_config_says_so() {
    run(async {
        let mut bench = disabled(Options { enable: true }).await;
        let line = bench.line().await;
        bench.text(&line, "x").await.unwrap();
        assert_eq!(bench.smsc.submitted_total(), 1);
    });
}

#[test]
fn a_caller_without_the_right_is_denied_for_good() {
    run(async {
        let smsc = Smsc::new();
        let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
        let connection = phone.bus().connect_now(Some(65534)).unwrap();
        let mut bench = Bench::<Real>::of(smsc, phone, started(&connection, Options::default()).await);
        let line = bench.line().await;
        let error = bench.modem.create(&line, &to_bob("x")).await.unwrap_err();
        assert_eq!(error, ModemError::Denied);
        assert_eq!(error.retry(), Retry::Never(Cause::Denied));
    });
}

#[test]
fn without_an_authority_to_ask_a_text_waits() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        bench.phone.stop_polkit();
        let error = bench.modem.create(&line, &to_bob("x")).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Later(Cause::Denied), "{error}");
    });
}

#[test]
fn what_is_deleted_while_the_modems_storage_is_in_use_is_gone_after_it() {
    run(async {
        let mut bench = Bench::<Real>::new().await;
        let line = bench.line().await;
        let mut held = Vec::new();
        for text in ["an app's", "ours", "ours too"] {
            bench.smsc.inject(ALICE, &Incoming::text(BOB, text));
            held.push(bench.received().await.sms);
        }
        // The modem is busy with a text, so that the app's Delete holds the storage: until then a second is refused.
        bench.smsc.pause_answers(ALICE);
        let text = bench.modem.create(&line, &to_bob("slow")).await.unwrap();
        let (app, path) = (bench.phone.sms(), zbus::ObjectPath::try_from(&*held[0].object).unwrap());
        let (sends, deletes) = (bench.modem.send(&line, &text), app.delete(&path));
        let ours = async { tokio::join!(bench.modem.delete(&line, &held[1]), bench.modem.delete(&line, &held[2])) };
        let busy = async {
            bench.smsc.wait_for("the submit", |traffic| traffic.attempts == 1).await.unwrap();
            let refused = async |error: anyhow::Error| error_name(&error).unwrap().ends_with(".Core.Retry");
            tokio::pin!(deletes, ours);
            tokio::select! {
                app = &mut deletes => assert!(refused(app.unwrap_err()).await),
                again = app.delete(&path) => assert!(refused(again.unwrap_err()).await),
            }
            tokio::select! {
                gone = &mut ours => panic!("deleted: {gone:?}"),
                again = app.delete(&path) => assert!(refused(again.unwrap_err()).await),
            }
            bench.smsc.resume_answers(ALICE);
            ours.await
        };
        let (sent, gone) = tokio::join!(sends, busy);
        assert_eq!((sent.map(drop), gone), (Ok(()), (Ok(()), Ok(()))));
        bench.phone.modem().wait_emptied().await.unwrap();
    });
}

#[test]
fn nobody_but_the_bus_says_who_modemmanager_is() {
    run(async {
        let smsc = Smsc::new();
        let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
        let connection = phone.bus().connect().await.unwrap();
        let mut bench = Bench::<Real>::of(smsc, phone, started(&connection, Options::default()).await);
        bench.line().await;
        let forger = bench.phone.bus().connect_now(Some(65534)).unwrap();
        let (us, forged) = (connection.unique_name().unwrap(), forger.unique_name().unwrap());
        let changed = ("org.freedesktop.ModemManager1", "", forged.as_str());
        let (path, bus) = ("/org/freedesktop/DBus", "org.freedesktop.DBus");
        forger.emit_signal(Some(us), path, bus, "NameOwnerChanged", &changed).await.unwrap();
        // The bus has passed it on once it answers.
        forger.call_method(Some(bus), path, Some(bus), "GetId", &()).await.unwrap();
        bench.smsc.inject(ALICE, &Incoming::text(BOB, "heard still"));
        assert!(bench.received().await.body == Body("heard still".into()));
    });
}

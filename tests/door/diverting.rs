//! What the app sends.

use crate::{
    ALICE, BOB,
    core::{Core, LINE, Script},
    programs,
    receiving::im,
};
use futures_util::StreamExt;
use shunt_kit::{
    Door, Phone, Smsc,
    phone::{Sms, sms::state},
    shunt::error_name,
};
use std::collections::HashMap;
use zbus::{MatchRule, MessageStream, OwnedObjectPath, Variant, message};

pub(crate) const IM: Script = Script {
    on: true,
    bearer: Some("im"),
    outcome: Some("im"),
    inbox: Vec::new(),
    late: None,
    word: None,
    page: 0,
    lines: Vec::new(),
    twins: Vec::new(),
    callers: Vec::new(),
    calls: Vec::new(),
};

pub(crate) async fn phone() -> (Smsc, Phone, Door) {
    let smsc = Smsc::new();
    let phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    let door = phone.door(programs()).unwrap();
    (smsc, phone, door)
}

/// All signals of ModemManager's that a connection hears from now on.
pub(crate) async fn signals(sms: &Sms) -> MessageStream {
    let rule = MatchRule::builder().msg_type(message::Type::Signal).sender("org.freedesktop.ModemManager1");
    let room = std::num::NonZero::new(256);
    MessageStream::for_match_rule(rule.build().unwrap(), sms.connection(), room).await.unwrap()
}

/// The next state that PropertiesChanged tells of an object, and the reference told by then, 0 if none was:
/// what a client knows that keeps the properties.
async fn next_state(signals: &mut MessageStream, path: &OwnedObjectPath) -> (u32, u32) {
    type Changed = (String, HashMap<String, zbus::OwnedVariant>, Vec<String>);
    let mut reference = 0;
    loop {
        let message = signals.next().await.unwrap().unwrap();
        if message.header().path() == Some(&path.as_ref())
            && let Ok((_, changed, _)) = message.body().deserialize::<Changed>()
        {
            if let Some(told) = changed.get("MessageReference") {
                reference = u32::try_from(told).unwrap();
            }
            if let Some(state) = changed.get("State") {
                return (u32::try_from(state).unwrap(), reference);
            }
        }
    }
}

#[tokio::test]
async fn an_instant_message_looks_like_a_sent_sms_on_every_connection() {
    let (smsc, phone, door) = phone().await;
    let lines = vec![(LINE.to_owned(), phone.sms().modem().clone())];
    let core = Core::start(phone.bus(), Script { lines, ..IM }).await;
    let (maker, sender) = (phone.sms_through(&door).await.unwrap(), phone.sms_through(&door).await.unwrap());
    let (mut told_maker, mut told_sender) = (signals(&maker).await, signals(&sender).await);

    let path = maker.create(BOB, "by whichever way", true).await.unwrap();
    maker.list().await.unwrap();
    sender.send_object(&path).await.unwrap();
    assert_eq!(core.calls("Ask"), [(BOB.to_owned(), String::new())]);
    assert_eq!(core.calls("Divert")[0].0, "by whichever way");
    assert!(core.calls("Divert")[0].1.len() > 32, "a random token");
    let reference = sender.get(path.clone()).await.unwrap().reference;
    assert_ne!(reference, 0);
    assert_eq!(next_state(&mut told_sender, &path).await, (4, 0));
    assert_eq!(next_state(&mut told_sender, &path).await, (state::SENT, reference));
    let owner = owner(&phone).await;
    let text = OwnedObjectPath::try_from("/org/shunt/Shunt1/message/a").unwrap();
    let (state, at, to, line) = ("im-delivered".to_owned(), 1_798_761_599_000, BOB.to_owned(), LINE.to_owned());
    let mut settled = (text.clone(), path.clone(), owner, state, true, at, to, line);
    core.settle(&settled).await;
    assert_eq!(next_state(&mut told_maker, &path).await, (4, 0));
    assert_eq!(next_state(&mut told_maker, &path).await, (state::SENT, reference));

    let mut reports = Vec::new();
    for app in [&maker, &sender] {
        let shown = app.get(path.clone()).await.unwrap();
        assert_eq!((shown.state, shown.text.as_str()), (state::SENT, "by whichever way"));
        assert_eq!(shown.reference, reference);
        let report = app.wait_report(|report| report.reference == reference).await.unwrap();
        assert_eq!((report.number.as_str(), report.delivery_state, report.state), (BOB, 0, state::RECEIVED));
        // It was sent: once is enough.
        let again = app.send_object(&path).await.unwrap_err();
        assert_eq!(error_name(&again).as_deref(), Some("org.freedesktop.ModemManager1.Error.Core.Failed"));
        reports.push(report.path);
    }
    maker.delete(&reports[0]).await.unwrap();
    assert_eq!(core.calls("DeleteReport"), [(text.to_string(), String::new())]);
    settled.4 = false;
    core.settle(&settled).await;
    sender.wait_gone(&reports[0]).await.unwrap();
    assert_eq!(phone.sms().get(path.clone()).await.unwrap().state, state::UNKNOWN, "ModemManager sent nothing");
    assert_eq!(smsc.submitted_total(), 0);
    maker.delete(&path).await.unwrap();
    assert_eq!(maker.list().await.unwrap().len(), 0);
}

async fn owner(phone: &Phone) -> String {
    let bus = zbus::fdo::DBusProxy::new(phone.connection()).await.unwrap();
    bus.get_name_owner("org.freedesktop.ModemManager1".try_into().unwrap()).await.unwrap().to_string()
}

#[tokio::test]
async fn what_the_core_lets_go_of_is_the_apps_own_sms_and_what_is_unsure_is_an_error() {
    let (smsc, phone, door) = phone().await;
    let core = Core::start(phone.bus(), Script { bearer: Some("sms"), ..IM }).await;
    let app = phone.sms_through(&door).await.unwrap();

    let mut told = signals(&app).await;
    let path = app.create(BOB, "not worth asking", true).await.unwrap();
    app.send_object(&path).await.unwrap();
    let shown = app.get(path.clone()).await.unwrap();
    assert_eq!(shown.state, state::SENT);
    // What is told of an instant message is held to what ModemManager itself tells: the reference no later than "sent".
    let mut last = (0, 0);
    while last.0 != state::SENT {
        last = next_state(&mut told, &path).await;
    }
    assert_eq!(last, (state::SENT, shown.reference));
    assert_eq!((smsc.submitted_total(), core.calls("Divert").len()), (1, 0));

    for (times, outcome) in [(1, "sms"), (2, "org.shunt.Error.Denied")] {
        core.set(|script| (script.bearer, script.outcome) = (Some("im"), Some(outcome)));
        let path = app.send(BOB, outcome, false).await.unwrap();
        assert_eq!(app.get(path).await.unwrap().state, state::SENT);
        assert_eq!((smsc.submitted_total(), core.calls("Divert").len()), (1 + times, times));
    }
    for error in ["org.shunt.Error.Uncertain", "org.shunt.Error.Failed"] {
        core.set(|script| script.outcome = Some(error));
        let refused = app.send(BOB, error, false).await.unwrap_err();
        assert_eq!(error_name(&refused).as_deref(), Some(error));
    }
    core.set(|script| script.outcome = Some("sms-sent"));
    let path = app.send(BOB, "the core's own", false).await.unwrap();
    assert_eq!(app.get(path).await.unwrap().state, state::SENT);
    assert_eq!(smsc.submitted_total(), 3);
}

#[tokio::test]
async fn what_is_no_plain_text_passes_unasked() {
    let (smsc, phone, door) = phone().await;
    let core = Core::start(phone.bus(), IM).await;
    let app = phone.sms_through(&door).await.unwrap();
    let others: [(&str, Variant<'_>); 3] = [
        ("data", Variant::from(vec![1u8, 2, 3])),
        ("class", Variant::from(0i32)),
        ("smsc", Variant::from("+491710760001")),
    ];
    for (name, value) in others {
        let mut properties = HashMap::from([("number", Variant::from(BOB)), (name, value)]);
        if name != "data" {
            properties.insert("text", Variant::from("hello"));
        }
        let messaging = "org.freedesktop.ModemManager1.Modem.Messaging";
        let service = Some("org.freedesktop.ModemManager1");
        let body = (properties,);
        let made = app.connection().call_method(service, app.modem(), Some(messaging), "Create", &body);
        let path: OwnedObjectPath = made.await.unwrap().body().deserialize().unwrap();
        app.send_object(&path).await.unwrap();
    }
    assert_eq!(smsc.submitted_total(), 3);
    assert_eq!(core.calls("Ask").len(), 0);
}

#[tokio::test]
async fn a_core_that_is_absent_hangs_or_dies_costs_no_text_and_no_second_one() {
    let (smsc, phone, door) = phone().await;
    let app = phone.sms_through(&door).await.unwrap();
    app.send(BOB, "without a core", false).await.unwrap();
    assert_eq!(smsc.submitted_total(), 1);

    let core = Core::start(phone.bus(), Script { bearer: None, ..IM }).await;
    app.send(BOB, "it hangs before", false).await.unwrap();
    assert_eq!((smsc.submitted_total(), core.calls("Divert").len()), (2, 0));

    core.set(|script| (script.bearer, script.outcome) = (Some("im"), None));
    let path = app.create(BOB, "it dies after", false).await.unwrap();
    let sending = tokio::spawn({
        let (app, path) = (app.clone(), path.clone());
        async move { app.send_object(&path).await }
    });
    core.called("Divert", 1).await;
    let first = core.die().await.calls;
    let core = Core::start(phone.bus(), IM).await;
    sending.await.unwrap().unwrap();
    let tokens = |calls: &[(&str, String, String)]| {
        calls.iter().filter(|call| call.0 == "Divert").map(|call| call.2.clone()).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&first), core.calls("Divert").into_iter().map(|call| call.1).collect::<Vec<_>>());
    assert_eq!(app.get(path).await.unwrap().state, state::SENT);
    assert_eq!(smsc.submitted_total(), 2);
}

#[tokio::test]
async fn the_core_is_asked_about_texts_while_it_says_that_the_switch_is_on() {
    let (smsc, phone, door) = phone().await;
    let core = Core::start(phone.bus(), Script { on: false, inbox: vec![im(7, "an IM")], ..IM }).await;
    let line = (LINE.to_owned(), phone.sms().modem().clone());
    core.set(|script| script.lines = vec![line]);
    let app = phone.sms_through(&door).await.unwrap();
    assert_eq!(app.list().await.unwrap().len(), 1, "what came before is shown on");
    for (on, submitted, asked) in [(false, 1, 0), (true, 1, 1), (false, 2, 1)] {
        core.turn(on).await;
        // Its answer comes after what it told.
        let settings = Some("org.freedesktop.DBus.Properties");
        let enabled = ("org.shunt.Shunt1.Settings", "Enabled");
        let core_name = Some("org.shunt.Shunt1");
        app.connection().call_method(core_name, "/org/shunt/Shunt1", settings, "Get", &enabled).await.unwrap();
        app.send(BOB, "a text", false).await.unwrap();
        assert_eq!((smsc.submitted_total(), core.calls("Ask").len()), (submitted, asked));
    }
}

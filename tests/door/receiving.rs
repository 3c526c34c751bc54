//! What the app is shown of instant messages that came, and of SMS that are their twins.

use crate::{
    BOB,
    core::{Core, Incoming, LINE, Script},
    diverting::{IM, phone, signals},
};
use futures_util::StreamExt;
use shunt_kit::{Incoming as Sms, Phone, phone::sms::state};
use std::sync::Arc;
use tokio::sync::Notify;
use zbus::{MessageStream, OwnedObjectPath, message};

pub(crate) fn im(serial: u32, text: &str) -> Incoming {
    let message = OwnedObjectPath::try_from(format!("/org/shunt/Shunt1/message/{serial:032x}")).unwrap();
    (message, serial, BOB.to_owned(), text.to_owned(), 1_798_761_599_000, LINE.to_owned())
}

/// A core that knows the phone's line.
pub(crate) async fn core(phone: &Phone, script: Script) -> Core {
    let lines = vec![(LINE.to_owned(), phone.sms().modem().clone())];
    Core::start(phone.bus(), Script { lines, ..script }).await
}

pub(crate) fn shown_as(serial: u32) -> String {
    format!("/org/freedesktop/ModemManager1/SMS/{}", (1u32 << 30) + serial)
}

/// The next signal with this member.
async fn next(signals: &mut MessageStream, member: &str) -> message::Message {
    loop {
        let message = signals.next().await.unwrap().unwrap();
        if message.header().member().is_some_and(|found| found.as_str() == member) {
            return message;
        }
    }
}

#[tokio::test]
async fn an_instant_message_is_an_sms_object_until_the_app_deletes_it() {
    let (smsc, phone, door) = phone().await;
    let core = core(&phone, IM).await;
    let app = phone.sms_through(&door).await.unwrap();
    let mut told = signals(&app).await;
    smsc.inject(phone.number(), &Sms::text(BOB, "an SMS"));
    let real = app.wait_received(|shown| shown.text == "an SMS").await.unwrap();
    while next(&mut told, "Added").await.body().deserialize::<(OwnedObjectPath, bool)>().unwrap().0 != real.path {}

    core.receive(im(7, "an IM")).await;
    // Its modem's Messages are told before the object, as clients list from what they were told last.
    loop {
        let changed = next(&mut told, "PropertiesChanged").await;
        if format!("{:?}", changed.body().deserialize::<zbus::Structure<'_>>().unwrap()).contains(&shown_as(7)) {
            break;
        }
    }
    let (added, received): (OwnedObjectPath, bool) = next(&mut told, "Added").await.body().deserialize().unwrap();
    assert_eq!((added.as_str(), received), (shown_as(7).as_str(), true));
    let shown = app.get(added.clone()).await.unwrap();
    assert_eq!((shown.number.as_str(), shown.text.as_str(), shown.state), (BOB, "an IM", state::RECEIVED));
    assert_eq!((shown.timestamp.as_str(), shown.class), ("2026-12-31T23:59:59+00", -1));
    assert_eq!(app.list().await.unwrap().len(), 2);

    // An unmodified client: new each time, as after a restart of the app.
    let listed = door.mmcli(&["-m", "any", "--messaging-list-sms"]).await.unwrap();
    assert!(listed.contains(&shown_as(7)) && listed.contains(real.path.as_str()), "{listed}");
    let one = door.mmcli(&["-s", &shown_as(7)]).await.unwrap();
    for part in [BOB, "an IM", "received", "deliver", "2026-12-31T23:59:59+00"] {
        assert!(one.contains(part), "{one}");
    }
    drop(door);
    let door = phone.door(crate::programs()).unwrap();
    let app = phone.sms_through(&door).await.unwrap();
    assert_eq!(app.list().await.unwrap().len(), 2);
    door.mmcli(&["-m", "any", &format!("--messaging-delete-sms={}", shown_as(7))]).await.unwrap();
    assert_eq!(core.calls("Delete").len(), 1);
    // Twice, as Chatty does.
    app.delete(&added).await.unwrap();
    assert_eq!(app.list().await.unwrap().len(), 1);
    assert_eq!(phone.sms().list().await.unwrap().len(), 1, "ModemManager's own is untouched");
}

#[tokio::test]
async fn what_one_app_deletes_goes_from_all_of_them_once() {
    let (_smsc, phone, door) = phone().await;
    let _core = core(&phone, Script { inbox: vec![im(7, "an IM")], ..IM }).await;
    let another = phone.dir().join("another");
    std::fs::create_dir(&another).unwrap();
    let another =
        shunt_kit::Door::start(&crate::programs().join("shunt-door"), &another, phone.bus().address()).unwrap();
    let mut apps = Vec::new();
    for door in [&door, &door, &another] {
        let app = phone.sms_through(door).await.unwrap();
        assert_eq!(app.list().await.unwrap().len(), 1);
        let told = signals(&app).await;
        apps.push((app, told));
    }
    let gone = OwnedObjectPath::try_from(shown_as(7)).unwrap();
    apps[0].0.delete(&gone).await.unwrap();
    for (app, told) in &mut apps {
        let (deleted,): (OwnedObjectPath,) = next(told, "Deleted").await.body().deserialize().unwrap();
        assert_eq!(deleted, gone);
        assert!(app.list().await.unwrap().is_empty());
    }
    // A second of the same would come before what is told of the next.
    apps[2].0.delete(&gone).await.unwrap();
    for (app, told) in &mut apps {
        app.list().await.unwrap();
        let more = futures_util::FutureExt::now_or_never(told.next());
        assert!(more.is_none(), "{more:?}");
    }
}

#[tokio::test]
async fn a_long_inbox_is_read_page_by_page_and_news_alone_are_asked_for_then() {
    let (_smsc, phone, door) = phone().await;
    let inbox: Vec<_> = (1..=7).map(|serial| im(serial, &format!("text {serial}"))).collect();
    let core = core(&phone, Script { inbox, page: 3, ..IM }).await;
    let app = phone.sms_through(&door).await.unwrap();
    let listed = app.list().await.unwrap();
    assert_eq!(listed.len(), 7);
    assert!(listed.iter().zip(1..).all(|(shown, serial)| shown.path.as_str() == shown_as(serial)));
    core.receive(im(8, "text 8")).await;
    app.wait_received(|shown| shown.text == "text 8").await.unwrap();
    let asked: Vec<String> = core.calls("Inbox").into_iter().map(|(after, _)| after).collect();
    assert_eq!(asked, ["0", "3", "6", "7"]);
}

#[tokio::test]
async fn what_a_slow_core_lists_too_late_for_the_start_is_announced() {
    let (_smsc, phone, door) = phone().await;
    let late = Arc::new(Notify::new());
    let script = Script { inbox: vec![im(1, "one"), im(2, "two")], page: 1, late: Some(late.clone()), ..IM };
    let _core = core(&phone, script).await;
    let app = phone.sms_through(&door).await.unwrap();
    let mut told = signals(&app).await;
    assert!(app.list().await.unwrap().is_empty(), "the app's call does not wait for ever");
    for serial in [1, 2] {
        late.notify_one();
        let (added, _): (OwnedObjectPath, bool) = next(&mut told, "Added").await.body().deserialize().unwrap();
        assert_eq!(added.as_str(), shown_as(serial));
        assert_eq!(app.list().await.unwrap().len(), serial as usize);
    }
}

#[tokio::test]
async fn the_twin_of_what_was_shown_stays_hidden_and_any_other_sms_is_shown() {
    let (smsc, phone, door) = phone().await;
    let mark = "       \n";
    let twins = vec!["shown already".to_owned()];
    let _core = core(&phone, Script { twins, ..IM }).await;
    let app = phone.sms_through(&door).await.unwrap();
    app.list().await.unwrap();
    let mut told = signals(&app).await;
    for text in ["shown already", "never shown"] {
        smsc.inject(phone.number(), &Sms::text(BOB, &format!("{text}{mark}")));
    }
    smsc.inject(phone.number(), &Sms::text(BOB, "plain"));
    let mut added = Vec::new();
    while added.len() < 2 {
        let (path, _): (OwnedObjectPath, bool) = next(&mut told, "Added").await.body().deserialize().unwrap();
        added.push(app.get(path).await.unwrap().text);
    }
    added.sort();
    // The mark is no part of the text.
    assert_eq!(added, ["never shown", "plain"]);
    let listed: Vec<String> = app.list().await.unwrap().into_iter().map(|shown| shown.text).collect();
    assert!(!listed.iter().any(|text| text.contains("shown already")), "{listed:?}");
    assert_eq!(phone.sms().list().await.unwrap().len(), 3);
}

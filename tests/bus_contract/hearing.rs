//! Who hears: texts and numbers reach those who may, addressed, and nobody else.

use crate::support::*;
use futures_util::StreamExt;
use shunt::bus::{Published, ServiceState};
use shunt::model::{Address, Bearer, Body, Diverted, Encoding, LineId, Reason, State, Text, Timestamp, WordingKey};
use shunt_kit::Phone;
use std::collections::HashMap;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant};

/// Hears whatever the bus gives it: a match for every signal.
pub(crate) async fn ear(phone: &Phone, uid: Option<u32>) -> (Connection, MessageStream) {
    let client = phone.bus().connect_now(uid).unwrap();
    let everything = MatchRule::builder().msg_type(Type::Signal).build().unwrap();
    let stream = MessageStream::for_match_rule(everything, &client, None).await.unwrap();
    (client, stream)
}

/// What it heard of us until the signal that State is `online`, which everybody hears.
pub(crate) async fn heard_until_online(stream: &mut MessageStream) -> Vec<Message> {
    let mut heard = Vec::new();
    loop {
        let message = in_time("a signal", stream.next()).await.unwrap().unwrap();
        if !message.header().path().is_some_and(|path| path.as_str().starts_with(PATH)) {
            continue;
        }
        let last = format!("{:?}", changed(&message)).contains("online");
        heard.push(message);
        if last {
            return heard;
        }
    }
}

pub(crate) fn member(message: &Message) -> String {
    message.header().member().unwrap().to_string()
}

fn changed(message: &Message) -> HashMap<String, OwnedVariant> {
    let body = message.body();
    let parsed: Result<(String, HashMap<String, OwnedVariant>, Vec<String>), _> = body.deserialize();
    parsed.map(|(_, changed, _)| changed).unwrap_or_default()
}

pub(crate) fn say_online(served: &Served) {
    served.bus.publish(Published { state: ServiceState::Online, ..served.bus.published() }, None);
}

pub(crate) async fn list(client: &Connection) {
    call(client, MESSAGING, "List", &(none(),)).await.unwrap();
}

#[tokio::test]
async fn texts_are_heard_by_those_who_may_and_asked_and_by_nobody_else() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::with(&phone, lists("[access]\nsend = { uids = [1] }\n")).await;
    let (app, mut app_ear) = ear(&phone, Some(1)).await;
    let (icon, mut icon_ear) = ear(&phone, Some(1)).await;
    let (spy, mut spy_ear) = ear(&phone, Some(NOBODY)).await;
    list(&app).await;
    call(&icon, MESSAGING, "Route", &("+49170", none())).await.unwrap();
    assert!(call(&spy, MESSAGING, "List", &(none(),)).await.is_err());
    served.bus.received(&arrived(3, "a secret text"));
    served.bus.received(&arrived(4, "another"));
    say_online(&served);
    let app_heard = heard_until_online(&mut app_ear).await;
    let names: Vec<_> = app_heard.iter().map(member).collect();
    assert_eq!(names, ["Received", "Received", "PropertiesChanged"], "in order, once each");
    let body = app_heard[0].body();
    let (path, details): (zbus::OwnedObjectPath, HashMap<String, OwnedVariant>) = body.deserialize().unwrap();
    assert_eq!((path, details["text"].try_clone().unwrap()), (self::path(3), zbus::Str::from("a secret text").into()));
    assert_eq!(heard_until_online(&mut icon_ear).await.len(), 1, "who asked for routes alone hears no texts");
    assert_eq!(heard_until_online(&mut spy_ear).await.len(), 1, "who may not hears none");
}

#[tokio::test]
async fn routes_are_told_to_those_who_watch_that_number() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    let (watcher, mut watcher_ear) = ear(&phone, None).await;
    let (other, mut other_ear) = ear(&phone, None).await;
    call(&watcher, MESSAGING, "Watch", &("+49170",)).await.unwrap();
    call(&other, MESSAGING, "Watch", &("+49171",)).await.unwrap();
    served.bus.route_changed(&Address("+49170".into()), Bearer::Im, Reason::Online);
    say_online(&served);
    let heard = heard_until_online(&mut watcher_ear).await;
    assert_eq!(member(&heard[0]), "RouteChanged");
    let body: (String, String, String) = heard[0].body().deserialize().unwrap();
    assert_eq!(body, ("+49170".into(), "im".into(), "online".into()));
    assert_eq!(heard_until_online(&mut other_ear).await.len(), 1);
}

#[tokio::test]
async fn what_a_diverted_text_came_to_is_told_to_doors_alone() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let (door, mut door_ear) = ear(&phone, None).await;
    let (app, mut app_ear) = ear(&phone, None).await;
    list(&app).await;
    call(&door, DOOR, "Ask", &("+49170", none())).await.unwrap();
    for state in [State::Queued, State::ImDelivered, State::Released] {
        served.bus.changed(&diverted(state));
    }
    served.bus.deleted(vec![id(3)]);
    let mut without_report = diverted(State::ImRead);
    without_report.diverted.as_mut().unwrap().report_deleted = true;
    served.bus.settled(&without_report);
    say_online(&served);
    let heard = heard_until_online(&mut door_ear).await;
    let names: Vec<_> = heard.iter().map(member).collect();
    assert_eq!(names, ["Changed", "Changed", "Settled", "Changed", "Changed", "Settled", "PropertiesChanged"]);
    let (text, details): (zbus::OwnedObjectPath, HashMap<String, OwnedVariant>) =
        heard[4].body().deserialize().unwrap();
    assert_eq!((text, details), (path(3), HashMap::from([("deleted".to_owned(), true.into())])));
    type Sent = (zbus::OwnedObjectPath, zbus::OwnedObjectPath, String, String, bool, i64, String, String);
    let told = |at: usize| heard[at].body().deserialize::<(Sent,)>().unwrap().0;
    let sms = zbus::OwnedObjectPath::try_from("/SMS/3").unwrap();
    let row = |state: &str, report| {
        (path(3), sms.clone(), ":1.4".into(), state.into(), report, 1_000, "+49170".into(), "line-a".into())
    };
    assert_eq!((told(2), told(5)), (row("im-delivered", true), row("im-read", false)));
    let names: Vec<_> = heard_until_online(&mut app_ear).await.iter().map(member).collect();
    assert_eq!(names, ["Changed", "Changed", "Changed", "Changed", "PropertiesChanged"]);
    let name = door.unique_name().unwrap().to_string();
    door.close().await.unwrap();
    while served.next_asked().await != format!("gone {name}") {}
}

#[tokio::test]
async fn a_door_whose_leaving_nobody_would_notice_is_refused_until_there_is_room() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::with(&phone, lists("[access]\nsend = { uids = [1] }\n")).await;
    let ask = async |door: &Connection| call(door, DOOR, "Ask", &("+49170", none())).await;
    let mut doors = Vec::new();
    let refused = loop {
        let door = phone.bus().connect_now(Some(1)).unwrap();
        if let Err(error) = ask(&door).await {
            assert!(error.is("TooMany"), "{error:?}");
            break door;
        }
        assert!(served.next_asked().await.starts_with("ask "));
        doors.push(door);
    };
    assert_eq!(doors.len(), 64);
    list(&refused).await;
    while !served.next_asked().await.starts_with("list") {}
    let gone = doors.remove(0);
    let name = gone.unique_name().unwrap().to_string();
    gone.close().await.unwrap();
    assert_eq!(served.next_asked().await, format!("gone {name}"));
    ask(&refused).await.unwrap();
}

fn diverted(state: State) -> Text {
    Text {
        id: id(3),
        line: LineId("line-a".into()),
        to: Address("+49170".into()),
        peer: None,
        body: Body("hi".into()),
        at: Timestamp(1_000),
        state,
        reason: Reason::Online,
        only: None,
        wording: WordingKey([0; 32]),
        ordinal: 0,
        im: None,
        sms: None,
        retries: 0,
        encoding: Encoding::Gsm7,
        token: None,
        report: true,
        cancelled: false,
        diverted: Some(Diverted { object: "/SMS/3".into(), owner: ":1.4".into(), waits: true, report_deleted: false }),
    }
}

#[tokio::test]
async fn core_is_told_when_a_watching_caller_leaves() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = phone.bus().connect_now(None).unwrap();
    let name = client.unique_name().unwrap().to_string();
    call(&client, MESSAGING, "Watch", &("+49170",)).await.unwrap();
    assert_eq!(served.next_asked().await, "watch +49170");
    client.close().await.unwrap();
    assert_eq!(served.next_asked().await, format!("gone {name}"));
}

#[tokio::test]
async fn watches_are_bounded_and_all_end_with_their_caller() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = phone.bus().connect_now(None).unwrap();
    let mut taken = 0;
    for n in 0..100 {
        match call(&client, MESSAGING, "Watch", &(format!("+49{n}"),)).await {
            Ok(_) => taken += 1,
            Err(failure) => assert!(failure.is("TooMany"), "{failure:?}"),
        }
    }
    assert_eq!(taken, 64);
    call(&client, MESSAGING, "Unwatch", &("+490",)).await.unwrap();
    call(&client, MESSAGING, "Watch", &("+4999",)).await.unwrap();
    client.close().await.unwrap();
    loop {
        if served.next_asked().await.starts_with("gone") {
            return;
        }
    }
}

#[tokio::test]
async fn own_number_is_shown_to_those_who_may_send_and_never_broadcast() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    let (spy, mut spy_ear) = ear(&phone, Some(NOBODY)).await;
    let root = format!("{:?}", get(&served.client, SERVICE, "Lines").await.unwrap());
    let nobody = format!("{:?}", get(&spy, SERVICE, "Lines").await.unwrap());
    assert!(root.contains(OWN) && root.contains("line-a"), "{root}");
    assert!(!nobody.contains(OWN) && nobody.contains("line-a"), "{nobody}");
    let all = call(&spy, PROPERTIES, "GetAll", &(SERVICE,)).await.unwrap();
    assert!(!format!("{:?}", all.body().deserialize::<HashMap<String, OwnedVariant>>().unwrap()).contains(OWN));
    let mut lines = served.bus.published().lines;
    lines[0].enrolled = true;
    served.bus.publish(Published { lines, state: ServiceState::Online, ..served.bus.published() }, None);
    let heard = heard_until_online(&mut spy_ear).await;
    let body = heard[0].body();
    let (_, changed, invalidated): (String, HashMap<String, OwnedVariant>, Vec<String>) = body.deserialize().unwrap();
    assert_eq!(invalidated, ["Lines"]);
    assert!(!changed.contains_key("Lines"));
}

#[tokio::test]
async fn changes_are_told_once_and_only_what_changed() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    let (_client, mut ear) = ear(&phone, Some(NOBODY)).await;
    served.bus.publish(served.bus.published(), None);
    served.bus.publish(Published { enabled: true, reason: "no-account", ..served.bus.published() }, None);
    say_online(&served);
    let heard = heard_until_online(&mut ear).await;
    let names: Vec<Vec<String>> = heard.iter().map(|m| changed(m).into_keys().collect()).collect();
    assert_eq!(names, [vec!["StateReason"], vec!["Enabled"], vec!["State"]]);
}

#[tokio::test]
async fn a_written_property_is_told_once() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    let (_client, mut ear) = ear(&phone, Some(NOBODY)).await;
    set(&served.client, "AllowRoaming", true).await.unwrap();
    set(&served.client, "Enabled", true).await.unwrap();
    set(&served.client, "Enabled", false).await.unwrap();
    call(&served.client, SETTINGS, "Enable", &(none(),)).await.unwrap();
    say_online(&served);
    let heard = heard_until_online(&mut ear).await;
    let told: Vec<String> = heard.iter().map(|message| format!("{:?}", changed(message))).collect();
    let named = |name: &str| told.iter().filter(|told| told.contains(name)).count();
    assert_eq!((named("AllowRoaming"), named("Enabled"), told.len()), (1, 3, 5), "{told:?}");
}

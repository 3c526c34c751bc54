//! What callers ask arrives at the core; what they ask wrongly is refused by name.

use crate::rights::until_may_send;
use crate::support::*;
use futures_util::StreamExt;
use shunt::bus::{Bus, BusError};
use std::collections::HashMap;
use std::os::fd::AsFd;
use zbus::{MatchRule, MessageStream, Variant, message::Type};

#[tokio::test]
async fn every_method_reaches_the_core_and_answers() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = served.client.clone();
    let options = HashMap::from([("token", Variant::from("t1"))]);
    let reply = call(&client, MESSAGING, "Send", &("+4917012345", "hi", options)).await.unwrap();
    assert_eq!(reply.body().deserialize::<zbus::OwnedObjectPath>().unwrap(), path(1));
    assert_eq!(served.next_asked().await, "send +4917012345 hi Some(\"t1\") uid 0");
    let reply = call(&client, MESSAGING, "Route", &("017012345", none())).await.unwrap();
    let (bearer, reason, details): (String, String, HashMap<String, zbus::OwnedVariant>) =
        reply.body().deserialize().unwrap();
    assert_eq!((bearer.as_str(), reason.as_str()), ("sms", "switch-off"));
    assert!(details.contains_key("verified") && !details.contains_key("rules"));
    assert_eq!(served.next_asked().await, "route 017012345");
    call(&client, MESSAGING, "Watch", &("+4917012345",)).await.unwrap();
    assert_eq!(served.next_asked().await, "watch +4917012345");
    call(&client, MESSAGING, "Unwatch", &("+4917012345",)).await.unwrap();
    assert_eq!(served.next_asked().await, "unwatch +4917012345");
    let reply = call(&client, MESSAGING, "List", &(none(),)).await.unwrap();
    assert_eq!(reply.body().deserialize::<Vec<zbus::OwnedObjectPath>>().unwrap(), [path(1), path(2)]);
    assert_eq!(served.next_asked().await, "list");
    let reply = call(&client, MESSAGING, "Get", &(path(2),)).await.unwrap();
    let details: HashMap<String, zbus::OwnedVariant> = reply.body().deserialize().unwrap();
    assert_eq!(String::try_from(details["text"].try_clone().unwrap()).unwrap(), "hello");
    assert_eq!(u64::try_from(details["time"].try_clone().unwrap()).unwrap(), 2_000);
    assert_eq!(served.next_asked().await, "get");
    for (method, note) in [("Acknowledge", "acknowledge"), ("Delete", "delete")] {
        call(&client, MESSAGING, method, &(path(2),)).await.unwrap();
        assert_eq!(served.next_asked().await, note);
    }
    call(&client, MESSAGING, "Resolve", &(path(2), "sms")).await.unwrap();
    assert_eq!(served.next_asked().await, "resolve sms");
    call(&client, PEERS, "List", &()).await.unwrap();
    assert_eq!(served.next_asked().await, "peers");
    let reply = call(&client, PEERS, "Unverified", &()).await.unwrap();
    let refused: Vec<(String, String, u32, u64)> = reply.body().deserialize().unwrap();
    assert_eq!(refused, [("a".repeat(33), "other-number".into(), 3, 2_000)]);
    assert_eq!(served.next_asked().await, "unverified");
    call(&client, PEERS, "SetPolicy", &("+4917012345", "im-only")).await.unwrap();
    assert_eq!(served.next_asked().await, "policy im-only");
    call(&client, PEERS, "Block", &("+4917012345", true)).await.unwrap();
    assert_eq!(served.next_asked().await, "block true");
    let digits = "12345".repeat(12);
    let reply = call(&client, PEERS, "SafetyNumber", &("+4917012345",)).await.unwrap();
    assert_eq!(
        (reply.body().deserialize::<String>().unwrap(), served.next_asked().await.as_str()),
        (digits.clone(), "safety number")
    );
    call(&client, PEERS, "Verify", &("+4917012345", true)).await.unwrap();
    assert_eq!(served.next_asked().await, "verify true");
    call(&client, PEERS, "Accept", &("+4917012345", "12345 ".repeat(12))).await.unwrap();
    assert_eq!(served.next_asked().await, format!("accept {digits}"));
    for wrong in ["1234", "12345 ".repeat(13).as_str(), "x".repeat(60).as_str()] {
        assert!(call(&client, PEERS, "Accept", &("+4917012345", wrong)).await.unwrap_err().is("BadArgument"));
    }
    call(&client, PEERS, "SetContacts", &(vec!["+4917012345", "", "0170 12345"],)).await.unwrap();
    assert_eq!(served.next_asked().await, "2 contacts", "an empty entry is passed over");
    assert!(call(&client, PEERS, "SetContacts", &(vec!["1"; 20_001],)).await.unwrap_err().is("TooMany"));
    call(&client, LEDGER, "Read", &(5_u64,)).await.unwrap();
    assert_eq!(served.next_asked().await, "ledger 5");
    let totals: HashMap<String, u64> =
        call(&client, LEDGER, "Totals", &()).await.unwrap().body().deserialize().unwrap();
    assert_eq!((served.next_asked().await.as_str(), totals["frames"]), ("totals", 3));
    let found = call(&client, SERVICE, "Diagnose", &()).await.unwrap();
    let found: HashMap<String, zbus::OwnedVariant> = found.body().deserialize().unwrap();
    assert_eq!((served.next_asked().await.as_str(), found.len()), ("diagnose", 3), "what there is not is absent");
    assert_eq!(found["certificate-expires"].downcast_ref::<u64>().unwrap(), 7);
    assert_eq!(found["epochs"].downcast_ref::<&str>().unwrap(), "ab");
    assert_eq!(found["epoch"].downcast_ref::<&str>().unwrap(), "b");
    let key: String = call(&client, SERVICE, "Identity", &()).await.unwrap().body().deserialize().unwrap();
    assert_eq!((served.next_asked().await.as_str(), key.as_str()), ("identity", "a2V5"));
    let account = file(phone.dir(), b"account");
    call(&client, SERVICE, "Import", &(zbus::Fd::from(account.as_fd()),)).await.unwrap();
    assert_eq!(served.next_asked().await, "import 7 bytes");
    let consent = HashMap::from([("consent", Variant::from("e-1")), ("locale", Variant::from("de_DE"))]);
    call(&client, SERVICE, "Enrol", &("+4917012345", consent)).await.unwrap();
    assert_eq!(served.next_asked().await, "enrol Some(\"+4917012345\") Some(\"e-1 de_DE\") uid 0");
    call(&client, SERVICE, "Enrol", &("", none())).await.unwrap();
    assert_eq!(served.next_asked().await, "enrol None None uid 0");
    call(&client, SERVICE, "ConfirmEnrolment", &("1234 5678", none())).await.unwrap();
    assert_eq!(served.next_asked().await, "confirm 1234 5678");
    call(&client, SERVICE, "Withdraw", &(none(),)).await.unwrap();
    assert_eq!(served.next_asked().await, "withdraw");
    let export = std::fs::File::create(phone.path("export")).unwrap();
    call(&client, SERVICE, "Export", &(zbus::Fd::from(export.as_fd()),)).await.unwrap();
    assert_eq!(served.next_asked().await, "export About");
    assert_eq!(served.next_asked().await, "export Outgoing(None)");
    assert_eq!(std::fs::read_to_string(phone.path("export")).unwrap(), "{}");
    let consent = HashMap::from([("consent", Variant::from("c-1")), ("locale", Variant::from("de_DE"))]);
    call(&client, SETTINGS, "Enable", &(consent,)).await.unwrap();
    assert_eq!(served.next_asked().await, "enabled true Some(\"c-1 de_DE\") uid 0");
}

#[tokio::test]
async fn what_a_door_asks_reaches_the_core_and_answers() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = served.client.clone();
    let modem = || Variant::from(zbus::ObjectPath::try_from("/Modem/0").unwrap());
    let reply = call(&client, DOOR, "Ask", &("+49170", HashMap::from([("modem", modem())]))).await.unwrap();
    assert_eq!(reply.body().deserialize::<String>().unwrap(), "im");
    assert_eq!(served.next_asked().await, "ask +49170 Some(\"/Modem/0\")");
    let sms = Variant::from(zbus::ObjectPath::try_from("/SMS/3").unwrap());
    let options = HashMap::from([("token", "t".into()), ("sms", sms), ("owner", ":1.4".into()), ("modem", modem())]);
    let reply = call(&client, DOOR, "Divert", &("+49170", "hi", options)).await.unwrap();
    let answer: (String, String, zbus::OwnedObjectPath) = reply.body().deserialize().unwrap();
    assert_eq!(answer, ("im".into(), "online".into(), path(1)));
    let asked = "divert +49170 hi Some(\"t\") Some(\"/Modem/0\") (\"/SMS/3\", \":1.4\")";
    assert_eq!(served.next_asked().await, asked);
    let token = || HashMap::from([("token", Variant::from("u"))]);
    let reply = call(&client, DOOR, "Divert", &("+49170", "sms", token())).await.unwrap();
    let answer: (String, String, zbus::OwnedObjectPath) = reply.body().deserialize().unwrap();
    assert_eq!((answer.0.as_str(), answer.1.as_str(), answer.2.as_str()), ("sms", "switch-off", "/"));
    assert!(call(&client, DOOR, "Divert", &("+49170", "unknown", token())).await.unwrap_err().is("Uncertain"));
    assert!(call(&client, DOOR, "Divert", &("+49170", "hi", none())).await.unwrap_err().is("BadArgument"), "no token");
    let alone = HashMap::from([("token", Variant::from("v")), ("owner", ":1.4".into())]);
    assert!(call(&client, DOOR, "Divert", &("+49170", "hi", alone)).await.unwrap_err().is("BadArgument"));
    let reply = call(&client, DOOR, "Twin", &("+49170", "hello       \n")).await.unwrap();
    assert_eq!(reply.body().deserialize::<(bool, String)>().unwrap(), (true, "hello".into()));
    let owner = || HashMap::from([("owner", Variant::from(":1.4"))]);
    let reply = call(&client, DOOR, "Twins", &(owner(),)).await.unwrap();
    assert_eq!(reply.body().deserialize::<Vec<zbus::OwnedObjectPath>>().unwrap()[0].as_str(), "/SMS/3");
    assert!(call(&client, DOOR, "Twins", &(none(),)).await.unwrap_err().is("BadArgument"), "of nobody");
    call(&client, DOOR, "Sent", &(owner(),)).await.unwrap();
    call(&client, DOOR, "DeleteReport", &(path(2),)).await.unwrap();
    while served.next_asked().await != format!("delete report {}", id(2).to_hex()) {}
    for (options, after) in [(none(), 0), (HashMap::from([("after", Variant::from(6_u32))]), 6)] {
        let reply = call(&client, DOOR, "Inbox", &(options,)).await.unwrap();
        type Row = (zbus::OwnedObjectPath, u32, String, String, i64, String);
        let inbox: (Vec<Row>, bool) = reply.body().deserialize().unwrap();
        let row = (path(2), 7, "+491700000002".into(), "hello".into(), 2_000, "line-a".into());
        assert_eq!(inbox, (vec![row], true));
        while served.next_asked().await != format!("inbox {after}") {}
    }
    assert!(
        call(&client, DOOR, "Inbox", &(HashMap::from([("after", Variant::from("6"))]),))
            .await
            .unwrap_err()
            .is("BadArgument")
    );
    let lines = async || -> Vec<(String, zbus::OwnedObjectPath)> {
        call(&client, DOOR, "Lines", &()).await.unwrap().body().deserialize().unwrap()
    };
    assert_eq!(lines().await, [], "in no modem");
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(DOOR).build().unwrap();
    let mut told = MessageStream::for_match_rule(rule, &client, None).await.unwrap();
    let mut published = served.bus.published();
    published.lines[0].modem = Some("/Modem/0".into());
    served.bus.publish(published, None);
    let mut lines_changed = async || {
        let told = in_time("a signal", told.next()).await.unwrap().unwrap();
        assert_eq!(told.header().member().unwrap().as_str(), "LinesChanged");
    };
    lines_changed().await;
    assert_eq!(lines().await, [("line-a".to_owned(), modem().try_into().unwrap())]);
    // Its number became known, or was found to be another one: Inbox may name other lines.
    let mut published = served.bus.published();
    published.lines[0].enrolled = !published.lines[0].enrolled;
    served.bus.publish(published, None);
    lines_changed().await;
}

#[tokio::test]
async fn every_setting_is_written_and_read_as_the_core_has_it() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = served.client.clone();
    let settings: [(&str, Variant<'_>, &str); 7] = [
        ("Enabled", true.into(), "enabled true None uid 0"),
        ("FallbackAfter", 20_u32.into(), "FallbackAfter(20)"),
        ("FallbackPolicy", "ask".into(), "FallbackPolicy(Ask)"),
        ("AllowRoaming", true.into(), "AllowRoaming(true)"),
        ("AllowMetered", false.into(), "AllowMetered(false)"),
        ("PresencePolicy", "nobody".into(), "PresencePolicy(Nobody)"),
        ("ReadReceipts", true.into(), "ReadReceipts(true)"),
    ];
    for (name, value, note) in settings {
        let before = get(&client, SETTINGS, name).await.unwrap();
        assert_ne!(*before, value, "{name} was something else");
        set(&client, name, value.try_clone().unwrap()).await.unwrap();
        assert_eq!(served.next_asked().await, note);
        assert_eq!(*get(&client, SETTINGS, name).await.unwrap(), value);
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name_before_the_core_sees_it() {
    let phone = phone().without_polkit().start().await.unwrap();
    let mut served = Served::as_core(&phone).await;
    let client = served.client.clone();
    let too_long = "a".repeat(255 * 153 * 3 + 1);
    let unknown = || HashMap::from([("lien", Variant::from("x"))]);
    let failures = [
        (call(&client, MESSAGING, "Send", &("", "hi", none())).await, "BadNumber"),
        (call(&client, MESSAGING, "Send", &("1".repeat(65), "hi", none())).await, "BadNumber"),
        (call(&client, MESSAGING, "Send", &("+49170", too_long, none())).await, "TooLong"),
        (call(&client, MESSAGING, "Send", &("+49170", "hi", unknown())).await, "BadArgument"),
        (call(&client, MESSAGING, "Route", &("+49170", unknown())).await, "BadArgument"),
        (call(&client, MESSAGING, "List", &(unknown(),)).await, "BadArgument"),
        (call(&client, MESSAGING, "Unwatch", &("+49170",)).await, "NotFound"),
        (call(&client, MESSAGING, "Resolve", &(path(2), "pigeon")).await, "BadArgument"),
        (call(&client, PEERS, "SetPolicy", &("+49170", "never")).await, "BadArgument"),
        (call(&client, SETTINGS, "Enable", &(unknown(),)).await, "BadArgument"),
    ];
    for (at, (result, name)) in failures.into_iter().enumerate() {
        let failure = result.expect_err("a failure");
        assert!(failure.is(name), "{at}: {failure:?}");
        assert!(!failure.message.contains("49170"), "no number in an error");
    }
    let root = zbus::ObjectPath::try_from("/").unwrap();
    assert!(call(&client, MESSAGING, "Get", &(root,)).await.unwrap_err().is("NotFound"));
    for (name, value) in [
        ("FallbackAfter", Variant::from(2_u32)),
        ("FallbackPolicy", "perhaps".into()),
        ("PresencePolicy", "some".into()),
    ] {
        assert!(set(&client, name, value).await.unwrap_err().is("BadArgument"));
    }
    let wrong = set(&client, "Enabled", "yes").await.unwrap_err();
    assert_eq!(wrong.name, "org.freedesktop.DBus.Error.InvalidArgs");
    let directory = std::fs::File::open(phone.dir()).unwrap();
    let import = call(&client, SERVICE, "Import", &(zbus::Fd::from(directory.as_fd()),)).await;
    assert!(import.unwrap_err().is("BadAccount"));
    assert!(served.asked.try_recv().is_err(), "the core was asked nothing");
}

#[tokio::test]
async fn errors_of_the_core_reach_the_caller_with_their_names() {
    let phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    let client = &served.client;
    assert!(call(client, MESSAGING, "Send", &("+49170", "full", none())).await.unwrap_err().is("Store"));
    assert!(call(client, MESSAGING, "Get", &(path(9),)).await.unwrap_err().is("NotFound"));
    assert!(call(client, MESSAGING, "Cancel", &(path(2),)).await.unwrap_err().is("TooLate"));
}

#[tokio::test]
async fn calls_sent_without_waiting_arrive_in_their_order_even_from_a_caller_not_judged_yet() {
    let phone = phone().start().await.unwrap();
    let allow = "polkit.addRule(function (action, subject) {
        if (action.id == 'org.shunt.Shunt1.send') { return polkit.Result.YES; } });";
    phone.add_polkit_rule("10-allow", allow).unwrap();
    let mut served = Served::as_root(&phone).await;
    until_may_send(&phone.bus().connect_now(Some(NOBODY)).unwrap(), true).await;
    while served.asked.try_recv().is_ok() {}
    let client = phone.bus().connect_now(Some(NOBODY)).unwrap();
    for n in 0..50 {
        let body = &("+49170", n.to_string(), none());
        let message =
            zbus::Message::method_call(PATH, "Send").destination(SERVICE).interface(MESSAGING).build(body).unwrap();
        client.send(&message).await.unwrap();
    }
    for n in 0..50 {
        assert_eq!(served.next_asked().await, format!("send +49170 {n} None uid {NOBODY}"));
    }
}

#[tokio::test]
async fn second_daemon_is_told_that_the_name_is_taken() {
    let phone = phone().without_polkit().start().await.unwrap();
    let _served = Served::as_root(&phone).await;
    let other = phone.bus().connect_now(None).unwrap();
    let second = Bus::serve(&other, lists(""), published()).await;
    assert!(matches!(second, Err(BusError::NameTaken)));
}

#[tokio::test]
async fn callers_of_a_stopping_core_are_told_so() {
    let phone = phone().without_polkit().start().await.unwrap();
    let connection = phone.bus().connect_now(None).unwrap();
    let (_bus, requests) = Bus::serve(&connection, lists(""), published()).await.unwrap();
    drop(requests);
    let client = phone.bus().connect_now(None).unwrap();
    assert!(call(&client, MESSAGING, "Route", &("+49170", none())).await.unwrap_err().is("Stopping"));
}

#[tokio::test]
async fn loss_of_the_bus_is_noticed() {
    let mut phone = phone().without_polkit().start().await.unwrap();
    let served = Served::as_core(&phone).await;
    phone.bus_mut().kill();
    in_time("the end of the bus", served.bus.lost()).await;
}

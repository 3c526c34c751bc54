//! The bytes of each message that the door makes of its own, or rewrites.

use super::*;

/// Lines of "name: hex"; the independent judges read the same file (`tests/door/forged.rs`). With SHUNT_GOLDEN set,
/// the tests print new ones, to be read by a person before they are kept.
fn golden(name: &str) -> &'static str {
    let lines = include_str!("../golden.txt").lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| *known == name).map_or("", |(_, hex)| hex)
}

/// Serials towards the app count up with whatever was said before; they are not compared.
fn hex(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    bytes[8..12].copy_from_slice(&[1, 0, 0, 0]);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Dictionaries have no order: those with more than one entry are compared as what they hold.
pub(super) fn forged(name: &str, bytes: &[u8]) {
    if std::env::var_os("SHUNT_GOLDEN").is_some() {
        return println!("\n{name}: {}", hex(bytes));
    }
    let known: Vec<u8> = golden(name)
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    if hex(bytes) == golden(name) {
        return;
    }
    let (is, was) = (Message::read(bytes).unwrap(), Message::read(&known).expect("golden bytes"));
    assert!(Head { serial: 1, ..is.head } == Head { serial: 1, ..was.head }, "{name}: {}", hex(bytes));
    assert!(same::<(Dict,)>(&is, &was) || same::<(String, Dict)>(&is, &was), "{name}: {}", hex(bytes));
}

fn same<B: serde::de::DeserializeOwned + Type + PartialEq>(is: &Message<'_>, was: &Message<'_>) -> bool {
    is.body::<B>().is_some_and(|is| Some(is) == was.body())
}

pub(super) fn named<'a>(told: &'a [Vec<u8>], name: &str) -> &'a [u8] {
    let is = |bytes: &&Vec<u8>| {
        let head = Message::read(bytes).unwrap().head;
        head.member == name || head.error == name || (name == "Return" && head.kind == Kind::Return)
    };
    told.iter().find(is).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_diverted_text_is_answered_and_told_as_sent() {
    let mut scene = Scene::new();
    scene.divert();
    assert!(scene.told().is_empty(), "the app waits");
    scene.reply_to("Divert", &("im", "online", path("/org/shunt/Shunt1/message/b")));
    scene.stand_in();
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["PropertiesChanged", "Return", "PropertiesChanged"]);
    forged("Sending", &told[0]);
    forged("Send", &told[1]);
    forged("Sent", &told[2]);
    // It asked for a report.
    for _ in 0..2 {
        scene.core_says_of(CORE_DOOR, "Settled", &(sent(true),));
    }
    scene.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["PropertiesChanged", "Added"], "once");
    forged("ReportMessages", &told[0]);
    forged("ReportAdded", &told[1]);

    scene.get_all(30, REPORT);
    forged("ReportGetAll", named(&scene.app, "Return"));
    scene.app.clear();
    scene.get_all(31, REAL);
    scene.reply_to("GetAll", &(outgoing(),));
    let (all,) = Message::read(&scene.app[0]).unwrap().body::<(Dict,)>().unwrap();
    assert_eq!(u32::try_from(&all["State"]), Ok(5));
    scene.app.clear();
    scene.app_says(&Head { serial: 32, destination: MM, path: REAL, interface: SMS, member: "Send", ..call() }, &());
    scene.stand_in();
    forged("SendAgain", &scene.app[0]);
}

#[test]
fn an_instant_message_is_told_and_shown_as_a_received_sms() {
    let mut scene = Scene::new();
    scene.receive(1);
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["PropertiesChanged", "Added"]);
    forged("Messages", &told[0]);
    forged("Added", &told[1]);
    let shown = "/org/freedesktop/ModemManager1/SMS/1073741825";
    scene.get_all(30, shown);
    forged("GetAll", &scene.app.pop().unwrap());
    let properties = Head { destination: MM, path: shown, interface: PROPERTIES, member: "Get", ..call() };
    for (serial, property) in [(31, "Text"), (32, "Validity"), (33, "Data"), (34, "State"), (35, "None")] {
        scene.app_says(&Head { serial, ..properties }, &(SMS, property));
        scene.stand_in();
        forged(&format!("Get{property}"), &scene.app.pop().unwrap());
    }
    scene.app_says(&Head { serial: 36, destination: MM, path: shown, member: "Introspect", ..call() }, &());
    scene.stand_in();
    forged("Introspect", &scene.app.pop().unwrap());

    let messaging = Head { destination: MM, path: MODEM, interface: MESSAGING, ..call() };
    scene.app_says(&Head { serial: 40, member: "List", ..messaging }, &());
    scene.reply_to("List", &(vec![object(REAL)],));
    forged("List", &scene.app.pop().unwrap());
    let manager =
        Head { destination: MM, path: "/org/freedesktop/ModemManager1", member: "GetManagedObjects", ..call() };
    scene.app_says(&Head { serial: 41, ..manager }, &());
    scene.reply_to("GetManagedObjects", &(objects(),));
    forged("GetManagedObjects", &scene.app.pop().unwrap());
    let mut all = Dict::new();
    set(&mut all, "Messages", vec![object(REAL)]);
    let none = Vec::<String>::new();
    let changed = Head { path: MODEM, interface: PROPERTIES, member: "PropertiesChanged", ..signal() };
    scene.bus_says(&changed, &(MESSAGING, &all, none));
    forged("MergedChanged", &scene.app.pop().unwrap());
    let added =
        Head { path: "/org/freedesktop/ModemManager1", interface: OBJECTS, member: "InterfacesAdded", ..signal() };
    scene.bus_says(&added, &(object(MODEM), HashMap::from([(MESSAGING, all)])));
    forged("InterfacesAdded", &scene.app.pop().unwrap());

    scene.app_says(&Head { serial: 42, member: "Delete", ..messaging }, &(object(shown),));
    scene.reply_to("Delete", &());
    scene.stand_in();
    scene.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["Return", "PropertiesChanged", "Deleted"]);
    forged("Deleted", &told[2]);
}

#[test]
fn a_fallback_sms_is_shown_without_its_mark() {
    let mut scene = Scene::new();
    let marked = "both ways       \n";
    assert!(crate::router::split_mark(marked).is_some());
    let mut all = Dict::new();
    set(&mut all, "Text", marked);
    let get_all = Head { serial: 30, destination: MM, path: REAL, interface: PROPERTIES, member: "GetAll", ..call() };
    scene.app_says(&get_all, &(SMS,));
    scene.reply_to("GetAll", &(&all,));
    forged("UnmarkedGetAll", &scene.app.pop().unwrap());
    scene.app_says(&Head { serial: 31, member: "Get", ..get_all }, &(SMS, "Text"));
    scene.reply_to("Get", &(zbus::Variant::from(marked),));
    forged("UnmarkedGet", &scene.app.pop().unwrap());
    let changed = Head { path: REAL, interface: PROPERTIES, member: "PropertiesChanged", ..signal() };
    scene.bus_says(&changed, &(SMS, &all, Vec::<String>::new()));
    forged("UnmarkedChanged", &scene.app.pop().unwrap());
    assert!(scene.app.is_empty());
}

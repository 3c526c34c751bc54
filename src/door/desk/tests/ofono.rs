//! What the door says in oFono's name.

use super::{super::names::*, *};
use std::collections::BTreeMap;

const OFONO_OWNER: &str = ":1.6";
const PHONESIM: &str = "/phonesim";

#[test]
fn a_text_diverted_from_ofono_is_told_as_its_own_message_that_came_was_sent_and_went() {
    let mut scene = Scene::new();
    let messages = Head { destination: OFONO, path: PHONESIM, interface: OFONO_MESSAGES, ..call() };
    scene.app_says(&Head { serial: 20, member: "SendMessage", ..messages }, &("+492", "hello"));
    scene.reply_to("Ask", &("im",));
    scene.reply_to("Divert", &("im", "online", path("/org/shunt/Shunt1/message/b")));
    assert!(scene.told().is_empty(), "the app waits");
    let (serial, _) = scene.asked("Ping");
    scene.bus_says(&Head { reply_serial: serial, sender: OFONO_OWNER, ..returned() }, &());
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["MessageAdded", "Return", "PropertyChanged", "MessageRemoved"]);
    forged("OfonoMessageAdded", &told[0]);
    forged("OfonoSendMessage", &told[1]);
    forged("OfonoPropertyChanged", &told[2]);
    forged("OfonoMessageRemoved", &told[3]);

    scene.app_says(&Head { serial: 21, member: "SendMessage", ..messages }, &("+492", "hello"));
    scene.reply_to("Ask", &("im",));
    scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Uncertain");
    let (serial, _) = scene.asked("Ping");
    scene.bus_says(&Head { reply_serial: serial, sender: OFONO_OWNER, ..returned() }, &());
    forged("OfonoUncertain", named(&scene.app, "org.shunt.Error.Uncertain"));
}

#[test]
fn an_instant_message_is_told_as_ofono_tells_an_sms_and_then_is_gone() {
    let mut scene = Scene::new();
    scene.late(1000);
    let changed =
        Head { sender: CORE_OWNER, destination: ME, interface: CORE_DOOR, member: "LinesChanged", ..signal() };
    scene.show(Side::Bus, &changed, &());
    scene.reply_to("Lines", &(lines(PHONESIM),));
    scene.core_says("Received", &(path("/org/shunt/Shunt1/message/a"), Dict::new()));
    scene.reply_to("Inbox", &(vec![row(1)], false));
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["IncomingMessage"]);
    forged("OfonoIncomingMessage", &told[0]);
    // Others who listen are told too; an app that hangs may be killed.
    scene.late(4_999);
    assert!(!scene.open("Delete"));
    scene.reads = false;
    scene.late(1);
    scene.late(5_000);
    assert!(!scene.open("Delete"));
    scene.reads = true;
    scene.late(5_000);
    assert_eq!(scene.asked("Delete").1, CORE);
    scene.late(5_000);
    assert!(!scene.open("Delete") && scene.told().is_empty(), "once");
}

#[test]
fn what_an_app_has_read_that_leaves_is_deleted_at_once() {
    let mut scene = Scene::new();
    scene.late(1000);
    scene.core_says_of(CORE_DOOR, "LinesChanged", &());
    scene.reply_to("Lines", &(lines(PHONESIM),));
    scene.core_says("Received", &(path("/org/shunt/Shunt1/message/a"), Dict::new()));
    scene.reply_to("Inbox", &(vec![row(1)], false));
    assert_eq!(scene.told(), ["IncomingMessage"]);
    scene.desk.app_left();
    scene.take();
    assert!(scene.open("Delete"));
}

const MARK: &str = "       \n";

/// An SMS as oFono itself tells of it.
fn sms(text: &str) -> (&str, BTreeMap<&'static str, zbus::Variant<'static>>) {
    let details =
        [("Sender", "+491"), ("LocalSentTime", "2026-12-31T23:59:59+0000"), ("SentTime", "2026-12-31T23:59:59+0000")];
    (text, details.map(|(name, value)| (name, value.into())).into())
}

impl Scene {
    fn ofono_tells(&mut self, serial: u32, member: &str, text: &str) {
        let head = Head { serial, sender: OFONO_OWNER, path: PHONESIM, interface: OFONO_MESSAGES, member, ..signal() };
        self.bus_says(&head, &sms(text));
    }

    fn comes_by_ofono(&mut self, serial: u32, text: &str) {
        self.ofono_tells(serial, "IncomingMessage", text);
    }

    /// The texts that the app was told of since, forgotten after.
    fn texts(&mut self) -> Vec<String> {
        let text = |bytes: &Vec<u8>| Message::read(bytes).unwrap().body::<(String, Dict)>().unwrap().0;
        std::mem::take(&mut self.app).iter().map(text).collect()
    }

    fn core_owned_by(&mut self, old: &str, new: &str) {
        self.name_owned(CORE, old, new);
    }

    fn name_owned(&mut self, name: &str, old: &str, new: &str) {
        let changed = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
        self.bus_says(&changed, &(name, old, new));
    }
}

#[test]
fn ofonos_fallback_sms_is_told_without_its_mark_and_a_twin_not_at_all() {
    let mut scene = Scene::new();
    let marked = format!("both ways{MARK}");
    assert!(crate::router::split_mark(&marked).is_some());
    scene.comes_by_ofono(50, &marked);
    let asked = scene.bus.iter().find(|bytes| called(bytes) == "Twin").unwrap();
    assert_eq!(Message::read(asked).unwrap().body(), Some(("+491".to_owned(), marked.clone())));
    assert!(scene.app.is_empty(), "the core judges it first");
    scene.reply_to("Twin", &(false, "both ways"));
    assert_eq!(scene.app.len(), 1);
    forged("OfonoUnmarked", &scene.app[0]);
    assert_eq!(scene.texts(), ["both ways"]);

    scene.comes_by_ofono(51, &marked);
    scene.reply_to("Twin", &(true, "both ways"));
    scene.late(5_000);
    assert!(scene.app.is_empty());
}

#[test]
fn what_ofono_tells_without_a_mark_or_for_the_screen_alone_passes_byte_for_byte() {
    let mut scene = Scene::new();
    let marked = format!("now{MARK}");
    for (serial, member, text) in [(50, "IncomingMessage", "hello \n"), (51, "ImmediateMessage", &*marked)] {
        scene.ofono_tells(serial, member, text);
        let head = Head { sender: OFONO_OWNER, path: PHONESIM, interface: OFONO_MESSAGES, member, ..signal() };
        assert_eq!(scene.app.pop().unwrap(), write(&Head { serial, ..head }, &sms(text)).unwrap());
        assert!(!scene.open("Twin"));
    }
}

#[test]
fn ofonos_sms_keep_their_order_and_none_waits_longer_for_the_core_than_a_second() {
    let mut scene = Scene::new();
    let marked = |text: &str| format!("{text}{MARK}");
    scene.comes_by_ofono(50, &marked("1"));
    scene.comes_by_ofono(51, "2");
    scene.late(500);
    scene.comes_by_ofono(52, &marked("3"));
    scene.comes_by_ofono(53, &marked("4"));
    let (first, _) = scene.asked("Twin");
    scene.reply_to("Twin", &(false, "3"));
    assert!(scene.app.is_empty(), "behind the first");
    scene.late(500);
    assert_eq!(scene.texts(), ["1", "2", "3"]);
    let verdict = Head { reply_serial: first, sender: CORE_OWNER, ..returned() };
    scene.bus_says(&verdict, &(true, "1"));
    scene.late(500);
    assert_eq!(scene.texts(), ["4"], "each once");
    assert!(scene.desk.deadline().is_none() && scene.desk.calls.is_empty());
}

#[test]
fn without_a_core_and_before_ofono_goes_nothing_of_ofonos_waits() {
    let mut scene = Scene::new();
    let marked = |text: &str| format!("{text}{MARK}");
    scene.comes_by_ofono(50, &marked("the core dies"));
    scene.core_owned_by(CORE_OWNER, "");
    scene.app.retain(|bytes| Message::read(bytes).unwrap().head.sender != BUS);
    scene.refuse("Twin", BUS, "org.freedesktop.DBus.Error.NoReply");
    assert_eq!(scene.texts(), ["the core dies"]);
    scene.comes_by_ofono(51, &marked("there is none"));
    assert_eq!(scene.texts(), ["there is none"]);
    assert!(!scene.open("Twin"));

    scene.core_owned_by("", CORE_OWNER);
    scene.comes_by_ofono(52, &marked("oFono goes"));
    scene.told();
    scene.name_owned(OFONO, OFONO_OWNER, "");
    let told = scene.app.clone();
    assert_eq!(scene.told(), ["IncomingMessage", "NameOwnerChanged"], "clients drop what comes from one that is gone");
    assert_eq!(Message::read(&told[0]).unwrap().body::<(String, Dict)>().unwrap().0, "oFono goes");
}

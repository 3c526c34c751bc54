//! The desk alone, with every message spelled here.

mod bounds;
mod golden;
mod held;
mod lines;
mod local;
mod ofono;
mod order;
mod reports;
mod switch;

use super::{
    Action, Desk, Phase,
    names::*,
    object,
    objects::{Dict, set},
};
use crate::door::{
    header::{Head, Kind},
    inbound::Side,
    wire::{Message, write},
};
use crate::model::{Instant, Now, Timestamp};
use golden::{forged, named};
use serde::Serialize;
use std::collections::HashMap;
use zbus::Type;

const ME: &str = ":1.9";
const OWNER: &str = ":1.5";
const CORE_OWNER: &str = ":1.7";
const MODEM: &str = "/org/freedesktop/ModemManager1/Modem/0";
const LINE: &str = "line-a";
const REAL: &str = "/org/freedesktop/ModemManager1/SMS/3";
/// Of that one's delivery.
const REPORT: &str = "/org/freedesktop/ModemManager1/SMS/1610612739";
/// Was shown as an instant message before the app came.
const TWIN: &str = "/org/freedesktop/ModemManager1/SMS/2";

/// An app, a bus with its services, and the desk between them.
struct Scene {
    desk: Desk,
    now: Now,
    /// Whether the app reads.
    reads: bool,
    /// What the app was told: forged or passed.
    app: Vec<Vec<u8>>,
    /// What the bus was told.
    bus: Vec<Vec<u8>>,
}

impl Scene {
    /// The app has said Hello, listens to everything, and has called ModemManager once.
    fn new() -> Self {
        let now = Now { mono: Instant(1000), wall: Timestamp(1_798_761_599_000) };
        let mut scene = Self { desk: Desk::new("name".into()), now, reads: true, app: vec![], bus: vec![] };
        scene.bus_says(&Head { reply_serial: 1, sender: "org.freedesktop.DBus", ..returned() }, &(ME,));
        scene.app_says(&Head { serial: 2, member: "AddMatch", destination: "org.freedesktop.DBus", ..call() }, &("",));
        let first = Head { serial: 3, destination: MM, path: MODEM, interface: MESSAGING, member: "List", ..call() };
        assert_eq!(scene.desk.look(Side::App, &first, 0, scene.now), super::Look::Wait);
        scene.take();
        for owner in [OWNER, ":1.6", CORE_OWNER] {
            scene.reply_to("GetNameOwner", &(owner,));
        }
        scene.reply_to("Enabled", &(zbus::Variant::from(true),));
        scene.reply_to("Inbox", &(Vec::<Row>::new(), false));
        scene.reply_to("Lines", &(lines(MODEM),));
        while scene.open("Sent") {
            scene.reply_to("Sent", &(Vec::<Sent>::new(),));
            scene.reply_to("Twins", &(vec![path(TWIN)],));
        }
        assert_eq!(scene.desk.phase, Phase::Ready);
        (scene.app, scene.bus) = (vec![], vec![]);
        scene
    }

    fn take(&mut self) {
        for action in self.desk.actions() {
            match action {
                Action::Pass => panic!("nothing was shown"),
                Action::ToApp(message) => self.app.push(message),
                Action::ToBus(message) => self.bus.push(message),
            }
        }
    }

    fn show<B: Serialize + Type>(&mut self, side: Side, head: &Head<'_>, body: &B) {
        let serial = head.serial.max(1);
        let bytes = write(&Head { serial, ..*head }, body).unwrap();
        let message = Message::read(&bytes).unwrap();
        let wanted = self.desk.look(side, &message.head, bytes.len(), self.now) == super::Look::Whole;
        if wanted {
            self.desk.show(side, &message, self.now);
        }
        let mut actions = self.desk.actions();
        if !wanted {
            actions.push(Action::Pass);
        }
        for action in actions {
            match (action, side) {
                (Action::Pass, Side::App) => self.bus.push(bytes.clone()),
                (Action::Pass, Side::Bus) => self.app.push(bytes.clone()),
                (Action::ToApp(message), _) => self.app.push(message),
                (Action::ToBus(message), _) => self.bus.push(message),
            }
        }
    }

    fn app_says<B: Serialize + Type>(&mut self, head: &Head<'_>, body: &B) {
        self.show(Side::App, head, body);
    }

    fn bus_says<B: Serialize + Type>(&mut self, head: &Head<'_>, body: &B) {
        self.show(Side::Bus, &Head { destination: if head.kind == Kind::Signal { "" } else { ME }, ..*head }, body);
    }

    fn open(&self, member: &str) -> bool {
        self.bus.iter().any(|bytes| called(bytes) == member)
    }

    /// ModemManager answers what took the place of a call of the app's.
    fn stand_in(&mut self) {
        self.reply_to("Version", &(zbus::Variant::from("1.24.0"),));
    }

    /// Answers the first open call with this member.
    fn reply_to<B: Serialize + Type>(&mut self, member: &str, body: &B) {
        let (serial, destination) = self.asked(member);
        let sender = match destination.as_str() {
            CORE => CORE_OWNER,
            MM => OWNER,
            other => other,
        };
        self.bus_says(&Head { reply_serial: serial, sender, ..returned() }, body);
    }

    fn refuse(&mut self, member: &str, sender: &str, error: &str) {
        let (serial, _) = self.asked(member);
        let head = Head { reply_serial: serial, sender, error, ..Head::blank(Kind::Error) };
        self.bus_says(&head, &("why",));
    }

    fn asked(&mut self, member: &str) -> (u32, String) {
        let is = |bytes: &Vec<u8>| called(bytes) == member;
        let at = self.bus.iter().position(is).unwrap_or_else(|| panic!("nobody called {member}"));
        let bytes = self.bus.remove(at);
        let head = Message::read(&bytes).unwrap().head;
        (head.serial, head.destination.to_owned())
    }

    /// What the app was told since, by kind and member or error, forgotten after.
    fn told(&mut self) -> Vec<String> {
        let name = |bytes: &Vec<u8>| {
            let head = Message::read(bytes).unwrap().head;
            let name = [head.member, head.error].concat();
            if name.is_empty() { format!("{:?}", head.kind) } else { name }
        };
        let told = self.app.iter().map(name).collect();
        self.app.clear();
        told
    }

    /// The app sends ModemManager's object 3; the core is asked.
    fn send(&mut self) {
        self.app_says(&Head { serial: 20, destination: MM, path: REAL, interface: SMS, member: "Send", ..call() }, &());
        self.reply_to("GetManagedObjects", &(objects(),));
        self.reply_to("GetAll", &(outgoing(),));
    }

    fn divert(&mut self) {
        self.send();
        self.reply_to("Ask", &("im",));
    }
}

/// The member that a message calls, or the property where that is ModemManager's own or a setting.
fn called(bytes: &[u8]) -> String {
    let message = Message::read(bytes).unwrap();
    match message.body::<(String, String)>() {
        Some((interface, property)) if message.head.member == "Get" && [MM, CORE_SETTINGS].contains(&&*interface) => {
            property
        }
        _ => message.head.member.to_owned(),
    }
}

fn call() -> Head<'static> {
    Head::blank(Kind::Call)
}

fn returned() -> Head<'static> {
    Head::blank(Kind::Return)
}

fn signal() -> Head<'static> {
    Head { sender: OWNER, ..Head::blank(Kind::Signal) }
}

type Row = (zbus::OwnedObjectPath, u32, String, String, i64, String);

type Sent = (zbus::OwnedObjectPath, zbus::OwnedObjectPath, String, String, bool, i64, String, String);

/// ModemManager's object 3, which went by IM.
fn sent(report: bool) -> Sent {
    let (owner, state, to, line) = (OWNER.to_owned(), "im-delivered".to_owned(), "+492".to_owned(), LINE.to_owned());
    (path("/org/shunt/Shunt1/message/b"), path(REAL), owner, state, report, 1_798_761_599_000, to, line)
}

fn row(serial: u32) -> Row {
    (path("/org/shunt/Shunt1/message/a"), serial, "+491".into(), "hi".into(), 1_798_761_599_000, LINE.into())
}

/// The only line is in that modem.
fn lines(modem: &str) -> Vec<(String, zbus::OwnedObjectPath)> {
    vec![(LINE.to_owned(), path(modem))]
}

fn path(path: &str) -> zbus::OwnedObjectPath {
    object(path).to_owned().into()
}

/// What ModemManager's object manager has: one modem with one message.
fn objects() -> super::start::Objects {
    let mut messaging = Dict::new();
    set(&mut messaging, "Messages", vec![object(REAL)]);
    HashMap::from([(path(MODEM), HashMap::from([(MESSAGING.to_owned(), messaging)]))])
}

fn outgoing() -> Dict {
    let mut all = Dict::new();
    for (name, value) in [("State", 0u32), ("PduType", 0), ("TeleserviceId", 0), ("ServiceCategory", 0)] {
        set(&mut all, name, value);
    }
    set(&mut all, "Number", "+492");
    set(&mut all, "Text", "hello");
    set(&mut all, "SMSC", "");
    set(&mut all, "Data", Vec::<u8>::new());
    set(&mut all, "Class", -1i32);
    set(&mut all, "DeliveryReportRequest", true);
    all
}

#[test]
fn an_error_is_no_answer_although_it_has_a_text() {
    let mut scene = Scene::new();
    scene.bus_says(
        &Head { interface: "org.freedesktop.DBus", member: "NameOwnerChanged", sender: BUS, ..signal() },
        &(MM, OWNER, ""),
    );
    scene.desk.call(super::Purpose::Owner(MM), (BUS, "/", BUS, "GetNameOwner"), &(MM,));
    scene.take();
    scene.refuse("GetNameOwner", BUS, "org.freedesktop.DBus.Error.NameHasNoOwner");
    assert_eq!(scene.desk.mm, None);
    assert_eq!(write(&Head { serial: 1, destination: "not a name", ..call() }, &()), None);
}

#[test]
fn a_twin_that_came_before_the_app_is_not_listed_and_its_end_not_told() {
    let mut scene = Scene::new();
    let messaging = Head { destination: MM, path: MODEM, interface: MESSAGING, ..call() };
    scene.app_says(&Head { serial: 40, member: "List", ..messaging }, &());
    scene.reply_to("List", &(vec![object(TWIN), object(REAL)],));
    let (listed,) = Message::read(&scene.app[0]).unwrap().body::<(Vec<zbus::OwnedObjectPath>,)>().unwrap();
    assert_eq!(listed, [path(REAL)]);
    scene.app.clear();
    let deleted = Head { path: MODEM, interface: MESSAGING, member: "Deleted", ..signal() };
    scene.bus_says(&deleted, &(object(TWIN),));
    assert!(scene.told().is_empty());
    scene.bus_says(&deleted, &(object(REAL),));
    assert_eq!(scene.told(), ["Deleted"]);
}

#[test]
fn with_nothing_of_ours_every_byte_passes() {
    let mut scene = Scene::new();
    let messaging = Head { destination: MM, path: MODEM, interface: MESSAGING, ..call() };
    scene.app_says(&Head { serial: 40, member: "List", ..messaging }, &());
    let (serial, _) = scene.asked("List");
    let answer = Head { reply_serial: serial, sender: OWNER, destination: ME, ..returned() };
    let body = (vec![object(REAL)],);
    scene.bus_says(&answer, &body);
    assert_eq!(scene.app.pop().unwrap(), write(&Head { serial: 1, ..answer }, &body).unwrap());
}

impl Scene {
    fn late(&mut self, millis: u64) {
        self.now.mono.0 += millis;
        self.desk.elapsed(self.now, self.reads);
        self.take();
    }

    fn receive(&mut self, serial: u32) {
        self.core_says("Received", &(path("/org/shunt/Shunt1/message/a"), Dict::new()));
        self.reply_to("Inbox", &(vec![row(serial)], false));
        self.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    }

    fn core_says<B: Serialize + Type>(&mut self, member: &str, body: &B) {
        self.core_says_of(CORE_MESSAGING, member, body);
    }

    fn core_says_of<B: Serialize + Type>(&mut self, interface: &str, member: &str, body: &B) {
        let head = Head { sender: CORE_OWNER, destination: ME, interface, member, ..signal() };
        self.show(Side::Bus, &head, body);
    }

    /// The app reads an object; one of ours is answered.
    fn get_all(&mut self, serial: u32, path: &str) {
        let head = Head { serial, destination: MM, path, interface: PROPERTIES, member: "GetAll", ..call() };
        self.app_says(&head, &(SMS,));
        if self.open("Version") {
            self.stand_in();
        }
    }
}

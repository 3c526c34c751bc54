//! Which modem shows whose instant messages.

use super::*;
use crate::door::desk::objects::im_path;

const OTHER: &str = "/org/freedesktop/ModemManager1/Modem/1";
const THIRD: &str = "/org/freedesktop/ModemManager1/Modem/2";

impl Scene {
    /// What ModemManager's List says of a modem with one real SMS; it is told.
    fn list(&mut self, modem: &str) -> Vec<String> {
        let serial = 1000 + u32::try_from(self.bus.len()).unwrap();
        let head = Head { serial, destination: MM, path: modem, interface: MESSAGING, member: "List", ..call() };
        self.app_says(&head, &());
        self.reply_to("List", &(vec![object(REAL)],));
        let answer = self.app.pop().unwrap();
        let (paths,) = Message::read(&answer).unwrap().body::<(Vec<zbus::OwnedObjectPath>,)>().unwrap();
        paths.iter().map(ToString::to_string).collect()
    }

    fn lines_are(&mut self, lines: &[(&str, &str)]) {
        self.core_says_of(CORE_DOOR, "LinesChanged", &());
        let lines: Vec<_> = lines.iter().map(|(line, modem)| ((*line).to_owned(), path(modem))).collect();
        self.reply_to("Lines", &(lines,));
    }

    /// The modem whose own `Messages` the desk asks for; ModemManager answers, or knows no such modem.
    fn told_at(&mut self, knows: bool) -> (String, Vec<String>) {
        let is = |bytes: &&Vec<u8>| Message::read(bytes).unwrap().head.member == "Get";
        let modem = Message::read(self.bus.iter().find(is).unwrap()).unwrap().head.path.to_owned();
        if knows {
            self.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
        } else {
            self.refuse("Get", OWNER, "org.freedesktop.DBus.Error.UnknownMethod");
        }
        (modem, self.told())
    }
}

#[test]
fn each_line_is_shown_at_its_modem_alone_and_follows_it_to_another() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    scene.lines_are(&[(LINE, MODEM), ("line-b", OTHER)]);
    let mut other = row(2);
    other.5 = "line-b".into();
    scene.core_says("Received", &(path("/org/shunt/Shunt1/message/b"), crate::door::desk::objects::Dict::new()));
    scene.reply_to("Inbox", &(vec![other], false));
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    let (first, second) = (im_path(1).unwrap(), im_path(2).unwrap());
    assert_eq!(scene.list(MODEM), [REAL.to_owned(), first.clone()]);
    assert_eq!(scene.list(OTHER), [REAL.to_owned(), second.clone()]);
    assert_eq!(scene.list(THIRD), [REAL]);

    // Its SIM was put elsewhere.
    scene.lines_are(&[(LINE, MODEM), ("line-b", THIRD)]);
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Deleted".into()]));
    assert_eq!(scene.told_at(true), (THIRD.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    assert_eq!(scene.list(OTHER), [REAL]);
    assert_eq!(scene.list(THIRD), [REAL.to_owned(), second]);

    // Its modem is away, then the other line's too.
    scene.lines_are(&[(LINE, MODEM)]);
    assert_eq!(scene.told_at(false), (THIRD.to_owned(), vec![]));
    assert_eq!(scene.list(THIRD), [REAL]);
    assert_eq!(scene.list(MODEM), [REAL.to_owned(), first]);
    assert!(!scene.open("Get"));
}

#[test]
fn what_came_to_a_sim_is_shown_at_the_one_that_has_its_number_now() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    scene.lines_are(&[]);
    assert_eq!(scene.told_at(true), (MODEM.to_owned(), vec!["PropertiesChanged".into(), "Deleted".into()]));
    scene.lines_are(&[("line-b", OTHER)]);
    let mut moved = row(1);
    moved.5 = "line-b".into();
    scene.reply_to("Inbox", &(vec![moved], false));
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    assert_eq!(scene.list(OTHER), [REAL.to_owned(), im_path(1).unwrap()]);
    // One line more where all have theirs: nothing is asked.
    scene.lines_are(&[("line-b", OTHER), ("line-c", THIRD)]);
    assert!(!scene.open("Inbox"));
}

#[test]
fn what_was_shown_at_a_line_moves_to_the_one_whose_number_became_known() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    let lines = [(LINE, MODEM), ("line-b", OTHER)];
    scene.lines_are(&lines);
    let mut other = row(2);
    other.5 = "line-b".into();
    scene.core_says("Received", &(path("/org/shunt/Shunt1/message/b"), crate::door::desk::objects::Dict::new()));
    scene.reply_to("Inbox", &(vec![other.clone()], false));
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    // All lines are where they were.
    scene.lines_are(&lines);
    let mut moved = row(1);
    moved.5 = "line-b".into();
    scene.reply_to("Inbox", &(vec![moved, other], false));
    assert_eq!(scene.told_at(true), (MODEM.to_owned(), vec!["PropertiesChanged".into(), "Deleted".into()]));
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    assert_eq!(scene.list(MODEM), [REAL]);
    assert_eq!(scene.list(OTHER), [REAL.to_owned(), im_path(1).unwrap(), im_path(2).unwrap()]);
}

#[test]
fn a_modem_that_modemmanager_does_not_have_yet_is_told_of_when_it_comes() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    scene.lines_are(&[(LINE, OTHER)]);
    assert_eq!(scene.told_at(true), (MODEM.to_owned(), vec!["PropertiesChanged".into(), "Deleted".into()]));
    assert_eq!(scene.told_at(false), (OTHER.to_owned(), vec![]));
    scene.lines_are(&[(LINE, OTHER)]);
    assert_eq!(scene.told_at(false), (OTHER.to_owned(), vec![]), "tried again");
    let added = Head { path: MM_PATH, interface: OBJECTS, member: "InterfacesAdded", ..signal() };
    let nothing = crate::door::desk::objects::Dict::new();
    scene.bus_says(&added, &(object(OTHER), HashMap::from([(MESSAGING, nothing)])));
    assert_eq!(scene.told(), ["InterfacesAdded"]);
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    // Once.
    scene.lines_are(&[(LINE, OTHER)]);
    assert!(!scene.open("Get"));

    // Another ModemManager has it under the same name.
    let owner = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
    scene.bus_says(&owner, &(MM, OWNER, ""));
    scene.bus_says(&owner, &(MM, "", OWNER));
    scene.told();
    scene.lines_are(&[(LINE, OTHER)]);
    assert_eq!(scene.told_at(true), (OTHER.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
}

#[test]
fn an_sms_under_judgement_is_told_of_with_its_modems_messages_or_after_them() {
    let mut scene = Scene::new();
    let added = Head { path: MODEM, interface: MESSAGING, member: "Added", ..signal() };
    scene.bus_says(&added, &(object(REAL), true));
    assert!(scene.told().is_empty());
    let mut all = crate::door::desk::objects::Dict::new();
    set(&mut all, "Messages", vec![object(REAL)]);
    let changed = Head { path: MODEM, interface: PROPERTIES, member: "PropertiesChanged", ..signal() };
    scene.bus_says(&changed, &(MESSAGING, &all, Vec::<String>::new()));
    assert_eq!(scene.told(), ["PropertiesChanged"], "without it");
    scene.reply_to("GetAll", &(outgoing(),));
    assert!(scene.told().is_empty());
    assert_eq!(scene.told_at(true), (MODEM.to_owned(), vec!["PropertiesChanged".into(), "Added".into()]));
    scene.bus_says(&added, &(object(REAL), true));
    scene.reply_to("GetAll", &(outgoing(),));
    assert_eq!(scene.told(), ["Added"]);
}

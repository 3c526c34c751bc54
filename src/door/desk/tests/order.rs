//! What the app says of a text behind a Send that is held.

use super::*;
use crate::door::desk::{Look, order::MOST_BEHIND};

const OTHER: &str = "/org/freedesktop/ModemManager1/SMS/4";

fn sms(serial: u32, path: &'static str, member: &'static str) -> Head<'static> {
    Head { serial, destination: MM, path, interface: SMS, member, ..call() }
}

impl Scene {
    fn delete(&mut self, serial: u32, sms: &'static str) {
        let head = Head { serial, destination: MM, path: MODEM, interface: MESSAGING, member: "Delete", ..call() };
        self.app_says(&head, &(object(sms),));
    }

    /// What of the app's the bus was told since, forgotten after: serials.
    fn passed(&mut self) -> Vec<u32> {
        let serials = self.bus.iter().map(|bytes| Message::read(bytes).unwrap().head.serial);
        let passed = serials.filter(|serial| !crate::door::desk::say::is_own(*serial)).collect();
        self.bus.clear();
        passed
    }
}

#[test]
fn what_would_change_a_held_text_comes_after_its_send_whatever_becomes_of_it() {
    type Word = fn(&mut Scene);
    let words: [(Word, &[u32]); 4] = [
        // By instant message: a call that changes nothing stands for the Send, and a second one is refused.
        (|scene| scene.reply_to("Divert", &("im", "online", path("/org/shunt/Shunt1/message/b"))), &[20, 21, 22, 23]),
        (|scene| scene.reply_to("Divert", &("sms", "link-down", path("/"))), &[20, 21]),
        (|scene| scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Uncertain"), &[20, 21]),
        (|scene| scene.late(22_000), &[20, 21]),
    ];
    for (word, at_once) in words {
        let mut scene = Scene::new();
        scene.divert();
        scene.app_says(&sms(21, REAL, "Store"), &(2u32,));
        scene.app_says(&sms(22, REAL, "Send"), &());
        scene.delete(23, REAL);
        let waiting = scene.bus.len();
        assert_eq!(waiting, scene.bus.iter().filter(|bytes| called(bytes) == "Divert").count(), "they wait");
        word(&mut scene);
        assert_eq!(scene.passed(), at_once);
        if at_once.len() == 2 {
            // The second Send is held in its turn, and the rest waits behind it.
            assert_eq!(scene.desk.held.values().filter(|held| held.behind.len() == 1).count(), 1);
            scene.late(1000);
            assert_eq!(scene.passed(), [22, 23]);
        }
        assert_eq!(scene.desk.behind(), 0);
    }
}

#[test]
fn reading_it_and_whatever_is_about_something_else_waits_for_nothing() {
    let mut scene = Scene::new();
    scene.divert();
    scene.get_all(30, REAL);
    scene.delete(31, OTHER);
    scene.app_says(&sms(32, OTHER, "Store"), &(2u32,));
    let call = Head { destination: MM, path: MODEM, ..call() };
    scene.app_says(&Head { serial: 33, interface: MESSAGING, member: "Create", ..call }, &(Dict::new(),));
    let voice = "org.freedesktop.ModemManager1.Modem.Voice";
    scene.app_says(&Head { serial: 34, interface: voice, member: "CreateCall", ..call }, &(Dict::new(),));
    scene.app_says(&Head { serial: 35, destination: "org.example", path: REAL, member: "Send", ..call }, &());
    assert_eq!(scene.passed(), [30, 31, 32, 33, 34, 35]);
}

#[test]
fn what_waited_for_an_object_that_went_is_not_about_the_next_one_of_its_number() {
    for word in ["im", "sms"] {
        let mut scene = Scene::new();
        scene.divert();
        scene.delete(21, REAL);
        scene.app_says(&Head { no_reply: true, ..sms(22, REAL, "Store") }, &(2u32,));
        let changed = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
        scene.bus_says(&changed, &(MM, OWNER, ":1.80"));
        // This one is about the new object.
        scene.delete(23, REAL);
        scene.told();
        scene.bus.retain(|bytes| called(bytes) != "Delete" && called(bytes) != "Sent" && called(bytes) != "Twins");
        scene.reply_to("Divert", &(word, "online", path("/")));
        assert!(!scene.open("Delete") && !scene.open("Store") && !scene.open("Send"));
        assert!(scene.desk.sent.is_empty());
        scene.stand_in();
        scene.stand_in();
        let no_reply = "org.freedesktop.DBus.Error.NoReply";
        assert_eq!(scene.told(), [if word == "im" { "Return" } else { no_reply }, no_reply]);
    }
}

#[test]
fn an_app_that_says_too_much_of_a_held_text_waits_itself_and_loses_nothing() {
    let mut scene = Scene::new();
    scene.divert();
    let head = sms(100, REAL, "Store");
    let mut said = 0;
    while scene.desk.look(Side::App, &head, 100, scene.now) == Look::Whole {
        scene.app_says(&Head { serial: 100 + said, ..head }, &(2u32,));
        said += 1;
    }
    assert!(scene.desk.waits());
    let behind = scene.desk.behind();
    assert!((MOST_BEHIND..MOST_BEHIND + 1024).contains(&behind), "{behind} bytes of {said} calls");
    scene.reply_to("Divert", &("sms", "link-down", path("/")));
    let all: Vec<u32> = [20].into_iter().chain(100..100 + said).collect();
    assert_eq!(scene.passed(), all);
    assert!(scene.desk.waits(), "for answers");
    for serial in all {
        scene.bus_says(&Head { reply_serial: serial, sender: OWNER, ..returned() }, &());
    }
    assert!(!scene.desk.waits());
}

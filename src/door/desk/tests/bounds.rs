//! What is too long, too much, or not said by who was asked.

use super::*;
use crate::door::desk::{MOST_BYTES, MOST_CALLS, objects::im_path};

/// As many paths as are longer than what is looked into.
fn many() -> Vec<zbus::OwnedObjectPath> {
    (0..=MOST_BYTES / REAL.len()).map(|_| path(REAL)).collect()
}

#[test]
fn what_is_too_long_to_look_into_passes_and_nobody_waits_for_it() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    let list = Head { serial: 40, destination: MM, path: MODEM, interface: MESSAGING, member: "List", ..call() };
    scene.app_says(&list, &());
    let (serial, _) = scene.asked("List");
    let answer = Head { reply_serial: serial, sender: OWNER, destination: ME, ..returned() };
    scene.bus_says(&answer, &(many(),));
    assert_eq!(scene.app.pop().unwrap(), write(&Head { serial: 1, ..answer }, &(many(),)).unwrap());

    scene.app_says(&Head { serial: 20, destination: MM, path: REAL, interface: SMS, member: "Send", ..call() }, &());
    assert!(!scene.open("Send"));
    let mut messaging = crate::door::desk::objects::Dict::new();
    set(&mut messaging, "Messages", many());
    let objects = HashMap::from([(path(MODEM), HashMap::from([(MESSAGING.to_owned(), messaging)]))]);
    scene.reply_to("GetManagedObjects", &(objects,));
    assert!(scene.open("Send"), "it goes its way at once");
}

#[test]
fn what_there_is_no_room_for_is_read_from_the_core() {
    let mut scene = Scene::new();
    let long = |number: u32| {
        let mut long = row(number);
        long.3 = "x".repeat(16 * 1024);
        long
    };
    scene.core_says("Received", &(path("/org/shunt/Shunt1/message/a"), crate::door::desk::objects::Dict::new()));
    scene.reply_to("Inbox", &((1..=10).map(long).collect::<Vec<_>>(), true));
    scene.reply_to("Inbox", &((11..=20).map(long).collect::<Vec<_>>(), false));
    scene.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    assert_eq!(scene.told().len(), 21, "all are listed");
    let oldest = im_path(1).unwrap();
    let read = |scene: &mut Scene, serial| {
        let head = Head { serial, destination: MM, path: &oldest, interface: PROPERTIES, member: "GetAll", ..call() };
        scene.app_says(&head, &(SMS,));
    };
    read(&mut scene, 30);
    let mut record = crate::door::desk::objects::Dict::new();
    set(&mut record, "from", "+491");
    set(&mut record, "text", "from the core");
    set(&mut record, "time", 1_798_761_599_000_u64);
    scene.reply_to("Get", &(record,));
    scene.stand_in();
    let (all,) = Message::read(&scene.app[0]).unwrap().body::<(crate::door::desk::objects::Dict,)>().unwrap();
    assert_eq!(crate::door::desk::inbox::text(&all, "Text"), "from the core");
    assert_eq!(crate::door::desk::inbox::text(&all, "Timestamp"), "2026-12-31T23:59:59+00");
    scene.told();

    // A core that hangs is not waited for; one that has it no more says so.
    read(&mut scene, 31);
    scene.late(1000);
    assert!(scene.open("GetAll"), "ModemManager answers that it has no such object");
    scene.asked("GetAll");
    scene.asked("Get");
    read(&mut scene, 32);
    scene.refuse("Get", CORE_OWNER, "org.shunt.Error.NotFound");
    scene.asked("GetAll");
    scene.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    assert_eq!(scene.told(), ["PropertiesChanged", "Deleted"]);
}

#[test]
fn an_app_that_asks_for_much_at_once_waits_and_is_answered() {
    let mut scene = Scene::new();
    scene.receive(1);
    let shown = im_path(1).unwrap();
    let read =
        |serial| Head { serial, destination: MM, path: &shown, interface: PROPERTIES, member: "GetAll", ..call() };
    for serial in (100..).take(MOST_CALLS) {
        scene.app_says(&read(serial), &(SMS,));
    }
    let look = |scene: &mut Scene| scene.desk.look(Side::App, &read(500), 100, scene.now);
    assert_eq!(look(&mut scene), crate::door::desk::Look::Wait);
    assert!(scene.desk.waits());
    scene.stand_in();
    assert!(!scene.desk.waits());
    assert_eq!(look(&mut scene), crate::door::desk::Look::Whole);
}

#[test]
fn nobody_answers_in_the_place_of_who_was_asked() {
    let mut scene = Scene::new();
    scene.send();
    let is = |bytes: &&Vec<u8>| Message::read(bytes).unwrap().head.member == "Ask";
    let serial = Message::read(scene.bus.iter().find(is).unwrap()).unwrap().head.serial;
    scene.bus_says(&Head { reply_serial: serial, sender: ":1.66", ..returned() }, &("sms",));
    assert!(!scene.open("Send") && scene.told().is_empty());
    scene.reply_to("Ask", &("im",));
    assert!(scene.open("Divert"));
    // An answer that comes too late goes nowhere.
    let mut scene = Scene::new();
    scene.send();
    scene.late(1000);
    scene.reply_to("Ask", &("im",));
    assert!(!scene.open("Divert") && scene.told().is_empty());
}

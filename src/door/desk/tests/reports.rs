//! Delivery reports: the core has them, and knows which were deleted.

use super::*;

impl Scene {
    /// The app deletes the report.
    fn delete_report(&mut self, serial: u32) {
        let delete = Head { serial, destination: MM, path: MODEM, interface: MESSAGING, member: "Delete", ..call() };
        self.app_says(&delete, &(object(REPORT),));
    }

    /// ModemManager says which messages it has itself.
    fn announce(&mut self) {
        self.reply_to("Get", &(zbus::Variant::from(vec![object(REAL)]),));
    }

    fn with_report() -> Self {
        let mut scene = Self::new();
        scene.core_says_of(CORE_DOOR, "Settled", &(sent(true),));
        scene.announce();
        scene.told();
        scene
    }
}

#[test]
fn a_report_that_the_app_deletes_is_deleted_in_the_core_first() {
    let mut scene = Scene::with_report();
    scene.delete_report(30);
    assert!(scene.told().is_empty() && !scene.open("Version"), "the core's word is awaited");
    assert_eq!(scene.asked("DeleteReport").1, CORE);
    let mut scene = Scene::with_report();
    scene.delete_report(30);
    // To all doors, and perhaps before the answer.
    scene.core_says_of(CORE_DOOR, "Settled", &(sent(false),));
    scene.announce();
    assert_eq!(scene.told(), ["PropertiesChanged", "Deleted"]);
    scene.reply_to("DeleteReport", &());
    scene.stand_in();
    assert_eq!(scene.told(), ["Return"], "told once");
    // Twice, as Chatty does.
    scene.delete_report(31);
    assert!(!scene.open("DeleteReport"));
    scene.stand_in();
    assert_eq!(scene.told(), ["Return"]);
}

#[test]
fn a_report_that_the_core_cannot_delete_stays_and_the_app_is_told_why() {
    let mut scene = Scene::with_report();
    scene.delete_report(30);
    scene.refuse("DeleteReport", CORE_OWNER, "org.shunt.Error.Store");
    scene.stand_in();
    assert_eq!(scene.told(), ["org.freedesktop.ModemManager1.Error.Core.Failed"]);
    scene.get_all(31, REPORT);
    assert_eq!(scene.told(), ["Return"]);
    // One that is no more is gone.
    scene.delete_report(32);
    scene.refuse("DeleteReport", CORE_OWNER, "org.shunt.Error.NotFound");
    scene.announce();
    scene.stand_in();
    assert_eq!(scene.told(), ["PropertiesChanged", "Deleted", "Return"]);
}

#[test]
fn a_report_goes_with_its_text_and_follows_its_line() {
    let mut scene = Scene::with_report();
    scene.core_says_of(CORE_DOOR, "LinesChanged", &());
    scene.reply_to("Lines", &(lines("/org/freedesktop/ModemManager1/Modem/1"),));
    scene.announce();
    assert_eq!(scene.told(), ["PropertiesChanged", "Deleted"]);
    scene.announce();
    assert_eq!(scene.told(), ["PropertiesChanged", "Added"]);
    let mut details = Dict::new();
    set(&mut details, "deleted", true);
    scene.core_says("Changed", &(path("/org/shunt/Shunt1/message/b"), details));
    scene.announce();
    assert_eq!(scene.told(), ["PropertiesChanged", "Deleted"]);
}

#[test]
fn a_new_core_tells_the_reports_that_are_left() {
    let mut scene = Scene::new();
    for (old, new) in [(CORE_OWNER, ""), ("", CORE_OWNER)] {
        let changed = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
        scene.bus_says(&changed, &(CORE, old, new));
    }
    scene.told();
    let another = "/org/freedesktop/ModemManager1/SMS/4";
    let mut deleted = sent(false);
    (deleted.0, deleted.1) = (path("/org/shunt/Shunt1/message/c"), path(another));
    scene.reply_to("Sent", &(vec![deleted, sent(true)],));
    scene.announce();
    assert_eq!(scene.told(), ["PropertiesChanged", "Added"]);
    scene.get_all(30, REPORT);
    let (all,) = Message::read(&scene.app[0]).unwrap().body::<(Dict,)>().unwrap();
    assert_eq!(super::super::inbox::text(&all, "Timestamp"), "2026-12-31T23:59:59+00");
}

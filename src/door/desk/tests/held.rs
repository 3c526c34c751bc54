//! A Send that is held, and what becomes of it when the core is late, refuses, hangs or dies.

use super::*;

#[test]
fn late_or_failing_answers_before_the_divert_let_the_send_pass() {
    type Change = fn(&mut Scene);
    let changes: [Change; 5] = [
        |scene| scene.late(1000),
        |scene| scene.reply_to("Ask", &("sms",)),
        |scene| scene.refuse("Ask", CORE_OWNER, "org.shunt.Error.BadNumber"),
        |scene| scene.refuse("Ask", "org.freedesktop.DBus", "org.freedesktop.DBus.Error.ServiceUnknown"),
        |scene| {
            scene.reply_to("Ask", &("im",));
            scene.refuse("Divert", "org.freedesktop.DBus", "org.freedesktop.DBus.Error.ServiceUnknown");
        },
    ];
    for change in changes {
        let mut scene = Scene::new();
        scene.send();
        change(&mut scene);
        assert!(scene.open("Send"), "{:?}", scene.told());
        // What comes now is about a text that went its way.
        if scene.open("Ask") {
            scene.reply_to("Ask", &("im",));
        }
        assert!(!scene.open("Divert"));
    }
}

const NO_REPLY: &str = "org.freedesktop.DBus.Error.NoReply";
const UNKNOWN: &str = "org.freedesktop.DBus.Error.ServiceUnknown";

impl Scene {
    /// A name has another owner, or none.
    fn owner(&mut self, name: &str, old: &str, new: &str) {
        let changed = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
        self.bus_says(&changed, &(name, old, new));
    }

    /// The app is told that nobody knows, and nothing is sent.
    fn doubted(&mut self) {
        assert!(!self.open("Send"));
        self.stand_in();
        forged("Uncertain", named(&self.app, "org.shunt.Error.Uncertain"));
        self.told();
    }

    /// A core hangs after the Divert, until the app is told so.
    fn hang(&mut self) {
        self.divert();
        self.late(21_999);
        assert!(!self.open("Version") && !self.open("Send"), "the core decides, in this time");
        self.late(1);
        self.doubted();
    }
}

#[test]
fn what_a_dead_core_may_have_taken_is_handed_over_again_and_is_never_the_apps_sms() {
    let mut scene = Scene::new();
    scene.divert();
    scene.late(10_000);
    scene.owner(CORE, CORE_OWNER, "");
    scene.refuse("Divert", BUS, NO_REPLY);
    scene.owner(CORE, "", ":1.70");
    scene.refuse("Divert", BUS, NO_REPLY);
    // It was there again already; this one is not.
    scene.refuse("Divert", BUS, UNKNOWN);
    scene.told();
    scene.late(11_999);
    assert!(!scene.open("Version"));
    scene.late(1);
    scene.doubted();
}

#[test]
fn what_an_earlier_core_may_have_taken_is_uncertain_where_the_next_one_refuses_to_judge() {
    let mut scene = Scene::new();
    scene.divert();
    scene.refuse("Divert", BUS, NO_REPLY);
    scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Denied");
    scene.doubted();
}

#[test]
fn a_core_that_hangs_after_the_divert_costs_the_app_its_wait_and_no_text() {
    // It comes to itself, and the text went by IM.
    let mut scene = Scene::new();
    scene.hang();
    scene.reply_to("Divert", &("im", "online", path("/org/shunt/Shunt1/message/b")));
    assert_eq!(scene.told(), ["PropertiesChanged", "PropertiesChanged"], "sending, sent");
    assert!(!scene.open("Send"));
    // Or it lets go of it: it is sent, and the app, which has its answer, gets no other.
    let mut scene = Scene::new();
    scene.hang();
    scene.reply_to("Divert", &("sms", "registered-offline", path("/")));
    let (serial, destination) = scene.asked("Send");
    assert!(crate::door::desk::say::is_own(serial) && destination == OWNER);
    assert!(scene.told().is_empty());
    // Or it dies, and its successor has let go of it.
    let mut scene = Scene::new();
    scene.hang();
    scene.owner(CORE, CORE_OWNER, "");
    scene.refuse("Divert", BUS, NO_REPLY);
    scene.owner(CORE, "", ":1.70");
    scene.desk.core = Some(CORE_OWNER.into());
    scene.reply_to("Divert", &("sms", "unknown", path("/")));
    assert!(scene.open("Send"));
    // Or it says what the app was told already.
    let mut scene = Scene::new();
    scene.hang();
    scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Uncertain");
    assert!(scene.told().is_empty() && !scene.open("Version") && !scene.open("Send"));
}

#[test]
fn an_object_of_a_modem_service_that_is_gone_is_not_sent_by_its_successor() {
    for told in [false, true] {
        let mut scene = Scene::new();
        if told {
            scene.hang()
        } else {
            scene.divert()
        };
        scene.owner(MM, OWNER, ":1.80");
        scene.reply_to("Divert", &("sms", "registered-offline", path("/")));
        assert!(!scene.open("Send"), "its number is another text's");
        assert_eq!(scene.open("Version"), !told, "an error takes the answer's place");
    }
}

#[test]
fn what_a_core_that_stops_may_have_taken_waits_for_the_next_core() {
    let mut scene = Scene::new();
    scene.divert();
    scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Stopping");
    assert!(!scene.open("Send") && !scene.open("Divert"), "it may have been taken, and this core takes nothing");
    scene.owner(CORE, CORE_OWNER, "");
    scene.owner(CORE, "", ":1.70");
    assert!(scene.open("Divert") && !scene.open("Send"));
}

#[test]
fn until_what_was_held_is_answered_its_connection_is_needed() {
    let mut scene = Scene::new();
    assert!(!scene.desk.owes());
    scene.divert();
    assert!(scene.desk.owes());
    scene.reply_to("Divert", &("sms", "link-down", path("/")));
    assert!(scene.desk.owes(), "ModemManager asks polkit about who sends");
    scene.reply_to("Send", &());
    assert!(!scene.desk.owes());
    assert_eq!(scene.told(), ["Return"]);
}

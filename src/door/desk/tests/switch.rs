//! The switch, as the core tells it.

use super::*;

impl Scene {
    fn turn(&mut self, on: bool) {
        let changed = HashMap::from([("Enabled", zbus::Variant::from(on))]);
        let head = Head {
            sender: CORE_OWNER,
            path: CORE_PATH,
            interface: PROPERTIES,
            member: "PropertiesChanged",
            ..signal()
        };
        self.bus_says(&head, &(CORE_SETTINGS, changed, Vec::<&str>::new()));
    }

    /// The app sends; whether that passes at once, with nothing asked.
    fn passes(&mut self) -> bool {
        self.bus.clear();
        self.app_says(&Head { serial: 20, destination: MM, path: REAL, interface: SMS, member: "Send", ..call() }, &());
        self.bus.len() == 1 && self.open("Send")
    }
}

#[test]
fn while_it_is_off_every_send_passes_at_once_and_nothing_is_asked() {
    let mut scene = Scene::new();
    scene.turn(false);
    assert!(scene.passes());
    let head = Head { serial: 21, destination: OFONO, path: "/phonesim", interface: OFONO_MESSAGES, ..call() };
    scene.bus.clear();
    scene.app_says(&Head { member: "SendMessage", ..head }, &("+492", "hello"));
    assert_eq!((scene.bus.len(), scene.open("SendMessage")), (1, true));
    // What came is shown on.
    scene.receive(1);
    // The app listens to everything, so it has heard of the switch.
    assert_eq!(scene.told(), ["PropertiesChanged", "PropertiesChanged", "Added"]);
    scene.turn(true);
    assert!(!scene.passes());
}

#[test]
fn what_the_core_said_last_counts_until_another_says_something() {
    let mut scene = Scene::new();
    let owner = Head { interface: BUS, member: "NameOwnerChanged", sender: BUS, ..signal() };
    for on in [true, false] {
        scene.turn(on);
        scene.bus_says(&owner, &(CORE, CORE_OWNER, ""));
        assert!(scene.passes(), "nobody is there to be asked");
        scene.bus_says(&owner, &(CORE, "", CORE_OWNER));
        let asked = scene.bus.iter().position(|bytes| called(bytes) == "Enabled").unwrap();
        let asked = scene.bus.remove(asked);
        assert_eq!(scene.passes(), !on);
        scene.late(1000);
        scene.bus = vec![asked];
        scene.reply_to("Enabled", &(zbus::Variant::from(!on),));
        assert_eq!(scene.passes(), on);
        scene.late(1000);
    }
}

#[test]
fn a_telling_that_crosses_the_answer_is_the_newer_one() {
    let mut scene = Scene::new();
    scene.turn(false);
    scene.desk.ask_switch();
    scene.take();
    let asked = scene.bus.iter().position(|bytes| called(bytes) == "Enabled").unwrap();
    let asked = scene.bus.remove(asked);
    scene.turn(true);
    scene.bus.push(asked);
    scene.reply_to("Enabled", &(zbus::Variant::from(false),));
    assert!(!scene.passes());
}

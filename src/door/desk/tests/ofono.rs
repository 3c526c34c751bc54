//! What the door says in oFono's name.

use super::{super::names::*, *};

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

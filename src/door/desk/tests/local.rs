//! What the desk answers itself where an error comes back for what took the call's place.

use super::*;
use crate::door::desk::objects::im_path;

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
const UNKNOWN: &str = "org.freedesktop.DBus.Error.ServiceUnknown";

/// Who the only thing that the app was told is from.
fn told_by(scene: &Scene) -> String {
    assert_eq!(scene.app.len(), 1);
    Message::read(&scene.app[0]).unwrap().head.sender.to_owned()
}

#[test]
fn a_bus_that_forbids_the_stand_in_takes_no_answer_from_the_app() {
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    let shown = im_path(1).unwrap();
    for destination in [MM, OWNER] {
        let read = Head { serial: 30, destination, path: &shown, interface: PROPERTIES, member: "GetAll", ..call() };
        scene.app_says(&read, &(SMS,));
        scene.refuse("Version", BUS, DENIED);
        assert_eq!(told_by(&scene), OWNER);
        assert_eq!(scene.told(), ["Return"]);
    }
    scene.divert();
    scene.reply_to("Divert", &("im", "online", path("/org/shunt/Shunt1/message/b")));
    assert_eq!(scene.told(), ["PropertiesChanged"], "sending");
    scene.refuse("Version", BUS, DENIED);
    scene.app.truncate(1);
    assert_eq!(told_by(&scene), OWNER);
    assert_eq!(scene.told(), ["Return"]);
}

#[test]
fn an_error_is_told_whatever_comes_back_and_else_a_service_that_is_gone_is() {
    for error in [DENIED, UNKNOWN] {
        let mut scene = Scene::new();
        scene.divert();
        scene.refuse("Divert", CORE_OWNER, "org.shunt.Error.Uncertain");
        scene.refuse("Version", BUS, error);
        assert_eq!(told_by(&scene), OWNER);
        assert_eq!(scene.told(), ["org.shunt.Error.Uncertain"]);
    }
    let mut scene = Scene::new();
    scene.receive(1);
    scene.told();
    let shown = im_path(1).unwrap();
    let read = Head { serial: 30, destination: MM, path: &shown, interface: PROPERTIES, member: "GetAll", ..call() };
    scene.app_says(&read, &(SMS,));
    scene.refuse("Version", BUS, UNKNOWN);
    assert_eq!(told_by(&scene), BUS);
    assert_eq!(scene.told(), [UNKNOWN]);
}

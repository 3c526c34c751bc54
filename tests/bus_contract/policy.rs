//! The policy files that are shipped: for the bus, and for ModemManager.

use crate::support::*;
use shunt::bus::{Bus, BusError};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use zbus::Connection;

/// A dbus-daemon with the rules of a real system bus, and ours beside them.
struct SystemBus(Child, String);

impl Drop for SystemBus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const POLKIT: &str = "org.freedesktop.PolicyKit1";
const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";
const JUDGE: &str = "org.freedesktop.PolicyKit1.Authority";
const MODEM_MANAGERS: &str = "org.freedesktop.ModemManager1.Messaging";

/// Stands in for the user of our package, who is not on this machine.
const CORE: (u32, &str) = (1, "\"daemon\"");

impl SystemBus {
    fn start(dir: &Path) -> Self {
        Self::start_with(dir, "/nonexistent")
    }

    /// With another package's file before ours.
    fn start_with(dir: &Path, other: &str) -> Self {
        let ours = include_str!("../../config/org.shunt.Shunt1.conf").replace("\"shunt-core\"", CORE.1);
        assert!(ours.contains(CORE.1));
        std::fs::write(dir.join("org.shunt.Shunt1.conf"), ours).unwrap();
        let socket = dir.join("bus");
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">
             <busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
             <policy context=\"default\">
               <allow user=\"*\"/> <deny own=\"*\"/> <deny send_type=\"method_call\"/>
               <allow send_type=\"signal\"/>
               <allow send_requested_reply=\"true\" send_type=\"method_return\"/>
               <allow send_requested_reply=\"true\" send_type=\"error\"/>
               <allow receive_type=\"method_call\"/> <allow receive_type=\"method_return\"/>
               <allow receive_type=\"error\"/> <allow receive_type=\"signal\"/>
               <allow send_destination=\"org.freedesktop.DBus\"/>
             </policy>
             <include ignore_missing=\"yes\">{other}</include><include>{}</include></busconfig>",
            socket.display(),
            dir.join("org.shunt.Shunt1.conf").display()
        );
        std::fs::write(dir.join("bus.conf"), config).unwrap();
        let mut child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", dir.join("bus.conf").display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:"), "dbus-daemon takes the files");
        Self(child, format!("unix:path={}", socket.display()))
    }

    /// What `busctl` of another user is told.
    fn busctl(&self, uid: u32, arguments: &[&str]) -> String {
        let output = Command::new("busctl")
            .arg(format!("--address={}", self.1))
            .args(arguments)
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    async fn connect(&self) -> Connection {
        zbus::connection::Builder::address(self.1.as_str()).build().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_call_but_only_the_daemons_user_may_be_us() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let bus = SystemBus::start(dir.path());
    let own = |uid| {
        let dbus = "org.freedesktop.DBus";
        bus.busctl(uid, &["call", dbus, "/org/freedesktop/DBus", dbus, "RequestName", "su", SERVICE, "4"])
    };
    assert!(own(NOBODY).contains("Access denied"), "{}", own(NOBODY));
    assert_eq!(own(CORE.0).trim(), "u 1");
    let connection = bus.connect().await;
    let (_bus, _requests) = Bus::serve(&connection, lists("[access]\npolkit = \"never\""), published()).await.unwrap();
    let call = |arguments: &[&str]| bus.busctl(NOBODY, arguments);
    assert_eq!(call(&["get-property", SERVICE, PATH, SETTINGS, "Enabled"]).trim(), "b false");
    assert!(call(&["introspect", SERVICE, PATH]).contains("Enabled"));
    for (interface, method, arguments) in [
        (SERVICE, "Identity", &[][..]),
        (SETTINGS, "Enable", &["a{sv}", "0"][..]),
        (MESSAGING, "Route", &["sa{sv}", "+49170", "0"]),
        (PEERS, "List", &[]),
        (LEDGER, "Totals", &[]),
    ] {
        let answer = call(&[&["call", SERVICE, PATH, interface, method], arguments].concat());
        assert!(answer.contains("not allowed: add your uid"), "{method} was answered by us: {answer}");
    }
    assert!(call(&["call", SERVICE, "/", "org.example.Other", "Do"]).contains("Access denied"), "and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_core_may_text_by_ofono_and_change_nothing_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Debian's own file for oFono stands before ours, as in the directory.
    let bus = SystemBus::start_with(dir.path(), "/etc/dbus-1/system.d/ofono.conf");
    let ofono = zbus::connection::Builder::address(bus.1.as_str()).name("org.ofono").build().await.unwrap();
    ofono.object_server();
    let may = |uid, interface: &str, method: &str| {
        let answer = bus.busctl(uid, &["call", "org.ofono", "/phonesim", &format!("org.ofono.{interface}"), method]);
        // Nobody serves that object here: whoever may call is told so.
        assert!(!answer.trim().is_empty());
        !answer.contains("Access denied")
    };
    let allowed = [
        ("Manager", "GetModems"),
        ("SimManager", "GetProperties"),
        ("NetworkRegistration", "GetProperties"),
        ("VoiceCallManager", "GetProperties"),
        ("MessageManager", "SendMessage"),
        ("Message", "Cancel"),
    ];
    for (interface, method) in allowed {
        assert!(may(CORE.0, interface, method), "{interface}.{method}");
        assert!(!may(NOBODY, interface, method), "{interface}.{method}");
    }
    for (interface, method) in [("VoiceCallManager", "Dial"), ("SimManager", "EnterPin"), ("Modem", "SetProperty")] {
        assert!(!may(CORE.0, interface, method), "{interface}.{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_without_the_policy_file_is_told_to_install_it() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    let bus = SystemBus::start(dir.path());
    std::fs::write(dir.path().join("org.shunt.Shunt1.conf"), "<busconfig/>").unwrap();
    // SIGHUP makes dbus-daemon read its files again; ReloadConfig answers when it has.
    let connection = bus.connect().await;
    let dbus = "org.freedesktop.DBus";
    connection.call_method(Some(dbus), "/org/freedesktop/DBus", Some(dbus), "ReloadConfig", &()).await.unwrap();
    let served = Bus::serve(&connection, lists(""), published()).await;
    assert!(matches!(served, Err(BusError::NameDenied)), "{}", socket.display());
}

#[tokio::test]
async fn polkit_lets_the_core_send_by_modem_manager_and_nobody_else() {
    let phone = phone().start().await.unwrap();
    let root = phone.connection();
    for (uid, expected) in [(core_uid(&phone), true), (NOBODY, false)] {
        let subject = phone.bus().connect_now(Some(uid)).unwrap();
        let name = subject.unique_name().unwrap().as_str();
        let details = HashMap::from([("name", zbus::Variant::from(name))]);
        let question = (("system-bus-name", details), MODEM_MANAGERS, HashMap::<&str, &str>::new(), 0_u32, "");
        let reply = root.call_method(Some(POLKIT), AUTHORITY, Some(JUDGE), "CheckAuthorization", &question).await;
        let body = reply.unwrap().body();
        let ((allowed, _, _),): ((bool, bool, HashMap<String, String>),) = body.deserialize().unwrap();
        assert_eq!(allowed, expected, "uid {uid}");
    }
}

#[tokio::test]
async fn texts_by_us_have_the_defaults_of_texts_by_modem_manager() {
    type Action = (String, String, String, String, String, String, u32, u32, u32, HashMap<String, String>);
    let phone = phone().start().await.unwrap();
    let reply = phone.connection().call_method(Some(POLKIT), AUTHORITY, Some(JUDGE), "EnumerateActions", &"").await;
    let actions: Vec<Action> = reply.unwrap().body().deserialize().unwrap();
    let defaults = |id: &str| {
        let action = actions.iter().find(|action| action.0 == id).unwrap();
        (action.6, action.7, action.8)
    };
    // As Debian ships ModemManager: 0 and 5 are polkit's "no" and "yes".
    assert_eq!(defaults(MODEM_MANAGERS), (0, 0, 5));
    assert_eq!(defaults("org.shunt.Shunt1.send"), defaults(MODEM_MANAGERS));
    assert_ne!(defaults("org.shunt.Shunt1.settings"), defaults(MODEM_MANAGERS), "a difference would be seen");
}

#[test]
fn shipped_xml_is_well_formed() {
    let config = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"));
    for name in ["org.shunt.Shunt1.xml", "org.shunt.Shunt1.conf", "org.shunt.Shunt1.policy"] {
        let checked = Command::new("xmllint").args(["--noout", "--nonet"]).arg(config.join(name)).output().unwrap();
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

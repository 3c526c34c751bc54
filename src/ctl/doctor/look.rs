//! Looks at bus, files and processes.

mod polkit;

use super::sight::{Daemon, Health, Owners, Seen, Sight};
use crate::bus::access::polkit::NAME as POLKIT;
use crate::ctl::args::Cli;
use crate::ctl::client::{Client, Details, ROOT, SETTINGS, details};
use crate::model::Timestamp;
use crate::sys::{now, users};
use serde_json::{Map, Value};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use zbus::Connection;

const STATE: &str = "/var/lib/shunt";
/// SMS apps that the door was tried with.
const APPS: [&str; 1] = ["chatty"];

pub(super) async fn look(cli: &Cli) -> Sight {
    let mut sight = Sight {
        no_bus: None,
        daemon: None,
        health: None,
        bus_policy: file_in(&["/usr/share/dbus-1/system.d", "/etc/dbus-1/system.d"], &["org.shunt.Shunt1.conf"]),
        modemmanager: false,
        ofono: false,
        polkit: None,
        door_unit: file_in(
            &["/usr/lib/systemd/user", "/usr/local/lib/systemd/user", "/etc/systemd/user", "/etc/xdg/autostart"],
            &["shunt-door.socket", "shunt-door.desktop"],
        ),
        door: door(),
        apps: apps(),
        owners: Owners {
            core: uid("shunt-core"),
            uplink: uid("shunt-uplink"),
            state: fs::metadata(STATE).ok().map(|state| (state.uid(), state.mode() & 0o777)),
            name: None,
        },
        now: now().wall,
    };
    let client = match Client::connect(cli).await {
        Ok(client) => client,
        Err(error) => {
            sight.no_bus = Some(error.to_string());
            return sight;
        }
    };
    let bus = client.connection();
    sight.modemmanager = owned(bus, "org.freedesktop.ModemManager1").await;
    sight.ofono = owned(bus, "org.ofono").await;
    // It comes when it is asked, as it does for the core.
    if owned(bus, POLKIT).await || started(bus, POLKIT).await {
        sight.polkit = Some(polkit::look(bus).await);
    }
    // Asked only where it runs: a question starts nothing.
    if !bus.is_bus() || owned(bus, ROOT).await {
        sight.daemon = daemon(&client).await;
        sight.health = health(&client).await;
        sight.owners.name = user(bus, ROOT).await;
    }
    sight
}

async fn owned(bus: &Connection, name: &str) -> bool {
    let dbus = Some("org.freedesktop.DBus");
    let answer = bus.call_method(dbus, "/org/freedesktop/DBus", dbus, "NameHasOwner", &name).await;
    answer.is_ok_and(|answer| answer.body().deserialize().unwrap_or(false))
}

/// Whether it could be started.
async fn started(bus: &Connection, name: &str) -> bool {
    let dbus = Some("org.freedesktop.DBus");
    bus.call_method(dbus, "/org/freedesktop/DBus", dbus, "StartServiceByName", &(name, 0_u32)).await.is_ok()
}

/// Whom the name's owner runs as.
async fn user(bus: &Connection, name: &str) -> Option<u32> {
    let dbus = Some("org.freedesktop.DBus");
    let answer = bus.call_method(dbus, "/org/freedesktop/DBus", dbus, "GetConnectionUnixUser", &name).await;
    answer.ok()?.body().deserialize().ok()
}

fn uid(user: &str) -> Option<u32> {
    users::find(user).ok().map(|ids| ids.uid)
}

async fn daemon(client: &Client) -> Option<Daemon> {
    let all = client.properties(ROOT).await.ok()?;
    let settings = client.properties(SETTINGS).await.ok()?;
    let text = |name: &str| all.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let strings = |value: &Value| value.as_str().map(str::to_owned);
    Some(Daemon {
        version: text("Version"),
        enabled: settings.get("Enabled") == Some(&Value::Bool(true)),
        state: text("State"),
        reason: text("StateReason"),
        lacks: array(&all, "Confinement").iter().filter_map(strings).collect(),
        lines: array(&all, "Lines").iter().filter_map(line).collect(),
    })
}

async fn health(client: &Client) -> Option<Health> {
    let found: Details = client.call(ROOT, "Diagnose", &()).await.ok()?;
    let found = details(&found);
    let text = |name: &str| found.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| found.get(name).and_then(Value::as_i64).map(Timestamp);
    Some(Health {
        store: text("store"),
        certificate: time("certificate-expires"),
        ca: time("ca-expires"),
        epochs: text("epochs").unwrap_or_default(),
        epoch: text("epoch"),
        agent: found.get("agent").and_then(Value::as_bool),
    })
}

fn array<'v>(all: &'v Map<String, Value>, name: &str) -> &'v [Value] {
    all.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Of `Lines a(sssb)`: its SIM, and whether it is enrolled.
fn line(value: &Value) -> Option<(String, bool)> {
    Some((value.get(2)?.as_str()?.to_owned(), value.get(3)?.as_bool()?))
}

/// Whether a file whose name ends in one of these is in one of the directories.
fn file_in(directories: &[&str], names: &[&str]) -> Seen {
    let mut seen = Seen::No;
    for directory in directories {
        match fs::read_dir(directory) {
            Ok(entries) => {
                let is = |file: &str| names.iter().any(|name| file.ends_with(name));
                if entries.flatten().any(|entry| is(&entry.file_name().to_string_lossy())) {
                    return Seen::Yes;
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => seen = Seen::Unseen,
        }
    }
    seen
}

fn door() -> Seen {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(run) if UnixStream::connect(Path::new(&run).join("shunt-door")).is_ok() => Seen::Yes,
        Some(_) => Seen::No,
        None => Seen::Unseen,
    }
}

/// Those whose environment this user may read: his own.
fn apps() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
        let name = name.trim_end();
        if let (true, Ok(environment)) = (APPS.contains(&name), fs::read(entry.path().join("environ"))) {
            let through = |variable: &[u8]| {
                let variable = String::from_utf8_lossy(variable);
                variable.starts_with("DBUS_SYSTEM_BUS_ADDRESS=") && variable.contains("shunt-door")
            };
            found.push((name.to_owned(), environment.split(|byte| *byte == 0).any(through)));
        }
    }
    found
}

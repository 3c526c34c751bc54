//! A call through the apps' door beside the same call direct and through xdg-dbus-proxy, and the door's memory.

use crate::raw::Raw;
use crate::report::{micros, row};
use anyhow::{Context, Result};
use shunt_kit::door::XdgDbusProxy;
use shunt_kit::phone::Phone;
use shunt_kit::world::{go_off, go_online};
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3000;
const MM: &str = "org.freedesktop.ModemManager1";
const MM_PATH: &str = "/org/freedesktop/ModemManager1";

/// Destination, path, interface, member.
type Call = (&'static str, &'static str, &'static str, &'static str);

const CALLS: [(&str, Call); 3] = [
    ("to the bus", ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId")),
    ("to ModemManager", (MM, MM_PATH, "org.freedesktop.DBus.Peer", "Ping")),
    ("GetManagedObjects", (MM, MM_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")),
];

pub(crate) async fn calls(phone: &Phone, programs: &Path) -> Result<()> {
    let door = phone.door(programs)?;
    let proxy = XdgDbusProxy::start(phone.dir(), phone.bus().address())?;
    row("the door, connected to nobody: PSS", &kilobytes(door.pid())?, "");
    let sockets = [("direct", phone.bus().socket()), ("door", door.socket()), ("xdg-dbus-proxy", proxy.socket())];
    let mut ways = Vec::new();
    for (way, socket) in sockets {
        ways.push((way, Raw::connect(socket).with_context(|| format!("through {way}"))?));
    }
    for (what, call) in CALLS {
        let mut taken = vec![Vec::<Duration>::new(); ways.len()];
        // They take turns, so that all see the machine in the same state.
        for _ in 0..ROUNDS {
            for ((_, connection), taken) in ways.iter_mut().zip(&mut taken) {
                let begun = Instant::now();
                connection.call(call)?;
                taken.push(begun.elapsed());
            }
        }
        for ((way, _), mut taken) in ways.iter().zip(taken) {
            taken.sort();
            let at = |share: usize| taken.get(taken.len() * share / 100).copied().unwrap_or_default();
            row(&format!("a call {what}, {way}"), &micros(at(50)), &format!("p99 {}", micros(at(99))));
        }
    }
    row("the door, one connection: PSS", &kilobytes(door.pid())?, "");
    Ok(())
}

/// So many instant messages in the core.
const MESSAGES: usize = 1000;

pub(crate) async fn inbox(from: &Phone, to: &Phone, programs: &Path) -> Result<()> {
    go_online(from.shunt()).await?;
    go_online(to.shunt()).await?;
    from.shunt().wait_route(to.number(), "im", "online").await?;
    for number in 0..MESSAGES {
        from.shunt().send(to.number(), &format!("instant message number {number} of a usual length")).await?;
    }
    let last = format!("instant message number {} of a usual length", MESSAGES - 1);
    to.shunt().wait_received(|came| came.text == last).await?;
    let door = to.door(programs)?;
    let app = to.sms_through(&door).await?;
    let shown = app.list().await?.len();
    row(&format!("the door, one app with {shown} of them: PSS"), &kilobytes(door.pid())?, "");
    go_off(from.shunt()).await?;
    go_off(to.shunt()).await
}

fn kilobytes(pid: u32) -> Result<String> {
    Ok(format!("{} kB", shunt_kit::phone::measure::pss(pid)?))
}

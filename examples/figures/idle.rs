//! What the daemons cost while nothing happens: size, memory, wake-ups, sockets.

use crate::BOB;
use crate::report::row;
use anyhow::{Context, Result};
use shunt_kit::phone::{Phone, measure};
use shunt_kit::world::go_online;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Numbers that are evaluated before the memory is read: each takes 19 MiB while it lasts.
const STRANGERS: u32 = 5;

pub(crate) fn sizes(programs: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let stripped = |name: &str| -> Result<u64> {
        let to = dir.path().join(name);
        let done = Command::new("strip").arg("-o").arg(&to).arg(programs.join(name)).status().context("strip")?;
        anyhow::ensure!(done.success(), "strip {name}: {done}");
        Ok(std::fs::metadata(to)?.len())
    };
    let daemons = ["shuntd", "shuntd-core", "shuntd-uplink"].map(stripped).into_iter().collect::<Result<Vec<_>>>()?;
    let each = daemons.iter().map(|bytes| mb(*bytes)).collect::<Vec<_>>().join(" + ");
    row("stripped: warden + core + uplink", &mb(daemons.iter().sum()), &format!("≤ 9 MB  ({each})"));
    row("stripped: shuntctl", &mb(stripped("shuntctl")?), "≤ 3 MB");
    Ok(())
}

/// With the switch off.
pub(crate) async fn off(phone: &Phone) -> Result<()> {
    let wakeups = wakeups(phone).await?;
    row("off: PSS of all our processes", &mb(phone.pss()? * 1024), &format!("≤ 4 MB  ({})", each(phone)?));
    row("off: wake-ups in 60 s", &wakeups, "0");
    row("off: INET sockets", &phone.inet_sockets()?.to_string(), "0");
    Ok(())
}

/// Connected, after whatever was measured before and a few look-ups.
pub(crate) async fn on(phone: &Phone) -> Result<()> {
    go_online(phone.shunt()).await?;
    // Nobody looks at anybody's icon any more: an offline peer is asked twice a minute for that.
    phone.shunt().unwatch(BOB).await?;
    for stranger in 0..STRANGERS {
        let number = format!("+49151200000{stranger:02}");
        phone.shunt().wait_route(&number, "sms", "not-enrolled").await?;
        phone.shunt().unwatch(&number).await?;
    }
    let wakeups = wakeups(phone).await?;
    row("on, idle, connected: PSS", &mb(phone.pss()? * 1024), &format!("≤ 8 MB  ({})", each(phone)?));
    row("on, idle, connected: wake-ups in 60 s", &wakeups, "keep-alive only");
    Ok(())
}

fn each(phone: &Phone) -> Result<String> {
    let one = |(pid, name): (u32, String)| Ok(format!("{name} {}", mb(measure::pss(pid)? * 1024)));
    Ok(phone.shunt_pids().into_iter().map(one).collect::<Result<Vec<_>>>()?.join(" + "))
}

fn mb(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// How often our processes went to sleep in a minute, thrice.
async fn wakeups(phone: &Phone) -> Result<String> {
    let mut counts = Vec::new();
    // What was begun before comes to rest, and its threads end.
    tokio::time::sleep(MINUTE / 4).await;
    for _ in 0..3 {
        let before = phone.voluntary_switches()?;
        tokio::time::sleep(MINUTE).await;
        counts.push(phone.voluntary_switches()?.saturating_sub(before).to_string());
    }
    Ok(counts.join(", "))
}

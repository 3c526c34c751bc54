//! `make figures`: memory, wake-ups, sizes and latencies of a release build, beside their budgets and
//! lower bounds measured in the same run. Prints; passes no judgement.
//!
//! Usage: `figures PROGRAMS`

use anyhow::{Context, Result};
use shunt_kit::phone::Phone;
use shunt_kit::world::{World, go_off, go_online};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let Some(programs) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: figures PROGRAMS");
        return ExitCode::from(64);
    };
    let runtime = tokio::runtime::Runtime::new().context("a runtime");
    match runtime.and_then(|runtime| runtime.block_on(measure(&programs))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn row(what: &str, figure: &str, budget: &str) {
    println!("{what:<58} {figure:>24}   {budget}");
}

async fn measure(programs: &Path) -> Result<()> {
    row("what", "figure", "budget");
    sizes(programs)?;
    let world = World::start(programs).await?;
    let (alice, bob) = (world.phone(ALICE).await?, world.phone(BOB).await?);
    row("off: PSS of all our processes", &kib(&alice)?, "≤ 4 MB");
    row("off: wake-ups in 60 s", &wakeups(&alice).await?, "0");
    row("off: INET sockets", &alice.inet_sockets()?.to_string(), "0");
    ratio("Route from cache / Peer.Ping (p50)", route_and_ping(&alice).await?, "≤ 1.3 ×");
    ratio("Send until answered / Ping + one commit (p50)", send_and_commit(&alice).await?, "≤ 1.5 ×");

    go_online(alice.shunt()).await?;
    go_online(bob.shunt()).await?;
    let im = im_latency(&alice, &bob).await?;
    let commit = commits(&alice.path("bound.db"), 50)?;
    let ping = median(pings(&alice, 200).await?);
    println!(
        "{:<58} {:>21.2} ms   two commits {:.2} ms + two D-Bus pings {:.2} ms, the server's hop not counted",
        "IM: Send until Received on the other phone (p50)",
        millis(im),
        2.0 * millis(commit),
        2.0 * millis(ping)
    );
    row("on, idle, connected: PSS", &kib(&alice)?, "≤ 8 MB");
    row("on, idle, connected: wake-ups in 60 s", &wakeups(&alice).await?, "keep-alive only");
    go_off(alice.shunt()).await?;
    go_off(bob.shunt()).await
}

fn sizes(programs: &Path) -> Result<()> {
    let dir = std::env::temp_dir().join(format!("shunt-figures-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let stripped = |name: &str| -> Result<u64> {
        let to = dir.join(name);
        let done = Command::new("strip").arg("-o").arg(&to).arg(programs.join(name)).status().context("strip")?;
        anyhow::ensure!(done.success(), "strip {name}: {done}");
        Ok(std::fs::metadata(to)?.len())
    };
    let daemons = ["shuntd", "shuntd-core", "shuntd-uplink"].map(stripped).into_iter().collect::<Result<Vec<_>>>()?;
    let mb = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    let each = daemons.iter().map(|bytes| mb(*bytes)).collect::<Vec<_>>().join(", ");
    row("stripped: warden, core, uplink together", &mb(daemons.iter().sum()), &format!("≤ 9 MB ({each})"));
    row("stripped: shuntctl", &mb(stripped("shuntctl")?), "≤ 3 MB");
    Ok(std::fs::remove_dir_all(dir)?)
}

fn kib(phone: &Phone) -> Result<String> {
    Ok(format!("{:.2} MB", phone.pss()? as f64 * 1024.0 / 1e6))
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

fn ratio(what: &str, (ours, bound): (Duration, Duration), budget: &str) {
    let figure = ours.as_secs_f64() / bound.as_secs_f64();
    let budget = format!("{budget}  ({:.0} µs / {:.0} µs)", ours.as_secs_f64() * 1e6, bound.as_secs_f64() * 1e6);
    row(what, &format!("{figure:.2} ×"), &budget);
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

async fn pings(phone: &Phone, count: usize) -> Result<Vec<Duration>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        phone.shunt().call("org.freedesktop.DBus.Peer", "Ping", &()).await?;
        all.push(begun.elapsed());
    }
    Ok(all)
}

async fn route_and_ping(phone: &Phone) -> Result<(Duration, Duration)> {
    let (mut route, mut ping) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        for _ in 0..60 {
            let begun = Instant::now();
            phone.shunt().route(BOB).await?;
            route.push(begun.elapsed());
        }
        ping.extend(pings(phone, 60).await?);
    }
    Ok((median(route), median(ping)))
}

async fn send_and_commit(phone: &Phone) -> Result<(Duration, Duration)> {
    let mut send = Vec::new();
    for nth in 0..200 {
        let text = format!("figure {nth}");
        let begun = Instant::now();
        let path = phone.shunt().send(BOB, &text).await?;
        send.push(begun.elapsed());
        phone.shunt().wait_state(&path, &["sms-sent"]).await?;
    }
    let bound = median(pings(phone, 200).await?) + commits(&phone.path("bound.db"), 200)?;
    Ok((median(send), bound))
}

async fn im_latency(alice: &Phone, bob: &Phone) -> Result<Duration> {
    let mut all = Vec::new();
    for nth in 0..201 {
        let text = format!("im {nth}");
        let begun = Instant::now();
        let path = alice.shunt().send(BOB, &text).await?;
        let got = bob.shunt().wait_received(|got| got.text == text).await?;
        // The first one finds the peer.
        if nth > 0 && got.bearer == "im" {
            all.push(begun.elapsed());
        }
        alice.shunt().wait_state(&path, &["im-delivered", "sms-sent"]).await?;
    }
    anyhow::ensure!(all.len() > 150, "only {} of 200 texts went by IM", all.len());
    Ok(median(all))
}

/// One durable SQLite commit of a small row, in the store's own mode.
fn commits(path: &Path, count: usize) -> Result<Duration> {
    let db = rusqlite::Connection::open(path)?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (b BLOB)")?;
    let mut all = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        db.execute("INSERT INTO t VALUES (zeroblob(300))", [])?;
        all.push(begun.elapsed());
    }
    Ok(median(all))
}

//! D-Bus calls beside a bare `Peer.Ping` to the same process over the same bus.

use crate::BOB;
use crate::report::{median, ratio};
use anyhow::Result;
use shunt_kit::phone::Phone;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bounds and figures take turns, so that both see the machine in the same state.
const ROUNDS: usize = 20;

/// Lets what the last text set off come to rest, so that it is not measured with the next one: by pings, as a
/// pause would find all caches cold.
pub(crate) async fn rest(phone: &Phone) -> Result<()> {
    for _ in 0..5 {
        ping(phone).await?;
    }
    Ok(())
}

pub(crate) async fn ping(phone: &Phone) -> Result<Duration> {
    let begun = Instant::now();
    phone.shunt().call("org.freedesktop.DBus.Peer", "Ping", &()).await?;
    Ok(begun.elapsed())
}

pub(crate) async fn route(phone: &Phone) -> Result<()> {
    let (mut route, mut pings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * 50 {
        pings.push(ping(phone).await?);
        let begun = Instant::now();
        phone.shunt().route(BOB).await?;
        route.push(begun.elapsed());
    }
    ratio("Route from cache / Ping", median(route), median(pings), "≤ 1.3 ×", "");
    Ok(())
}

pub(crate) async fn send(phone: &Phone) -> Result<()> {
    let mut commits = Commits::open(&phone.path("bound.db"))?;
    let (mut send, mut bound) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for nth in 0..15 {
            rest(phone).await?;
            send.push(one_send(phone, &format!("figure {round} {nth}")).await?);
            rest(phone).await?;
            bound.push(ping(phone).await? + commits.one()?);
        }
    }
    ratio("Send until durable and answered / Ping + commit", median(send), median(bound), "≤ 1.5 ×", "");
    Ok(())
}

/// How long one `Send` takes to be answered; returns when its SMS is gone.
pub(crate) async fn one_send(phone: &Phone, text: &str) -> Result<Duration> {
    let begun = Instant::now();
    let path = phone.shunt().send(BOB, text).await?;
    let taken = begun.elapsed();
    phone.shunt().wait_state(&path, &["sms-sent"]).await?;
    Ok(taken)
}

/// Durable commits of one small row, in the store's own mode.
pub(crate) struct Commits(rusqlite::Connection);

impl Commits {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let db = rusqlite::Connection::open(path)?;
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            PRAGMA wal_autocheckpoint = 256; CREATE TABLE IF NOT EXISTS t (b BLOB)",
        )?;
        let mut commits = Self(db);
        // Until its log has come round once, each commit makes a file longer, which costs more.
        for _ in 0..300 {
            commits.one()?;
        }
        Ok(commits)
    }

    pub(crate) fn one(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.0.prepare_cached("INSERT INTO t VALUES (zeroblob(300))")?.execute([])?;
        Ok(begun.elapsed())
    }
}

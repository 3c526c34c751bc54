//! Whole phones on real parts: ModemManager, dbus-daemon, polkitd, ejabberd, the directory and the daemons.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod account;
mod agent;
mod agent_faults;
mod damage;
mod diverted;
mod doctor;
mod enrolled;
mod enrolment;
mod epochs;
mod hostile;
mod logs;
mod main_job;
mod metered;
mod ofono;
mod presence;
mod restarts;
mod secret;
mod server;
mod shuntctl;
mod silence;
mod sleep;
mod stranger;
mod tenure;
mod trust;
mod two_operators;
mod unusable_store;
mod withdrawal;

use shunt_kit::Phone;
use shunt_kit::world::World;
use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shuntd")).parent().unwrap()
}

async fn world() -> World {
    World::start(programs()).await.unwrap()
}

/// Has one phone write to another once, whichever way that goes: then it holds a lease, nothing is under way, and no
/// text of the next minutes depends on how fast a busy machine answers its probe.
async fn acquainted(from: &Phone, to: &Phone) {
    let sent = from.shunt().send(to.number(), "acquainted").await.unwrap();
    to.shunt().wait_received(|got| got.text == "acquainted").await.unwrap();
    from.shunt().wait_state(&sent, &["im-delivered", "sms-sent"]).await.unwrap();
    from.shunt().wait_route(to.number(), "im", "online").await.unwrap();
}

/// The files below a directory, each with its content; a database's log index is the reader's own.
fn files(below: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}

//! The apps' door, as a program of its own: in front of a real dbus-daemon with the real ModemManager,
//! and in front of stand-ins for a bus that misbehaves as no real one does.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ab;
mod bare;
mod core;
mod diverting;
mod forged;
mod leaving;
mod modems;
mod order;
mod receiving;
mod seeds;
mod through;
mod user;

use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shunt-door")).parent().unwrap()
}

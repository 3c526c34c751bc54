//! `make figures`: each line of the budget, measured on a release build beside its lower bound in the same
//! run, as a ratio. Prints; passes no judgement.
//!
//! Usage: `figures PROGRAMS [idle|calls|im|queue|store|door|timing]…`; without topics all of them. As root.

#![allow(missing_docs, clippy::print_stdout)]

mod bare;
mod calls;
mod door;
mod idle;
mod im;
mod queue;
mod raw;
mod report;
mod store;
mod timing;

use anyhow::{Context, Result};
use report::Topic;
use shunt_kit::phone::{Phone, ShuntConfig};
use shunt_kit::world::World;
use std::path::Path;

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let programs = words.next().context("usage: figures PROGRAMS [TOPIC]…")?;
    let topics = words.map(|word| Topic::named(&word)).collect::<Result<Vec<_>>>()?;
    tokio::runtime::Runtime::new()?.block_on(measure(Path::new(&programs), &topics))
}

async fn measure(programs: &Path, topics: &[Topic]) -> Result<()> {
    let wanted = |topic| topics.is_empty() || topics.contains(&topic);
    report::machine();
    report::row("what", "figure", "budget, and how the figure comes about");
    // The timing's stranger asks more than one may.
    let world = World::limited(programs, "unanswered: 1000000000, sent: 1000000000").await?;
    let mut alice = phone(&world, ALICE).await?;
    if wanted(Topic::Idle) {
        idle::sizes(programs)?;
        idle::off(&alice).await?;
    }
    let mut bob = phone(&world, BOB).await?;
    if wanted(Topic::Calls) {
        calls::route(&alice).await?;
        calls::send(&alice).await?;
    }
    if wanted(Topic::Door) {
        door::calls(&alice, programs).await?;
        door::inbox(&alice, &bob, programs).await?;
    }
    if wanted(Topic::Im) {
        im::latency(&world, &alice, &bob).await?;
    }
    if wanted(Topic::Timing) {
        timing::told(&world, &alice, &bob).await?;
    }
    if wanted(Topic::Queue) {
        queue::drained(&alice, &bob).await?;
    }
    if wanted(Topic::Idle) {
        // One phone alone: a second one on this machine would share, and so halve, what it shows.
        bob.stop_shunt().await?;
        idle::on(&alice).await?;
        bob.start_shunt(config(&world)).await?;
    }
    if wanted(Topic::Store) {
        store::latency(&world, &mut alice, &bob).await?;
    }
    Ok(())
}

/// An enrolled phone that logs as a shipped one does: the tests' own log more.
async fn phone(world: &World, number: &str) -> Result<Phone> {
    let mut phone = world.builder(number).start().await?;
    phone.start_shunt(config(world)).await?;
    world.enrol(&phone).await?;
    Ok(phone)
}

fn config(world: &World) -> ShuntConfig {
    let mut config = world.config();
    config.toml = config.toml.replace("level = \"debug\"", "level = \"info\"");
    config
}

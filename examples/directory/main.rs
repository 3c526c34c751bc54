//! `make directory-bench`: the running directory, its release build over HTTPS. What an evaluation costs it
//! beside the bare curve operation in the same run, a look-up with a second evaluator, a day of 10,000 devices with the memory it takes, and how
//! many numbers one account can test. Prints; passes no judgement.
//!
//! Usage: `directory PROGRAM`, the path of `shunt-directory`.

#![allow(missing_docs, clippy::print_stdout)]

#[allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#[path = "../../tests/directory/client.rs"]
mod client;
mod cpu;
mod day;
mod enumeration;
mod evaluations;
mod site;
mod two;

use anyhow::{Context, Result};
use std::path::Path;

fn main() -> Result<()> {
    let program = std::env::args().nth(1).context("usage: directory PROGRAM")?;
    tokio::runtime::Runtime::new()?.block_on(measure(Path::new(&program)))
}

async fn measure(program: &Path) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{cores} cores; load over 1, 5 and 15 minutes, running/all: {}", load.trim());
    let site = site::Site::start(program).await?;
    two::operators(&site, program).await?;
    evaluations::beside_the_bare_operation(&site).await?;
    enumeration::by_one_account(&site).await?;
    day::of_ten_thousand(&site).await
}

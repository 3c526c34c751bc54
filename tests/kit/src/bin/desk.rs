//! `make desk`: two enrolled phones and a cloud, and a shell on the first phone's system bus, for trying
//! things as on a device. Everything ends with the shell.
//!
//! Usage: `desk PROGRAMS [COMMAND [ARGUMENT…]]`

use anyhow::{Context, Result};
use shunt_kit::world::{World, go_online};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use tokio::signal::unix::{SignalKind, signal};

const ALICE: &str = "+4915112345601";
const BOB: &str = "+4915112345602";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(programs) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: desk PROGRAMS [COMMAND [ARGUMENT…]]");
        return ExitCode::from(64);
    };
    let command: Vec<OsString> = arguments.collect();
    let runtime = tokio::runtime::Runtime::new().context("a runtime");
    match runtime.and_then(|runtime| runtime.block_on(sit(programs, command))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("desk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn sit(programs: PathBuf, command: Vec<OsString>) -> Result<ExitCode> {
    let world = World::start(&programs).await?;
    let (alice, bob) = (world.phone(ALICE).await?, world.phone(BOB).await?);
    go_online(bob.shunt()).await?;
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let (program, rest) = command.split_first().map_or((&shell, &[][..]), |(program, rest)| (program, rest));
    if command.is_empty() {
        println!("This is Alice's phone ({ALICE}), switched off. Bob ({BOB}) is online; his bus is $BOB_BUS.");
        println!("Try: shuntctl status; shuntctl on; shuntctl route {BOB}; shuntctl send {BOB} hello");
        println!("Bob's side: shuntctl --address $BOB_BUS inbox.  `exit` ends it all.");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
    let mut child = Command::new(program);
    child.args(rest).env("PATH", path).env("DBUS_SYSTEM_BUS_ADDRESS", alice.bus().address());
    child.env("BOB_BUS", bob.bus().address()).env("ALICE", ALICE).env("BOB", BOB);
    // Ctrl-C is the command's: what was started here ends after it, and is taken away.
    let _taken = signal(SignalKind::interrupt())?;
    let status = tokio::task::spawn_blocking(move || child.status()).await?.context("the command")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

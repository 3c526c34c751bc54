//! `shuntd-uplink`: the one process with a network socket, started by `shuntd` while the switch is on.

use shunt::sys::{confine, inherited_wall, unmap_unused};
use shunt::uplink::{Wall, run};
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Never trace: the XMPP library would show what it reads; only our own targets are let through.
    shunt::sys::journal::start("shuntd-uplink", log::LevelFilter::Info);
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Take the wall, confine, say ready, loop.
fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let stream = inherited_wall()?;
    let lacks = confine::uplink(stream.as_fd());
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let ended = runtime.block_on(async {
        let wall = Wall::from_stream(tokio::net::UnixStream::from_std(stream)?);
        Ok::<_, Box<dyn std::error::Error>>(run(wall, &lacks, unmap_unused).await?)
    });
    // A look-up that the resolver still works on must not keep the process.
    runtime.shutdown_background();
    ended
}

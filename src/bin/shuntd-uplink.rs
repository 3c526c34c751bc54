//! `shuntd-uplink`: the one process with a network socket, started by `shuntd` while the switch is on.

use shunt::sys::{confine, inherited_wall};
use shunt::uplink::{Wall, run};
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    log_to_stderr();
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
        Ok::<_, Box<dyn std::error::Error>>(run(wall, &lacks).await?)
    });
    // A look-up that the resolver still works on must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Lines as systemd's journal takes them. Never trace: the XMPP library would show what it reads.
fn log_to_stderr() {
    struct Stderr;
    impl log::Log for Stderr {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target().starts_with("shunt")
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let priority = match record.level() {
                    log::Level::Error => 3,
                    log::Level::Warn => 4,
                    log::Level::Info => 6,
                    log::Level::Debug | log::Level::Trace => 7,
                };
                eprintln!("<{priority}>shuntd-uplink: {}", record.args());
            }
        }
        fn flush(&self) {}
    }
    let debug = std::env::var_os("SHUNT_LOG").is_some_and(|level| level == "debug");
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(if debug { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    }
}

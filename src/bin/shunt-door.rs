//! `shunt-door`: stands between a user's unmodified SMS app and the system bus.

use clap::Parser;
use shunt::door::{Addresses, Host, ListenError, SYSTEM_BUS, gone, listen, serve};
use std::{path::PathBuf, process::ExitCode};

/// Stands between this user's SMS app and the system bus, and diverts its texts to Shunt.
///
/// Start the app with DBUS_SYSTEM_BUS_ADDRESS=unix:path=SOCKET;unix:path=/run/dbus/system_bus_socket, so that
/// it finds the bus without the door too. With --listen it ends when its socket is removed and the last app has gone.
#[derive(Parser)]
#[command(name = "shunt-door", version)]
struct Args {
    /// Where apps connect, in XDG_RUNTIME_DIR; not needed when systemd passes the socket
    #[arg(long, value_name = "SOCKET")]
    listen: Option<PathBuf>,
    /// Return once apps may connect, and go on in the background; another door that is there will do
    #[arg(long, requires = "listen")]
    background: bool,
    /// The bus behind the door
    #[arg(long, value_name = "ADDRESS", default_value = SYSTEM_BUS)]
    bus: Addresses,
}

fn main() -> ExitCode {
    shunt::sys::journal::start("shunt-door", log::LevelFilter::Info);
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let listener = match (&args.listen, shunt::sys::inherited_listener()?) {
        (Some(path), _) => match listen(path) {
            Err(ListenError::InUse(_)) if args.background => return Ok(()),
            listener => listener?,
        },
        (None, Some(passed)) => passed,
        (None, None) => return Err("no socket: give --listen SOCKET, or let systemd pass one".into()),
    };
    if args.background {
        shunt::sys::go_to_background()?;
        shunt::sys::journal::to_syslog();
    }
    let host = Host { now: shunt::sys::now, all_read: shunt::sys::all_read, seed: shunt::sys::random()? };
    shunt::sys::many_files();
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let over = async {
            // systemd ends it otherwise.
            if let Some(path) = &args.listen {
                match gone(path).await {
                    Ok(()) => return log::info!("the session is over: no app can come any more"),
                    Err(error) => log::warn!("the session's end will not show: {error}"),
                }
            }
            std::future::pending().await
        };
        serve(tokio::net::UnixListener::from_std(listener)?, args.bus, host, over).await;
        Ok(())
    })
}

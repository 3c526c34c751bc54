//! The apps' door on a phone, as systemd starts it for a user: the socket is passed in.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use zbus::{Connection, connection};

use crate::background;
use crate::process::Process;

/// A running door.
pub struct Door {
    process: Process,
    socket: PathBuf,
}

impl Door {
    /// Starts `shunt-door` at a socket in `dir`, in front of a bus. Apps may connect at once.
    pub fn start(program: &Path, dir: &Path, bus: &str) -> Result<Self> {
        let socket = dir.join("door");
        let _first_start = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let mut command = Command::new("sh");
        // systemd tells a program its own process id.
        command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]);
        command.arg(program).args(["--bus", bus]);
        let passed = listener.as_raw_fd();
        // SAFETY: dup2 and fcntl are async-signal-safe; the listener is open until the program is started.
        unsafe {
            command.pre_exec(move || {
                // It may be number 3 itself: then dup2 leaves it to be closed.
                if libc::dup2(passed, 3) < 0 || libc::fcntl(3, libc::F_SETFD, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let process = Process::start("shunt-door", command, &dir.join("door.log"))?;
        Ok(Self { process, socket })
    }

    /// What an app's `DBUS_SYSTEM_BUS_ADDRESS` is to be.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection through the door.
    pub async fn connect(&self) -> Result<Connection> {
        let address = self.address();
        background::spawn(async move { Ok(connection::Builder::address(address.as_str()).build().await?) }).await?
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

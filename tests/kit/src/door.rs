//! The apps' door on a phone, as systemd starts it for a user: the socket is passed in. Beside it, for comparison,
//! xdg-dbus-proxy.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use zbus::Connection;

use crate::bus::connect_now;
use crate::process::Process;

/// A running door.
pub struct Door {
    process: Process,
    socket: PathBuf,
    /// Whose it is, where it isn't of the user who runs the tests.
    uid: Option<u32>,
}

impl Door {
    /// Starts `shunt-door` at a socket in `dir`, in front of a bus. Apps may connect at once.
    pub fn start(program: &Path, dir: &Path, bus: &str) -> Result<Self> {
        Self::start_for(program, dir, bus, None)
    }

    /// The same for another user (root needed).
    pub fn start_as(program: &Path, dir: &Path, bus: &str, uid: u32) -> Result<Self> {
        // That user may not see where it was built.
        let seen = dir.join("shunt-door");
        std::fs::copy(program, &seen)?;
        Self::start_for(&seen, dir, bus, Some(uid))
    }

    fn start_for(program: &Path, dir: &Path, bus: &str, uid: Option<u32>) -> Result<Self> {
        let socket = dir.join("door");
        let _first_start = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let mut command = Command::new("sh");
        // systemd tells a program its own process id.
        command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]);
        command.arg(program).args(["--bus", bus]).env("SHUNT_LOG", "debug");
        pass_as_3(&mut command, listener.as_fd());
        if let Some(uid) = uid {
            std::os::unix::fs::chown(&socket, Some(uid), Some(uid))?;
            command.uid(uid).gid(uid).current_dir("/");
        }
        let process = Process::start("shunt-door", command, &dir.join("door.log"))?.ours()?;
        Ok(Self { process, socket, uid })
    }

    /// What an app's `DBUS_SYSTEM_BUS_ADDRESS` is to be.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection through the door, of its user.
    pub async fn connect(&self) -> Result<Connection> {
        connect_now(&self.socket, self.uid)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs ModemManager's own client through it: what it printed.
    pub async fn mmcli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("mmcli");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.address()).env("LC_ALL", "C.UTF-8").args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "mmcli {arguments:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A running xdg-dbus-proxy that filters nothing.
pub struct XdgDbusProxy {
    _process: Process,
    /// It ends when this is closed.
    _ready: UnixStream,
    socket: PathBuf,
}

impl XdgDbusProxy {
    /// Starts it in front of a bus; returns when it listens.
    pub fn start(dir: &Path, bus: &str) -> Result<Self> {
        let socket = dir.join("xdg-dbus-proxy");
        let (mut ready, theirs) = UnixStream::pair()?;
        let mut command = Command::new("xdg-dbus-proxy");
        command.arg("--fd=3").arg(bus).arg(&socket);
        pass_as_3(&mut command, theirs.as_fd());
        let process = Process::start("xdg-dbus-proxy", command, &dir.join("xdg-dbus-proxy.log"))?;
        drop(theirs);
        std::io::Read::read_exact(&mut ready, &mut [0])?;
        Ok(Self { _process: process, _ready: ready, socket })
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Hands a descriptor, which is to stay open until the program is started, on as number 3.
fn pass_as_3(command: &mut Command, passed: BorrowedFd<'_>) {
    let passed = passed.as_raw_fd();
    // SAFETY: dup2 and fcntl are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            // It may be number 3 itself: then dup2 leaves it to be closed.
            if libc::dup2(passed, 3) < 0 || libc::fcntl(3, libc::F_SETFD, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

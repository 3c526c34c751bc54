//! A session bus for one user's apps, and what such an app says on its output.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use shunt_kit::Phone;
use shunt_kit::process::Process;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// No wait lasts longer before it is called a hang.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A running session bus.
pub(crate) struct Session {
    _bus: Process,
    address: String,
}

impl Session {
    pub(crate) fn start(phone: &Phone) -> Result<Self> {
        let mut command = phone.command("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut bus = Process::start_as_is("dbus-daemon", command, None)?;
        let mut address = String::new();
        BufReader::new(bus.child().stdout.take().context("its output")?).read_line(&mut address)?;
        Ok(Self { _bus: bus, address: address.trim().to_owned() })
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` is to be.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// A running program whose output is listened to.
pub(crate) struct App {
    process: Process,
    said: mpsc::Receiver<String>,
}

impl App {
    /// Starts it; all that it says on its standard output is kept in `log` too.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start_as_is(name, command, None)?;
        let lines = BufReader::new(process.child().stdout.take().context("its output")?).lines();
        let (says, said) = mpsc::channel();
        let mut log = File::create(log)?;
        // It goes on talking after we have listened, and must not block on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _kept = writeln!(log, "{line}");
                let _heard = says.send(line);
            }
        });
        Ok(Self { process, said })
    }

    /// Waits for a line that contains `what`, and returns it.
    pub(crate) fn until(&self, what: &str) -> Result<String> {
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(HANG) {
                Ok(line) if line.contains(what) => return Ok(line),
                Ok(line) => before.push(line),
                Err(_) => bail!("it did not say {what:?}; it said {before:#?}"),
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Whether it still runs.
    pub(crate) fn running(&mut self) -> bool {
        self.process.running()
    }
}

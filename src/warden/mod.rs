//! The warden: starts the core, and the uplink when the core asks; sees them die. It has no
//! runtime, no D-Bus and no parser, holds no data, and sleeps until something happens.
//!
//! It exists because a system call filter survives exec: a core that may open no network socket can't
//! start an uplink that may. Whatever goes wrong here ends in no uplink: when the core dies, the
//! uplink is killed and init starts the set again; when the warden dies, the kernel kills both.

mod args;
mod notify;

pub use args::{ArgsError, Order, Settings, USAGE, parse};

use crate::sys::{
    control::{self, ControlError, Reply, Request, Status},
    inherited_agents,
    signals::Signals,
    spawn::{Spawn, spawn},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};
use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

const CORE: &str = "shuntd-core";
const UPLINK: &str = "shuntd-uplink";

/// How long an uplink that was told to stop may take to leave politely.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// How long the core may take to settle and end at shutdown.
const END_WITHIN: Duration = Duration::from_secs(5);

/// What the core gets of the warden's environment; the uplink gets nothing.
const KEPT: [&str; 5] = ["DBUS_SYSTEM_BUS_ADDRESS", "CREDENTIALS_DIRECTORY", "RUST_LOG", "SHUNT_LOG", "TZ"];

/// Why the warden could not run or go on. All end with a status that makes init start it again.
#[derive(Debug, thiserror::Error)]
pub enum WardenError {
    /// The core's program.
    #[error("shuntd-core can't be started: check the installation and its user")]
    Core(#[source] io::Error),
    /// Signals, sockets, waiting.
    #[error("the kernel refused the warden what it needs")]
    Kernel(#[from] io::Error),
}

/// Runs until the core has ended; gives the exit status: 0 only for an orderly end that was asked
/// for by SIGTERM or SIGINT, the core's own if it has one, else 1.
///
/// # Errors
/// It could not start or go on; children are dead or die with this process.
pub fn run(settings: &Settings) -> Result<u8, WardenError> {
    // First of all, while nothing else can have the number.
    let agents = inherited_agents().unwrap_or_else(|error| {
        eprintln!("shuntd: {error}: agents can't connect there");
        None
    });
    let signals = Signals::block(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT])?;
    let (control, cores_end) = control::pair()?;
    let environment: Vec<(OsString, OsString)> =
        KEPT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect();
    let what = Spawn {
        program: &settings.libexec.join(CORE),
        arguments: &settings.core_arguments,
        environment: &environment,
        user: settings.core_user,
        agents: agents.as_ref(),
    };
    let core = spawn(&what, cores_end).map_err(WardenError::Core)?;
    let notify = std::env::var_os("NOTIFY_SOCKET");
    Warden { settings, control: Some(control), core, uplink: Uplink::Off, ending: None, notify }.watch(&signals)
}

struct Warden<'a> {
    settings: &'a Settings,
    /// `None` once the core has closed its end.
    control: Option<OwnedFd>,
    core: Child,
    uplink: Uplink,
    /// When the core is killed, if it has not ended by then.
    ending: Option<Ending>,
    /// Whom to tell that the core is up; once.
    notify: Option<OsString>,
}

enum Uplink {
    Off,
    On(Child),
    Stopping(Child, Instant),
}

struct Ending {
    deadline: Instant,
    /// Asked for by a signal to the warden.
    orderly: bool,
}

impl Warden<'_> {
    fn watch(mut self, signals: &Signals) -> Result<u8, WardenError> {
        let status = loop {
            match self.step(signals) {
                Ok(None) => {}
                Ok(Some(status)) => break Ok(self.exit_status(status)),
                Err(e) => break Err(e),
            }
        };
        self.kill_uplink();
        if status.is_err() {
            let _ = self.core.kill();
            let _ = self.core.wait();
        }
        Ok(status?)
    }

    /// Waits for one event; the core's status once it is dead.
    fn step(&mut self, signals: &Signals) -> io::Result<Option<ExitStatus>> {
        self.wait(signals)?;
        while let Some(signal) = signals.next()? {
            if signal != libc::SIGCHLD {
                self.end(true);
            }
        }
        self.serve();
        // The deadlines before the dead: who was just killed is waited for, not reported as fallen.
        self.enforce();
        self.reap_uplink()?;
        self.core.try_wait()
    }

    /// Without a deadline pending it sleeps for good: no wake-ups.
    fn wait(&self, signals: &Signals) -> io::Result<()> {
        let stop = match &self.uplink {
            Uplink::Stopping(_, deadline) => Some(*deadline),
            Uplink::Off | Uplink::On(_) => None,
        };
        let end = self.ending.as_ref().map(|ending| ending.deadline);
        let next = [stop, end].into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now())).map(|left| Timespec {
            // Rounded up, so that it is not woken just before the deadline.
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        fds.extend(self.control.as_ref().map(|control| PollFd::new(control, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn serve(&mut self) {
        while let Some(control) = &self.control {
            let served = match control::asked(control) {
                Ok(Request::Ready) => {
                    self.tell_init();
                    Ok(())
                }
                Ok(Request::Start) => self.start(),
                Ok(Request::Stop) => self.stop(),
                Err(ControlError::WouldBlock) => return,
                Err(e) => Err(e),
            };
            if let Err(e) = served {
                // Most often the core died, and its status comes with the next signal.
                if !matches!(e, ControlError::Gone) {
                    eprintln!("shuntd: {e}");
                }
                self.control = None;
                self.kill_uplink();
                self.end(false);
            }
        }
    }

    fn start(&mut self) -> Result<(), ControlError> {
        let started = match &self.uplink {
            _ if self.ending.is_some() => Err(io::Error::from_raw_os_error(libc::ESHUTDOWN)),
            Uplink::Off => self.spawn_uplink(),
            Uplink::On(_) | Uplink::Stopping(..) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        };
        let answer = match started {
            Ok((child, wall)) => {
                self.uplink = Uplink::On(child);
                Reply::Started(wall)
            }
            Err(e) => {
                eprintln!("shuntd: shuntd-uplink was not started: {e}");
                Reply::StartFailed(e.raw_os_error().unwrap_or(libc::EIO))
            }
        };
        self.answer(&answer)
    }

    fn spawn_uplink(&self) -> io::Result<(Child, OwnedFd)> {
        let (cores_end, uplinks_end) = control::wall()?;
        let program = self.settings.libexec.join(UPLINK);
        let user = self.settings.uplink_user;
        let what = Spawn { program: &program, arguments: &[], environment: &[], user, agents: None };
        Ok((spawn(&what, uplinks_end)?, cores_end))
    }

    fn stop(&mut self) -> Result<(), ControlError> {
        self.uplink = match std::mem::replace(&mut self.uplink, Uplink::Off) {
            Uplink::Off => return self.answer(&Reply::Stopped),
            Uplink::On(child) => Uplink::Stopping(child, Instant::now() + STOP_WITHIN),
            stopping @ Uplink::Stopping(..) => stopping,
        };
        Ok(())
    }

    /// Reports the uplink's death, once it was waited for: then its sockets are closed too.
    fn reap_uplink(&mut self) -> io::Result<()> {
        let (Uplink::On(child) | Uplink::Stopping(child, _)) = &mut self.uplink else { return Ok(()) };
        let Some(status) = child.try_wait()? else { return Ok(()) };
        let answer = match std::mem::replace(&mut self.uplink, Uplink::Off) {
            Uplink::Stopping(..) => Reply::Stopped,
            Uplink::On(_) | Uplink::Off => Reply::Died(ended(status)),
        };
        if self.answer(&answer).is_err() {
            self.end(false);
        }
        Ok(())
    }

    fn answer(&self, answer: &Reply) -> Result<(), ControlError> {
        self.control.as_ref().map_or(Err(ControlError::Gone), |control| control::reply(control, answer))
    }

    fn enforce(&mut self) {
        let now = Instant::now();
        if matches!(&self.uplink, Uplink::Stopping(_, deadline) if *deadline <= now)
            && let Uplink::Stopping(child, _) = &mut self.uplink
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.ending.as_ref().is_some_and(|ending| ending.deadline <= now) {
            let _ = self.core.kill();
            let _ = self.core.wait();
        }
    }

    /// The core is to end: by SIGTERM, killed at the deadline; at a further signal at once.
    fn end(&mut self, orderly: bool) {
        match &mut self.ending {
            Some(ending) if orderly => ending.deadline = Instant::now(),
            Some(_) => {}
            None => {
                if let Some(core) = i32::try_from(self.core.id()).ok().and_then(Pid::from_raw) {
                    // Not waited for yet, so the id is still its own.
                    let _ = kill_process(core, Signal::TERM);
                }
                self.ending = Some(Ending { deadline: Instant::now() + END_WITHIN, orderly });
            }
        }
    }

    fn kill_uplink(&mut self) {
        if let Uplink::On(mut child) | Uplink::Stopping(mut child, _) = std::mem::replace(&mut self.uplink, Uplink::Off)
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn tell_init(&mut self) {
        if let Some(Err(e)) = self.notify.take().map(|socket| notify::ready(&socket)) {
            eprintln!("shuntd: init was not told that the daemon is up: {e}");
        }
    }

    fn exit_status(&self, core: ExitStatus) -> u8 {
        if self.ending.as_ref().is_some_and(|ending| ending.orderly) {
            return 0;
        }
        eprintln!("shuntd: shuntd-core ended ({core}); ending the set");
        core.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
    }
}

fn ended(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signal(signal.unwrap_or(0)),
    }
}

//! Programs that end when their handle does, or when the test process does, however that happens.
//!
//! All are started by one thread that lives as long as the process, because the kernel ties a
//! parent-death signal to the thread that forked. Each leads a process group of its own, which the guardian
//! kills where that signal is lost.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use crate::guardian::Guarded;
use crate::private::PrivateLog;
use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running program. Dropping it kills it with all that it started.
pub struct Process {
    name: String,
    child: Child,
    /// Until it is reaped: then its id may be somebody else's.
    guarded: Option<Guarded>,
    ended: Option<ExitStatus>,
    log: Option<PathBuf>,
    /// After its end.
    private: Option<PrivateLog>,
}

type Job = (Command, mpsc::Sender<std::io::Result<Child>>);

fn spawner() -> &'static mpsc::Sender<Job> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("shunt-kit-spawn".into())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    let _gone = reply.send(command.spawn());
                }
            })
            .expect("a thread that starts programs");
        jobs
    })
}

impl Process {
    /// Starts a program with its output in `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("the log of {name}"))?;
        command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
        Self::start_as_is(name, command, Some(log.to_owned()))
    }

    /// Starts a program with the output that the caller set up.
    pub fn start_as_is(name: &str, mut command: Command, log: Option<PathBuf>) -> Result<Self> {
        command.process_group(0);
        let parent = std::process::id();
        // SAFETY: prctl and getppid are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                if libc::getppid() as u32 != parent {
                    return Err(std::io::Error::other("the test process is gone"));
                }
                Ok(())
            });
        }
        let (reply, answer) = mpsc::channel();
        spawner().send((command, reply)).map_err(|_| anyhow!("the kit's spawning thread is gone"))?;
        let child = answer.recv()?.with_context(|| format!("starting {name}"))?;
        let guarded = Some(Guarded::new(child.id())?);
        Ok(Self { name: name.to_owned(), child, guarded, ended: None, log, private: None })
    }

    /// It is ours: what its log tells of private things fails the test when the handle goes.
    pub fn ours(mut self) -> Result<Self> {
        let log = self.log.as_deref().with_context(|| format!("{} has no log", self.name))?;
        self.private = Some(PrivateLog::of(log, 0)?);
        Ok(self)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its pipes, where the caller asked for some.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it runs still.
    pub fn running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        if self.ended.is_some() {
            self.guarded = None;
        }
        self.ended.is_none()
    }

    /// Waits until it ended.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        // SAFETY: the descriptor is owned by the AsyncFd and stays open while registered.
        let pidfd = unsafe { AsyncFd::register(self.pidfd()?) }?;
        let _readable = pidfd.readable().await?;
        self.guarded = None;
        let ended = self.child.wait()?;
        self.ended = Some(ended);
        Ok(ended)
    }

    fn pidfd(&self) -> Result<OwnedFd> {
        pidfd_open(pid_of(self.pid())?, PidfdFlags::NONBLOCK).with_context(|| format!("watching {}", self.name))
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(pid_of(self.pid())?, signal)?)
    }

    /// Asks it to end, kills it when it does not, and returns how it ended.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if self.running() {
            self.signal(Signal::TERM)?;
            if timeout(GRACE, self.ended()).await.is_err() {
                self.kill();
            }
        }
        let ended = self.ended().await?;
        self.kill();
        Ok(ended)
    }

    /// Kills it and all that it started, and reaps it.
    pub fn kill(&mut self) {
        let offspring = descendants(self.pid());
        if let Ok(pid) = pid_of(self.pid()) {
            // The group may outlive its leader; without members the call fails, which is as well.
            let _none_left = kill_process_group(pid, Signal::KILL);
        }
        for pid in offspring {
            if let Ok(pid) = pid_of(pid) {
                let _already_gone = kill_process(pid, Signal::KILL);
            }
        }
        self.guarded = None;
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
    }

    /// Waits for `ready`, or fails with the end of the log when the program ends first.
    pub async fn until<T>(&mut self, what: &str, ready: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = tokio::select! {
            ready = timeout(crate::background::HANG, ready) => match ready {
                Ok(ready) => ready,
                Err(_) => Err(anyhow!("{}: waited in vain for {what}", self.name)),
            },
            ended = self.ended() => Err(match ended {
                Ok(status) => anyhow!("{} ended ({}) before {what}", self.name, said(status)),
                Err(error) => error,
            }),
        };
        outcome.with_context(|| self.log_tail())
    }

    /// The last lines of its log, for an error message.
    pub fn log_tail(&self) -> String {
        let text = self.log.as_deref().and_then(|p| fs::read(p).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(25);
        format!("the log of {} ends:\n{}", self.name, lines[from..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => "unknown".to_owned(),
    }
}

fn pid_of(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")
}

/// All living processes with their parents: (pid, parent, name).
pub fn all_processes() -> Vec<(u32, u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(") ")?;
            let name = head.split_once('(')?.1.to_owned();
            let mut fields = tail.split(' ');
            let alive = fields.next()? != "Z";
            let parent = fields.next()?.parse().ok()?;
            alive.then_some((pid, parent, name))
        })
        .collect()
}

/// Whether a process runs; one that ended and was not reaped does not.
pub fn alive(pid: u32) -> bool {
    all_processes().iter().any(|(p, ..)| *p == pid)
}

/// Everything that a process started, and what that started.
pub fn descendants(of: u32) -> Vec<u32> {
    let all = all_processes();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(all.iter().filter(|(_, p, _)| *p == parent).map(|(pid, ..)| *pid));
        at += 1;
    }
    found.remove(0);
    found
}

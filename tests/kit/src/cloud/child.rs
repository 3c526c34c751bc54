//! A process of the cloud that never outlives the test: its group is killed on drop, and by the
//! guardian when the test's own process is gone without a drop.

use crate::guardian::Guarded;
use crate::phone::measure::gone;
use crate::private::PrivateLog;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take to end on SIGTERM.
const STOP: Duration = Duration::from_secs(20);

/// A child in a process group of its own.
pub struct Child {
    name: String,
    process: std::process::Child,
    guarded: Option<Guarded>,
    ended: Option<ExitStatus>,
    /// After its end.
    private: Option<PrivateLog>,
}

impl Child {
    /// Starts `command`; the child gets no stdin and a process group of its own.
    ///
    /// # Errors
    /// The program is missing or cannot be executed.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let process = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}; is it installed?"))?;
        let guarded = Some(Guarded::new(process.id())?);
        Ok(Self { name, process, guarded, ended: None, private: None })
    }

    /// It is ours: what is in its log of private things fails the test when the handle goes.
    pub(crate) fn ours(&mut self, log: PrivateLog) {
        self.private = Some(log);
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait()?;
            if self.ended.is_some() {
                // Its id may be somebody else's from now on.
                self.guarded = None;
            }
        }
        Ok(self.ended)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end within `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let waited = tokio::time::timeout(deadline, gone(self.id()));
        match (waited.await, self.ended()?) {
            (Ok(gone), Some(status)) => gone.map(|()| status),
            _ => bail!("{} did not end within {deadline:?}", self.name),
        }
    }

    /// SIGTERM, and SIGKILL when that does not help.
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let (None, Some(pid)) = (self.ended()?, self.pid()) {
            kill_process(pid, Signal::TERM)?;
        }
        self.wait(STOP).await
    }

    /// SIGKILL to the whole group, and wait.
    ///
    /// # Errors
    /// It did not end.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        self.kill_group()?;
        self.wait(STOP).await
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw)
    }

    fn kill_group(&mut self) -> Result<()> {
        // Once it is reaped its id may be somebody else's.
        if let (None, Some(pid)) = (self.ended()?, self.pid()) {
            kill_process_group(pid, Signal::KILL)?;
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.kill_group();
        // Before it is reaped.
        self.guarded = None;
        if self.ended.is_none() {
            let _ = self.process.wait();
        }
    }
}

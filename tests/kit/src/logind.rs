//! What of logind matters to who must not be online asleep: delay inhibitors and `PrepareForSleep`.
//! A stand-in: the real one needs to be the machine's, and suspends it.

use std::io::{PipeReader, Read, pipe};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, fdo, interface};

use crate::bus::Bus;

const PATH: &str = "/org/freedesktop/login1";
/// `InhibitDelayMaxSec`, logind's default.
const DELAY: Duration = Duration::from_secs(5);

/// A logind on a phone's bus.
pub struct Logind {
    connection: Connection,
    held: watch::Receiver<usize>,
}

struct Manager {
    held: watch::Sender<usize>,
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, _who: &str, _why: &str, mode: &str) -> fdo::Result<zbus::OwnedFd> {
        if (what, mode) != ("sleep", "delay") {
            return Err(fdo::Error::InvalidArgs(format!("not of use here: {what} {mode}")));
        }
        let (ours, theirs) = pipe().map_err(|error| fdo::Error::Failed(error.to_string()))?;
        self.held.send_modify(|held| *held += 1);
        let held = self.held.clone();
        std::thread::spawn(move || {
            until_closed(ours);
            held.send_modify(|held| *held -= 1);
        });
        Ok(OwnedFd::from(theirs).into())
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

fn until_closed(mut pipe: PipeReader) {
    let _ended = pipe.read(&mut [0]);
}

impl Logind {
    /// Puts it on a bus.
    ///
    /// # Errors
    /// Somebody else is logind there.
    pub async fn start(bus: &Bus) -> Result<Self> {
        let connection = bus.connect().await?;
        let (sender, held) = watch::channel(0);
        connection.object_server().at(PATH, Manager { held: sender }).await?;
        connection.request_name("org.freedesktop.login1").await?;
        Ok(Self { connection, held })
    }

    /// Waits until so many inhibitors are held.
    ///
    /// # Errors
    /// That never comes.
    pub async fn wait_held(&self, count: usize) -> Result<()> {
        let mut held = self.held.clone();
        let wait = held.wait_for(|held| *held == count);
        tokio::time::timeout(crate::background::HANG, wait).await.context("waited in vain for inhibitors")??;
        Ok(())
    }

    /// Announces sleep, and waits until nobody holds it up.
    ///
    /// # Errors
    /// Somebody still does when logind would wait no longer.
    pub async fn sleep(&self) -> Result<()> {
        self.announce(true).await?;
        let mut held = self.held.clone();
        let released = tokio::time::timeout(DELAY, held.wait_for(|held| *held == 0)).await;
        ensure!(released.is_ok(), "sleep was held up for longer than logind waits");
        Ok(())
    }

    /// Announces that the system woke.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn wake(&self) -> Result<()> {
        self.announce(false).await
    }

    async fn announce(&self, start: bool) -> Result<()> {
        let emitter = SignalEmitter::new(&self.connection, PATH)?;
        Ok(Manager::prepare_for_sleep(&emitter, start).await?)
    }
}

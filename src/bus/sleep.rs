//! logind's word before sleep and after it, and the delay inhibitor that buys time between.
//!
//! `org.freedesktop.login1.Manager`: `Inhibit("sleep", …, "delay")` answers a descriptor that holds sleep
//! up for a few seconds while it is open; `PrepareForSleep(b)` tells. Where there is no logind (Android,
//! OpenRC without elogind) nothing is told and nothing held; one that comes, or comes back, is taken up.

use futures_util::StreamExt;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::{Connection, OwnedFd, Proxy};

const LOGIND: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";

/// Listens to logind while that is wanted; otherwise nothing is held and nothing wakes us.
pub struct Sleep {
    connection: Connection,
    told: mpsc::UnboundedSender<bool>,
    inhibitor: Rc<RefCell<Option<OwnedFd>>>,
    listening: Option<JoinHandle<()>>,
}

impl Sleep {
    /// Not listening yet. The receiver is told `true` before sleep, `false` after it.
    #[must_use]
    pub fn new(connection: &Connection) -> (Self, mpsc::UnboundedReceiver<bool>) {
        let (told, receiver) = mpsc::unbounded_channel();
        let (connection, inhibitor) = (connection.clone(), Rc::default());
        (Self { connection, told, inhibitor, listening: None }, receiver)
    }

    /// Listens and inhibits from now on, or does neither. Must be called within a `LocalSet`.
    pub fn want(&mut self, wanted: bool) {
        if wanted && self.listening.is_none() {
            let (connection, told, inhibitor) = (self.connection.clone(), self.told.clone(), self.inhibitor.clone());
            self.listening = Some(tokio::task::spawn_local(async move {
                if let Err(error) = listen(&connection, &told, &inhibitor).await {
                    log::info!("sleep is not announced here: {error}");
                }
            }));
        } else if !wanted && let Some(listening) = self.listening.take() {
            listening.abort();
            self.let_sleep();
        }
    }

    /// Lets the system sleep; after it, sleep is inhibited again by itself.
    pub fn let_sleep(&self) {
        self.inhibitor.borrow_mut().take();
    }
}

/// For ever; returns with the bus.
async fn listen(
    connection: &Connection,
    told: &mpsc::UnboundedSender<bool>,
    inhibitor: &RefCell<Option<OwnedFd>>,
) -> zbus::Result<()> {
    let logind = zbus::proxy::Builder::<Proxy<'_>>::new(connection)
        .destination(LOGIND)
        .path(PATH)
        .interface(MANAGER)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let mut owners = logind.receive_owner_changed().await?;
    let mut signals = logind.receive_signal("PrepareForSleep").await?;
    let mut asleep = false;
    inhibit(&logind, inhibitor).await;
    loop {
        let sleeps = tokio::select! {
            biased;
            Some(owner) = owners.next() => {
                // What the one before had announced, or was held up by, ended with it.
                inhibitor.borrow_mut().take();
                if owner.is_some() {
                    inhibit(&logind, inhibitor).await;
                }
                if !asleep {
                    continue;
                }
                false
            }
            Some(signal) = signals.next() => {
                let Ok(sleeps) = signal.body().deserialize::<bool>() else { continue };
                if !sleeps {
                    inhibit(&logind, inhibitor).await;
                }
                sleeps
            }
            else => return Ok(()),
        };
        asleep = sleeps;
        if told.send(sleeps).is_err() {
            return Ok(());
        }
    }
}

/// Without an inhibitor sleep is still told, if a little late. Starts no logind.
async fn inhibit(logind: &Proxy<'_>, inhibitor: &RefCell<Option<OwnedFd>>) {
    let why = ("sleep", "Shunt", "others are told that this phone goes offline", "delay");
    match logind.call_with_flags("Inhibit", MethodFlags::NO_AUTO_START, &why).await {
        Ok(held) => *inhibitor.borrow_mut() = held,
        Err(error) => log::info!("sleep is not held up: {error}"),
    }
}

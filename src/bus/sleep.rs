//! logind's word before sleep and after it, and the delay inhibitor that buys time between.
//!
//! `org.freedesktop.login1.Manager`: `Inhibit("sleep", …, "delay")` answers a descriptor that holds sleep
//! up for a few seconds while it is open; `PrepareForSleep(b)` tells. Where there is no logind (Android,
//! OpenRC without elogind) nothing is told and nothing held.

use futures_util::StreamExt;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedFd};

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

async fn listen(
    connection: &Connection,
    told: &mpsc::UnboundedSender<bool>,
    inhibitor: &RefCell<Option<OwnedFd>>,
) -> zbus::Result<()> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(LOGIND)
        .path(PATH)
        .interface(MANAGER)
        .member("PrepareForSleep")
        .build()?;
    let mut signals = MessageStream::for_match_rule(rule, connection, None).await?;
    let inhibit = async || {
        let why = ("sleep", "Shunt", "others are told that this phone goes offline", "delay");
        let answer = connection.call_method(Some(LOGIND), PATH, Some(MANAGER), "Inhibit", &why).await?;
        let held = answer.body().deserialize::<OwnedFd>()?;
        inhibitor.borrow_mut().replace(held);
        zbus::Result::Ok(())
    };
    inhibit().await?;
    while let Some(signal) = signals.next().await {
        let Ok(sleeps) = signal?.body().deserialize::<bool>() else { continue };
        if !sleeps {
            inhibit().await?;
        }
        if told.send(sleeps).is_err() {
            break;
        }
    }
    Ok(())
}

//! Who sends the code SMS: a modem of the directory's own, or an SMPP provider.

mod modem;
mod smpp;

use super::config::{Gateway as Config, SmsModem};
use crate::model::PhoneNumber;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// SMS that wait for the gateway; more are refused, so that none waits for minutes.
const QUEUE: usize = 64;

/// How long an SMS may take from the queue to the network's word, before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why an SMS did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GatewayError {
    /// The queue is full, or nobody serves it.
    #[error("the SMS gateway is not keeping up")]
    Busy,
    /// No connection, no modem, no network.
    #[error("the SMS gateway can't be used now: {0}")]
    Unavailable(String),
    /// It does not take this SMS.
    #[error("the SMS gateway refused the SMS: {0}")]
    Refused(String),
    /// Nobody knows whether it left.
    #[error("the SMS gateway does not answer")]
    Mute,
}

/// What it is to send.
struct Sms {
    to: PhoneNumber,
    text: Zeroizing<String>,
    done: oneshot::Sender<Result<(), GatewayError>>,
}

/// One gateway; SMS go out one after another.
pub(super) struct Gateway(mpsc::Sender<Sms>);

/// A backend: sends one SMS. What it says in errors and logs shows no number.
trait Backend {
    async fn send(&mut self, to: &PhoneNumber, text: &str) -> Result<(), GatewayError>;
    /// Called when nothing was to be sent for [`Self::IDLE`].
    async fn idle(&mut self) {}
    const IDLE: Duration;
}

async fn serve(mut backend: impl Backend, mut queue: mpsc::Receiver<Sms>) {
    loop {
        match timeout(backend_idle(&backend), queue.recv()).await {
            Ok(Some(sms)) => {
                // Who waited and left does not want it any more.
                if sms.done.is_closed() {
                    continue;
                }
                let sent = timeout(PATIENCE, backend.send(&sms.to, &sms.text)).await;
                let _ = sms.done.send(sent.unwrap_or(Err(GatewayError::Mute)));
            }
            Ok(None) => return,
            Err(_) => backend.idle().await,
        }
    }
}

fn backend_idle<B: Backend>(_: &B) -> Duration {
    B::IDLE
}

impl Gateway {
    /// Starts the configured one. Must be called within the runtime.
    pub(super) fn start(config: &Config) -> std::io::Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        match config {
            Config::Modem(SmsModem { bus }) => modem::start(bus.clone(), queue)?,
            Config::Smpp(config) => smpp::start(config.clone(), queue)?,
        }
        Ok(Self(sender))
    }

    /// Sends one SMS; `Ok`: the network or the provider has taken it.
    pub(super) async fn send(&self, to: &PhoneNumber, text: Zeroizing<String>) -> Result<(), GatewayError> {
        let (done, sent) = oneshot::channel();
        self.0.try_send(Sms { to: to.clone(), text, done }).map_err(|_| GatewayError::Busy)?;
        sent.await.unwrap_or(Err(GatewayError::Mute))
    }
}

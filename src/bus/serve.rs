//! The bus as the core sees it: requests come out, signals and properties go in.

use super::access::{Gate, Rules};
use super::core::Shared;
use super::details;
use super::emit::{self, Emission};
use super::interface::{Agents, Door, Ledger, Messaging, Peers, Service, Settings};
use super::signal::{PATH, Signal};
use super::{Published, Request, Seat, error_name};
use crate::model::{Address, Arrived, Bearer, PhoneNumber, Question, Reason, State, Text, TextId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use zbus::fdo::RequestNameFlags;
use zbus::{Connection, Variant};

/// Our name.
pub const NAME: &str = "org.shunt.Shunt1";

/// Requests that may wait for the core; the callers of further ones wait in order.
const WAITING: usize = 1024;

/// Why our objects could not be put on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Another one has the name.
    #[error("another process owns {NAME} on this bus: stop the other shuntd first (`busctl status {NAME}`)")]
    NameTaken,
    /// The bus does not let us have it.
    #[error("the bus does not let this user own {NAME}: install org.shunt.Shunt1.conf into /usr/share/dbus-1/system.d")]
    NameDenied,
    /// Anything else.
    #[error("the bus fails: {0}; check that dbus-daemon runs and DBUS_SYSTEM_BUS_ADDRESS is right")]
    Bus(#[from] zbus::Error),
}

/// Our objects on one connection.
pub struct Bus {
    connection: Connection,
    pub(super) shared: Arc<Shared>,
    emissions: mpsc::UnboundedSender<Emission>,
}

impl Bus {
    /// Puts our objects on the bus, then takes our name. From here on requests come out of the receiver;
    /// dropping it answers every caller with [`super::Error::Stopping`].
    pub async fn serve(
        connection: &Connection,
        rules: Rules,
        published: Published,
    ) -> Result<(Self, mpsc::Receiver<Request>), BusError> {
        Self::serve_with(connection, rules, published, None).await
    }

    /// The same, with a seat for a ROM's agent.
    pub async fn serve_with(
        connection: &Connection,
        rules: Rules,
        published: Published,
        seat: Option<Seat>,
    ) -> Result<(Self, mpsc::Receiver<Request>), BusError> {
        let (core, requests) = mpsc::channel(WAITING);
        let gate = Gate::new(connection.clone(), rules, core.clone()).await?;
        let one = || Arc::new(Semaphore::new(1));
        let (import, export) = (one(), one());
        let shared = Arc::new(Shared { gate: gate.clone(), core, published: published.into(), seat, import, export });
        let server = connection.object_server();
        server.at(PATH, Service(shared.clone())).await?;
        server.at(PATH, Settings(shared.clone())).await?;
        server.at(PATH, Messaging(shared.clone())).await?;
        server.at(PATH, Door(shared.clone())).await?;
        server.at(PATH, Agents { shared: shared.clone(), peer: None }).await?;
        server.at(PATH, Peers(shared.clone())).await?;
        server.at(PATH, Ledger(shared.clone())).await?;
        let (emissions, to_emit) = mpsc::unbounded_channel();
        tokio::spawn(emit::run(connection.clone(), gate, to_emit));
        match connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await {
            Ok(_) => Ok((Self { connection: connection.clone(), shared, emissions }, requests)),
            Err(zbus::Error::NameTaken) => Err(BusError::NameTaken),
            Err(error) if error_name(&error).is_some_and(|name| name == "org.freedesktop.DBus.Error.AccessDenied") => {
                Err(BusError::NameDenied)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when the bus is gone. The daemon ends then, and init starts it again.
    pub async fn lost(&self) {
        self.connection.closed().await;
    }

    /// What properties show now.
    #[must_use]
    pub fn published(&self) -> Published {
        self.shared.published().clone()
    }

    /// Replaces what properties show, and tells what changed: one `PropertiesChanged` per interface at most. Of the
    /// setting that was just written (see [`Request::writes`]) zbus tells.
    pub fn publish(&self, new: Published, written: Option<&'static str>) {
        let old = {
            let mut published = self.shared.published.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *published, new.clone())
        };
        if old == new {
            return;
        }
        let mut service = Changes::default();
        service.note("State", old.state.token(), new.state.token());
        service.note("StateReason", old.reason, new.reason);
        service.note("Confinement", old.confinement.clone(), new.confinement.clone());
        // Lines have numbers in them: everybody hears that they changed, nobody what they are.
        let invalidated = if old.lines == new.lines { vec![] } else { vec!["Lines"] };
        self.tell(NAME, service, invalidated);
        if details::seats(&old) != details::seats(&new) || details::accounts_line(&old) != details::accounts_line(&new)
        {
            self.address(Signal::Lines);
        }
        let mut settings = Changes::default();
        settings.note("Enabled", old.enabled, new.enabled);
        settings.note("LastSwitch", details::last_switch(&old), details::last_switch(&new));
        let (old, new) = (old.settings, new.settings);
        settings.note("FallbackAfter", old.fallback_after, new.fallback_after);
        settings.note("FallbackPolicy", old.fallback_policy.token(), new.fallback_policy.token());
        settings.note("AllowRoaming", old.allow_roaming, new.allow_roaming);
        settings.note("AllowMetered", old.allow_metered, new.allow_metered);
        settings.note("PresencePolicy", old.presence_policy.token(), new.presence_policy.token());
        settings.note("ReadReceipts", old.read_receipts, new.read_receipts);
        if let Some(written) = written {
            settings.0.remove(written);
        }
        self.tell("org.shunt.Shunt1.Settings", settings, vec![]);
    }

    fn tell(&self, interface: &'static str, changes: Changes, invalidated: Vec<&'static str>) {
        if !changes.0.is_empty() || !invalidated.is_empty() {
            self.emit(Emission::Properties(interface, changes.0, invalidated));
        }
    }

    /// A text is shown: once per text, after it is durable.
    pub fn received(&self, text: &Arrived) {
        self.address(Signal::Text("Received", details::path(text.id), details::incoming(text)));
    }

    /// An outgoing text's state changed.
    pub fn changed(&self, text: &Text) {
        self.address(Signal::Text("Changed", details::path(text.id), details::progress(text)));
        if text.state.is_final() && text.state != State::Released {
            self.settled(text);
        }
    }

    /// A diverted text is settled, or its report was deleted.
    pub fn settled(&self, text: &Text) {
        if let Some(sent) = details::sent(text) {
            self.address(Signal::Settled(Box::new(sent)));
        }
    }

    /// Texts were deleted.
    pub fn deleted(&self, texts: Vec<TextId>) {
        self.address(Signal::Deleted(texts));
    }

    /// A text waits for the user.
    pub fn decision_needed(&self, id: TextId, question: Question) {
        self.address(Signal::Decision(details::path(id), question.token()));
    }

    /// A watched number's route changed. `to` as it was written in the `Watch`: once for each spelling.
    pub fn route_changed(&self, to: &Address, bearer: Bearer, reason: Reason) {
        self.address(Signal::Route(to.0.clone(), bearer, reason));
    }

    /// A peer's identity key is another one than it was.
    pub fn identity_changed(&self, peer: &PhoneNumber) {
        self.address(Signal::Identity(peer.as_e164().to_owned()));
    }

    fn address(&self, signal: Signal) {
        self.emit(Emission::Addressed(signal));
    }

    fn emit(&self, emission: Emission) {
        if self.emissions.send(emission).is_err() {
            log::warn!("a signal was lost: the bus is gone");
        }
    }
}

/// The properties that changed, with their new values.
#[derive(Default)]
struct Changes(HashMap<&'static str, Variant<'static>>);

impl Changes {
    fn note<T: PartialEq + Into<Variant<'static>>>(&mut self, name: &'static str, old: T, new: T) {
        if old != new {
            self.0.insert(name, new.into());
        }
    }
}

//! Calls to a modem service, and its signals. Calls go to its unique name always: so none starts the
//! service, and none reaches another instance whose objects have the same paths.

use super::{ModemError, failure};
use futures_util::Stream;
use std::{collections::HashMap, future::poll_fn, pin::Pin, task::Poll, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedVariant, message::Type};

/// The bus itself.
pub(super) const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// For calls that ask the service alone, not a network: far above what a loaded machine needs.
pub(super) const PROMPT: Duration = Duration::from_secs(25);

/// An object's properties. All are foreign: each is read with a type, and missing if it has another.
#[derive(Default)]
pub(super) struct Properties(pub(super) HashMap<String, OwnedVariant>);

impl Properties {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.downcast_ref::<&str>().ok()
    }

    /// An object path; ModemManager says `/` for none.
    pub(super) fn path(&self, name: &str) -> Option<Box<str>> {
        let path = self.0.get(name)?.downcast_ref::<zbus::ObjectPath<'_>>().ok()?;
        (path.as_str() != "/").then(|| path.as_str().into())
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.0.get(name)?.downcast_ref::<u32>().ok()
    }

    pub(super) fn signed(&self, name: &str) -> Option<i32> {
        self.0.get(name)?.downcast_ref::<i32>().ok()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.downcast_ref::<bool>().ok()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0
            .get(name)
            .and_then(|value| value.try_clone().ok())
            .and_then(|value| Vec::<String>::try_from(value).ok())
            .unwrap_or_default()
    }

    /// Whether a byte array has bytes.
    pub(super) fn has_bytes(&self, name: &str) -> bool {
        self.0
            .get(name)
            .and_then(|value| value.try_clone().ok())
            .and_then(|value| Vec::<u8>::try_from(value).ok())
            .is_some_and(|bytes| !bytes.is_empty())
    }
}

/// Where to call: an object of one instance of a service.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) connection: &'a Connection,
    pub(super) owner: &'a str,
    pub(super) path: &'a str,
}

impl Place<'_> {
    /// Calls a method and waits for its answer, `limit` at most.
    pub(super) async fn call<B>(
        &self,
        interface: &str,
        method: &str,
        body: &B,
        limit: Duration,
    ) -> Result<Message, ModemError>
    where
        B: serde::Serialize + DynamicType,
    {
        let call = self.connection.call_method(Some(self.owner), self.path, Some(interface), method, body);
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| failure::read(&error)),
            Err(_elapsed) => Err(ModemError::Mute),
        }
    }
}

/// The unique name of who owns a service's name now.
pub(super) async fn owner_of(connection: &Connection, service: &str) -> Option<String> {
    let bus = Place { connection, owner: BUS, path: BUS_PATH };
    bus.call(BUS, "GetNameOwner", &service, PROMPT).await.ok()?.body().deserialize().ok()
}

/// The rule for a service's coming and going.
pub(super) fn comes_and_goes(service: &'static str) -> zbus::Result<MatchRule<'static>> {
    let signal = MatchRule::builder().msg_type(Type::Signal);
    // By the sender zbus too drops what another addresses to us.
    signal.sender(BUS).interface(BUS).member("NameOwnerChanged").add_arg(service).build()
}

/// Listens to signals, all in one queue. They are drained at once whatever their reader waits for: a
/// full stream would hold up the answers that it waits for. The queue ends when the connection does.
pub(super) async fn listen(
    connection: &Connection,
    rules: Vec<zbus::Result<MatchRule<'static>>>,
) -> Result<(mpsc::UnboundedReceiver<Message>, JoinHandle<()>), ModemError> {
    let mut streams = Vec::new();
    for rule in rules {
        let stream = match rule {
            Ok(rule) => MessageStream::for_match_rule(rule, connection, None).await,
            Err(error) => Err(error),
        };
        streams.push(stream.map_err(|error| failure::read(&error))?);
    }
    let (sender, signals) = mpsc::unbounded_channel();
    let pump = tokio::task::spawn_local(async move {
        while let Some(message) = next(&mut streams).await {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    Ok((signals, pump))
}

/// The next signal of any stream; `None` when the connection is closed.
async fn next(streams: &mut [MessageStream]) -> Option<Message> {
    poll_fn(|context| {
        for stream in &mut *streams {
            match Pin::new(stream).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => return Poll::Ready(Some(message)),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

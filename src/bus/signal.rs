//! Signals that carry numbers or texts, or tell of them: never broadcast, each goes addressed to callers that may send
//! and have shown that they want to hear.

use super::details::{self, Details, Sent};
use crate::model::{Bearer, Reason, TextId};
use zbus::names::UniqueName;
use zbus::{Connection, DynamicType, OwnedObjectPath};

/// The object that everything but texts is at.
pub(super) const PATH: &str = "/org/shunt/Shunt1";
const MESSAGING: &str = "org.shunt.Shunt1.Messaging";
const DOOR: &str = "org.shunt.Shunt1.Door";
const PEERS: &str = "org.shunt.Shunt1.Peers";

/// One of them.
pub(super) enum Signal {
    /// `Received` or `Changed`.
    Text(&'static str, OwnedObjectPath, Details),
    /// `Changed`, for each of these texts. As they are here: there may be many.
    Deleted(Vec<TextId>),
    /// `Settled`.
    Settled(Box<Sent>),
    /// `LinesChanged`.
    Lines,
    /// `DecisionNeeded`.
    Decision(OwnedObjectPath, &'static str),
    /// `RouteChanged`, to those who watch the number as written here.
    Route(Box<str>, Bearer, Reason),
    /// `IdentityChanged`.
    Identity(String),
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Audience<'s> {
    /// Those who hear of texts.
    Listeners,
    /// The doors.
    Doors,
    /// Those who watch this number, as they wrote it.
    Watchers(&'s str),
}

impl Signal {
    pub(super) fn audience(&self) -> Audience<'_> {
        match self {
            Self::Text(..) | Self::Deleted(_) | Self::Decision(..) | Self::Identity(_) => Audience::Listeners,
            Self::Settled(..) | Self::Lines => Audience::Doors,
            Self::Route(to, ..) => Audience::Watchers(to),
        }
    }

    /// Sends it to one connection.
    pub(super) async fn send(&self, bus: &Connection, to: &str) -> zbus::Result<()> {
        let to = &UniqueName::try_from(to)?;
        match self {
            Self::Text(member, path, details) => emit(bus, to, (MESSAGING, member), &(path, details)).await,
            Self::Deleted(texts) => {
                for id in texts {
                    emit(bus, to, (MESSAGING, "Changed"), &(details::path(*id), details::deleted())).await?;
                }
                Ok(())
            }
            Self::Settled(text) => emit(bus, to, (DOOR, "Settled"), &(&**text,)).await,
            Self::Lines => emit(bus, to, (DOOR, "LinesChanged"), &()).await,
            Self::Decision(path, question) => emit(bus, to, (MESSAGING, "DecisionNeeded"), &(path, question)).await,
            Self::Route(number, bearer, reason) => {
                emit(bus, to, (MESSAGING, "RouteChanged"), &(&**number, bearer.token(), reason.token())).await
            }
            Self::Identity(number) => emit(bus, to, (PEERS, "IdentityChanged"), &(number,)).await,
        }
    }
}

async fn emit<B>(bus: &Connection, to: &UniqueName<'_>, signal: (&str, &str), body: &B) -> zbus::Result<()>
where
    B: serde::Serialize + DynamicType,
{
    let (interface, member) = signal;
    bus.emit_signal(Some(to), PATH, interface, member, body).await
}

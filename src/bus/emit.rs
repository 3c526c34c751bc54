//! Signals, in the order in which the core made them. Those that carry numbers or texts are never
//! broadcast: each goes, addressed, to callers that may send and have shown that they want to hear.

use super::access::Gate;
use super::details::{self, Details};
use crate::model::{Bearer, Reason, TextId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use zbus::names::{BusName, UniqueName};
use zbus::{Connection, DynamicType, OwnedObjectPath, Variant};

/// The object that everything but texts is at.
pub(super) const PATH: &str = "/org/shunt/Shunt1";
const MESSAGING: &str = "org.shunt.Shunt1.Messaging";
const DOOR: &str = "org.shunt.Shunt1.Door";

/// One signal to come.
pub(super) enum Emission {
    /// `Received` or `Changed`.
    Text(&'static str, OwnedObjectPath, Details),
    /// `Changed`, for each of these texts. As they are here: there may be many.
    Deleted(Vec<TextId>),
    /// `Settled`: the app's object, its owner, the state.
    Settled(OwnedObjectPath, Box<str>, &'static str),
    /// `LinesChanged`.
    Lines,
    /// `DecisionNeeded`.
    Decision(OwnedObjectPath, &'static str),
    /// `RouteChanged`, to those who watch the number as written here.
    Route(Box<str>, Bearer, Reason),
    /// `IdentityChanged`.
    Identity(String),
    /// `PropertiesChanged` of an interface: values, and names of those whose values are not told.
    Properties(&'static str, HashMap<&'static str, Variant<'static>>, Vec<&'static str>),
}

/// Emits one after the other, until the core or the connection is gone.
pub(super) async fn run(bus: Connection, gate: Arc<Gate>, mut emissions: mpsc::UnboundedReceiver<Emission>) {
    while let Some(emission) = emissions.recv().await {
        if let Err(error) = emit(&bus, &gate, emission).await {
            log::warn!("a signal could not be sent: {error}");
        }
    }
}

async fn emit(bus: &Connection, gate: &Arc<Gate>, emission: Emission) -> zbus::Result<()> {
    match emission {
        Emission::Text(member, path, details) => {
            to_each(bus, gate.listeners().await, MESSAGING, member, &(path, details)).await
        }
        Emission::Deleted(texts) => {
            for id in texts {
                let body = (details::path(id), details::deleted());
                to_each(bus, gate.listeners().await, MESSAGING, "Changed", &body).await?;
            }
            Ok(())
        }
        Emission::Settled(sms, owner, state) => {
            let body = (sms, &*owner, state);
            to_each(bus, gate.doors().await, DOOR, "Settled", &body).await
        }
        Emission::Lines => to_each(bus, gate.doors().await, DOOR, "LinesChanged", &()).await,
        Emission::Decision(path, question) => {
            to_each(bus, gate.listeners().await, MESSAGING, "DecisionNeeded", &(path, question)).await
        }
        Emission::Route(to, bearer, reason) => {
            let body = (&*to, bearer.token(), reason.token());
            to_each(bus, gate.watchers(&to).await, MESSAGING, "RouteChanged", &body).await
        }
        Emission::Identity(number) => {
            to_each(bus, gate.listeners().await, "org.shunt.Shunt1.Peers", "IdentityChanged", &(number,)).await
        }
        Emission::Properties(interface, changed, invalidated) => {
            let body = (interface, changed, invalidated);
            bus.emit_signal(None::<BusName<'_>>, PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body)
                .await
        }
    }
}

async fn to_each<B>(bus: &Connection, names: Vec<Box<str>>, interface: &str, member: &str, body: &B) -> zbus::Result<()>
where
    B: serde::Serialize + DynamicType,
{
    for name in names {
        let name = UniqueName::try_from(&*name)?;
        bus.emit_signal(Some(name), PATH, interface, member, body).await?;
    }
    Ok(())
}

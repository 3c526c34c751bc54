//! Signals, in the order in which the core made them. Only a caller whose right is being asked for hears later than the
//! others, and in the same order.

use super::access::Gate;
use super::signal::{PATH, Signal};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use zbus::names::BusName;
use zbus::{Connection, Variant};

/// One signal to come.
pub(super) enum Emission {
    /// To those whom it concerns.
    Addressed(Signal),
    /// `PropertiesChanged` of an interface, to everybody: values, and names of those whose values are not told.
    Properties(&'static str, HashMap<&'static str, Variant<'static>>, Vec<&'static str>),
}

/// Emits one after the other, until the core or the connection is gone.
pub(super) async fn run(bus: Connection, gate: Arc<Gate>, mut emissions: mpsc::UnboundedReceiver<Emission>) {
    while let Some(emission) = emissions.recv().await {
        match emission {
            Emission::Addressed(signal) => gate.tell(signal).await,
            Emission::Properties(interface, changed, invalidated) => {
                let body = (interface, changed, invalidated);
                let (properties, member) = ("org.freedesktop.DBus.Properties", "PropertiesChanged");
                if let Err(error) = bus.emit_signal(None::<BusName<'_>>, PATH, properties, member, &body).await {
                    log::warn!("a signal could not be sent: {error}");
                }
            }
        }
    }
}

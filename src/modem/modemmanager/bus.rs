//! ModemManager's names on the bus, and calls to it. Always by its unique name: a call never starts
//! the service, and never reaches another instance whose objects have the same paths.

use super::failure;
use crate::modem::ModemError;
use std::{collections::HashMap, time::Duration};
use zbus::{Connection, DynamicType, Message, OwnedVariant};

pub(super) const SERVICE: &str = "org.freedesktop.ModemManager1";
pub(super) const ROOT: &str = "/org/freedesktop/ModemManager1";
pub(super) const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
pub(super) const MODEM_3GPP: &str = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
pub(super) const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
pub(super) const SIM: &str = "org.freedesktop.ModemManager1.Sim";
pub(super) const SMS: &str = "org.freedesktop.ModemManager1.Sms";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

/// For calls that ask the service alone, not a network: far above what a loaded machine needs.
pub(super) const PROMPT: Duration = Duration::from_secs(25);

/// An object's properties. All are foreign: each is read with a type, and missing if it has another.
pub(super) struct Properties(HashMap<String, OwnedVariant>);

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

/// Where to call: an object of one instance of the service.
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

    /// All properties of an interface.
    pub(super) async fn properties(&self, interface: &str) -> Result<Properties, ModemError> {
        let answer = self.call(PROPERTIES, "GetAll", &interface, PROMPT).await?;
        answer.body().deserialize().map(Properties).map_err(|error| failure::read(&error))
    }

    /// The SMS objects of a modem.
    pub(super) async fn messages(&self) -> Result<Vec<zbus::OwnedObjectPath>, ModemError> {
        let answer = self.call(MESSAGING, "List", &(), PROMPT).await?;
        answer.body().deserialize().map_err(|error| failure::read(&error))
    }
}

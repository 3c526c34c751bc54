//! oFono's names on the bus, and what its objects answer.

use crate::modem::{
    ModemError,
    bus::{PROMPT, Place, Properties},
    failure,
};
use std::collections::HashMap;
use zbus::{OwnedObjectPath, OwnedVariant};

pub(super) const SERVICE: &str = "org.ofono";
pub(super) const ROOT: &str = "/";
pub(super) const MANAGER: &str = "org.ofono.Manager";
pub(super) const MODEM: &str = "org.ofono.Modem";
pub(super) const SIM: &str = "org.ofono.SimManager";
pub(super) const NETWORK: &str = "org.ofono.NetworkRegistration";
pub(super) const CALLS: &str = "org.ofono.VoiceCallManager";
pub(super) const MESSAGES: &str = "org.ofono.MessageManager";
pub(super) const MESSAGE: &str = "org.ofono.Message";

impl Place<'_> {
    /// oFono's own way to tell an object's properties.
    pub(super) async fn told(&self, interface: &str) -> Result<Properties, ModemError> {
        let answer = self.call(interface, "GetProperties", &(), PROMPT).await?;
        answer.body().deserialize().map(Properties).map_err(|error| failure::read(&error))
    }

    /// The modems, with their interfaces.
    pub(super) async fn modems(&self) -> Result<Vec<(Box<str>, Vec<String>)>, ModemError> {
        type Modems = Vec<(OwnedObjectPath, HashMap<String, OwnedVariant>)>;
        let answer = self.call(MANAGER, "GetModems", &(), PROMPT).await?;
        let modems: Modems = answer.body().deserialize().map_err(|error| failure::read(&error))?;
        Ok(modems.into_iter().map(|(path, told)| (path.as_str().into(), interfaces(told))).collect())
    }
}

/// The interfaces that a modem has now, of its properties.
pub(super) fn interfaces(told: HashMap<String, OwnedVariant>) -> Vec<String> {
    Properties(told).texts("Interfaces")
}

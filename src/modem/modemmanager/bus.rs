//! ModemManager's names on the bus, and what its objects answer.

use crate::modem::{
    ModemError,
    bus::{PROMPT, Place, Properties},
    failure,
};

pub(super) const SERVICE: &str = "org.freedesktop.ModemManager1";
pub(super) const ROOT: &str = "/org/freedesktop/ModemManager1";
pub(super) const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
pub(super) const MODEM_3GPP: &str = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
pub(super) const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
pub(super) const SIM: &str = "org.freedesktop.ModemManager1.Sim";
pub(super) const SMS: &str = "org.freedesktop.ModemManager1.Sms";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

impl Place<'_> {
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

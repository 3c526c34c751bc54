//! Names on the bus.

pub(super) const BUS: &str = "org.freedesktop.DBus";
pub(super) const BUS_PATH: &str = "/org/freedesktop/DBus";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

pub(super) const MM: &str = "org.freedesktop.ModemManager1";
pub(super) const MM_PATH: &str = "/org/freedesktop/ModemManager1";
pub(super) const MODEM_PATH: &str = "/org/freedesktop/ModemManager1/Modem/";
pub(super) const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
pub(super) const SMS: &str = "org.freedesktop.ModemManager1.Sms";

pub(super) const OFONO: &str = "org.ofono";
pub(super) const OFONO_MESSAGES: &str = "org.ofono.MessageManager";

pub(super) const CORE: &str = "org.shunt.Shunt1";
pub(super) const CORE_PATH: &str = "/org/shunt/Shunt1";
pub(super) const CORE_DOOR: &str = "org.shunt.Shunt1.Door";
pub(super) const CORE_MESSAGING: &str = "org.shunt.Shunt1.Messaging";
pub(super) const CORE_SETTINGS: &str = "org.shunt.Shunt1.Settings";

//! The real ModemManager on a phone's bus, told to use the simulated modem.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, message};
use zbus::{OwnedObjectPath, OwnedVariant};

use crate::bus::{Bus, name_owned};
use crate::netns::Netns;
use crate::process::Process;

/// Its name on the bus.
pub const SERVICE: &str = "org.freedesktop.ModemManager1";
const ROOT: &str = "/org/freedesktop/ModemManager1";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
pub(super) const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
/// MM_MODEM_STATE_REGISTERED.
const REGISTERED: i32 = 8;
/// MM_MODEM_STATE_FAILED: among others, no SIM.
const FAILED: i32 = -1;

type Interfaces = HashMap<String, HashMap<String, OwnedVariant>>;
type Objects = HashMap<OwnedObjectPath, Interfaces>;

/// A running ModemManager.
pub struct ModemManager {
    process: Process,
    modem: Option<OwnedObjectPath>,
}

impl ModemManager {
    pub(super) async fn start(dir: &Path, bus: &Bus, connection: &Connection, netns: Option<&Netns>) -> Result<Self> {
        let mut command = Command::new("ModemManager");
        command
            .args(["--test-enable", "--test-no-udev", "--test-no-suspend-resume", "--test-no-qrtr"])
            .arg("--no-auto-scan")
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        if let Some(netns) = netns {
            netns.confine(&mut command);
        }
        let mut process = Process::start("ModemManager", command, &dir.join("modemmanager.log"))?;
        process.until("its name on the bus", name_owned(connection, SERVICE)).await?;
        Ok(Self { process, modem: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The modem's object path; it changes when the modem comes back.
    pub fn modem(&self) -> Option<&OwnedObjectPath> {
        self.modem.as_ref()
    }

    /// Points ModemManager at the modem's socket and waits until the modem is usable: enabled and
    /// registered, or found to have no SIM where it has none.
    pub(super) async fn bring_up(&mut self, connection: &Connection, socket: &str, has_sim: bool) -> Result<()> {
        let before = self.modem.take();
        self.modem = Some(self.bring_up_as("prof0", before, connection, socket, has_sim).await?);
        Ok(())
    }

    /// The same with another modem beside it, not there before.
    pub(super) async fn bring_up_beside(&mut self, connection: &Connection, socket: &str) -> Result<()> {
        self.bring_up_as("prof1", None, connection, socket, true).await.map(drop)
    }

    /// The modem that is the profile's, and another than `before`.
    async fn bring_up_as(
        &mut self,
        name: &str,
        before: Option<OwnedObjectPath>,
        connection: &Connection,
        socket: &str,
        has_sim: bool,
    ) -> Result<OwnedObjectPath> {
        let mut signals = signals(connection).await?;
        let ports = vec![format!("abstract:{socket}")];
        let profile = (name, "generic", ports);
        let device = format!("/virtual/{name}");
        let test = Some("org.freedesktop.ModemManager1.Test");
        let ready = async {
            let set = connection.call_method(Some(SERVICE), ROOT, test, "SetProfile", &profile).await;
            set.context("handing the modem to ModemManager")?;
            let modem = until(connection, &mut signals, |objects| {
                let usable = |interfaces: &Interfaces| {
                    if has_sim { interfaces.contains_key(MESSAGING) } else { state(interfaces) == Some(FAILED) }
                };
                let its = |(path, i): &(&OwnedObjectPath, &Interfaces)| {
                    Some(*path) != before.as_ref() && of(i) == Some(&*device) && usable(i)
                };
                let new = objects.iter().find(its);
                new.map(|(path, _)| path.clone())
            })
            .await?;
            if has_sim {
                let enable = connection.call_method(Some(SERVICE), &modem, Some(MODEM), "Enable", &(true,)).await;
                enable.context("enabling the modem")?;
                let registered = |objects: &Objects| (state(objects.get(&modem)?)? >= REGISTERED).then_some(());
                until(connection, &mut signals, registered).await?;
            }
            Ok(modem)
        };
        self.process.until("a usable modem", ready).await
    }
}

/// The device that a modem is.
fn of(interfaces: &Interfaces) -> Option<&str> {
    interfaces.get(MODEM)?.get("Device")?.downcast_ref().ok()
}

fn state(interfaces: &Interfaces) -> Option<i32> {
    interfaces.get(MODEM)?.get("State").and_then(|s| i32::try_from(s).ok())
}

/// All that ModemManager signals: any of it may be the change that is waited for.
async fn signals(connection: &Connection) -> Result<MessageStream> {
    let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE).build()?;
    Ok(MessageStream::for_match_rule(rule, connection, NonZero::new(256)).await?)
}

async fn until<T>(
    connection: &Connection,
    signals: &mut MessageStream,
    mut look: impl FnMut(&Objects) -> Option<T>,
) -> Result<T> {
    loop {
        let reply = connection
            .call_method(Some(SERVICE), ROOT, Some("org.freedesktop.DBus.ObjectManager"), "GetManagedObjects", &())
            .await?;
        let objects: Objects = reply.body().deserialize()?;
        if let Some(found) = look(&objects) {
            return Ok(found);
        }
        signals.next().await.context("the bus went away")??;
    }
}

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

type Objects = HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>>;

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

    /// Points ModemManager at the modem's socket.
    pub(super) async fn set_profile(&self, connection: &Connection, socket: &str) -> Result<()> {
        let ports = vec![format!("abstract:{socket}")];
        connection
            .call_method(
                Some(SERVICE),
                ROOT,
                Some("org.freedesktop.ModemManager1.Test"),
                "SetProfile",
                &("prof0", "generic", ports),
            )
            .await
            .with_context(|| format!("handing the modem to ModemManager; {}", self.process.log_tail()))?;
        Ok(())
    }

    /// Points ModemManager at the modem's socket, enables the modem and waits until it is registered.
    pub(super) async fn bring_up(&mut self, connection: &Connection, socket: &str) -> Result<()> {
        let mut signals = signals(connection).await?;
        let before = self.modem.take();
        self.set_profile(connection, socket).await?;
        let ready = async {
            let modem = until(connection, &mut signals, |objects| {
                let (path, _) =
                    objects.iter().find(|(path, i)| i.contains_key(MESSAGING) && Some(*path) != before.as_ref())?;
                Some(path.clone())
            })
            .await?;
            connection
                .call_method(Some(SERVICE), &modem, Some(MODEM), "Enable", &(true,))
                .await
                .context("enabling the modem")?;
            until(connection, &mut signals, |objects| {
                let state = objects.get(&modem)?.get(MODEM)?.get("State")?;
                (i32::try_from(state).ok()? >= REGISTERED).then_some(())
            })
            .await?;
            Ok(modem)
        };
        self.modem = Some(self.process.until("a registered modem", ready).await?);
        Ok(())
    }
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

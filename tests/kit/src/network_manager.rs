//! The real NetworkManager on a phone's bus. It is in a network namespace of its own, where it manages the modem
//! and nothing else, and what it keeps is the phone's: the machine that the tests run on sees nothing of it.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use futures_util::{FutureExt, StreamExt};
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, message};

use crate::mounts::own_view;
use crate::netns::Netns;
use crate::phone::Phone;
use crate::process::Process;

const SERVICE: &str = "org.freedesktop.NetworkManager";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";

/// It touches no interface, no name server, no host name, and asks nobody whether there is an internet.
const CONFIG: &str = "[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
hostname-mode=none
[keyfile]
unmanaged-devices=*,except:type:gsm
[connectivity]
enabled=false
";

/// NM_DEVICE_STATE_DISCONNECTED: managed, usable, and not asked to connect.
const DISCONNECTED: u32 = 30;

/// A running NetworkManager.
pub struct NetworkManager {
    process: Process,
    connection: Connection,
    bus: String,
    changes: MessageStream,
    modem: OwnedObjectPath,
    /// What it calls the modem.
    interface: String,
}

impl NetworkManager {
    /// Starts it on a phone's bus; returns when it found the modem and could use it.
    ///
    /// # Errors
    /// It does neither.
    pub async fn start(phone: &Phone) -> Result<Self> {
        let at = phone.path("network-manager");
        let own = ["/etc/NetworkManager", "/var/lib/NetworkManager", "/run/NetworkManager"].map(|path| {
            let path = Path::new(path);
            (at.join(path.strip_prefix("/").unwrap_or(path)), path)
        });
        for (kept, path) in &own {
            fs::create_dir_all(kept)?;
            fs::create_dir_all(path)?;
        }
        fs::write(at.join("etc/NetworkManager/NetworkManager.conf"), CONFIG)?;
        let mut command = Command::new("NetworkManager");
        command.arg("--debug").env("DBUS_SYSTEM_BUS_ADDRESS", phone.bus().address());
        Netns::new()?.confine(&mut command);
        own_view(&mut command, &own.each_ref().map(|(kept, path)| (kept.as_path(), *path)))?;

        let (bus, connection) = (phone.bus().address().to_owned(), phone.connection().clone());
        let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE).interface(DEVICE);
        let rule = rule.member("StateChanged").build()?;
        let mut changes = MessageStream::for_match_rule(rule, &connection, NonZero::new(64)).await?;
        let mut process = Process::start("NetworkManager", command, &at.join("log"))?;
        let found = async {
            loop {
                let change = changes.next().await.context("the bus went away")??;
                if state(&change)? == DISCONNECTED {
                    return Ok(change.header().path().context("a signal without an object")?.to_owned().into());
                }
            }
        };
        let modem: OwnedObjectPath = process.until("a modem that it can use", found).await?;
        let properties = Some("org.freedesktop.DBus.Properties");
        let named = connection.call_method(Some(SERVICE), &modem, properties, "Get", &(DEVICE, "Interface")).await?;
        let interface = named.body().deserialize::<OwnedVariant>()?.try_into()?;
        Ok(Self { process, connection, bus, changes, modem, interface })
    }

    /// All that its own client shows of it: its state, and the modem's.
    ///
    /// # Errors
    /// The client fails.
    pub fn shown(&self) -> Result<String> {
        let mut shown = String::new();
        for arguments in [&["general"][..], &["radio"], &["--fields", "all", "device", "show", &self.interface]] {
            let mut command = Command::new("nmcli");
            command.arg("--terse").args(arguments);
            command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus).env("LC_ALL", "C.UTF-8");
            let output = command.output()?;
            ensure!(output.status.success(), "nmcli {arguments:?}: {output:?}");
            shown += std::str::from_utf8(&output.stdout)?;
        }
        Ok(shown)
    }

    /// The states that the modem went through since it was found, or since this was asked before.
    ///
    /// # Errors
    /// It is gone.
    pub async fn changes(&mut self) -> Result<Vec<u32>> {
        ensure!(self.process.running(), "it ended; {}", self.process.log_tail());
        // Its answer comes after all that it told before.
        let ping = Some("org.freedesktop.DBus.Peer");
        self.connection.call_method(Some(SERVICE), "/org/freedesktop/NetworkManager", ping, "Ping", &()).await?;
        let mut told = Vec::new();
        while let Some(change) = self.next_change().now_or_never() {
            told.push(change?);
        }
        Ok(told)
    }

    /// The next state that the modem goes to.
    ///
    /// # Errors
    /// It goes to none.
    pub async fn next_change(&mut self) -> Result<u32> {
        let next = async {
            loop {
                let change = self.changes.next().await.context("the bus went away")??;
                if change.header().path().is_some_and(|path| *path == *self.modem) {
                    return state(&change);
                }
            }
        };
        tokio::time::timeout(crate::background::HANG, next).await.context("waited in vain for a change")?
    }
}

/// The new state, of new, old and reason.
fn state(change: &Message) -> Result<u32> {
    Ok(change.body().deserialize::<(u32, u32, u32)>()?.0)
}

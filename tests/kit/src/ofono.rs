//! The real oFono on a phone's bus, driving the simulated modem through its phonesim plugin.

use std::collections::HashMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Variant, message};

use crate::bus::{Bus, name_owned};
use crate::netns::Netns;
use crate::process::Process;

/// Its name on the bus.
pub const SERVICE: &str = "org.ofono";
const MODEM: &str = "/phonesim";
const MESSAGES: &str = "org.ofono.MessageManager";

/// A running oFono.
pub struct Ofono {
    process: Process,
    connection: Connection,
    incoming: tokio::sync::Mutex<MessageStream>,
}

/// A text as oFono shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The sender.
    pub number: String,
    /// The text.
    pub text: String,
}

impl Ofono {
    /// Starts oFono on a phone that has no ModemManager, with its modem on a loopback port, and
    /// returns when it can send and receive SMS.
    pub(crate) async fn start(
        dir: &Path,
        bus: &Bus,
        connection: &Connection,
        netns: Option<&Netns>,
        port: u16,
    ) -> Result<Self> {
        let config = dir.join("phonesim.conf");
        fs::write(&config, format!("[phonesim]\nAddress=127.0.0.1\nPort={port}\n"))?;
        let mut command = Command::new("ofonod");
        command.args(["-n", "-d"]);
        command.env("OFONO_PHONESIM_CONFIG", &config).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        if let Some(netns) = netns {
            netns.confine(&mut command);
        }
        let mut process = Process::start("ofonod", command, &dir.join("ofono.log"))?;
        let mut signals = signals(connection, None).await?;
        let incoming = tokio::sync::Mutex::new(self::signals(connection, Some("IncomingMessage")).await?);
        let ready = async {
            name_owned(connection, SERVICE).await?;
            until(connection, &mut signals, |_| true).await?;
            for property in ["Powered", "Online"] {
                let value = Variant::from(true);
                connection
                    .call_method(Some(SERVICE), MODEM, Some("org.ofono.Modem"), "SetProperty", &(property, value))
                    .await
                    .with_context(|| format!("setting {property}"))?;
            }
            until(connection, &mut signals, |interfaces| interfaces.iter().any(|i| i == MESSAGES)).await
        };
        process.until("a modem that can text", ready).await?;
        Ok(Self { process, connection: connection.clone(), incoming })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a text; oFono answers with the message's object and sends on its own.
    pub async fn send(&self, to: &str, text: &str) -> Result<OwnedObjectPath> {
        let body = (to, text);
        let reply = self.connection.call_method(Some(SERVICE), MODEM, Some(MESSAGES), "SendMessage", &body).await?;
        Ok(reply.body().deserialize()?)
    }

    /// The next text that comes.
    pub async fn next_received(&self) -> Result<Shown> {
        let mut incoming = self.incoming.lock().await;
        let next = tokio::time::timeout(crate::background::HANG, incoming.next());
        let message = next.await.context("waited in vain for an SMS")?.context("the bus went away")??;
        let (text, mut info): (String, HashMap<String, OwnedVariant>) = message.body().deserialize()?;
        let number = info.remove("Sender").context("an SMS without sender")?.try_into()?;
        Ok(Shown { number, text })
    }
}

async fn signals(connection: &Connection, member: Option<&str>) -> Result<MessageStream> {
    let mut rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE);
    if let Some(member) = member {
        rule = rule.member(member);
    }
    Ok(MessageStream::for_match_rule(rule.build()?, connection, NonZero::new(256)).await?)
}

/// Waits until the modem is there and its interfaces are such.
async fn until(
    connection: &Connection,
    signals: &mut MessageStream,
    mut told: impl FnMut(&[String]) -> bool,
) -> Result<()> {
    loop {
        let reply = connection.call_method(Some(SERVICE), "/", Some("org.ofono.Manager"), "GetModems", &()).await;
        if let Ok(reply) = reply {
            let mut modems: Vec<(OwnedObjectPath, HashMap<String, OwnedVariant>)> = reply.body().deserialize()?;
            let interfaces =
                modems.iter_mut().find(|(path, _)| path.as_str() == MODEM).map(|(_, p)| p.remove("Interfaces"));
            if let Some(interfaces) = interfaces {
                let interfaces: Vec<String> = interfaces.map_or(Ok(Vec::new()), TryInto::try_into)?;
                if told(&interfaces) {
                    return Ok(());
                }
            }
        }
        signals.next().await.context("the bus went away")??;
    }
}

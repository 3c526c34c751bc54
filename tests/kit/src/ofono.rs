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
use crate::mounts::own_view;
use crate::netns::Netns;
use crate::process::Process;

/// Its name on the bus.
pub const SERVICE: &str = "org.ofono";
const MODEM: &str = "/phonesim";
const MESSAGES: &str = "org.ofono.MessageManager";
const NETWORK: &str = "org.ofono.NetworkRegistration";

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
    /// Starts oFono on a phone that has no ModemManager; its modem is to be on that loopback port.
    pub(crate) async fn start(
        dir: &Path,
        bus: &Bus,
        connection: &Connection,
        netns: Option<&Netns>,
        port: u16,
    ) -> Result<Self> {
        let (config, kept) = (dir.join("phonesim.conf"), dir.join("ofono"));
        fs::write(&config, format!("[phonesim]\nAddress=127.0.0.1\nPort={port}\n"))?;
        fs::create_dir_all(&kept)?;
        let mut command = Command::new("ofonod");
        command.args(["-n", "-d"]);
        command.env("OFONO_PHONESIM_CONFIG", &config).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        if let Some(netns) = netns {
            netns.confine(&mut command);
        }
        // What it keeps of a SIM, unsent texts included, is not for another phone.
        own_view(&mut command, &[(&kept, Path::new("/var/lib/ofono"))])?;
        let mut process = Process::start("ofonod", command, &dir.join("ofono.log"))?;
        let incoming = tokio::sync::Mutex::new(self::signals(connection, Some("IncomingMessage")).await?);
        process.until("its name on the bus", name_owned(connection, SERVICE)).await?;
        Ok(Self { process, connection: connection.clone(), incoming })
    }

    /// Powers the modem up and waits until it can text (or was found to have no SIM).
    pub(crate) async fn bring_up(&mut self, has_sim: bool) -> Result<()> {
        let connection = self.connection.clone();
        let mut signals = signals(&connection, None).await?;
        let ready = async {
            until(&connection, &mut signals, |_| true).await?;
            // A modem whose port was lost may count as powered still.
            // oFono 1.31 dies of "Online" while it looks for a SIM in vain.
            let online = has_sim.then_some(("Online", true));
            for (property, value) in [("Powered", false), ("Powered", true)].into_iter().chain(online) {
                let value = (property, Variant::from(value));
                let set = call(&connection, "org.ofono.Modem", "SetProperty", &value).await;
                set.with_context(|| format!("setting {property}"))?;
            }
            let wanted: &[&str] = if has_sim { &[MESSAGES, NETWORK] } else { &["org.ofono.SimManager"] };
            let all = |interfaces: &[String]| wanted.iter().all(|wanted| interfaces.iter().any(|i| i == wanted));
            until(&connection, &mut signals, all).await?;
            while has_sim && !registered(&connection).await? {
                signals.next().await.context("the bus went away")??;
            }
            Ok(())
        };
        self.process.until("a modem that can text", ready).await
    }

    /// Whether it runs still.
    pub(crate) fn running(&mut self) -> bool {
        self.process.running()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a text; oFono answers with the message's object and sends on its own.
    pub async fn send(&self, to: &str, text: &str) -> Result<OwnedObjectPath> {
        let reply = call(&self.connection, MESSAGES, "SendMessage", &(to, text)).await?;
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

async fn call<B>(connection: &Connection, interface: &str, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    connection.call_method(Some(SERVICE), MODEM, Some(interface), method, body).await
}

async fn registered(connection: &Connection) -> Result<bool> {
    let answer = call(connection, NETWORK, "GetProperties", &()).await?;
    let told: HashMap<String, OwnedVariant> = answer.body().deserialize()?;
    let status = told.get("Status").and_then(|status| status.downcast_ref::<&str>().ok());
    Ok(matches!(status, Some("registered" | "roaming")))
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

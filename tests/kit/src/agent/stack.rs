//! The agent's SMS stack: which SIMs the phone's ModemManager has, and how they are.

use std::collections::HashMap;
use std::num::NonZero;

use anyhow::{Context, Result};
use futures_util::stream::{Select, select};
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant};

const SERVICE: &str = "org.freedesktop.ModemManager1";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";

type Properties = HashMap<String, OwnedVariant>;

/// A SIM as its agent tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sim {
    pub(super) iccid: String,
    pub(super) modem: OwnedObjectPath,
    /// Empty where it is unknown.
    pub(super) number: String,
    /// As `Agents.Line` spells it.
    pub(super) state: &'static str,
    pub(super) mcc: Option<u32>,
    pub(super) emergency: Vec<String>,
}

/// Whatever may be news of SIMs or SMS.
pub(super) async fn signals(connection: &Connection) -> Result<Select<MessageStream, MessageStream>> {
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let theirs = signal().sender(SERVICE).build()?;
    let owners = signal().sender("org.freedesktop.DBus").member("NameOwnerChanged").add_arg(SERVICE).build()?;
    let stream = |rule| MessageStream::for_match_rule(rule, connection, NonZero::new(256));
    Ok(select(stream(theirs).await?, stream(owners).await?))
}

/// The SIMs that can text; none while there is no ModemManager.
pub(super) async fn sims(connection: &Connection) -> Result<Vec<Sim>> {
    let (manager, root) = (Some("org.freedesktop.DBus.ObjectManager"), "/org/freedesktop/ModemManager1");
    let Ok(reply) = connection.call_method(Some(SERVICE), root, manager, "GetManagedObjects", &()).await else {
        return Ok(Vec::new());
    };
    let objects: HashMap<OwnedObjectPath, HashMap<String, Properties>> = reply.body().deserialize()?;
    let mut sims = Vec::new();
    for (path, interfaces) in objects {
        if interfaces.contains_key("org.freedesktop.ModemManager1.Modem.Messaging") {
            sims.extend(sim(connection, path, &interfaces).await?);
        }
    }
    Ok(sims)
}

async fn sim(
    connection: &Connection,
    modem: OwnedObjectPath,
    interfaces: &HashMap<String, Properties>,
) -> Result<Option<Sim>> {
    let properties = interfaces.get(MODEM).context("a modem without its interface")?;
    let Some(path) = take::<OwnedObjectPath>(properties, "Sim").filter(|path| path.as_str() != "/") else {
        return Ok(None);
    };
    let (get, of) = (Some("org.freedesktop.DBus.Properties"), "org.freedesktop.ModemManager1.Sim");
    // It may be gone by now.
    let Ok(reply) = connection.call_method(Some(SERVICE), path, get, "GetAll", &of).await else {
        return Ok(None);
    };
    let sim: Properties = reply.body().deserialize()?;
    let Some(iccid) = take::<String>(&sim, "SimIdentifier").filter(|iccid| !iccid.is_empty()) else {
        return Ok(None);
    };
    let network = interfaces.get("org.freedesktop.ModemManager1.Modem.Modem3gpp");
    // MMModem3gppRegistrationState.
    let state = match network.and_then(|network| take(network, "RegistrationState")) {
        Some(1_u32) => "home",
        Some(5) => "roaming",
        _ => "searching",
    };
    Ok(Some(Sim {
        iccid,
        modem,
        number: take::<Vec<String>>(properties, "OwnNumbers")
            .and_then(|all| all.into_iter().next())
            .unwrap_or_default(),
        state,
        mcc: take::<String>(&sim, "Imsi").and_then(|imsi| imsi.get(..3)?.parse().ok()),
        emergency: take(&sim, "EmergencyNumbers").unwrap_or_default(),
    }))
}

fn take<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
    T::try_from(properties.get(name)?.try_clone().ok()?).ok()
}

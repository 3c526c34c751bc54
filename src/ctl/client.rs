//! The connection to the daemon.

use super::args::Cli;
use super::failure::Failure;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::IsTerminal;
use zbus::message::Type;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedVariant, Proxy, Variant};

const SERVICE: &str = "org.shunt.Shunt1";
/// The daemon's only object.
pub(super) const PATH: &str = "/org/shunt/Shunt1";
pub(super) const ROOT: &str = "org.shunt.Shunt1";
pub(super) const SETTINGS: &str = "org.shunt.Shunt1.Settings";
pub(super) const MESSAGING: &str = "org.shunt.Shunt1.Messaging";
pub(super) const PEERS: &str = "org.shunt.Shunt1.Peers";
pub(super) const LEDGER: &str = "org.shunt.Shunt1.Ledger";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Options of a method.
pub(super) type Options<'v> = HashMap<&'static str, Variant<'v>>;
/// Details of an answer.
pub(super) type Details = HashMap<String, OwnedVariant>;

pub(super) struct Client {
    connection: Connection,
    interactive: bool,
}

impl Client {
    pub(super) async fn connect(cli: &Cli) -> Result<Self, Failure> {
        let connection = match &cli.address {
            None => Connection::system().await,
            Some(address) => {
                let builder = zbus::connection::Builder::address(address.as_str());
                if cli.peer_to_peer { builder.p2p().build().await } else { builder.build().await }
            }
        };
        let connection = connection.map_err(|error| match error {
            zbus::Error::Address(_) => Failure::Usage(format!("--address: {error}")),
            other => Failure::Absent(other.to_string()),
        })?;
        // Somebody who can answer an authentication dialogue is there only at a terminal.
        Ok(Self { connection, interactive: std::io::stdin().is_terminal() })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) async fn call<R>(
        &self,
        interface: &'static str,
        method: &'static str,
        body: &(impl Serialize + DynamicType),
    ) -> Result<R, Failure>
    where
        R: for<'d> DynamicDeserialize<'d>,
    {
        let proxy: Proxy<'_> = zbus::proxy::Builder::new(&self.connection)
            .destination(SERVICE)
            .path(PATH)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let flags = if self.interactive { MethodFlags::ALLOW_INTERACTIVE_AUTH } else { MethodFlags::empty() };
        let answer = proxy.call_with_flags(method, flags, body).await?;
        answer.ok_or_else(|| Failure::Answer("nothing".into()))
    }

    /// All properties of an interface.
    pub(super) async fn properties(&self, interface: &'static str) -> Result<Map<String, Value>, Failure> {
        let all: Details = self.call(PROPERTIES, "GetAll", &(interface,)).await?;
        Ok(details(&all))
    }

    pub(super) async fn property(&self, interface: &'static str, name: &str) -> Result<Value, Failure> {
        let value: OwnedVariant = self.call(PROPERTIES, "Get", &(interface, name)).await?;
        Ok(json(&value))
    }

    pub(super) async fn set(&self, interface: &'static str, name: &str, value: Variant<'_>) -> Result<(), Failure> {
        self.call(PROPERTIES, "Set", &(interface, name, value)).await
    }

    /// Listens to the daemon from now on; call it before what may cause the signals.
    pub(super) async fn listen(&self) -> Result<Signals, Failure> {
        let stream = MessageStream::from(&self.connection);
        let mut daemon = None;
        if self.connection.is_bus() {
            let bus = zbus::fdo::DBusProxy::new(&self.connection).await?;
            let rule = |rule: zbus::match_rule::Builder<'static>| rule.msg_type(Type::Signal);
            let ours = rule(MatchRule::builder()).sender(SERVICE).path(PATH).build()?;
            let gone = rule(MatchRule::builder())
                .sender("org.freedesktop.DBus")
                .member("NameOwnerChanged")
                .arg(0, SERVICE)
                .build()?;
            bus.add_match_rule(ours).await.map_err(zbus::Error::from)?;
            bus.add_match_rule(gone).await.map_err(zbus::Error::from)?;
            let name = SERVICE.try_into()?;
            daemon = Some(bus.get_name_owner(name).await.map_err(zbus::Error::from)?.to_string());
        }
        Ok(Signals { stream, daemon })
    }
}

/// What the daemon says of itself.
pub(super) struct Signals {
    stream: MessageStream,
    /// Its unique name, where there is a bus: anybody may send us signals there.
    daemon: Option<String>,
}

impl Signals {
    /// The next signal of the daemon; an error once it is gone.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        use futures_util::StreamExt;
        loop {
            let message = self.stream.next().await.ok_or(Failure::Gone)?.map_err(|_| Failure::Gone)?;
            if message.message_type() != Type::Signal {
                continue;
            }
            let header = message.header();
            let sender = header.sender().map(|name| name.as_str());
            if self.daemon.is_none() || sender == self.daemon.as_deref() {
                return Ok(message);
            }
            let member = header.member().map(|name| name.as_str().to_owned());
            if sender == Some("org.freedesktop.DBus") && member.as_deref() == Some("NameOwnerChanged") {
                let (name, old, _new): (String, String, String) = message.body().deserialize()?;
                if name == SERVICE && Some(&old) == self.daemon.as_ref() {
                    return Err(Failure::Gone);
                }
            }
        }
    }
}

/// Whether a signal is that one.
pub(super) fn is(message: &Message, interface: &str, member: &str) -> bool {
    let header = message.header();
    header.interface().is_some_and(|name| name.as_str() == interface)
        && header.member().is_some_and(|name| name.as_str() == member)
}

/// A dictionary of details as JSON.
pub(super) fn details(all: &Details) -> Map<String, Value> {
    all.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

/// A D-Bus value as JSON. Object paths and signatures become strings; file descriptors don't come.
pub(super) fn json(value: &Variant<'_>) -> Value {
    match value {
        Variant::U8(n) => (*n).into(),
        Variant::Bool(b) => (*b).into(),
        Variant::I16(n) => (*n).into(),
        Variant::U16(n) => (*n).into(),
        Variant::I32(n) => (*n).into(),
        Variant::U32(n) => (*n).into(),
        Variant::I64(n) => (*n).into(),
        Variant::U64(n) => (*n).into(),
        Variant::F64(n) => (*n).into(),
        Variant::Str(text) => text.as_str().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Signature(signature) => signature.to_string().into(),
        Variant::Variant(inner) => json(inner),
        Variant::Array(array) => array.inner().iter().map(json).collect(),
        Variant::Structure(structure) => structure.fields().iter().map(json).collect(),
        Variant::Dict(dict) => {
            let entry = |(name, value): (&Variant<'_>, &Variant<'_>)| match json(name) {
                Value::String(name) => (name, json(value)),
                name => (name.to_string(), json(value)),
            };
            Value::Object(dict.iter().map(entry).collect())
        }
        Variant::Fd(_) => Value::Null,
    }
}

//! A reference agent, as a ROM's telephony framework would have one. Its own SMS stack is the phone's
//! ModemManager, which the daemons of such a phone do not use.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::connection::Builder;
use zbus::message::{Header, Type};
use zbus::names::ErrorName;
use zbus::{Connection, DBusError, MatchRule, Message, MessageStream, ObjectPath, Variant, interface};

use crate::background::{self, Changes};
use crate::phone::Phone;
use crate::phone::sms::{Shown, Sms, state};

const AGENTS: &str = "org.shunt.Shunt1.Agents";
const OBJECT: &str = "/org/example/agent";
const LINE: &str = "sub-1";

/// What an SMS app on such a phone shows, and what it was told of its own texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Sender.
    pub from: String,
    /// What is shown.
    pub text: String,
    /// The daemon says that it was shown already.
    pub twin: bool,
}

/// A registered agent; dropping it leaves.
pub struct Agent {
    connection: Connection,
    on_bus: bool,
    sms: Sms,
    inner: Arc<Inner>,
    listening: tokio::task::JoinHandle<()>,
}

struct Inner {
    told: Mutex<Vec<Told>>,
    changes: Changes,
}

impl Inner {
    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Registers on the phone's bus, or on the agents' socket where one is named, and tells its line.
    pub async fn start(phone: &Phone, socket: Option<&Path>) -> Result<Self> {
        let connection = match socket {
            None => phone.bus().connect().await?,
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                background::spawn(async move { Builder::unix_stream(stream).p2p().build().await }).await??
            }
        };
        let sms = phone.sms();
        connection.object_server().at(OBJECT, Telephony { sms: sms.clone(), sent: Mutex::default() }).await?;
        let inner = Arc::new(Inner { told: Mutex::default(), changes: Changes::new() });
        let rule = MatchRule::builder().msg_type(Type::Signal).sender("org.freedesktop.ModemManager1").build()?;
        let signals = MessageStream::for_match_rule(rule, phone.connection(), std::num::NonZero::new(256)).await?;
        let on_bus = socket.is_none();
        let registered = call(&connection, on_bus, "Register", &(ObjectPath::try_from(OBJECT)?,)).await;
        registered.context("the agent registers")?;
        let options: HashMap<&str, Variant<'_>> = HashMap::from([("mcc", 262_u32.into())]);
        call(&connection, on_bus, "Line", &(LINE, phone.number(), "home", options)).await?;
        let (theirs, ours, messages) = (connection.clone(), inner.clone(), sms.clone());
        let listening = background::spawn(async move {
            if let Err(error) = listen(&theirs, on_bus, &messages, signals, &ours).await {
                log::warn!("the agent hears no more: {error:#}");
            }
        });
        Ok(Self { connection, on_bus, sms, inner, listening })
    }

    /// An app's text: handed to the daemon, and sent as SMS if that says so. Returns the outcome.
    pub async fn text(&self, to: &str, text: &str, token: &str) -> Result<String> {
        let options: HashMap<&str, Variant<'_>> = HashMap::from([("token", token.into()), ("line", LINE.into())]);
        let reply = call(&self.connection, self.on_bus, "Outgoing", &(to, text, options)).await?;
        let (outcome, _, _): (String, String, zbus::OwnedObjectPath) = reply.body().deserialize()?;
        if outcome == "sms" {
            self.sms.send(to, text, false).await?;
        }
        Ok(outcome)
    }

    /// Reports an SMS, as the framework does once or twice.
    pub async fn incoming(&self, from: &str, text: &str, stamp: &str) -> Result<Told> {
        report(&self.connection, self.on_bus, from, text, stamp).await
    }

    /// Waits for an incoming SMS that fits.
    pub async fn wait_told(&self, fits: impl Fn(&Told) -> bool) -> Result<Told> {
        self.inner.changes.until("an incoming SMS", || self.inner.told().iter().find(|told| fits(told)).cloned()).await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn call<B>(connection: &Connection, on_bus: bool, method: &str, body: &B) -> Result<Message>
where
    B: serde::Serialize + zbus::Type,
{
    let name = on_bus.then_some("org.shunt.Shunt1");
    let reply = connection.call_method(name, "/org/shunt/Shunt1", Some(AGENTS), method, body).await;
    reply.with_context(|| format!("Agents.{method}"))
}

async fn report(connection: &Connection, on_bus: bool, from: &str, text: &str, stamp: &str) -> Result<Told> {
    let none: HashMap<&str, Variant<'_>> = HashMap::new();
    let reply = call(connection, on_bus, "Incoming", &(LINE, from, text, stamp, none)).await?;
    let (twin, text) = reply.body().deserialize()?;
    Ok(Told { from: from.to_owned(), text, twin })
}

/// Reports what comes in, and deletes it then.
async fn listen(
    connection: &Connection,
    on_bus: bool,
    sms: &Sms,
    mut signals: MessageStream,
    inner: &Inner,
) -> Result<()> {
    loop {
        for got in sms.list().await? {
            if got.status_report {
                let (reference, delivered) = (u8::try_from(got.reference)?, got.delivery_state < 0x20);
                call(connection, on_bus, "Report", &(LINE, &*got.number, reference, delivered)).await?;
            } else if got.state == state::RECEIVED {
                let told = report(connection, on_bus, &got.number, &got.text, &got.timestamp).await?;
                inner.told().push(told);
                inner.changes.tell();
            } else {
                continue;
            }
            sms.delete(&got.path).await?;
        }
        signals.next().await.context("the bus went away")??;
    }
}

/// What the daemon calls.
struct Telephony {
    sms: Sms,
    /// What became of each name: message references of those that were sent.
    sent: Mutex<HashMap<String, Option<Vec<u8>>>>,
}

#[interface(name = "org.shunt.SmsAgent1")]
impl Telephony {
    async fn send(
        &self,
        sms: ObjectPath<'_>,
        line: &str,
        number: &str,
        text: &str,
        options: HashMap<String, zbus::OwnedVariant>,
    ) -> Result<Vec<u8>, Refusal> {
        if line != LINE {
            return Err(Refusal("NoLine"));
        }
        let report = options.get("report").and_then(|value| value.downcast_ref::<bool>().ok()).unwrap_or(false);
        let outcome = self.submit(number, text, report).await;
        let known = match &outcome {
            Ok(references) => Some(references.clone()),
            Err(Refusal("NoNetwork" | "NoSim" | "Refused")) => None,
            Err(_) => return outcome,
        };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(sms.to_string(), known);
        outcome
    }

    async fn outcome(&self, sms: ObjectPath<'_>) -> (&'static str, Vec<u8>) {
        match self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(sms.as_str()) {
            Some(Some(references)) => ("sent", references.clone()),
            Some(None) => ("not-sent", Vec::new()),
            None => ("unknown", Vec::new()),
        }
    }

    async fn forget(&self, sms: ObjectPath<'_>) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(sms.as_str());
    }
}

impl Telephony {
    async fn submit(&self, number: &str, text: &str, report: bool) -> Result<Vec<u8>, Refusal> {
        let sent = async {
            let path = self.sms.send(number, text, report).await?;
            let Shown { reference, .. } = self.sms.get(path).await?;
            anyhow::Ok(vec![u8::try_from(reference)?])
        };
        sent.await.map_err(|error| match crate::shunt::error_name(&error).as_deref() {
            Some("org.freedesktop.ModemManager1.Error.Message.NoNetwork") => Refusal("NoNetwork"),
            Some("org.freedesktop.ModemManager1.Error.Message.SimNotInserted") => Refusal("NoSim"),
            Some("org.freedesktop.ModemManager1.Error.Message.NotAllowed") => Refusal("Refused"),
            Some("org.freedesktop.ModemManager1.Error.Message.NetworkTimeout") => Refusal("NetworkTimeout"),
            _ => Refusal("Unknown"),
        })
    }
}

/// An error by its last name.
#[derive(Debug)]
struct Refusal(&'static str);

impl DBusError for Refusal {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&("see the name",))
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_string_unchecked(format!("org.shunt.SmsAgent1.Error.{}", self.0))
    }

    fn description(&self) -> Option<&str> {
        None
    }
}

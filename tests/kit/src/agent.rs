//! A reference agent, as a ROM's telephony framework would have one. Its own SMS stack is the phone's
//! ModemManager, which the daemons of such a phone do not use.

mod bare;
mod stack;
mod telephony;

pub use bare::Bare;

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::connection::Builder;
use zbus::{Connection, Message, ObjectPath, Variant};

use crate::background::{self, Changes};
use crate::phone::Phone;
use crate::phone::sms::{Shown, Sms, state};
use stack::{Sim, signals, sims};
use telephony::Telephony;

const OBJECT: &str = "/org/example/agent";

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

/// A registered agent; dropping it leaves, in the middle of whatever it does.
pub struct Agent {
    daemon: Daemon,
    lines: Lines,
    inner: Arc<Inner>,
    listening: tokio::task::JoinHandle<()>,
}

/// Each line by its SIM's ICCID, and where its SMS are.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<BTreeMap<String, Sms>>>);

impl Lines {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Sms>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sms(&self, line: &str) -> Option<Sms> {
        self.all().get(line).cloned()
    }

    fn first(&self) -> Result<(String, Sms)> {
        let first = self.all().iter().next().map(|(line, sms)| (line.clone(), sms.clone()));
        first.context("the agent has no line")
    }
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
    /// Registers on the phone's bus, or on the agents' socket where one is named; returns when its lines, and the SMS
    /// that were there, are told.
    pub async fn start(phone: &Phone, socket: Option<&Path>) -> Result<Self> {
        let connection = match socket {
            None => phone.bus().connect().await?,
            Some(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                background::spawn(async move { Builder::unix_stream(stream).p2p().build().await }).await??
            }
        };
        let lines = Lines::default();
        connection.object_server().at(OBJECT, Telephony::new(lines.clone())).await?;
        let daemon = Daemon { connection, on_bus: socket.is_none() };
        let stack = phone.connection().clone();
        let mut signals = signals(&stack).await?;
        daemon.register().await?;
        let inner = Arc::new(Inner { told: Mutex::default(), changes: Changes::new() });
        let mut relay = Relay { daemon: daemon.clone(), lines: lines.clone(), told: Vec::new(), inner: inner.clone() };
        relay.pass(&stack).await?;
        let listening = background::spawn(async move {
            while signals.next().await.is_some() {
                if let Err(error) = relay.pass(&stack).await {
                    log::warn!("the agent stumbled: {error:#}");
                }
            }
        });
        Ok(Self { daemon, lines, inner, listening })
    }

    /// Registers anew on the bus, and tells its lines: the daemons were started anew.
    pub async fn register(&self) -> Result<()> {
        self.daemon.register().await?;
        for sim in sims(self.lines.first()?.1.connection()).await? {
            self.daemon.line(&sim).await?;
        }
        Ok(())
    }

    /// An app's text: handed to the daemon, and sent as SMS if that says so. Returns the outcome.
    pub async fn text(&self, to: &str, text: &str, token: &str) -> Result<String> {
        let (line, sms) = self.lines.first()?;
        let options: HashMap<&str, Variant<'_>> = HashMap::from([("token", token.into()), ("line", (&*line).into())]);
        let reply = self.daemon.call("Outgoing", &(to, text, options)).await?;
        let (outcome, _, _): (String, String, zbus::OwnedObjectPath) = reply.body().deserialize()?;
        if outcome == "sms" {
            sms.send(to, text, false).await?;
        }
        Ok(outcome)
    }

    /// Reports an SMS, as the framework does once or twice.
    pub async fn incoming(&self, from: &str, text: &str, stamp: &str) -> Result<Told> {
        let (line, _) = self.lines.first()?;
        self.daemon.incoming(&line, from, text, stamp, None).await
    }

    /// Waits for an incoming SMS that fits.
    pub async fn wait_told(&self, fits: impl Fn(&Told) -> bool) -> Result<Told> {
        self.inner.changes.until("an incoming SMS", || self.inner.told().iter().find(|told| fits(told)).cloned()).await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.listening.abort();
        let connection = self.daemon.connection.clone();
        background::spawn(async move { connection.close().await });
    }
}

/// `org.shunt.Shunt1.Agents`, and the way there.
#[derive(Clone)]
struct Daemon {
    connection: Connection,
    on_bus: bool,
}

impl Daemon {
    async fn call<B>(&self, method: &str, body: &B) -> Result<Message>
    where
        B: serde::Serialize + zbus::Type,
    {
        let (name, interface) = (self.on_bus.then_some("org.shunt.Shunt1"), Some("org.shunt.Shunt1.Agents"));
        let reply = self.connection.call_method(name, "/org/shunt/Shunt1", interface, method, body).await;
        reply.with_context(|| format!("Agents.{method}"))
    }

    async fn register(&self) -> Result<()> {
        self.call("Register", &(ObjectPath::try_from(OBJECT)?,)).await.map(drop)
    }

    async fn line(&self, sim: &Sim) -> Result<()> {
        let mut options: HashMap<&str, Variant<'_>> = HashMap::from([("emergency", sim.emergency.clone().into())]);
        if let Some(mcc) = sim.mcc {
            options.insert("mcc", mcc.into());
        }
        self.call("Line", &(&*sim.iccid, &*sim.number, sim.state, options)).await.map(drop)
    }

    async fn incoming(&self, line: &str, from: &str, text: &str, stamp: &str, time: Option<u64>) -> Result<Told> {
        let options: HashMap<&str, Variant<'_>> = time.into_iter().map(|ms| ("time", ms.into())).collect();
        let reply = self.call("Incoming", &(line, from, text, stamp, options)).await?;
        let (twin, text) = reply.body().deserialize()?;
        Ok(Told { from: from.to_owned(), text, twin })
    }
}

/// Passes on what the stack shows.
struct Relay {
    daemon: Daemon,
    lines: Lines,
    told: Vec<Sim>,
    inner: Arc<Inner>,
}

impl Relay {
    async fn pass(&mut self, stack: &Connection) -> Result<()> {
        let sims = sims(stack).await?;
        // A modem that went and came back meanwhile is another object.
        let same = |sim: &Sim, old: &Sim| sim.iccid == old.iccid && sim.modem == old.modem;
        for gone in self.told.iter().filter(|old| !sims.iter().any(|sim| same(sim, old))) {
            self.lines.all().remove(&gone.iccid);
            self.daemon.call("LineGone", &(&*gone.iccid,)).await?;
        }
        for sim in &sims {
            let sms = Sms::new(stack.clone(), sim.modem.clone());
            self.lines.all().insert(sim.iccid.clone(), sms.clone());
            if !self.told.contains(sim) {
                self.daemon.line(sim).await?;
            }
            self.pass_sms(&sim.iccid, &sms).await?;
        }
        self.told = sims;
        Ok(())
    }

    /// Reports what came in, and deletes it then.
    async fn pass_sms(&self, line: &str, sms: &Sms) -> Result<()> {
        for got in sms.list().await? {
            if got.state != state::RECEIVED {
                continue;
            }
            if got.status_report {
                let reference = u8::try_from(got.reference)?;
                // TP-ST (TS 23.040 §9.2.3.15): below 32 it arrived, from 64 on the SMSC tries no more.
                if !(0x20..0x40).contains(&got.delivery_state) {
                    let delivered = got.delivery_state < 0x20;
                    self.daemon.call("Report", &(line, &*got.number, reference, delivered)).await?;
                }
            } else if is_text(&got) {
                let time = milliseconds(&got.timestamp);
                let told = self.daemon.incoming(line, &got.number, &got.text, &got.timestamp, time).await?;
                self.inner.told().push(told);
                self.inner.changes.tell();
            } else {
                continue;
            }
            sms.delete(&got.path).await?;
        }
        Ok(())
    }
}

/// Data and class 0 are for others.
fn is_text(got: &Shown) -> bool {
    got.class != 0 && got.data.is_empty() && !got.number.is_empty()
}

/// Since 1970, of `2026-01-01T00:00:00+00`: the kit's SMSC stamps in UTC.
fn milliseconds(stamp: &str) -> Option<u64> {
    let part = |range: std::ops::Range<usize>| stamp.get(range)?.parse::<u64>().ok();
    let (date, clock) = ((part(0..4)?, part(5..7)?, part(8..10)?), (part(11..13)?, part(14..16)?, part(17..19)?));
    let first = date.0.checked_sub(1970)? * 365;
    let day = (first..first + 400).find(|day| crate::pdu::civil(*day) == date)?;
    Some((((day * 24 + clock.0) * 60 + clock.1) * 60 + clock.2) * 1000)
}

//! A thin client of `org.shunt.Shunt1`, written from its description alone: no types are shared
//! with the daemon, and every name is spelled here again.

mod heard;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use serde::Serialize;
use zbus::{Connection, Message, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, Type, Variant};

use crate::background::{self, Changes};
use crate::bus::Bus;
use crate::private::note;
use heard::heard;
pub use heard::{Dict, Heard, Received};

/// The daemons' name on the bus.
pub const SERVICE: &str = "org.shunt.Shunt1";
const PATH: &str = "/org/shunt/Shunt1";
const ROOT: &str = "org.shunt.Shunt1";
const SETTINGS: &str = "org.shunt.Shunt1.Settings";
const MESSAGING: &str = "org.shunt.Shunt1.Messaging";
const PEERS: &str = "org.shunt.Shunt1.Peers";
const LEDGER: &str = "org.shunt.Shunt1.Ledger";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What `Route` answers.
#[derive(Debug, Clone)]
pub struct Route {
    /// `im` or `sms`.
    pub bearer: String,
    /// The reason's token.
    pub reason: String,
    /// Segments, encoding and more.
    pub details: Dict,
}

/// A client; clones share its connection and what it heard.
#[derive(Clone)]
pub struct Shunt(Arc<Inner>);

struct Inner {
    connection: Connection,
    heard: Mutex<Vec<Heard>>,
    /// Incoming texts that were there before signals could be heard.
    earlier: Mutex<Vec<Received>>,
    changes: Changes,
}

impl Shunt {
    /// A client with a connection of its own that hears signals from now on.
    pub fn listen(bus: &Bus) -> Result<Self> {
        Self::on(bus.connect_now(None)?)
    }

    /// A client that is another user; root needed to become one.
    pub async fn listen_as(bus: &Bus, uid: u32) -> Result<Self> {
        let client = Self::on(bus.connect_now(Some(uid))?)?;
        client.introduce().await?;
        Ok(client)
    }

    fn on(connection: Connection) -> Result<Self> {
        let inner =
            Arc::new(Inner { connection, heard: Mutex::default(), earlier: Mutex::default(), changes: Changes::new() });
        let mut stream = MessageStream::from(inner.connection.clone());
        let weak = Arc::downgrade(&inner);
        background::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Some(inner) = weak.upgrade() else { return };
                if let Some(heard) = heard(&message) {
                    Received::of(&heard).iter().for_each(Received::note);
                    inner.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
                    inner.changes.tell();
                }
            }
        });
        Ok(Self(inner))
    }

    /// Subscribes, and makes itself known by a first call: texts are told only to callers who may read them.
    pub(crate) async fn introduce(&self) -> Result<()> {
        let rule = zbus::MatchRule::builder().msg_type(zbus::message::Type::Signal).path_namespace(PATH).build()?;
        zbus::fdo::DBusProxy::new(&self.0.connection).await?.add_match_rule(rule).await?;
        // Refused callers hear less, which is what they are for.
        for path in self.list().await.unwrap_or_default() {
            let record = self.get(&path).await?;
            if record.text("direction") == "incoming" {
                let earlier = Received::from_record(path, &record);
                self.0.earlier.lock().unwrap_or_else(PoisonError::into_inner).push(earlier);
            }
        }
        Ok(())
    }

    /// The client's connection.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Any call on the main object.
    pub async fn call<B: Serialize + Type>(&self, interface: &str, method: &str, body: &B) -> Result<Message> {
        let reply = self.0.connection.call_method(Some(SERVICE), PATH, Some(interface), method, body).await;
        reply.with_context(|| format!("{interface}.{method}"))
    }

    // ---- the switch and other settings ----

    /// Writes `Enabled`.
    pub async fn set_enabled(&self, on: bool) -> Result<()> {
        self.set("Enabled", on).await
    }

    /// Reads `Enabled`.
    pub async fn enabled(&self) -> Result<bool> {
        Ok(self.property(SETTINGS, "Enabled").await?.try_into()?)
    }

    /// Writes a property of `Settings`.
    pub async fn set<'v>(&self, name: &str, value: impl Into<Variant<'v>>) -> Result<()> {
        self.call(PROPERTIES, "Set", &(SETTINGS, name, value.into())).await?;
        Ok(())
    }

    /// Reads a property of any interface.
    pub async fn property(&self, interface: &str, name: &str) -> Result<OwnedVariant> {
        let reply = self.call(PROPERTIES, "Get", &(interface, name)).await?;
        Ok(reply.body().deserialize()?)
    }

    /// `State` and `StateReason`.
    pub async fn state(&self) -> Result<(String, String)> {
        let state = self.property(ROOT, "State").await?.try_into()?;
        Ok((state, self.property(ROOT, "StateReason").await?.try_into()?))
    }

    /// Waits until `State` is one of these, and returns it with its reason.
    pub async fn wait_service_state(&self, wanted: &[&str]) -> Result<(String, String)> {
        self.wait_service(wanted, |state, _| wanted.contains(&state)).await
    }

    /// Waits until `StateReason` is this.
    pub async fn wait_reason(&self, wanted: &str) -> Result<(String, String)> {
        self.wait_service(&[wanted], |_, reason| reason == wanted).await
    }

    async fn wait_service(&self, wanted: &[&str], fits: impl Fn(&str, &str) -> bool) -> Result<(String, String)> {
        let mut changes = self.0.changes.listen();
        let found = async {
            loop {
                changes.borrow_and_update();
                let now = self.state().await?;
                if fits(&now.0, &now.1) {
                    return Ok(now);
                }
                changes.changed().await?;
            }
        };
        match tokio::time::timeout(background::HANG, found).await {
            Ok(found) => found,
            Err(_) => anyhow::bail!("waited in vain for {wanted:?}; it is {:?}", self.state().await?),
        }
    }

    // ---- texts ----

    /// Sends a text.
    pub async fn send(&self, to: &str, text: &str) -> Result<OwnedObjectPath> {
        self.send_with(to, text, HashMap::new()).await
    }

    /// Sends a text with options (`line`, `bearer`, `token`).
    pub async fn send_with(
        &self,
        to: &str,
        text: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> Result<OwnedObjectPath> {
        note(to);
        note(text);
        Ok(self.call(MESSAGING, "Send", &(to, text, options)).await?.body().deserialize()?)
    }

    /// Which way a text would go, and why.
    pub async fn route(&self, to: &str) -> Result<Route> {
        self.route_with(to, HashMap::new()).await
    }

    /// The same with options.
    pub async fn route_with(&self, to: &str, options: HashMap<&str, Variant<'_>>) -> Result<Route> {
        note(to);
        let reply = self.call(MESSAGING, "Route", &(to, options)).await?;
        let (bearer, reason, details) = reply.body().deserialize()?;
        Ok(Route { bearer, reason, details: Dict(details) })
    }

    /// Keeps a peer's route fresh.
    pub async fn watch(&self, to: &str) -> Result<()> {
        note(to);
        self.call(MESSAGING, "Watch", &(to,)).await.map(drop)
    }

    /// Ends that.
    pub async fn unwatch(&self, to: &str) -> Result<()> {
        self.call(MESSAGING, "Unwatch", &(to,)).await.map(drop)
    }

    /// Watches a peer until its route is such, and goes on watching. A peer that was never written to is not asked
    /// whether it is online before the first text: that it is enrolled stands for it.
    pub async fn wait_route(&self, to: &str, bearer: &str, reason: &str) -> Result<()> {
        let mut changes = self.0.changes.listen();
        self.watch(to).await?;
        let found = async {
            loop {
                changes.borrow_and_update();
                let now = self.route(to).await?;
                let first = reason == "online" && now.reason == "enrolled";
                if first || (now.bearer == bearer && now.reason == reason) {
                    return Ok(());
                }
                changes.changed().await?;
            }
        };
        match tokio::time::timeout(background::HANG, found).await {
            Ok(found) => found,
            Err(_) => anyhow::bail!("waited in vain for {bearer}/{reason}; the route is {:?}", self.route(to).await?),
        }
    }

    /// All texts that are kept.
    pub async fn list(&self) -> Result<Vec<OwnedObjectPath>> {
        let none: HashMap<&str, Variant<'_>> = HashMap::new();
        Ok(self.call(MESSAGING, "List", &(none,)).await?.body().deserialize()?)
    }

    /// One text's record.
    pub async fn get(&self, path: &ObjectPath<'_>) -> Result<Dict> {
        Ok(Dict(self.call(MESSAGING, "Get", &(path,)).await?.body().deserialize()?))
    }

    /// Says that an incoming text was taken.
    pub async fn acknowledge(&self, path: &ObjectPath<'_>) -> Result<()> {
        self.call(MESSAGING, "Acknowledge", &(path,)).await.map(drop)
    }

    /// Deletes a text.
    pub async fn delete(&self, path: &ObjectPath<'_>) -> Result<()> {
        self.call(MESSAGING, "Delete", &(path,)).await.map(drop)
    }

    /// Takes a text back that has not left.
    pub async fn cancel(&self, path: &ObjectPath<'_>) -> Result<()> {
        self.call(MESSAGING, "Cancel", &(path,)).await.map(drop)
    }

    /// Decides on a held text.
    pub async fn resolve(&self, path: &ObjectPath<'_>, bearer: &str) -> Result<()> {
        self.call(MESSAGING, "Resolve", &(path, bearer)).await.map(drop)
    }

    // ---- identity, peers, ledger ----

    /// The identity key, for `shunt-directory provision`.
    pub async fn identity(&self) -> Result<String> {
        let identity: String = self.call(ROOT, "Identity", &()).await?.body().deserialize()?;
        note(&identity);
        Ok(identity)
    }

    /// Takes an account file.
    pub async fn import(&self, file: &Path) -> Result<()> {
        let file = std::fs::File::open(file)?;
        self.call(ROOT, "Import", &(zbus::Fd::from(file.as_fd()),)).await.map(drop)
    }

    /// Number, policy and standing of each peer.
    pub async fn peers(&self) -> Result<Vec<(String, String, String)>> {
        Ok(self.call(PEERS, "List", &()).await?.body().deserialize()?)
    }

    /// Who was refused: pseudonym, why, how often, when last.
    pub async fn unverified(&self) -> Result<Vec<(String, String, u32, u64)>> {
        Ok(self.call(PEERS, "Unverified", &()).await?.body().deserialize()?)
    }

    /// Waits until those who were refused, the latest first, are these. Nothing tells of it: it is asked over and over.
    pub async fn wait_unverified(&self, wanted: &[(&str, &str, u32)]) -> Result<()> {
        let asking = async {
            loop {
                let now = self.unverified().await?;
                let seen = now.iter().map(|(name, reason, times, _)| (name.as_str(), reason.as_str(), *times));
                if seen.eq(wanted.iter().copied()) {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(background::HANG, asking).await {
            Ok(seen) => seen,
            Err(_) => anyhow::bail!("waited in vain for {wanted:?}; it is {:?}", self.unverified().await?),
        }
    }

    /// Sets a peer's policy.
    pub async fn set_policy(&self, peer: &str, policy: &str) -> Result<()> {
        self.call(PEERS, "SetPolicy", &(peer, policy)).await.map(drop)
    }

    /// Blocks a peer, or lets it again.
    pub async fn block(&self, peer: &str, blocked: bool) -> Result<()> {
        self.call(PEERS, "Block", &(peer, blocked)).await.map(drop)
    }

    /// The safety number with a peer.
    pub async fn safety_number(&self, peer: &str) -> Result<String> {
        let number: String = self.call(PEERS, "SafetyNumber", &(peer,)).await?.body().deserialize()?;
        note(&number);
        Ok(number)
    }

    /// Says that safety numbers were compared.
    pub async fn verify(&self, peer: &str, verified: bool) -> Result<()> {
        self.call(PEERS, "Verify", &(peer, verified)).await.map(drop)
    }

    /// Confirms a peer's changed key by its safety number.
    pub async fn accept(&self, peer: &str, number: &str) -> Result<()> {
        self.call(PEERS, "Accept", &(peer, number)).await.map(drop)
    }

    /// Hands contacts over.
    pub async fn set_contacts(&self, numbers: &[&str]) -> Result<()> {
        numbers.iter().for_each(|number| note(number));
        self.call(PEERS, "SetContacts", &(numbers,)).await.map(drop)
    }

    /// How well a peer is known, as `List` has it.
    pub async fn standing(&self, peer: &str) -> Result<String> {
        let found = self.peers().await?.into_iter().find(|(number, ..)| number == peer);
        Ok(found.map(|(_, _, standing)| standing).unwrap_or_default())
    }

    /// What left the phone since a time: time, kind, pseudonym, size.
    pub async fn ledger(&self, since: u64) -> Result<Vec<(u64, String, String, u32)>> {
        Ok(self.call(LEDGER, "Read", &(since,)).await?.body().deserialize()?)
    }

    /// Its sums.
    pub async fn totals(&self) -> Result<HashMap<String, u64>> {
        Ok(self.call(LEDGER, "Totals", &()).await?.body().deserialize()?)
    }

    // ---- what was heard ----

    /// All signals so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All texts shown since this client came, one for each signal.
    pub fn received(&self) -> Vec<Received> {
        self.heard().iter().filter_map(Received::of).collect()
    }

    /// How often a text was shown since this client came.
    pub fn shown(&self, text: &str) -> usize {
        self.received().iter().filter(|r| r.text == text).count()
    }

    /// Incoming texts that were kept already when this client came.
    pub fn earlier(&self) -> Vec<Received> {
        self.0.earlier.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a text that fits: shown since this client came, or kept already.
    pub async fn wait_received(&self, fits: impl Fn(&Received) -> bool) -> Result<Received> {
        let find = || self.received().into_iter().chain(self.earlier()).find(|r| fits(r));
        self.0.changes.until("a text to be shown", find).await
    }

    /// Waits for any signal that fits.
    pub async fn wait_heard(&self, what: &str, fits: impl Fn(&Heard) -> bool) -> Result<Heard> {
        self.0.changes.until(what, || self.heard().into_iter().find(|h| fits(h))).await
    }

    /// The states that a text went through, as `Changed` told them.
    pub fn states(&self, path: &ObjectPath<'_>) -> Vec<String> {
        let changed =
            |h: &Heard| h.name.ends_with(".Changed") && h.path.as_ref().is_some_and(|p| p.as_str() == path.as_str());
        self.heard().iter().filter(|h| changed(h)).map(|h| h.dict.text("state")).filter(|s| !s.is_empty()).collect()
    }

    /// Waits until a text is in one of these states, and returns which.
    pub async fn wait_state(&self, path: &ObjectPath<'_>, wanted: &[&str]) -> Result<String> {
        let mut changes = self.0.changes.listen();
        let found = async {
            loop {
                changes.borrow_and_update();
                let now = self.get(path).await?.text("state");
                if wanted.contains(&&*now) {
                    return Ok(now);
                }
                // A state may have been left again before it could be read.
                if let Some(passed) = self.states(path).into_iter().find(|s| wanted.contains(&s.as_str())) {
                    return Ok(passed);
                }
                changes.changed().await?;
            }
        };
        match tokio::time::timeout(background::HANG, found).await {
            Ok(found) => found,
            Err(_) => anyhow::bail!("waited in vain for {wanted:?}; passed {:?}", self.states(path)),
        }
    }
}

/// A D-Bus error's name, such as `org.shunt.Error.Denied`.
pub fn error_name(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref::<zbus::Error>()? {
        zbus::Error::MethodError(name, ..) => Some(name.to_string()),
        zbus::Error::FDO(error) => Some(zbus::DBusError::name(&**error).to_string()),
        _ => None,
    }
}

//! A stand-in for the core on a phone's bus, which answers as a test wants it to. What it is asked is kept.

use shunt_kit::bus::Bus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use zbus::{
    Connection, ObjectPath, OwnedObjectPath, OwnedVariant, connection, message::Header, object_server::SignalEmitter,
};

type Dict = HashMap<String, OwnedVariant>;
/// Message, number, sender, text, when it came (ms), line.
pub(crate) type Incoming = (OwnedObjectPath, u32, String, String, i64, String);

const PATH: &str = "/org/shunt/Shunt1";

/// Message, the app's object, its owner, state, whether it has a report, when it left (ms), recipient, line.
pub(crate) type Sent = (OwnedObjectPath, OwnedObjectPath, String, String, bool, i64, String, String);

/// The phone's line.
pub(crate) const LINE: &str = "line-a";

#[derive(Clone, Default)]
pub(crate) struct Script {
    /// The switch.
    pub(crate) on: bool,
    /// What `Ask` answers; nothing: never.
    pub(crate) bearer: Option<&'static str>,
    /// What `Divert` answers: an outcome, or an error's name; nothing: never.
    pub(crate) outcome: Option<&'static str>,
    pub(crate) inbox: Vec<Incoming>,
    /// `Inbox` waits for this.
    pub(crate) late: Option<Arc<Notify>>,
    /// `Divert` waits for this.
    pub(crate) word: Option<Arc<Notify>>,
    /// Texts in a page of `Inbox`; 0: all.
    pub(crate) page: usize,
    /// Where lines are.
    pub(crate) lines: Vec<(String, OwnedObjectPath)>,
    pub(crate) twins: Vec<String>,
    /// Who called a method of Door.
    pub(crate) callers: Vec<String>,
    /// (member, first argument, token).
    pub(crate) calls: Vec<(&'static str, String, String)>,
}

/// The stand-in. Dropping it ends it as a crash would.
pub(crate) struct Core {
    connection: Connection,
    pub(crate) script: Arc<Mutex<Script>>,
    changes: watch::Receiver<u64>,
}

struct Door(Arc<Mutex<Script>>, watch::Sender<u64>);
struct Messaging(Arc<Mutex<Script>>, watch::Sender<u64>);
struct Settings(Arc<Mutex<Script>>);

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.shunt.Error")]
enum Error {
    #[zbus(error)]
    ZBus(zbus::Error),
    Uncertain(String),
    Failed(String),
    Denied(String),
    NotFound(String),
}

impl Door {
    fn note(&self, call: &Header<'_>, member: &'static str, first: &str, token: &str) -> Script {
        let mut script = self.0.lock().unwrap();
        script.calls.push((member, first.to_owned(), token.to_owned()));
        let caller = call.sender().unwrap().to_string();
        if !script.callers.contains(&caller) {
            script.callers.push(caller);
        }
        self.1.send_modify(|count| *count += 1);
        script.clone()
    }
}

#[zbus::interface(name = "org.shunt.Shunt1.Door")]
impl Door {
    async fn ask(&self, to: &str, options: Dict, #[zbus(header)] call: Header<'_>) -> String {
        assert!(matches!(&*options["modem"], zbus::Variant::ObjectPath(_)));
        match self.note(&call, "Ask", to, "").bearer {
            Some(bearer) => bearer.to_owned(),
            None => std::future::pending().await,
        }
    }

    async fn divert(
        &self,
        to: &str,
        text: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(String, String, OwnedObjectPath), Error> {
        assert!(!to.is_empty());
        let token = String::try_from(options["token"].try_clone().unwrap()).unwrap();
        let said = || "as scripted".to_owned();
        let Script { outcome, word, .. } = self.note(&call, "Divert", text, &token);
        if let Some(word) = word {
            word.notified().await;
        }
        match outcome {
            Some("org.shunt.Error.Uncertain") => Err(Error::Uncertain(said())),
            Some("org.shunt.Error.Failed") => Err(Error::Failed(said())),
            Some("org.shunt.Error.Denied") => Err(Error::Denied(said())),
            Some(outcome) => Ok((outcome.to_owned(), "online".to_owned(), OwnedObjectPath::default())),
            None => std::future::pending().await,
        }
    }

    fn sent(&self, _options: Dict, #[zbus(header)] call: Header<'_>) -> Vec<Sent> {
        self.note(&call, "Sent", "", "");
        Vec::new()
    }

    fn delete_report(&self, message: OwnedObjectPath, #[zbus(header)] call: Header<'_>) {
        self.note(&call, "DeleteReport", message.as_str(), "");
    }

    async fn inbox(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> (Vec<Incoming>, bool) {
        let after = u32::try_from(&options["after"]).unwrap();
        let Script { mut inbox, page, late, .. } = self.note(&call, "Inbox", &after.to_string(), "");
        if let Some(late) = late {
            late.notified().await;
        }
        inbox.retain(|row| row.1 > after);
        let more = page > 0 && inbox.len() > page;
        inbox.truncate(if more { page } else { usize::MAX });
        (inbox, more)
    }

    fn lines(&self, #[zbus(header)] call: Header<'_>) -> Vec<(String, OwnedObjectPath)> {
        self.note(&call, "Lines", "", "").lines
    }

    #[zbus(signal)]
    async fn lines_changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    fn twins(&self, _options: Dict) -> Vec<OwnedObjectPath> {
        Vec::new()
    }

    fn twin(&self, _from: &str, text: &str, #[zbus(header)] call: Header<'_>) -> (bool, String) {
        let twins = self.note(&call, "Twin", text, "").twins;
        (twins.contains(&text.trim_end().to_owned()), text.trim_end().to_owned())
    }

    #[zbus(signal)]
    async fn settled(emitter: &SignalEmitter<'_>, text: Sent) -> zbus::Result<()>;
}

#[zbus::interface(name = "org.shunt.Shunt1.Settings")]
impl Settings {
    #[zbus(property)]
    fn enabled(&self) -> bool {
        self.0.lock().unwrap().on
    }
}

#[zbus::interface(name = "org.shunt.Shunt1.Messaging")]
impl Messaging {
    async fn delete(&self, message: OwnedObjectPath, #[zbus(connection)] connection: &Connection) -> Result<(), Error> {
        let callers = {
            let mut script = self.0.lock().unwrap();
            script.calls.push(("Delete", message.to_string(), String::new()));
            self.1.send_modify(|count| *count += 1);
            let before = script.inbox.len();
            script.inbox.retain(|row| row.0 != message);
            if script.inbox.len() == before {
                return Err(Error::NotFound("no such text".to_owned()));
            }
            script.callers.clone()
        };
        for emitter in emitters(connection, callers) {
            let deleted = Dict::from([("deleted".to_owned(), true.into())]);
            Self::changed(&emitter, message.as_ref(), deleted).await.unwrap();
        }
        Ok(())
    }

    #[zbus(signal)]
    async fn changed(emitter: &SignalEmitter<'_>, message: ObjectPath<'_>, details: Dict) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn received(emitter: &SignalEmitter<'_>, message: ObjectPath<'_>, details: Dict) -> zbus::Result<()>;
}

impl Core {
    /// Comes up with its name.
    pub(crate) async fn start(bus: &Bus, script: Script) -> Self {
        let script = Arc::new(Mutex::new(script));
        let told = watch::Sender::new(0);
        let changes = told.subscribe();
        // What is served from the beginning listens before the name can be found; a call that came earlier would be lost.
        let connection = connection::Builder::address(bus.address())
            .serve_at(PATH, Door(Arc::clone(&script), told.clone()))
            .serve_at(PATH, Settings(Arc::clone(&script)))
            .serve_at(PATH, Messaging(Arc::clone(&script), told))
            .name("org.shunt.Shunt1")
            .build();
        let connection = connection.await.unwrap();
        Self { connection, script, changes }
    }

    /// Ends as a crash does.
    pub(crate) async fn die(self) -> Script {
        let script = self.script.lock().unwrap().clone();
        self.connection.close().await.unwrap();
        script
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub(crate) fn calls(&self, member: &str) -> Vec<(String, String)> {
        let script = self.script.lock().unwrap();
        let of = script.calls.iter().filter(|(called, ..)| *called == member);
        of.map(|(_, first, token)| (first.clone(), token.clone())).collect()
    }

    /// Waits until a member was called so often.
    pub(crate) async fn called(&self, member: &str, times: usize) {
        let mut changes = self.changes.clone();
        while self.calls(member).len() < times {
            changes.changed().await.unwrap();
        }
    }

    fn emitters(&self) -> Vec<SignalEmitter<'_>> {
        let callers = self.script.lock().unwrap().callers.clone();
        emitters(&self.connection, callers)
    }

    /// The switch is turned.
    pub(crate) async fn turn(&self, on: bool) {
        self.set(|script| script.on = on);
        let settings = self.connection.object_server().interface::<_, Settings>(PATH).await.unwrap();
        settings.get().await.enabled_changed(settings.signal_emitter()).await.unwrap();
    }

    /// An instant message came.
    pub(crate) async fn receive(&self, message: Incoming) {
        self.set(|script| script.inbox.push(message.clone()));
        for emitter in self.emitters() {
            Messaging::received(&emitter, message.0.as_ref(), Dict::new()).await.unwrap();
        }
    }

    /// Lines are elsewhere.
    pub(crate) async fn move_line(&self, line: &str, modem: Option<&OwnedObjectPath>) {
        self.set(|script| {
            script.lines.retain(|(known, _)| known != line);
            script.lines.extend(modem.map(|modem| (line.to_owned(), modem.clone())));
        });
        for emitter in self.emitters() {
            Door::lines_changed(&emitter).await.unwrap();
        }
    }

    /// What became of a diverted text is told.
    pub(crate) async fn settle(&self, text: &Sent) {
        for emitter in self.emitters() {
            Door::settled(&emitter, text.clone()).await.unwrap();
        }
    }
}

/// One for each caller.
fn emitters(connection: &Connection, callers: Vec<String>) -> Vec<SignalEmitter<'_>> {
    let to = |caller: String| {
        let emitter = SignalEmitter::new(connection, PATH).unwrap();
        emitter.set_destination(zbus::names::UniqueName::try_from(caller).unwrap().into())
    };
    callers.into_iter().map(to).collect()
}

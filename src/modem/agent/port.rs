//! Where an agent comes in: one at a time, the last to register, with its lines.

use super::NameLine;
use crate::model::{Line, LineId, SlotId};
use crate::modem::ModemEvent;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use zbus::{Connection, OwnedObjectPath};

/// What calls to the agent go to: connection, destination on a bus, object.
type Way = (Connection, Option<Box<str>>, OwnedObjectPath);

/// Shared by the backend and the bus.
pub struct Port {
    name: NameLine,
    events: mpsc::UnboundedSender<ModemEvent>,
    agent: Mutex<Option<Registered>>,
}

struct Registered {
    /// Its caller's name.
    caller: Box<str>,
    way: Way,
    /// Its lines, with what it calls them.
    lines: BTreeMap<LineId, Box<str>>,
    /// It told a line: from then on it counts as the service.
    up: bool,
}

impl Port {
    pub(super) fn new(name: NameLine, events: mpsc::UnboundedSender<ModemEvent>) -> Self {
        Self { name, events, agent: Mutex::default() }
    }

    fn agent(&self) -> MutexGuard<'_, Option<Registered>> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: ModemEvent) {
        // Nobody listens any more: the core is going.
        let _unheard = self.events.send(event);
    }

    /// An agent came, and takes the place of any other: one that crashed may be back before its end is noticed.
    pub fn register(&self, caller: &str, way: Way) {
        let new = Registered { caller: caller.into(), way, lines: BTreeMap::new(), up: false };
        let old = self.agent().replace(new);
        self.ended(old);
    }

    /// A caller left; if it was the agent, its lines are gone.
    pub fn left(&self, caller: &str) {
        let gone = self.agent().take_if(|registered| *registered.caller == *caller);
        self.ended(gone);
    }

    fn ended(&self, agent: Option<Registered>) {
        let Some(agent) = agent.filter(|agent| agent.up) else { return };
        for line in agent.lines.into_keys() {
            self.tell(ModemEvent::LineGone(line));
        }
        self.tell(ModemEvent::Service { up: false });
    }

    /// Whether that caller is the agent.
    #[must_use]
    pub fn is_agent(&self, caller: &str) -> bool {
        self.agent().as_ref().is_some_and(|registered| *registered.caller == *caller)
    }

    /// Our name for what the agent calls a line.
    #[must_use]
    pub fn line_id(&self, written: &str) -> LineId {
        (self.name)(written)
    }

    /// Where an agent's SIM sits: it names no modems, so each SIM has a place of its own.
    #[must_use]
    pub fn slot(line: &LineId) -> SlotId {
        SlotId(line.0.clone())
    }

    /// A line of the agent is new or changed.
    pub fn line(&self, written: &str, line: Line) {
        let came = self.agent().as_mut().map(|registered| {
            registered.lines.insert(line.id.clone(), written.into());
            !std::mem::replace(&mut registered.up, true)
        });
        let Some(came) = came else { return };
        self.tell(ModemEvent::Line(line));
        if came {
            self.tell(ModemEvent::Service { up: true });
        }
    }

    /// A line of the agent is gone, and with it its SIM; whether there was one.
    #[must_use]
    pub fn line_gone(&self, id: LineId) -> bool {
        let known = self.agent().as_mut().and_then(|registered| registered.lines.remove(&id));
        if known.is_none() {
            return false;
        }
        self.tell(ModemEvent::LineGone(id.clone()));
        self.tell(ModemEvent::NoSim { slot: Self::slot(&id), sure: true });
        true
    }

    /// What the agent calls a line.
    pub(super) fn written(&self, line: &LineId) -> Option<Box<str>> {
        self.agent().as_ref().and_then(|registered| registered.lines.get(line).cloned())
    }

    /// Whether there is an agent.
    pub fn taken(&self) -> bool {
        self.agent().is_some()
    }

    pub(super) fn registered(&self) -> Option<Way> {
        self.agent().as_ref().map(|registered| registered.way.clone())
    }
}

//! What oFono itself tells of incoming SMS. It tells each once, and there is no object to be read later: so the signal waits
//! here while the core judges whether it is the twin of an instant message that was shown, or is silent; and those that
//! come meanwhile wait behind it. A mark is left out, whatever the core says. `ImmediateMessage` (class 0) is none of this.

use super::{Action, Desk, MOST_CALLS, Purpose, inbox::text, objects::Dict};
use crate::door::wire::{Message, write};
use crate::model::Instant;
use crate::router::split_mark;

/// An SMS that the app is not told of yet.
pub(super) struct Incoming {
    /// oFono's serial.
    serial: u32,
    /// What the app is to be told.
    signal: Vec<u8>,
    /// How long the core may take to judge it; `None`: only those before it are waited for.
    pub(super) until: Option<Instant>,
}

impl Desk {
    /// oFono's `IncomingMessage`.
    pub(super) fn came_by_ofono(&mut self, message: &Message<'_>) -> Option<()> {
        let (body, details): (String, Dict) = message.body()?;
        let serial = message.head.serial;
        let unmarked = split_mark(&body).and_then(|(shown, _)| write(&message.head, &(shown, &details)));
        let judged = unmarked.is_some() && self.core.is_some() && !self.crowded();
        if unmarked.is_none() && self.incoming.is_empty() {
            return None;
        }
        if self.incoming.len() >= MOST_CALLS {
            self.tell_incoming();
        }
        let until = judged.then(|| self.in_patience());
        let signal = unmarked.unwrap_or_else(|| message.bytes.to_vec());
        self.incoming.push_back(Incoming { serial, signal, until });
        if judged {
            self.call_core(Purpose::TwinByOfono(serial), "Twin", &(text(&details, "Sender"), body));
        }
        self.tell_judged();
        Some(())
    }

    pub(super) fn found_twin_by_ofono(&mut self, serial: u32, message: &Message<'_>) {
        let twin = matches!(message.body::<(bool, String)>(), Some((true, _)));
        let Some(at) = self.incoming.iter().position(|incoming| incoming.is_asked(serial)) else { return };
        if twin {
            self.incoming.remove(at);
        } else if let Some(incoming) = self.incoming.get_mut(at) {
            incoming.until = None;
        }
        self.tell_judged();
    }

    pub(super) fn incoming_elapsed(&mut self) {
        let now = self.now.mono;
        self.incoming.iter_mut().for_each(|incoming| incoming.until = incoming.until.filter(|until| *until > now));
        self.tell_judged();
        self.forget_asked();
    }

    /// All that waits, as when oFono goes: clients pass over what comes from one that is gone.
    pub(super) fn tell_incoming(&mut self) {
        self.out.extend(self.incoming.drain(..).map(|incoming| Action::ToApp(incoming.signal)));
        self.forget_asked();
    }

    fn tell_judged(&mut self) {
        while self.incoming.front().is_some_and(|first| first.until.is_none()) {
            self.out.extend(self.incoming.pop_front().map(|incoming| Action::ToApp(incoming.signal)));
        }
    }

    /// Nobody waits for an answer that comes later.
    fn forget_asked(&mut self) {
        let waits = |serial| self.incoming.iter().any(|incoming| incoming.is_asked(serial));
        self.calls.retain(|_, purpose| !matches!(purpose, Purpose::TwinByOfono(serial) if !waits(*serial)));
    }
}

impl Incoming {
    fn is_asked(&self, serial: u32) -> bool {
        self.serial == serial && self.until.is_some()
    }
}

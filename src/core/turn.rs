//! One input's turn: read, decide, write, commit, then act (protocol.md §1).
//!
//! A turn collects what is to be written and what is to be done. The writes go into the turn's one
//! transaction, after all its reads; the effects are carried out when it is committed. If the
//! commit fails, no frame of the turn leaves the phone; SMS and answers go on from memory.

use super::event::Event;
use crate::bus;
use crate::model::{Address, Arrived, Bearer, Body, LineId, Now, PhoneNumber, Question, Reason, Text, TextId};
use crate::modem::{NewSms, SmsObject};
use crate::store::{StoreError, Tx};
use crate::wall::ToUplink;
use std::cell::Cell;
use std::rc::Rc;

/// A write, done at the end of the turn's transaction.
pub(super) type Write = Box<dyn FnOnce(&Tx<'_>) -> Result<(), StoreError>>;

/// One turn.
pub(super) struct Turn<'t, 's> {
    /// For reading.
    pub(super) tx: &'t Tx<'s>,
    /// When the input came.
    pub(super) now: Now,
    /// What is to be written.
    pub(super) writes: Vec<Write>,
    /// What is to be done then, in order.
    pub(super) effects: Vec<Effect>,
    /// Whose sessions changed: they are written as they are at the turn's end.
    pub(super) sessions: Vec<PhoneNumber>,
}

impl<'t, 's> Turn<'t, 's> {
    pub(super) fn new(tx: &'t Tx<'s>, now: Now) -> Self {
        Self { tx, now, writes: Vec::new(), effects: Vec::new(), sessions: Vec::new() }
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&Tx<'_>) -> Result<(), StoreError> + 'static) {
        self.writes.push(Box::new(write));
    }

    /// The sessions with this peer are others than before.
    pub(super) fn changed_sessions(&mut self, peer: &PhoneNumber) {
        if !self.sessions.contains(peer) {
            self.sessions.push(peer.clone());
        }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Answers a D-Bus caller once everything is durable.
    pub(super) fn answer<T: 'static>(&mut self, reply: bus::Reply<T>, answer: Result<T, bus::Error>) {
        // A caller that left needs no answer.
        self.effects.push(Effect::Answer(Box::new(move || drop(reply.send(answer)))));
    }

    /// Tells a D-Bus caller that what it asked for lasts; where it does not, as the store is unusable, it is told so.
    pub(super) fn promise(&mut self, reply: bus::Reply<()>) {
        // A caller that left needs no answer.
        self.effects.push(Effect::Promise(Box::new(move |kept| {
            let _left = reply.send(kept);
        })));
    }
}

impl Effect {
    /// Those on whose way somebody waits go first; the others keep their order.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Modem(ModemJob::Now { .. }) => 0,
            Self::Received(_) => 1,
            Self::Frame(_) => 2,
            _ => 3,
        }
    }
}

/// What is done after the commit.
pub(super) enum Effect {
    /// Write a frame to the wall; it is in the ledger.
    Frame(ToUplink),
    /// Answer a D-Bus caller.
    Answer(Box<dyn FnOnce()>),
    /// Answer a D-Bus caller whose wish is to last.
    Promise(Box<dyn FnOnce(Result<(), bus::Error>)>),
    /// Tell apps that an outgoing text's state changed.
    Changed(Box<Text>),
    /// Tell apps that these texts were deleted: known at the latest when the turn's writes are done.
    Deleted(Rc<Cell<Vec<TextId>>>),
    /// Tell doors that a diverted text's report was deleted.
    ReportDeleted(Box<Text>),
    /// Tell apps that a text came: it is *shown* by this.
    Received(Box<Arrived>),
    /// Ask the user.
    Ask(TextId, Question),
    /// Tell a watcher that the route changed.
    Route(Address, Bearer, Reason),
    /// Tell apps that a peer's identity key is another one.
    IdentityChanged(PhoneNumber),
    /// Have the modem do something; what comes of it is an event.
    Modem(ModemJob),
    /// Compute something dear on a thread of its own; its result is an event.
    Compute(Box<dyn FnOnce() -> Event + Send>),
    /// Take what was deleted off the disk, then tell who waits for it.
    Compact(Option<bus::Reply<()>>),
    /// Ask the warden for an uplink.
    StartUplink,
    /// Close the wall and have the uplink ended.
    StopUplink,
    /// Let go of the inhibitor that holds sleep up.
    LetSleep,
}

/// A job for the modem.
pub(super) enum ModemJob {
    /// Create and send at once: an emergency text.
    Now { id: TextId, line: LineId, sms: NewSms },
    /// Make the object.
    Create { id: TextId, line: LineId, sms: NewSms },
    /// Send it.
    Send { id: TextId, line: LineId, sms: SmsObject },
    /// What became of it?
    Prove { id: TextId, line: LineId, sms: SmsObject, to: Address, body: Body },
    /// Delete it.
    Delete { line: LineId, sms: SmsObject },
}

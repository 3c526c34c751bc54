//! The desk: the few messages that the door looks into, and what it does about them. Decisions about
//! texts are the core's; the desk asks on the app's own connection, whose rights core and modem service judge
//! alike, and makes the app see what the modem service would have shown it.
//!
//! Nothing is asked of anybody before the app first turns to a modem service. From then on the desk knows
//! the owners of three names, the switch, the instant messages that came, and which texts went as such.

mod calls;
mod held;
mod inbox;
mod incoming;
mod lines;
mod local;
mod names;
mod objects;
mod ofono;
mod order;
mod rewrite;
mod say;
mod sent;
mod start;
mod switch;
#[cfg(test)]
mod tests;
mod twins;

use super::{
    header::{Head, Kind},
    inbound::Side,
    rules::Rules,
    wire::Message,
};
use crate::model::{Instant, Now, Timestamp};
use calls::{Asking, Purpose};
use held::Held;
use inbox::Inbox;
use incoming::Incoming;
use lines::Lines;
use names::*;
use objects::{Report, is_ours};
use ofono::Told;
use order::MOST_BEHIND;
use rewrite::Tracked;
use say::is_own;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use twins::Judged;
use zbus::ObjectPath;

/// How long the core and the modem service may take to answer a question. After that the app's message goes on as
/// if there were no door.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many calls the desk has under way. What would need more passes as it is.
const MOST_CALLS: usize = 256;
/// The longest message that is looked into, in bytes: a page of the core's inbox, its list of diverted texts, an SMS
/// of 255 parts and the modem service's list of some thousands of messages are all shorter. What is longer passes.
const MOST_BYTES: usize = 256 * 1024;

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It passes as it comes.
    Pass,
    /// The desk wants all of it.
    Whole,
    /// It waits, and what follows it, until [`Desk::waits`] says no more.
    Wait,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Pass the message that was shown.
    Pass,
    /// Tell the app.
    ToApp(Vec<u8>),
    /// Tell the bus.
    ToBus(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The app has not turned to a modem service.
    Idle,
    /// The first answers are under way; the app's calls wait, at most until then.
    Starting(Instant),
    /// At work.
    Ready,
    /// The connection is a monitor: it may send nothing and must be shown everything.
    Monitor,
}

/// One connection's desk.
pub(super) struct Desk {
    phase: Phase,
    /// The app's unique name.
    me: String,
    mm: Option<String>,
    ofono: Option<String>,
    core: Option<String>,
    /// The switch, as the core told it last.
    on: bool,
    /// The app itself speaks to the core, and hears its signals.
    speaks: bool,
    rules: Rules,
    serial: u32,
    /// The app waits for some of its calls to be answered.
    full: bool,
    calls: BTreeMap<u32, Purpose>,
    tracked: BTreeMap<u32, Tracked>,
    held: BTreeMap<u32, Held>,
    inbox: Inbox,
    lines: Lines,
    /// Texts that went as instant messages, by ModemManager's object.
    sent: BTreeSet<String>,
    /// By path.
    reports: BTreeMap<String, Report>,
    /// Incoming SMS that the app is not shown: twins, and those being judged.
    hidden: BTreeSet<String>,
    /// When to show by oFono what waits: a client that has just subscribed may still be asking who oFono is, and
    /// drops what comes before the answer.
    ofono_due: Option<Instant>,
    /// What was told by oFono, and is to be deleted once the app has read it.
    told: Vec<Told>,
    judged: BTreeMap<String, Judged>,
    /// What oFono told, in its order.
    incoming: VecDeque<Incoming>,
    /// Random, and this connection's own: tokens of diverted texts begin with it.
    name: String,
    tokens: u32,
    now: Now,
    out: Vec<Action>,
}

impl Desk {
    pub(super) fn new(name: String) -> Self {
        Self {
            phase: Phase::Idle,
            me: String::new(),
            mm: None,
            ofono: None,
            core: None,
            on: false,
            speaks: false,
            rules: Rules::default(),
            serial: say::FIRST_SERIAL,
            full: false,
            calls: BTreeMap::new(),
            tracked: BTreeMap::new(),
            held: BTreeMap::new(),
            inbox: Inbox::default(),
            lines: Lines::default(),
            sent: BTreeSet::new(),
            reports: BTreeMap::new(),
            hidden: BTreeSet::new(),
            ofono_due: None,
            told: Vec::new(),
            judged: BTreeMap::new(),
            incoming: VecDeque::new(),
            name,
            tokens: 0,
            now: Now { mono: Instant(0), wall: Timestamp(0) },
            out: Vec::new(),
        }
    }

    /// Whether the desk wants a message, by its header and its length in bytes.
    pub(super) fn look(&mut self, side: Side, head: &Head<'_>, length: usize, now: Now) -> Look {
        self.now = now;
        let look = match side {
            _ if self.phase == Phase::Monitor || head.fds > 0 => Look::Pass,
            Side::App => self.look_app(head),
            Side::Bus => self.look_bus(head),
        };
        if look == Look::Whole && length > MOST_BYTES { self.pass_by(side, head) } else { look }
    }

    fn look_app(&mut self, head: &Head<'_>) -> Look {
        if head.kind != Kind::Call {
            return Look::Pass;
        }
        let modems = self.is(&self.mm, MM, head.destination) || self.is(&self.ofono, OFONO, head.destination);
        match (head.destination, head.member) {
            (BUS, "AddMatch" | "RemoveMatch" | "BecomeMonitor") => Look::Whole,
            // Who asks for the owner calls it by its unique name, which the desk must know by then.
            (BUS, "GetNameOwner" | "StartServiceByName") if self.phase == Phase::Idle => Look::Whole,
            (CORE, _) => {
                self.speaks = true;
                Look::Pass
            }
            _ if !modems || self.me.is_empty() => Look::Pass,
            _ if self.phase == Phase::Idle => {
                self.start();
                Look::Wait
            }
            _ if self.waits() => Look::Wait,
            // Nobody but the desk answers for its own objects, and nothing overtakes a Send: an app that asks much waits
            // for answers.
            _ if self.crowded() && (is_ours(head.path) || self.may_wait_behind(head)) => {
                self.full = true;
                Look::Wait
            }
            _ if self.crowded() => Look::Pass,
            _ => {
                self.full = false;
                local::wanted(head)
            }
        }
    }

    fn look_bus(&mut self, head: &Head<'_>) -> Look {
        if self.me.is_empty() {
            // The answer to Hello, and whatever else tells us who we are.
            head.destination.clone_into(&mut self.me);
        }
        let wanted = match head.kind {
            Kind::Return | Kind::Error => is_own(head.reply_serial) || self.tracked.contains_key(&head.reply_serial),
            Kind::Signal if self.phase == Phase::Idle => false,
            Kind::Signal if head.sender == BUS => head.member == "NameOwnerChanged",
            Kind::Signal if Some(head.sender) == self.mm.as_deref() => matches!(
                (head.interface, head.member),
                (PROPERTIES, "PropertiesChanged")
                    | (OBJECTS, "InterfacesAdded" | "InterfacesRemoved")
                    | (MESSAGING, "Added" | "Deleted")
            ),
            Kind::Signal if Some(head.sender) == self.ofono.as_deref() => {
                (head.interface, head.member) == (OFONO_MESSAGES, "IncomingMessage")
            }
            Kind::Signal if Some(head.sender) == self.core.as_deref() => {
                head.destination == self.me || head.member == "PropertiesChanged"
            }
            _ => false,
        };
        if wanted { Look::Whole } else { Look::Pass }
    }

    /// Shows the desk a message that it wanted.
    pub(super) fn show(&mut self, side: Side, message: &Message<'_>, now: Now) {
        self.now = now;
        let taken = match side {
            Side::App => self.app_said(message),
            Side::Bus => self.bus_said(message),
        };
        if taken.is_none() {
            self.out.push(Action::Pass);
        }
    }

    /// `None`: it passes.
    fn bus_said(&mut self, message: &Message<'_>) -> Option<()> {
        let head = &message.head;
        match head.kind {
            Kind::Return | Kind::Error if is_own(head.reply_serial) => {
                self.own_answered(message);
                Some(())
            }
            Kind::Return | Kind::Error => {
                let tracked = self.tracked.remove(&head.reply_serial)?;
                self.rewrite(tracked, message)
            }
            _ if head.sender == BUS => self.owner_changed(message),
            _ if Some(head.sender) == self.core.as_deref() => self.core_said(message),
            _ if Some(head.sender) == self.ofono.as_deref() => self.came_by_ofono(message),
            _ => self.mm_said(message),
        }
    }

    /// A signal that the core addressed to this connection; of its properties it tells everybody.
    fn core_said(&mut self, message: &Message<'_>) -> Option<()> {
        match (message.head.interface, message.head.member) {
            (PROPERTIES, _) => return self.switched(message),
            (CORE_MESSAGING, "Received") => self.received(message),
            (CORE_MESSAGING, "Changed") => self.changed(message),
            (CORE_DOOR, "Settled") => self.settled(message),
            (CORE_DOOR, "LinesChanged") => self.ask_lines(),
            _ => {}
        }
        // An app that knows nothing of the core did not ask for it.
        (!self.speaks).then_some(())
    }

    fn mm_said(&mut self, message: &Message<'_>) -> Option<()> {
        match message.head.member {
            "PropertiesChanged" => self.properties_changed(message),
            "InterfacesAdded" => self.interfaces_added(message),
            "InterfacesRemoved" => self.interfaces_removed(message),
            "Added" => self.added(message),
            "Deleted" => self.gone(message),
            _ => None,
        }
    }

    /// What is to be done now.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.out)
    }

    /// Whether the app's messages to a modem service wait.
    pub(super) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Starting(_)) || (self.full && self.crowded())
    }

    /// When [`Self::elapsed`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let starting = match self.phase {
            Phase::Starting(until) => Some(until),
            _ => None,
        };
        let held = self.held.values().filter_map(|held| held.until);
        starting
            .into_iter()
            .chain(self.ofono_due)
            .chain(self.told.iter().map(|told| told.due).min())
            .chain(held)
            .chain(self.judged.values().map(|judged| judged.until))
            .chain(self.incoming.iter().filter_map(|incoming| incoming.until))
            .min()
    }

    /// Some time has passed. `app_read`: the app has read all that it was told.
    pub(super) fn elapsed(&mut self, now: Now, app_read: bool) {
        self.now = now;
        if matches!(self.phase, Phase::Starting(until) if until <= now.mono) {
            self.ready();
        }
        if self.ofono_due.is_some_and(|due| due <= now.mono) {
            self.ofono_due = None;
            self.show_by_ofono();
        }
        self.told_elapsed(app_read);
        self.held_elapsed();
        self.twins_elapsed();
        self.incoming_elapsed();
    }

    /// Whether a bus connection whose app has left is still needed.
    pub(super) fn owes(&self) -> bool {
        let passed = |tracked: &Tracked| matches!(tracked, Tracked::Passed);
        self.waits() || !self.held.is_empty() || self.tracked.values().any(passed)
    }

    fn in_patience(&self) -> Instant {
        later(self.now.mono, PATIENCE)
    }

    fn crowded(&self) -> bool {
        self.calls.len() + self.tracked.len() + self.held.len() >= MOST_CALLS || self.behind() >= MOST_BEHIND
    }

    fn is(&self, owner: &Option<String>, name: &str, destination: &str) -> bool {
        destination == name || owner.as_deref() == Some(destination)
    }
}

/// A path, which ours and those read from messages are.
fn object(path: &str) -> ObjectPath<'_> {
    ObjectPath::from_str_unchecked(path)
}

fn later(now: Instant, by: Duration) -> Instant {
    Instant(now.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

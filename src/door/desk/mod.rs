//! The desk: the few messages that the door looks into, and what it does about them. Decisions about
//! texts are the core's; the desk asks on the app's own connection, so that the core judges the app's
//! rights, and makes the app see what the modem service would have shown it.
//!
//! Nothing is asked of anybody before the app first turns to a modem service. From then on the desk knows
//! the owners of three names, the instant messages that came, and which texts went as such.

mod held;
mod inbox;
mod local;
mod objects;
mod ofono;
mod rewrite;
mod start;
#[cfg(test)]
mod tests;
mod twins;

use super::{
    header::{Head, Kind},
    inbound::Side,
    rules::{Arg, Rules, Signal},
    wire::{Message, write},
};
use crate::model::{Instant, Now, Timestamp};
use held::Held;
use objects::{Im, Report, SMS_PATH};
use rewrite::Tracked;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use twins::Judged;
use zbus::{ObjectPath, Type};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECTS: &str = "org.freedesktop.DBus.ObjectManager";

const MM: &str = "org.freedesktop.ModemManager1";
const MM_PATH: &str = "/org/freedesktop/ModemManager1";
const MODEM_PATH: &str = "/org/freedesktop/ModemManager1/Modem/";
const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
const SMS: &str = "org.freedesktop.ModemManager1.Sms";

const OFONO: &str = "org.ofono";
const OFONO_MESSAGES: &str = "org.ofono.MessageManager";

const CORE: &str = "org.shunt.Shunt1";
const CORE_PATH: &str = "/org/shunt/Shunt1";
const CORE_DOOR: &str = "org.shunt.Shunt1.Door";
const CORE_MESSAGING: &str = "org.shunt.Shunt1.Messaging";

/// The door's own serials towards the bus: the app never gets so far.
const OWN_SERIALS: std::ops::RangeInclusive<u32> = 0xFFFF_0000..=u32::MAX;
/// How long the core and the modem service may take to answer a question. After that the app's message goes on as
/// if there were no door.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many calls the desk has under way. What would need more passes as it is.
const MOST_CALLS: usize = 256;

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

/// Why the desk made a call.
#[derive(Debug)]
enum Purpose {
    Owner(&'static str),
    Modems,
    OfonoModems,
    Inbox {
        announce: bool,
    },
    Sent,
    Reported {
        sms: String,
    },
    /// The modem's `Messages`, for announcing what came and went.
    Messages {
        modem: String,
        came: Vec<String>,
        went: Vec<String>,
    },
    /// Of the held Send with this serial.
    Where(u32),
    Text(u32),
    Ask(u32),
    Divert(u32),
    /// The app's Delete with this serial, of one of our objects.
    Delete {
        call: u32,
        destination: String,
        sms: String,
        modem: String,
    },
    /// An incoming SMS that may be a twin.
    TwinText(String),
    Twin(String),
    /// The answer tells nothing.
    Forget,
}

/// A text that went as an instant message, by ModemManager's object.
#[derive(Debug)]
struct Sent {
    /// MM_SMS_STATE_*.
    state: u32,
}

/// One connection's desk.
pub(super) struct Desk {
    phase: Phase,
    /// The app's unique name.
    me: String,
    mm: Option<String>,
    ofono: Option<String>,
    core: Option<String>,
    /// The app itself speaks to the core, and hears its signals.
    speaks: bool,
    rules: Rules,
    modems: BTreeSet<String>,
    serial: u32,
    calls: BTreeMap<u32, Purpose>,
    tracked: BTreeMap<u32, Tracked>,
    held: BTreeMap<u32, Held>,
    /// By path.
    inbox: BTreeMap<String, Im>,
    sent: BTreeMap<String, Sent>,
    /// By path.
    reports: BTreeMap<String, Report>,
    /// Incoming SMS that the app is not shown: twins, and those being judged.
    hidden: BTreeSet<String>,
    /// When to show by oFono what waits: a client that has just subscribed may still be asking who oFono is, and
    /// drops what comes before the answer.
    ofono_due: Option<Instant>,
    judged: BTreeMap<String, Judged>,
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
            speaks: false,
            rules: Rules::default(),
            modems: BTreeSet::new(),
            serial: *OWN_SERIALS.start(),
            calls: BTreeMap::new(),
            tracked: BTreeMap::new(),
            held: BTreeMap::new(),
            inbox: BTreeMap::new(),
            sent: BTreeMap::new(),
            reports: BTreeMap::new(),
            hidden: BTreeSet::new(),
            ofono_due: None,
            judged: BTreeMap::new(),
            name,
            tokens: 0,
            now: Now { mono: Instant(0), wall: Timestamp(0) },
            out: Vec::new(),
        }
    }

    /// Whether the desk wants a message, by its header.
    pub(super) fn look(&mut self, side: Side, head: &Head<'_>, now: Now) -> Look {
        self.now = now;
        match side {
            _ if self.phase == Phase::Monitor || head.fds > 0 => Look::Pass,
            Side::App => self.look_app(head),
            Side::Bus => self.look_bus(head),
        }
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
            _ if self.crowded() => Look::Pass,
            _ => local::wanted(head),
        }
    }

    fn look_bus(&mut self, head: &Head<'_>) -> Look {
        if self.me.is_empty() {
            // The answer to Hello, and whatever else tells us who we are.
            head.destination.clone_into(&mut self.me);
        }
        let wanted = match head.kind {
            Kind::Return | Kind::Error => {
                self.calls.contains_key(&head.reply_serial) || self.tracked.contains_key(&head.reply_serial)
            }
            Kind::Signal if self.phase == Phase::Idle => false,
            Kind::Signal if head.sender == BUS => head.member == "NameOwnerChanged",
            Kind::Signal if Some(head.sender) == self.mm.as_deref() => matches!(
                (head.interface, head.member),
                (PROPERTIES, "PropertiesChanged")
                    | (OBJECTS, "InterfacesAdded" | "InterfacesRemoved")
                    | (MESSAGING, "Added" | "Deleted")
            ),
            Kind::Signal => Some(head.sender) == self.core.as_deref() && head.destination == self.me,
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
            Kind::Return | Kind::Error => match self.calls.remove(&head.reply_serial) {
                Some(purpose) => {
                    self.answered(purpose, message);
                    self.settle();
                    Some(())
                }
                None => {
                    let tracked = self.tracked.remove(&head.reply_serial)?;
                    self.rewrite(tracked, message)
                }
            },
            _ if head.sender == BUS => self.owner_changed(message),
            _ if Some(head.sender) == self.core.as_deref() => self.core_said(message),
            _ => self.mm_said(message),
        }
    }

    fn answered(&mut self, purpose: Purpose, message: &Message<'_>) {
        match purpose {
            Purpose::Owner(name) => self.owner(name, message.body().map(|(owner,): (String,)| owner)),
            Purpose::Modems => self.found_modems(message),
            Purpose::OfonoModems => self.found_ofono_modems(message),
            Purpose::Inbox { announce } => self.found_inbox(message, announce),
            Purpose::Sent => self.found_sent(message),
            Purpose::Reported { sms } => self.found_reported(&sms, message),
            Purpose::Messages { modem, came, went } => self.announce(&modem, &came, &went, message),
            Purpose::Where(call) => self.found_where(call, message),
            Purpose::Text(call) => self.found_text(call, message),
            Purpose::Ask(call) => self.asked(call, message),
            Purpose::Divert(call) => self.diverted(call, message),
            Purpose::Delete { call, destination, sms, modem } => {
                self.deleted((call, &destination), &sms, &modem, message);
            }
            Purpose::TwinText(sms) => self.found_twin_text(&sms, message),
            Purpose::Twin(sms) => self.found_twin(&sms, message),
            Purpose::Forget => {}
        }
    }

    /// A signal that the core addressed to this connection.
    fn core_said(&mut self, message: &Message<'_>) -> Option<()> {
        match (message.head.interface, message.head.member) {
            (CORE_MESSAGING, "Received") => self.received(message),
            (CORE_MESSAGING, "Changed") => self.changed(message),
            (CORE_DOOR, "Settled") => self.settled(message),
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
        matches!(self.phase, Phase::Starting(_))
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
            .chain(held)
            .chain(self.judged.values().map(|judged| judged.until))
            .min()
    }

    /// Some time has passed.
    pub(super) fn elapsed(&mut self, now: Now) {
        self.now = now;
        if matches!(self.phase, Phase::Starting(until) if until <= now.mono) {
            self.phase = Phase::Ready;
        }
        if self.ofono_due.is_some_and(|due| due <= now.mono) {
            self.ofono_due = None;
            self.show_by_ofono();
        }
        self.held_elapsed();
        self.twins_elapsed();
    }

    fn in_patience(&self) -> Instant {
        later(self.now.mono, PATIENCE)
    }

    fn crowded(&self) -> bool {
        self.calls.len() + self.tracked.len() + self.held.len() >= MOST_CALLS
    }

    fn is(&self, owner: &Option<String>, name: &str, destination: &str) -> bool {
        destination == name || owner.as_deref() == Some(destination)
    }

    // ---- what the desk says ----

    fn next_serial(&mut self) -> u32 {
        loop {
            self.serial = self.serial.checked_add(1).unwrap_or(*OWN_SERIALS.start());
            if !self.calls.contains_key(&self.serial) {
                return self.serial;
            }
        }
    }

    /// Makes a call of the desk's own.
    fn call<B: Serialize + Type>(
        &mut self,
        purpose: Purpose,
        (destination, path, interface, member): (&str, &str, &str, &str),
        body: &B,
    ) {
        let serial = self.next_serial();
        let no_reply = matches!(purpose, Purpose::Forget);
        let head = Head { serial, no_reply, destination, path, interface, member, ..Head::blank(Kind::Call) };
        if let Some(bytes) = write(&head, body) {
            self.out.push(Action::ToBus(bytes));
            if !no_reply {
                self.calls.insert(serial, purpose);
            }
        }
    }

    fn call_core<B: Serialize + Type>(&mut self, purpose: Purpose, member: &str, body: &B) {
        self.call(purpose, (CORE, CORE_PATH, CORE_DOOR, member), body);
    }

    fn call_mm<B: Serialize + Type>(
        &mut self,
        purpose: Purpose,
        (path, interface, member): (&str, &str, &str),
        body: &B,
    ) {
        if let Some(mm) = self.mm.clone() {
            self.call(purpose, (&mm, path, interface, member), body);
        }
    }

    /// Tells the app a signal of a modem service, if it asked for such.
    fn signal<B: Serialize + Type>(
        &mut self,
        (owner, known_as): (&str, &str),
        (path, interface, member): (&str, &str, &str),
        args: &[Arg<'_>],
        body: &B,
    ) {
        if !self.rules.want(&Signal { sender: owner, known_as, path, interface, member, args }) {
            return;
        }
        let serial = self.next_serial();
        let head = Head { serial, sender: owner, path, interface, member, ..Head::blank(Kind::Signal) };
        self.out.extend(write(&head, body).map(Action::ToApp));
    }

    /// Tells the app a signal of ModemManager's.
    fn mm_signal<B: Serialize + Type>(&mut self, member: (&str, &str, &str), args: &[Arg<'_>], body: &B) {
        if let Some(mm) = self.mm.clone() {
            self.signal((&mm, MM), member, args, body);
        }
    }

    /// An answer in the place of one that a service gave.
    fn answer<B: Serialize + Type>(&mut self, given: &Head<'_>, error: &str, body: &B) -> Option<()> {
        let kind = if error.is_empty() { Kind::Return } else { Kind::Error };
        let serial = self.next_serial();
        let &Head { reply_serial, sender, destination, .. } = given;
        let head = Head { serial, reply_serial, sender, destination, error, ..Head::blank(kind) };
        self.out.push(Action::ToApp(write(&head, body)?));
        Some(())
    }
}

/// A path, which ours and those read from messages are.
fn object(path: &str) -> ObjectPath<'_> {
    ObjectPath::from_str_unchecked(path)
}

fn later(now: Instant, by: Duration) -> Instant {
    Instant(now.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

/// Whether it is a path below ModemManager's SMS objects.
fn is_sms(path: &str) -> bool {
    path.strip_prefix(SMS_PATH).is_some_and(|number| number.parse::<u32>().is_ok())
}

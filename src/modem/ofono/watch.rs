//! Follows oFono: listens to the few signals that matter and reads anew what they are about.

use super::{
    bus::{CALLS, MANAGER, MESSAGES, MODEM, NETWORK, ROOT, SERVICE, SIM, interfaces},
    line::{self, Found},
    reading::{READING, Reading},
};
use crate::{
    model::{Address, Body, Line, LineId, SimState},
    modem::{
        IncomingSms, Kind, ModemError, ModemEvent, NameLine, SmsObject,
        bus::{Place, Properties},
        follow::{Follower, follow},
        lines::Lines,
        name_slot, stamp,
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use zbus::{Connection, MatchRule, Message, ObjectPath, OwnedVariant, message::Type};

/// What is known of the service.
pub(super) struct Watch {
    pub(super) connection: Connection,
    name: NameLine,
    lines: Lines,
    service: RefCell<Service>,
    /// Told when a modem or the service is less than it was.
    lost: Notify,
}

#[derive(Default)]
struct Service {
    owner: Option<Box<str>>,
    modems: BTreeMap<Box<str>, Known>,
}

/// One modem.
#[derive(Default)]
struct Known {
    interfaces: Vec<String>,
    /// While it shows no SIM, and none was read before.
    reading: Option<Reading>,
}

/// A line's modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) owner: Box<str>,
    pub(super) modem: Box<str>,
    /// Whether it can text now: oFono takes the interface away in flight mode and without a SIM.
    pub(super) texting: bool,
}

impl Watch {
    pub(super) async fn start(
        connection: &Connection,
        name: NameLine,
        events: mpsc::UnboundedSender<ModemEvent>,
    ) -> Result<(Rc<Self>, [JoinHandle<()>; 2]), ModemError> {
        let (connection, service, lost) = (connection.clone(), RefCell::default(), Notify::new());
        let watch = Rc::new(Self { connection, name, lines: Lines::new(events), service, lost });
        let tasks = follow(watch.clone(), rules()).await?;
        Ok((watch, tasks))
    }

    /// The modem that a line is in.
    pub(super) fn seat(&self, line: &LineId) -> Option<Seat> {
        let service = self.service.borrow();
        let modem = self.lines.seat(line)?;
        let texting = service.modems.get(&modem)?.interfaces.iter().any(|known| known == MESSAGES);
        Some(Seat { owner: service.owner.clone()?, modem, texting })
    }

    /// Waits until a line has another seat than this, or can text no more.
    pub(super) async fn unseated(&self, line: &LineId, seat: &Seat) {
        loop {
            let lost = self.lost.notified();
            if self.seat(line).as_ref() != Some(seat) {
                return;
            }
            lost.await;
        }
    }

    fn place<'a>(&'a self, owner: &'a str, path: &'a str) -> Place<'a> {
        Place { connection: &self.connection, owner, path }
    }

    async fn modem_added(&self, signal: &Message) {
        let body = signal.body();
        let Ok((path, told)) = body.deserialize::<(ObjectPath<'_>, HashMap<String, OwnedVariant>)>() else { return };
        self.modem_has(path.as_str(), interfaces(told)).await;
    }

    fn modem_removed(&self, signal: &Message) {
        let body = signal.body();
        let Ok(path) = body.deserialize::<ObjectPath<'_>>() else { return };
        self.service.borrow_mut().modems.remove(path.as_str());
        self.line_is(path.as_str(), None);
    }

    async fn interfaces_changed(&self, path: &str, signal: &Message) {
        let body = signal.body();
        let Ok((name, value)) = body.deserialize::<(String, OwnedVariant)>() else { return };
        self.modem_has(path, interfaces(HashMap::from([(name, value)]))).await;
    }

    async fn modem_has(&self, path: &str, interfaces: Vec<String>) {
        self.service.borrow_mut().modems.entry(path.into()).or_default().interfaces = interfaces;
        self.lost.notify_waiters();
        self.refresh(path).await;
    }

    /// Reads a modem's line anew and reports what changed.
    async fn refresh(&self, path: &str) {
        let Some(owner) = self.owner() else { return };
        let Some(interfaces) = self.service.borrow().modems.get(path).map(|known| known.interfaces.clone()) else {
            return;
        };
        match line::read(self.place(&owner, path), &interfaces, &self.name).await {
            Ok(Found::Line(line)) => {
                self.reads(path, false);
                self.line_is(path, Some(line));
            }
            Ok(Found::Nothing) => {
                self.reads(path, false);
                self.line_is(path, None);
            }
            Ok(Found::NoSim) => {
                // It had one: it was taken out.
                let sure = self.lines.at(path).is_some();
                self.reads(path, !sure);
                self.line_is(path, None);
                self.lines.tell(ModemEvent::NoSim { slot: name_slot(path, &*self.name), sure });
            }
            // What took it away is, or will be, in the queue.
            Err(ModemError::Gone | ModemError::Lost) => {}
            Err(error) => log::warn!("a modem's properties cannot be read: {error}"),
        }
    }

    /// Whether a modem may be reading its SIM still.
    fn reads(&self, path: &str, reads: bool) {
        let mut service = self.service.borrow_mut();
        let Some(known) = service.modems.get_mut(path) else { return };
        known.reading = known.reading.take().filter(|_| reads);
        if reads {
            let slot = || name_slot(path, &*self.name);
            known.reading.get_or_insert_with(|| Reading::start(self.lines.events(), slot(), READING));
        }
    }

    fn line_is(&self, path: &str, line: Option<Line>) {
        self.lines.is(path, line);
        self.lost.notify_waiters();
    }

    /// `IncomingMessage`: a whole text. oFono has acknowledged it to the network and keeps it nowhere.
    fn message_came(&self, path: &str, signal: &Message) {
        let body = signal.body();
        let Ok((text, info)) = body.deserialize::<(&str, HashMap<String, OwnedVariant>)>() else { return };
        let info = Properties(info);
        let (Some(line), Some(owner)) = (self.lines.at(path), self.owner()) else {
            // The SIM is read before the messages' interface appears; a SIM without identity has no line.
            return log::error!("a text came to a SIM without identity: it is not shown here");
        };
        let from = info.text("Sender").unwrap_or_default();
        let stamp = info.text("SentTime").unwrap_or_default();
        let plain = !from.is_empty();
        self.lines.tell(ModemEvent::Received(IncomingSms {
            line,
            sms: SmsObject { object: path.into(), owner },
            from: Address(from.into()),
            body: Body(if plain { text.into() } else { "".into() }),
            sent: stamp::read(stamp),
            stamp: stamp.into(),
            kind: if plain { Kind::Plain } else { Kind::Other },
        }));
    }

    /// Whether a line's modem is registered, read now.
    pub(super) async fn registered(&self, seat: &Seat) -> Result<bool, ModemError> {
        let network = self.place(&seat.owner, &seat.modem).told(NETWORK).await?;
        Ok(matches!(line::sim_state(None, network.text("Status")), SimState::Home | SimState::Roaming))
    }
}

impl Follower for Watch {
    const SERVICE: &'static str = SERVICE;

    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn lines(&self) -> &Lines {
        &self.lines
    }

    fn owner(&self) -> Option<Box<str>> {
        self.service.borrow().owner.clone()
    }

    async fn came(&self, owner: &str) {
        *self.service.borrow_mut() = Service { owner: Some(owner.into()), modems: BTreeMap::new() };
        match self.place(owner, ROOT).modems().await {
            Ok(modems) => {
                for (path, interfaces) in modems {
                    self.modem_has(&path, interfaces).await;
                }
            }
            Err(error) => log::warn!("oFono does not list its modems: {error}"),
        }
        // Its lines are told first: who waits for the service wants to send by one.
        self.lines.tell(ModemEvent::Service { up: true });
    }

    fn gone(&self) {
        *self.service.borrow_mut() = Service::default();
        self.lost.notify_waiters();
    }

    async fn told(&self, (path, interface, member): (&str, &str, &str), signal: &Message) {
        match (interface, member) {
            (MANAGER, "ModemAdded") => self.modem_added(signal).await,
            (MANAGER, "ModemRemoved") => self.modem_removed(signal),
            (MODEM, "PropertyChanged") => self.interfaces_changed(path, signal).await,
            (SIM | NETWORK | CALLS, "PropertyChanged") => self.refresh(path).await,
            (MESSAGES, "IncomingMessage") => self.message_came(path, signal),
            _ => {}
        }
    }
}

/// The signals that matter, and no others: the bus filters, so that no change of signal strength wakes us.
/// Texts of class 0 are `ImmediateMessage`: shown by whoever does that, not ours.
fn rules() -> Vec<zbus::Result<MatchRule<'static>>> {
    let service = |interface| MatchRule::builder().msg_type(Type::Signal).sender(SERVICE).interface(interface);
    let changed = |interface, property| service(interface).member("PropertyChanged").add_arg(property).build();
    vec![
        service(MANAGER).build(),
        changed(MODEM, "Interfaces"),
        service(SIM).member("PropertyChanged").build(),
        changed(NETWORK, "Status"),
        changed(CALLS, "EmergencyNumbers"),
        service(MESSAGES).member("IncomingMessage").build(),
    ]
}

//! Follows ModemManager: listens to the few signals that matter and passes each to where it belongs.

use super::{
    Options,
    bus::{MESSAGING, MODEM, MODEM_3GPP, OBJECTS, PROPERTIES, ROOT, SERVICE, SIM, SMS},
};
use crate::{
    model::LineId,
    modem::{
        ModemError, ModemEvent, NameLine,
        bus::{PROMPT, Place},
        failure,
        follow::{Follower, follow},
        lines::Lines,
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use zbus::{
    Connection, MatchRule, Message, ObjectPath, OwnedVariant, fdo::ManagedObjects, message::Type,
    names::OwnedInterfaceName,
};

/// How often a service that does not answer is asked for its modems, and how long between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// What is known of the service.
pub(super) struct Watch {
    pub(super) connection: Connection,
    pub(super) options: Options,
    pub(super) name: NameLine,
    pub(super) lines: Lines,
    pub(super) service: RefCell<Service>,
}

#[derive(Default)]
pub(super) struct Service {
    pub(super) owner: Option<Box<str>>,
    pub(super) modems: BTreeMap<Box<str>, Known>,
}

/// One modem.
#[derive(Default)]
pub(super) struct Known {
    pub(super) messaging: bool,
    /// The line whose SMS were listed.
    pub(super) listed: Option<LineId>,
    /// SMS objects that were reported, and those that wait for parts.
    pub(super) reported: BTreeSet<Box<str>>,
    pub(super) incomplete: BTreeSet<Box<str>>,
    /// It was enabled by us once, or found enabled: from then on, disabled is somebody's will.
    pub(super) left_alone: bool,
}

impl Watch {
    pub(super) async fn start(
        connection: &Connection,
        options: Options,
        name: NameLine,
        events: mpsc::UnboundedSender<ModemEvent>,
    ) -> Result<(Rc<Self>, [JoinHandle<()>; 2]), ModemError> {
        let (lines, service) = (Lines::new(events), RefCell::default());
        let watch = Rc::new(Self { connection: connection.clone(), options, name, lines, service });
        let tasks = follow(watch.clone(), rules()).await?;
        Ok((watch, tasks))
    }

    /// Owner and modem of a line.
    pub(super) fn modem_of(&self, line: &LineId) -> Option<(Box<str>, Box<str>)> {
        Some((self.owner()?, self.lines.seat(line)?))
    }

    /// Whether the service is still there then.
    async fn find_modems(&self, owner: &str) -> bool {
        for attempt in 1..=ATTEMPTS {
            match self.modems(owner).await {
                Ok(modems) => {
                    for (path, messaging) in modems {
                        self.know(&path, messaging);
                        self.refresh(&path).await;
                    }
                    return true;
                }
                Err(ModemError::Gone | ModemError::Lost) => return false,
                Err(error) => log::warn!("ModemManager does not list its modems (attempt {attempt}): {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
        true
    }

    async fn modems(&self, owner: &str) -> Result<Vec<(Box<str>, bool)>, ModemError> {
        let root = Place { connection: &self.connection, owner, path: ROOT };
        let answer = root.call(OBJECTS, "GetManagedObjects", &(), PROMPT).await?;
        let objects: ManagedObjects = answer.body().deserialize().map_err(|error| failure::read(&error))?;
        let has = |interfaces: &HashMap<OwnedInterfaceName, _>, name| interfaces.keys().any(|key| key.as_str() == name);
        Ok(objects
            .iter()
            .filter(|(_, interfaces)| has(interfaces, MODEM))
            .map(|(path, interfaces)| (path.as_str().into(), has(interfaces, MESSAGING)))
            .collect())
    }

    async fn interfaces_added(&self, signal: &Message) {
        type Added<'m> = (ObjectPath<'m>, HashMap<OwnedInterfaceName, HashMap<String, OwnedVariant>>);
        let body = signal.body();
        let Ok((path, interfaces)) = body.deserialize::<Added<'_>>() else { return };
        let has = |name| interfaces.keys().any(|key| key.as_str() == name);
        if has(MODEM) || has(MESSAGING) {
            self.know(path.as_str(), has(MESSAGING));
            self.refresh(path.as_str()).await;
        }
    }

    fn interfaces_removed(&self, signal: &Message) {
        let body = signal.body();
        let Ok((path, interfaces)) = body.deserialize::<(ObjectPath<'_>, Vec<&str>)>() else { return };
        if interfaces.contains(&MODEM) {
            self.forget(path.as_str());
        } else if interfaces.contains(&MESSAGING)
            && let Some(known) = self.service.borrow_mut().modems.get_mut(path.as_str())
        {
            *known = Known { left_alone: known.left_alone, ..Known::default() };
        }
    }

    async fn properties_changed(&self, path: &str, signal: &Message) {
        let body = signal.body();
        let Ok((interface, changed, _)) = body.deserialize::<(&str, HashMap<&str, OwnedVariant>, Vec<&str>)>() else {
            return;
        };
        match interface {
            MODEM_3GPP if changed.contains_key("RegistrationState") => self.refresh(path).await,
            SIM => {
                let all: Vec<_> = self.service.borrow().modems.keys().cloned().collect();
                for modem in all {
                    self.refresh(&modem).await;
                }
            }
            SMS => {
                let modem = {
                    let service = self.service.borrow();
                    let waits = service.modems.iter().find(|(_, known)| known.incomplete.contains(path));
                    waits.map(|(modem, _)| modem.clone())
                };
                if let Some(modem) = modem {
                    self.take_message(&modem, path).await;
                }
            }
            _ => {}
        }
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
        // Its lines are told first: who waits for the service wants to send by one.
        if self.find_modems(owner).await {
            self.lines.tell(ModemEvent::Service { up: true });
        }
    }

    fn gone(&self) {
        *self.service.borrow_mut() = Service::default();
    }

    async fn told(&self, (path, interface, member): (&str, &str, &str), signal: &Message) {
        match (interface, member) {
            (OBJECTS, "InterfacesAdded") => self.interfaces_added(signal).await,
            (OBJECTS, "InterfacesRemoved") => self.interfaces_removed(signal),
            (MODEM, "StateChanged") => self.refresh(path).await,
            (MESSAGING, "Added") => self.message_added(path, signal).await,
            (MESSAGING, "Deleted") => self.message_deleted(path, signal),
            (PROPERTIES, "PropertiesChanged") => self.properties_changed(path, signal).await,
            _ => {}
        }
    }
}

/// The signals that matter, and no others: the bus filters, so nothing else wakes us.
fn rules() -> Vec<zbus::Result<MatchRule<'static>>> {
    let service = || MatchRule::builder().msg_type(Type::Signal).sender(SERVICE);
    let changed = |interface| service().interface(PROPERTIES).member("PropertiesChanged").add_arg(interface).build();
    vec![
        service().interface(OBJECTS).path(ROOT).build(),
        service().interface(MODEM).member("StateChanged").build(),
        service().interface(MESSAGING).build(),
        changed(MODEM_3GPP),
        changed(SIM),
        changed(SMS),
    ]
}

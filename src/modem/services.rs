//! The modem services that are looked for, as one: each line belongs to the service that has it.

use super::{
    IncomingSms, Modem, ModemError, ModemEvent, NameLine, NewSms, Outcome, Sent, SmsObject,
    modemmanager::{self, ModemManager},
    ofono::Ofono,
};
use crate::model::{Address, Body, LineId};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use zbus::Connection;

/// Which services are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// ModemManager.
    pub modemmanager: bool,
    /// oFono.
    pub ofono: bool,
}

/// One or more services. Each may come and go.
pub struct Services {
    modemmanager: Option<ModemManager>,
    ofono: Option<Ofono>,
    merging: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    ModemManager,
    Ofono,
}

impl Services {
    /// Starts to watch each that is wanted; see [`ModemManager::start`]. The service is told to be up
    /// as long as one of them is.
    pub async fn start(
        connection: &Connection,
        which: Which,
        name: NameLine,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ModemEvent>), ModemError> {
        let (merge, mut merged) = mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        let modemmanager = if which.modemmanager {
            let (backend, events) =
                ModemManager::start(connection, modemmanager::Options::default(), name.clone()).await?;
            forward(Name::ModemManager, events, merge.clone());
            waiting.push(Name::ModemManager);
            Some(backend)
        } else {
            None
        };
        let ofono = if which.ofono {
            let (backend, events) = Ofono::start(connection, name).await?;
            forward(Name::Ofono, events, merge.clone());
            waiting.push(Name::Ofono);
            Some(backend)
        } else {
            None
        };
        drop(merge);
        let (events, receiver) = mpsc::unbounded_channel();
        let merging = tokio::task::spawn_local(async move {
            let mut merger = Merger { waiting, ..Merger::default() };
            while let Some((from, event)) = merged.recv().await {
                if let Some(event) = merger.take(from, event)
                    && events.send(event).is_err()
                {
                    return;
                }
            }
        });
        Ok((Self { modemmanager, ofono, merging }, receiver))
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.merging.abort();
    }
}

fn forward(
    from: Name,
    mut events: mpsc::UnboundedReceiver<ModemEvent>,
    merge: mpsc::UnboundedSender<(Name, ModemEvent)>,
) {
    tokio::task::spawn_local(async move {
        while let Some(event) = events.recv().await {
            if merge.send((from, event)).is_err() {
                return;
            }
        }
    });
}

/// Makes one stream of several.
#[derive(Default)]
struct Merger {
    /// Those that have not yet said whether they are there.
    waiting: Vec<Name>,
    /// Those that are there.
    up: Vec<Name>,
    told: Option<bool>,
    /// Whose each line is: a modem that two services drive is one line, the first one's.
    lines: BTreeMap<LineId, Name>,
}

impl Merger {
    fn take(&mut self, from: Name, event: ModemEvent) -> Option<ModemEvent> {
        match event {
            ModemEvent::Service { up } => {
                self.waiting.retain(|name| *name != from);
                self.up.retain(|name| *name != from);
                if up {
                    self.up.push(from);
                }
                let up = !self.up.is_empty();
                // Down is told when none can come any more.
                let news = self.told != Some(up) && (up || self.waiting.is_empty());
                news.then(|| {
                    self.told = Some(up);
                    ModemEvent::Service { up }
                })
            }
            ModemEvent::Line(line) => {
                let owner = *self.lines.entry(line.id.clone()).or_insert(from);
                (owner == from).then_some(ModemEvent::Line(line))
            }
            ModemEvent::LineGone(id) => (self.lines.get(&id) == Some(&from)).then(|| {
                self.lines.remove(&id);
                ModemEvent::LineGone(id)
            }),
            // A text that two services show is the same one, by sender, stamp and text.
            event @ (ModemEvent::NoSim { .. }
            | ModemEvent::Received(_)
            | ModemEvent::Deleted(_)
            | ModemEvent::Report(_)) => Some(event),
        }
    }
}

/// Has the service that a line belongs to do something.
macro_rules! by_line {
    ($self:ident, $line:ident, $backend:ident => $call:expr, else $nobody:expr) => {
        match (&$self.modemmanager, &$self.ofono) {
            (_, Some($backend)) if $backend.has($line) => $call,
            (Some($backend), _) => $call,
            (None, _) => $nobody,
        }
    };
}

/// Has the service that owns an object do something.
macro_rules! by_owner {
    ($self:ident, $sms:ident, $backend:ident => $call:expr, else $nobody:expr) => {
        match (&$self.modemmanager, &$self.ofono) {
            (_, Some($backend)) if $backend.owner().as_ref() == Some(&$sms.owner) => $call,
            (Some($backend), _) => $call,
            (None, _) => $nobody,
        }
    };
}

impl Modem for Services {
    async fn create(&self, line: &LineId, sms: &NewSms) -> Result<SmsObject, ModemError> {
        by_line!(self, line, backend => backend.create(line, sms).await, else Err(ModemError::NoModem))
    }

    async fn send(&self, line: &LineId, sms: &SmsObject) -> Result<Sent, ModemError> {
        by_owner!(self, sms, backend => backend.send(line, sms).await, else Err(ModemError::Gone))
    }

    async fn outcome(&self, line: &LineId, sms: &SmsObject, to: &Address, body: &Body) -> Outcome {
        by_owner!(self, sms, backend => backend.outcome(line, sms, to, body).await, else Outcome::Unknown)
    }

    async fn delete(&self, line: &LineId, sms: &SmsObject) -> Result<(), ModemError> {
        by_owner!(self, sms, backend => backend.delete(line, sms).await, else Ok(()))
    }

    async fn list(&self, line: &LineId) -> Result<Vec<IncomingSms>, ModemError> {
        by_line!(self, line, backend => backend.list(line).await, else Err(ModemError::NoModem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Line, SimState, SlotId};

    fn line(id: &str) -> ModemEvent {
        let id = LineId(id.into());
        ModemEvent::Line(Line {
            id,
            modem: None,
            slot: SlotId("a".into()),
            number: None,
            sim: SimState::Home,
            home: None,
            emergency: Vec::new(),
        })
    }

    #[test]
    fn the_service_is_up_while_one_is_and_down_when_none_can_come_any_more() {
        let mut merger = Merger { waiting: vec![Name::ModemManager, Name::Ofono], ..Merger::default() };
        let (up, down) = (ModemEvent::Service { up: true }, ModemEvent::Service { up: false });
        assert_eq!(merger.take(Name::ModemManager, down.clone()), None);
        assert_eq!(merger.take(Name::Ofono, down.clone()), Some(down.clone()));
        assert_eq!(merger.take(Name::Ofono, up.clone()), Some(up.clone()));
        assert_eq!(merger.take(Name::ModemManager, up.clone()), None);
        assert_eq!(merger.take(Name::Ofono, down.clone()), None);
        assert_eq!(merger.take(Name::ModemManager, down.clone()), Some(down));
    }

    #[test]
    fn a_sim_that_two_services_show_is_one_line() {
        let mut merger = Merger::default();
        let gone = ModemEvent::LineGone(LineId("a".into()));
        assert_eq!(merger.take(Name::Ofono, line("a")), Some(line("a")));
        assert_eq!(merger.take(Name::ModemManager, line("a")), None);
        assert_eq!(merger.take(Name::ModemManager, gone.clone()), None);
        assert_eq!(merger.take(Name::Ofono, gone.clone()), Some(gone));
        assert_eq!(merger.take(Name::ModemManager, line("a")), Some(line("a")));
    }
}

//! The modems that are known: read anew when something changed, their lines reported.

use super::{bus::MODEM, line, watch::Watch};
use crate::modem::{
    ModemError, ModemEvent,
    bus::{Place, Properties},
    follow::Follower,
};
use std::time::Duration;

/// Enabling waits for the modem, and perhaps for the user's PIN agent.
const ENABLING: Duration = Duration::from_secs(120);

impl Watch {
    pub(super) fn know(&self, path: &str, messaging: bool) {
        self.service.borrow_mut().modems.entry(path.into()).or_default().messaging |= messaging;
    }

    pub(super) fn forget(&self, path: &str) {
        self.service.borrow_mut().modems.remove(path);
        self.lines.is(path, None);
    }

    /// Reads a modem anew and reports what changed of its line.
    pub(super) async fn refresh(&self, path: &str) {
        let Some(owner) = self.owner() else { return };
        let modem = Place { connection: &self.connection, owner: &owner, path };
        let Some(messaging) = self.service.borrow().modems.get(path).map(|known| known.messaging) else { return };
        let read = match modem.properties(MODEM).await {
            Ok(properties) => {
                self.enable(path, &properties);
                let missing = line::sim_is_missing(&properties).then(|| line::slot(modem, &properties, &*self.name));
                line::read(modem, &properties, messaging, &*self.name).await.map(|line| (line, missing))
            }
            Err(error) => Err(error),
        };
        match read {
            Ok((line, missing)) => {
                self.lines.is(path, line);
                if let Some(slot) = missing {
                    self.lines.tell(ModemEvent::NoSim { slot, sure: true });
                }
                self.list(modem).await;
            }
            // Its removal is, or will be, in the queue.
            Err(ModemError::Gone | ModemError::Lost) => {}
            Err(error) => log::warn!("a modem's properties cannot be read: {error}"),
        }
    }

    /// Enables a modem that was disabled when we found it, if told to.
    pub(super) fn enable(&self, path: &str, properties: &Properties) {
        let mut service = self.service.borrow_mut();
        let (Some(owner), Some(state)) = (service.owner.clone(), properties.signed("State")) else { return };
        let Some(known) = service.modems.get_mut(path) else { return };
        if !self.options.enable || known.left_alone || state < line::DISABLED {
            return;
        }
        known.left_alone = true;
        if state == line::DISABLED {
            let (connection, path) = (self.connection.clone(), Box::<str>::from(path));
            tokio::task::spawn_local(async move {
                let modem = Place { connection: &connection, owner: &owner, path: &path };
                if let Err(error) = modem.call(MODEM, "Enable", &true, ENABLING).await {
                    log::warn!("a modem cannot be enabled: {error}");
                }
            });
        }
    }
}

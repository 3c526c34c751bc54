//! SMS that come in, and those that the modem held before.

use super::{
    bus::SMS,
    sms::{self, Found},
    watch::Watch,
};
use crate::modem::{ModemError, ModemEvent, SmsObject, bus::Place};
use zbus::{Message, ObjectPath, OwnedObjectPath};

impl Watch {
    /// Reports what a line's modem holds, once per line.
    pub(super) async fn list(&self, modem: Place<'_>) {
        {
            let mut service = self.service.borrow_mut();
            let Some(known) = service.modems.get_mut(modem.path) else { return };
            let Some(line) = self.lines.at(modem.path).filter(|_| known.messaging) else { return };
            if known.listed.replace(line.clone()) == Some(line) {
                return;
            }
            known.reported.clear();
        }
        match modem.messages().await {
            Ok(messages) => {
                for message in messages {
                    self.take_message(modem.path, message.as_str()).await;
                }
            }
            Err(error) => {
                log::warn!("a modem does not list its SMS: {error}");
                if let Some(known) = self.service.borrow_mut().modems.get_mut(modem.path) {
                    known.listed = None;
                }
            }
        }
    }

    pub(super) async fn message_added(&self, modem: &str, signal: &Message) {
        let body = signal.body();
        if let Ok((message, true)) = body.deserialize::<(ObjectPath<'_>, bool)>() {
            self.take_message(modem, message.as_str()).await;
        }
    }

    pub(super) fn message_deleted(&self, modem: &str, signal: &Message) {
        let body = signal.body();
        let Ok(message) = body.deserialize::<OwnedObjectPath>() else { return };
        let mut service = self.service.borrow_mut();
        let (owner, known) = (service.owner.clone(), service.modems.get_mut(modem));
        let (Some(owner), Some(known)) = (owner, known) else { return };
        known.incomplete.remove(message.as_str());
        if known.reported.remove(message.as_str()) {
            self.lines.tell(ModemEvent::Deleted(SmsObject { object: message.as_str().into(), owner }));
        }
    }

    /// Reads an SMS object, and reports it if it is one that came in and is whole.
    pub(super) async fn take_message(&self, modem: &str, message: &str) {
        let Some((owner, line)) = ({
            let service = self.service.borrow();
            let known = service.modems.get(modem).filter(|known| !known.reported.contains(message));
            known.and_then(|_| Some((service.owner.clone()?, self.lines.at(modem)?)))
        }) else {
            return;
        };
        let object = Place { connection: &self.connection, owner: &owner, path: message };
        let properties = match object.properties(SMS).await {
            Ok(properties) => properties,
            Err(ModemError::Gone) => return,
            Err(error) => return log::warn!("an SMS cannot be read, it stays in the modem: {error}"),
        };
        let found = sms::read(&properties, &line, SmsObject { object: message.into(), owner: owner.clone() });
        {
            let mut service = self.service.borrow_mut();
            let Some(known) = service.modems.get_mut(modem) else { return };
            known.incomplete.remove(message);
            match &found {
                Found::Incomplete => known.incomplete.insert(message.into()),
                Found::Incoming(_) | Found::Report(_) => known.reported.insert(message.into()),
                Found::NotOurs => false,
            };
        }
        match found {
            Found::Incoming(incoming) => self.lines.tell(ModemEvent::Received(incoming)),
            Found::Report(report) => self.lines.tell(ModemEvent::Report(report)),
            Found::Incomplete | Found::NotOurs => {}
        }
    }
}

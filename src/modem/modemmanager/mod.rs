//! ModemManager (1.20 and later) over D-Bus: a line per SIM.
//!
//! It reads, and sends texts; it enables no modem unless told to, starts no service, and listens to
//! few signals: not to signal quality, which would wake the phone all day, so that all that is
//! learned of a modem's properties is read anew when its state changes.

mod bus;
mod inbox;
mod line;
mod modems;
mod sms;
mod watch;

use super::{
    IncomingSms, Modem, ModemError, ModemEvent, NameLine, NewSms, Outcome, Sent, SmsObject,
    bus::{PROMPT, Place},
    failure,
    follow::Follower,
};
use crate::model::{Address, Body, LineId, Segments};
use bus::{MESSAGING, PROPERTIES, SMS};
use futures_util::StreamExt;
use std::{collections::HashMap, rc::Rc, time::Duration};
use tokio::sync::{Mutex, mpsc};
use watch::Watch;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, Variant, message::Type};

/// `MMSmsValidityType`: relative, in minutes.
const RELATIVE: u32 = 1;

/// What ModemManager answers to a Delete while it works on the modem's storage, for another or for an SMS that comes in:
/// nothing tells when that ends.
const IN_USE: &str = "Core.Retry";
/// The pause before the next try, doubled each time; after the last, a minute has passed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 10;

/// Whose the modems are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Enable a modem that is found disabled, once: for the directory, whose modem serves it alone. On a phone that is
    /// NetworkManager's or the shell's to do, and a user who turned the modem off means it.
    pub enable: bool,
}

/// The backend. It works while this is held; dropping it ends its tasks.
pub struct ModemManager {
    watch: Rc<Watch>,
    /// Held by the one Delete that is under way.
    deleting: Mutex<()>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl ModemManager {
    /// Starts to watch ModemManager on a bus. Must be called within a `LocalSet`. The first event
    /// says whether the service is there; its lines and the SMS that they hold follow.
    pub async fn start(
        connection: &Connection,
        options: Options,
        name: NameLine,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ModemEvent>), ModemError> {
        let (events, receiver) = mpsc::unbounded_channel();
        let (watch, tasks) = Watch::start(connection, options, name, events).await?;
        Ok((Self { watch, deleting: Mutex::default(), tasks }, receiver))
    }

    fn place<'a>(&'a self, owner: &'a str, path: &'a str) -> Place<'a> {
        Place { connection: &self.watch.connection, owner, path }
    }

    fn modem_of(&self, line: &LineId) -> Result<(Box<str>, Box<str>), ModemError> {
        self.watch.modem_of(line).ok_or(ModemError::NoModem)
    }
}

impl Drop for ModemManager {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Modem for ModemManager {
    async fn create(&self, line: &LineId, sms: &NewSms) -> Result<SmsObject, ModemError> {
        let (owner, modem) = self.modem_of(line)?;
        let number = sms.to.dialable().ok_or(ModemError::NotSendable)?;
        if Segments::of(&sms.body.0).too_long() {
            return Err(ModemError::TooLong);
        }
        let mut properties = HashMap::from([
            ("number", Variant::from(&*number)),
            ("text", Variant::from(&*sms.body.0)),
            ("delivery-report-request", Variant::from(sms.report)),
        ]);
        if let Some(minutes) = sms.validity_minutes {
            properties.insert("validity", Variant::from((RELATIVE, Variant::from(minutes))));
        }
        let answer = self.place(&owner, &modem).call(MESSAGING, "Create", &properties, PROMPT).await?;
        let object: OwnedObjectPath = answer.body().deserialize().map_err(|error| failure::read(&error))?;
        Ok(SmsObject { object: object.as_str().into(), owner })
    }

    async fn send(&self, _line: &LineId, sms: &SmsObject) -> Result<Sent, ModemError> {
        let object = self.place(&sms.owner, &sms.object);
        // Until Send is called nothing leaves, so here no failure is of unknown outcome.
        let before = match object.properties(SMS).await {
            Ok(before) => before,
            Err(denied @ ModemError::Denied) => return Err(denied),
            Err(_unanswered) => return Err(ModemError::Gone),
        };
        if let Some(sent) = sms::sent(&before) {
            return Ok(sent);
        }
        let limit = super::patience(before.text("Text").unwrap_or_default());
        let answer = object.call(SMS, "Send", &(), limit).await;
        let after = object.properties(SMS).await.ok().as_ref().and_then(sms::sent);
        match (answer, after) {
            (_, Some(sent)) => Ok(sent),
            (Ok(_), None) => Ok(Sent::default()),
            (Err(error), None) => Err(error),
        }
    }

    async fn outcome(&self, _line: &LineId, sms: &SmsObject, to: &Address, body: &Body) -> Outcome {
        // A failed Send and one under way look alike ("unknown"), so only success can be proven.
        let settled = tokio::time::timeout(super::FIRST_PART, self.settled(sms, to, body));
        settled.await.ok().flatten().map_or(Outcome::Unknown, Outcome::Sent)
    }

    async fn delete(&self, line: &LineId, sms: &SmsObject) -> Result<(), ModemError> {
        let Ok((owner, modem)) = self.modem_of(line) else { return Ok(()) };
        if owner != sms.owner {
            return Ok(());
        }
        let Ok(path) = OwnedObjectPath::try_from(&*sms.object) else { return Ok(()) };
        let _alone = self.deleting.lock().await;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.place(&owner, &modem).call(MESSAGING, "Delete", &path, super::FIRST_PART).await {
                Ok(_) | Err(ModemError::Gone) => return Ok(()),
                Err(ModemError::Unclear(said)) if *said == *IN_USE && tries < TRIES => {
                    tokio::time::sleep(FIRST_PAUSE * (1 << (tries - 1))).await;
                }
                // "No SMS found" has no name of its own: what cannot be read any more is gone.
                Err(error) => match self.place(&owner, &sms.object).properties(SMS).await {
                    Err(ModemError::Gone) => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
    }

    async fn list(&self, line: &LineId) -> Result<Vec<IncomingSms>, ModemError> {
        let (owner, modem) = self.modem_of(line)?;
        let mut held = Vec::new();
        for path in self.place(&owner, &modem).messages().await? {
            // One that is deleted meanwhile is no longer held.
            let Ok(properties) = self.place(&owner, path.as_str()).properties(SMS).await else { continue };
            let object = SmsObject { object: path.as_str().into(), owner: owner.clone() };
            if let sms::Found::Incoming(incoming) = sms::read(&properties, line, object) {
                held.push(incoming);
            }
        }
        Ok(held)
    }
}

impl ModemManager {
    /// Waits until the object is sent; `None` if that will never be proven.
    async fn settled(&self, sms: &SmsObject, to: &Address, body: &Body) -> Option<Sent> {
        if self.watch.owner()? != sms.owner {
            return None;
        }
        let number = to.dialable()?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(&*sms.owner)
            .path(&*sms.object)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .build()
            .ok()?;
        let mut changes = MessageStream::for_match_rule(rule, &self.watch.connection, None).await.ok()?;
        loop {
            let properties = self.place(&sms.owner, &sms.object).properties(SMS).await.ok()?;
            if !sms::is_for(&properties, &number, &body.0) {
                return None;
            }
            if let Some(sent) = sms::sent(&properties) {
                return Some(sent);
            }
            let _change = changes.next().await?;
        }
    }
}

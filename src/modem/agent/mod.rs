//! A ROM's agent: a program in the telephony framework that sends and receives SMS for us, where the
//! SMS stack is neither ModemManager nor oFono (`config/org.shunt.SmsAgent1.xml`).
//!
//! It registers over D-Bus (`org.shunt.Shunt1.Agents`, on the bus or on a socket of our own) and tells its
//! lines; while it is there it is the modem service, and its leaving is the service's. An SMS object is a
//! random name that we give, so that no name of an earlier agent or core is ever another's.

mod port;

pub use port::Port;

use super::bus::PROMPT;
use super::{FIRST_PART, IncomingSms, Modem, ModemError, ModemEvent, NewSms, Outcome, Sent, SmsObject, patience};
use crate::model::{Address, Body, LineId, Segments};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use zbus::{DynamicType, Error, Message, ObjectPath, Variant};

/// What the agent implements.
const INTERFACE: &str = "org.shunt.SmsAgent1";
/// Below which SMS have their names.
const NAMES: &str = "/org/shunt/Shunt1/sms/";
/// The owner of every SMS object: its name alone is enough.
const OWNER: &str = "agent";
/// Makes a line's name from what the agent calls it.
pub type NameLine = Box<dyn Fn(&str) -> LineId + Send + Sync>;

/// The backend.
pub struct Agent {
    port: Arc<Port>,
    /// SMS that were made and not sent: the agent hears of them when they are.
    made: RefCell<HashMap<Box<str>, NewSms>>,
}

impl Agent {
    /// A backend without an agent yet; the bus brings one to its port.
    #[must_use]
    pub fn new(name: NameLine) -> (Self, mpsc::UnboundedReceiver<ModemEvent>) {
        let (events, receiver) = mpsc::unbounded_channel();
        // It can't fail: the receiver is here.
        let _told = events.send(ModemEvent::Service { up: false });
        (Self { port: Arc::new(Port::new(name, events)), made: RefCell::default() }, receiver)
    }

    /// Where an agent registers.
    #[must_use]
    pub fn port(&self) -> Arc<Port> {
        self.port.clone()
    }

    async fn call<B>(&self, method: &str, body: &B, limit: Duration) -> Result<Message, ModemError>
    where
        B: serde::Serialize + DynamicType,
    {
        let Some((connection, name, path)) = self.port.registered() else { return Err(ModemError::Gone) };
        let call = connection.call_method(name.as_deref(), path, Some(INTERFACE), method, body);
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| read(&error)),
            Err(_elapsed) => Err(ModemError::Mute),
        }
    }
}

impl Modem for Agent {
    async fn create(&self, line: &LineId, sms: &NewSms) -> Result<SmsObject, ModemError> {
        if self.port.written(line).is_none() {
            return Err(ModemError::NoModem);
        }
        if sms.to.dialable().is_none() {
            return Err(ModemError::NotSendable);
        }
        if Segments::of(&sms.body.0).too_long() {
            return Err(ModemError::TooLong);
        }
        let mut random = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random).map_err(|_| ModemError::Gone)?;
        let object: Box<str> = format!("{NAMES}{:032x}", u128::from_be_bytes(random)).into();
        self.made.borrow_mut().insert(object.clone(), sms.clone());
        Ok(SmsObject { object, owner: OWNER.into() })
    }

    async fn send(&self, line: &LineId, sms: &SmsObject) -> Result<Sent, ModemError> {
        // Once only: after it the agent may have sent it, and is to forget it when that is settled.
        let made = self.made.borrow_mut().remove(&sms.object);
        let (Some(new), Some(written)) = (made, self.port.written(line)) else { return Err(ModemError::Gone) };
        let number = new.to.dialable().ok_or(ModemError::NotSendable)?;
        let Ok(object) = ObjectPath::try_from(&*sms.object) else { return Err(ModemError::Gone) };
        let mut options = HashMap::from([("report", Variant::from(new.report))]);
        if let Some(minutes) = new.validity_minutes {
            options.insert("validity", Variant::from(minutes));
        }
        let body = (object, &*written, &*number, &*new.body.0, options);
        let answer = self.call("Send", &body, patience(&new.body.0)).await?;
        // It answered, so it sent.
        Ok(Sent { references: answer.body().deserialize().unwrap_or_default() })
    }

    async fn outcome(&self, _line: &LineId, sms: &SmsObject, _to: &Address, _body: &Body) -> Outcome {
        let Ok(object) = ObjectPath::try_from(&*sms.object) else { return Outcome::Unknown };
        let Ok(answer) = self.call("Outcome", &object, FIRST_PART).await else { return Outcome::Unknown };
        match answer.body().deserialize::<(&str, Vec<u8>)>() {
            Ok(("sent", references)) => Outcome::Sent(Sent { references }),
            Ok(("not-sent", _)) => Outcome::NotSent,
            _ => Outcome::Unknown,
        }
    }

    async fn delete(&self, _line: &LineId, sms: &SmsObject) -> Result<(), ModemError> {
        if self.made.borrow_mut().remove(&sms.object).is_none() && sms.object.starts_with(NAMES) {
            // The agent had it.
            let Ok(object) = ObjectPath::try_from(&*sms.object) else { return Ok(()) };
            self.call("Forget", &object, PROMPT).await?;
        }
        Ok(())
    }

    async fn list(&self, line: &LineId) -> Result<Vec<IncomingSms>, ModemError> {
        // It holds none: each is told by Agents.Incoming.
        self.port.written(line).map(|_| Vec::new()).ok_or(ModemError::NoModem)
    }
}

/// What an agent's errors prove; its messages are kept nowhere.
fn read(error: &Error) -> ModemError {
    match error {
        Error::MethodError(name, ..) => named(name.as_str()),
        Error::FDO(error) => match **error {
            zbus::fdo::Error::ServiceUnknown(_) | zbus::fdo::Error::NameHasNoOwner(_) => ModemError::Gone,
            zbus::fdo::Error::UnknownMethod(_)
            | zbus::fdo::Error::UnknownObject(_)
            | zbus::fdo::Error::UnknownInterface(_) => ModemError::Gone,
            zbus::fdo::Error::AccessDenied(_) => ModemError::Denied,
            _ => ModemError::Lost,
        },
        _ => ModemError::Lost,
    }
}

fn named(name: &str) -> ModemError {
    match name.strip_prefix("org.shunt.SmsAgent1.Error.") {
        Some("NoNetwork") => ModemError::NoNetwork,
        Some("NetworkTimeout") => ModemError::NetworkTimeout,
        Some("NoSim") => ModemError::NoSim,
        Some("Busy") => ModemError::Busy,
        Some("Refused") => ModemError::Refused,
        Some("NotSendable") => ModemError::NotSendable,
        Some("NoLine") => ModemError::NoModem,
        Some("ModemLost") => ModemError::Lost,
        Some(own) => ModemError::Unclear(own.into()),
        None => ModemError::Unclear("foreign error".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cause;
    use crate::modem::Retry;

    #[test]
    fn only_errors_that_prove_that_nothing_left_are_retried() {
        let after = |name: &str| named(&format!("org.shunt.SmsAgent1.Error.{name}")).retry();
        assert_eq!(after("NoNetwork"), Retry::Later(Cause::NoNetwork));
        assert_eq!(after("Refused"), Retry::Never(Cause::Refused));
        assert_eq!(after("NetworkTimeout"), Retry::Unknown(Cause::NetworkTimeout));
        assert!(matches!(after("SomethingNew"), Retry::Unknown(_)));
        assert!(matches!(named("com.example.Odd").retry(), Retry::Unknown(_)));
    }

    #[tokio::test]
    async fn without_an_agent_nothing_is_made_and_nothing_leaves() {
        let (agent, _events) = Agent::new(Box::new(|name| LineId(name.into())));
        let to = Address("+49170".into());
        let new = NewSms { to: to.clone(), body: Body("x".into()), report: false, validity_minutes: None };
        let line = LineId("a".into());
        assert_eq!(agent.create(&line, &new).await, Err(ModemError::NoModem));
        let sms = SmsObject { object: format!("{NAMES}1").into(), owner: OWNER.into() };
        assert_eq!(agent.send(&line, &sms).await, Err(ModemError::Gone));
        assert_eq!(agent.outcome(&line, &sms, &to, &new.body).await, Outcome::Unknown);
    }
}

//! What the daemon calls: `org.shunt.SmsAgent1`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use zbus::message::Header;
use zbus::names::ErrorName;
use zbus::{DBusError, Message, ObjectPath, interface};

use super::Lines;
use crate::background::Changes;
use crate::phone::sms::Sms;

/// What became of a name.
#[derive(Clone)]
enum Known {
    UnderWay,
    Sent(Vec<u8>),
    NotSent,
    Open,
}

pub(super) struct Telephony {
    lines: Lines,
    outcomes: Mutex<HashMap<String, Known>>,
    changes: Changes,
}

impl Telephony {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, outcomes: Mutex::default(), changes: Changes::new() }
    }

    fn outcomes(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, sms: &ObjectPath<'_>, known: Known) {
        self.outcomes().insert(sms.to_string(), known);
        self.changes.tell();
    }
}

#[interface(name = "org.shunt.SmsAgent1")]
impl Telephony {
    async fn send(
        &self,
        sms: ObjectPath<'_>,
        line: &str,
        number: &str,
        text: &str,
        options: HashMap<String, zbus::OwnedVariant>,
    ) -> Result<Vec<u8>, Refusal> {
        let stack = self.lines.sms(line).ok_or(Refusal("NoLine"))?;
        self.note(&sms, Known::UnderWay);
        let outcome = submit(&stack, number, text, &options).await;
        self.note(
            &sms,
            match &outcome {
                Ok(references) => Known::Sent(references.clone()),
                Err(Refusal("NoNetwork" | "NoSim" | "Busy" | "Refused" | "NotSendable")) => Known::NotSent,
                Err(_) => Known::Open,
            },
        );
        outcome
    }

    async fn outcome(&self, sms: ObjectPath<'_>) -> (&'static str, Vec<u8>) {
        let known = || match self.outcomes().get(sms.as_str()).cloned().unwrap_or(Known::Open) {
            Known::UnderWay => None,
            settled => Some(settled),
        };
        match self.changes.until("the end of a Send", known).await {
            Ok(Known::Sent(references)) => ("sent", references),
            Ok(Known::NotSent) => ("not-sent", Vec::new()),
            _ => ("unknown", Vec::new()),
        }
    }

    async fn forget(&self, sms: ObjectPath<'_>) {
        self.outcomes().remove(sms.as_str());
    }
}

async fn submit(
    sms: &Sms,
    number: &str,
    text: &str,
    options: &HashMap<String, zbus::OwnedVariant>,
) -> Result<Vec<u8>, Refusal> {
    let report = options.get("report").and_then(|value| value.downcast_ref::<bool>().ok()).unwrap_or(false);
    let validity = options.get("validity").and_then(|value| value.downcast_ref::<u32>().ok());
    let made = sms.create_valid(number, text, report, validity).await.map_err(|_| Refusal("Busy"))?;
    sms.send_object(&made).await.map_err(|error| refusal(&error))?;
    let shown = sms.get(made).await.map_err(|_| Refusal("Unknown"))?;
    u8::try_from(shown.reference).map(|reference| vec![reference]).map_err(|_| Refusal("Unknown"))
}

fn refusal(error: &anyhow::Error) -> Refusal {
    let Some(zbus::Error::MethodError(name, message, _)) = error.downcast_ref() else { return Refusal("Unknown") };
    let own = name.as_str().strip_prefix("org.freedesktop.ModemManager1.Error.").unwrap_or(name.as_str());
    Refusal(match (own, message.as_deref().unwrap_or_default()) {
        ("Message.NoNetwork", _) => "NoNetwork",
        ("Message.SimNotInserted", _) => "NoSim",
        ("Message.NotAllowed", _) => "Refused",
        ("Message.NetworkTimeout", _) => "NetworkTimeout",
        // Causes of TS 24.011 annex E-2, for which it has no name.
        ("Message.Unknown", message) if message.ends_with(" 21") => "Refused",
        ("Message.Unknown", message) if message.ends_with(" 38") => "Busy",
        ("Core.Connected" | "Core.Cancelled" | "Core.Aborted" | "Serial.SendFailed", _) => "ModemLost",
        _ => "Unknown",
    })
}

/// An error by its last name.
#[derive(Debug)]
struct Refusal(&'static str);

impl DBusError for Refusal {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&("see the name",))
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_string_unchecked(format!("org.shunt.SmsAgent1.Error.{}", self.0))
    }

    fn description(&self) -> Option<&str> {
        None
    }
}

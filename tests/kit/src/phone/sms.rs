//! SMS by ModemManager's own API, as any app sends and receives them.

use std::collections::HashMap;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use zbus::{Connection, MatchRule, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, message};

use super::modem_manager::{MESSAGING, SERVICE};
use crate::private::note;

const SMS: &str = "org.freedesktop.ModemManager1.Sms";

/// MM_SMS_STATE_*: the ones that tests look for.
pub mod state {
    /// Not sent, and nothing known.
    pub const UNKNOWN: u32 = 0;
    /// Received whole.
    pub const RECEIVED: u32 = 3;
    /// Sent.
    pub const SENT: u32 = 5;
}

/// MM_SMS_VALIDITY_TYPE_RELATIVE.
const VALIDITY_RELATIVE: u32 = 1;
/// MM_SMS_PDU_TYPE_STATUS_REPORT.
const STATUS_REPORT: u32 = 3;

/// One modem's messages.
#[derive(Debug, Clone)]
pub struct Sms {
    connection: Connection,
    modem: OwnedObjectPath,
}

/// A message as ModemManager shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its object.
    pub path: OwnedObjectPath,
    /// Sender or recipient.
    pub number: String,
    /// The text; empty for data and status reports.
    pub text: String,
    /// Payload where it is no text.
    pub data: Vec<u8>,
    /// MM_SMS_STATE_*.
    pub state: u32,
    /// Whether it is a status report.
    pub status_report: bool,
    /// TP-MR of a sent text's last part, or of the text that a status report answers.
    pub reference: u32,
    /// TP-ST of a status report.
    pub delivery_state: u32,
    /// The SMSC's time stamp, ISO 8601.
    pub timestamp: String,
    /// Message class; -1 for none.
    pub class: i32,
}

impl Sms {
    pub(crate) fn new(connection: Connection, modem: OwnedObjectPath) -> Self {
        Self { connection, modem }
    }

    /// The connection that it uses.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The modem's object.
    pub fn modem(&self) -> &OwnedObjectPath {
        &self.modem
    }

    /// Creates a message object.
    pub async fn create(&self, to: &str, text: &str, report: bool) -> Result<OwnedObjectPath> {
        self.create_valid(to, text, report, None).await
    }

    /// The same, with how many minutes the SMSC may keep it.
    pub(crate) async fn create_valid(
        &self,
        to: &str,
        text: &str,
        report: bool,
        minutes: Option<u32>,
    ) -> Result<OwnedObjectPath> {
        note(to);
        note(text);
        let mut properties: HashMap<&str, Variant<'_>> = HashMap::from([
            ("number", Variant::from(to)),
            ("text", Variant::from(text)),
            ("delivery-report-request", Variant::from(report)),
        ]);
        if let Some(minutes) = minutes {
            properties.insert("validity", Variant::from((VALIDITY_RELATIVE, Variant::from(minutes))));
        }
        let reply =
            self.connection.call_method(Some(SERVICE), &self.modem, Some(MESSAGING), "Create", &(properties,)).await?;
        Ok(reply.body().deserialize()?)
    }

    /// Sends a message object. A D-Bus error keeps its name: downcast to [`zbus::Error`].
    pub async fn send_object(&self, path: &ObjectPath<'_>) -> Result<()> {
        self.connection.call_method(Some(SERVICE), path, Some(SMS), "Send", &()).await?;
        Ok(())
    }

    /// Creates and sends.
    pub async fn send(&self, to: &str, text: &str, report: bool) -> Result<OwnedObjectPath> {
        let path = self.create(to, text, report).await?;
        self.send_object(&path).await?;
        Ok(path)
    }

    /// Deletes a message, also from the modem's storage.
    pub async fn delete(&self, path: &ObjectPath<'_>) -> Result<()> {
        self.connection.call_method(Some(SERVICE), &self.modem, Some(MESSAGING), "Delete", &(path,)).await?;
        Ok(())
    }

    /// All messages that ModemManager has.
    pub async fn list(&self) -> Result<Vec<Shown>> {
        let reply = self.connection.call_method(Some(SERVICE), &self.modem, Some(MESSAGING), "List", &()).await?;
        let paths: Vec<OwnedObjectPath> = reply.body().deserialize()?;
        let mut all = Vec::new();
        for path in paths {
            // It may have been deleted meanwhile.
            if let Ok(shown) = self.get(path).await {
                all.push(shown);
            }
        }
        Ok(all)
    }

    /// One message's properties.
    pub async fn get(&self, path: OwnedObjectPath) -> Result<Shown> {
        let reply = self
            .connection
            .call_method(Some(SERVICE), &path, Some("org.freedesktop.DBus.Properties"), "GetAll", &(SMS,))
            .await?;
        let mut all: HashMap<String, OwnedVariant> = reply.body().deserialize()?;
        let mut take = |name: &str| all.remove(name).with_context(|| format!("an SMS without {name}"));
        Ok(Shown {
            path,
            number: take("Number")?.try_into()?,
            text: take("Text")?.try_into()?,
            data: take("Data")?.try_into()?,
            state: take("State")?.try_into()?,
            status_report: u32::try_from(take("PduType")?)? == STATUS_REPORT,
            reference: take("MessageReference")?.try_into()?,
            delivery_state: take("DeliveryState")?.try_into()?,
            timestamp: take("Timestamp")?.try_into()?,
            class: take("Class")?.try_into()?,
        })
    }

    /// Waits for a received message that fits, among those there and those to come.
    pub async fn wait_received(&self, fits: impl Fn(&Shown) -> bool) -> Result<Shown> {
        self.wait(|s| s.state == state::RECEIVED && !s.status_report && fits(s)).await
    }

    /// Waits for a status report that fits.
    pub async fn wait_report(&self, fits: impl Fn(&Shown) -> bool) -> Result<Shown> {
        self.wait(|s| s.status_report && fits(s)).await
    }

    async fn wait(&self, fits: impl Fn(&Shown) -> bool) -> Result<Shown> {
        self.until(|all| all.into_iter().find(&fits)).await
    }

    /// Waits until a message is listed no more.
    pub async fn wait_gone(&self, path: &OwnedObjectPath) -> Result<()> {
        self.until(|all| all.iter().all(|shown| shown.path != *path).then_some(())).await
    }

    async fn until<T>(&self, look: impl Fn(Vec<Shown>) -> Option<T>) -> Result<T> {
        let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE).build()?;
        let mut signals = MessageStream::for_match_rule(rule, &self.connection, std::num::NonZero::new(256)).await?;
        let found = async {
            loop {
                if let Some(found) = look(self.list().await?) {
                    return Ok(found);
                }
                signals.next().await.context("the bus went away")??;
            }
        };
        tokio::time::timeout(crate::background::HANG, found).await.context("waited in vain for an SMS")?
    }
}

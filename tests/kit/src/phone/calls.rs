//! Calls by ModemManager's own API.

use super::Phone;
use super::modem_manager::SERVICE;
use anyhow::{Context, Result};
use futures_util::StreamExt;
use std::collections::HashMap;
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant, message};

const VOICE: &str = "org.freedesktop.ModemManager1.Modem.Voice";
const CALL: &str = "org.freedesktop.ModemManager1.Call";

impl Phone {
    /// Calls a number and hangs up.
    ///
    /// # Errors
    /// ModemManager refuses.
    pub async fn call(&self, number: &str) -> Result<()> {
        let to = HashMap::from([("number", Variant::from(number))]);
        let sms = self.sms();
        let made = sms.connection().call_method(Some(SERVICE), sms.modem(), Some(VOICE), "CreateCall", &(to,)).await?;
        let call: OwnedObjectPath = made.body().deserialize()?;
        self.on_call(&call, "Start").await?;
        self.on_call(&call, "Hangup").await?;
        Ok(())
    }

    /// A number calls, the phone answers and hangs up.
    ///
    /// # Errors
    /// ModemManager shows no call of that number's, or refuses.
    pub async fn take_call(&self, number: &str) -> Result<()> {
        let sms = self.sms();
        let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(SERVICE).interface(VOICE);
        let rule = rule.member("CallAdded").build()?;
        let mut added = MessageStream::for_match_rule(rule, sms.connection(), std::num::NonZero::new(8)).await?;
        self.modem().ring(number);
        let signal = tokio::time::timeout(crate::background::HANG, added.next()).await.context("no call came")?;
        let call: OwnedObjectPath = signal.context("the bus is gone")??.body().deserialize()?;
        let properties = Some("org.freedesktop.DBus.Properties");
        let from = sms.connection().call_method(Some(SERVICE), &call, properties, "Get", &(CALL, "Number")).await?;
        let from: String = from.body().deserialize::<OwnedVariant>()?.try_into()?;
        anyhow::ensure!(from == number, "{from} calls");
        self.on_call(&call, "Accept").await?;
        self.on_call(&call, "Hangup").await?;
        Ok(())
    }

    async fn on_call(&self, call: &OwnedObjectPath, method: &str) -> Result<Message> {
        let sms = self.sms();
        Ok(sms.connection().call_method(Some(SERVICE), call, Some(CALL), method, &()).await?)
    }
}

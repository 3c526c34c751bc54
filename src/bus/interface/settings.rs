//! `org.shunt.Shunt1.Settings`

use crate::bus::core::Shared;
use crate::bus::details::{self, LastSwitch};
use crate::bus::options::Dict;
use crate::bus::{Error, Request, Setting};
use crate::model::{self, Consent, FallbackPolicy, PresencePolicy};
use std::sync::Arc;
use zbus::interface;
use zbus::message::Header;

pub(in crate::bus) struct Settings(pub(in crate::bus) Arc<Shared>);

/// A setter is only ever reached by a call.
const NO_CALL: Error = Error::Denied("the call has no sender");

impl Settings {
    async fn change(&self, call: Option<&Header<'_>>, setting: Setting) -> Result<(), Error> {
        let caller = self.0.gate.may_set(call.ok_or(NO_CALL)?).await?;
        self.0.ask(|reply| Request::SetSetting { setting, caller, reply }).await
    }
}

#[interface(name = "org.shunt.Shunt1.Settings", introspection_docs = false)]
impl Settings {
    /// May: settings. Turns the switch on, and records what the user agreed to.
    async fn enable(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let consent = Consent::parse(options)?;
        let caller = self.0.gate.may_set(&call).await?;
        self.0.ask(|reply| Request::SetEnabled { on: true, consent, property: false, caller, reply }).await
    }

    #[zbus(property)]
    fn enabled(&self) -> bool {
        self.0.published().enabled
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_enabled(&self, on: bool, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        let caller = self.0.gate.may_set(call.as_ref().ok_or(NO_CALL)?).await?;
        self.0.ask(|reply| Request::SetEnabled { on, consent: None, property: true, caller, reply }).await
    }

    #[zbus(property)]
    fn last_switch(&self) -> LastSwitch {
        details::last_switch(&self.0.published())
    }

    #[zbus(property)]
    fn fallback_after(&self) -> u32 {
        self.0.published().settings.fallback_after
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_fallback_after(&self, seconds: u32, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        if !model::Settings::FALLBACK_AFTER.contains(&seconds) {
            return Err(Error::BadArgument("FallbackAfter is 3 to 120 seconds"));
        }
        self.change(call.as_ref(), Setting::FallbackAfter(seconds)).await
    }

    #[zbus(property)]
    fn fallback_policy(&self) -> &'static str {
        self.0.published().settings.fallback_policy.token()
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_fallback_policy(&self, policy: String, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        let policy = FallbackPolicy::from_token(&policy);
        let policy = policy.ok_or(Error::BadArgument("FallbackPolicy is always, not-roaming, ask or never"))?;
        self.change(call.as_ref(), Setting::FallbackPolicy(policy)).await
    }

    #[zbus(property)]
    fn allow_roaming(&self) -> bool {
        self.0.published().settings.allow_roaming
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_allow_roaming(&self, yes: bool, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        self.change(call.as_ref(), Setting::AllowRoaming(yes)).await
    }

    #[zbus(property)]
    fn allow_metered(&self) -> bool {
        self.0.published().settings.allow_metered
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_allow_metered(&self, yes: bool, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        self.change(call.as_ref(), Setting::AllowMetered(yes)).await
    }

    #[zbus(property)]
    fn presence_policy(&self) -> &'static str {
        self.0.published().settings.presence_policy.token()
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_presence_policy(&self, policy: String, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        let policy = PresencePolicy::from_token(&policy);
        let policy = policy.ok_or(Error::BadArgument("PresencePolicy is anyone, mutual or nobody"))?;
        self.change(call.as_ref(), Setting::PresencePolicy(policy)).await
    }

    #[zbus(property)]
    fn read_receipts(&self) -> bool {
        self.0.published().settings.read_receipts
    }

    /// May: settings.
    #[zbus(property)]
    async fn set_read_receipts(&self, yes: bool, #[zbus(header)] call: Option<Header<'_>>) -> Result<(), Error> {
        self.change(call.as_ref(), Setting::ReadReceipts(yes)).await
    }
}

//! `org.shunt.Shunt1`

use crate::bus::core::Shared;
use crate::bus::details::{self, Details, Line};
use crate::bus::options::{self, Dict};
use crate::bus::{Error, Request, export, import};
use crate::model::Consent;
use std::sync::Arc;
use zbus::interface;
use zbus::message::Header;
use zeroize::Zeroizing;

pub(in crate::bus) struct Service(pub(in crate::bus) Arc<Shared>);

#[interface(name = "org.shunt.Shunt1", introspection_docs = false)]
impl Service {
    /// May: send. What `shuntctl doctor` asks.
    #[zbus(out_args("findings"))]
    async fn diagnose(&self, #[zbus(header)] call: Header<'_>) -> Result<Details, Error> {
        self.0.gate.may_send(&call).await?;
        let mut found = details::diagnosis(&self.0.ask(|reply| Request::Diagnose { reply }).await?);
        found.extend(self.0.seat.as_ref().map(|seat| ("agent", seat.port.taken().into())));
        Ok(found)
    }

    /// May: settings. Tells the identity key.
    #[zbus(out_args("key"))]
    async fn identity(&self, #[zbus(header)] call: Header<'_>) -> Result<String, Error> {
        self.0.gate.may_set(&call).await?;
        self.0.ask(|reply| Request::Identity { reply }).await
    }

    /// May: settings. Takes an account file.
    async fn import(&self, file: zbus::OwnedFd, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let caller = self.0.gate.may_set(&call).await?;
        let file = import::read(file.into(), &self.0.import).await?;
        self.0.ask(|reply| Request::Import { file, caller, reply }).await
    }

    /// May: account. Begins to enrol a number.
    async fn enrol(&self, number: String, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let caller = self.0.gate.may_enrol(&call).await?;
        let consent = Consent::parse(options)?;
        let number = if number.is_empty() { None } else { Some(options::address(&number)?) };
        self.0.ask(|reply| Request::Enrol { number, consent, caller, reply }).await
    }

    /// May: account. Gives an enrolment's code by hand.
    async fn confirm_enrolment(
        &self,
        code: String,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), Error> {
        let code = Zeroizing::new(code);
        self.0.gate.may_enrol(&call).await?;
        if !options.is_empty() {
            return Err(Error::BadArgument("ConfirmEnrolment takes no options"));
        }
        self.0.ask(|reply| Request::ConfirmEnrolment { code, reply }).await
    }

    /// May: account. Ends the account and forgets everything.
    async fn withdraw(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_enrol(&call).await?;
        if !options.is_empty() {
            return Err(Error::BadArgument("Withdraw takes no options"));
        }
        self.0.ask(|reply| Request::Withdraw { reply }).await
    }

    /// May: account. Writes all that is held about the user.
    async fn export(&self, file: zbus::OwnedFd, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_enrol(&call).await?;
        export::write(file.into(), &self.0).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.0.published().state.token()
    }

    #[zbus(property)]
    fn state_reason(&self) -> &'static str {
        self.0.published().reason
    }

    #[zbus(property)]
    fn confinement(&self) -> Vec<String> {
        self.0.published().confinement.clone()
    }

    /// Everybody sees that there are lines; numbers are for those who may send.
    #[zbus(property(emits_changed_signal = "invalidates"))]
    async fn lines(&self, #[zbus(header)] call: Option<Header<'_>>) -> Vec<Line> {
        let may_send = match &call {
            Some(call) => self.0.gate.may_send(call).await.is_ok(),
            None => false,
        };
        details::lines(&self.0.published(), may_send)
    }
}

//! `org.shunt.Shunt1.Door`: for the doors of unmodified apps. Each calls on the connection that it made for its app: who
//! is judged is the door, a process of the app's user.

use crate::bus::core::Shared;
use crate::bus::details::{self, Sent};
use crate::bus::options::{self, Dict, DivertOptions};
use crate::bus::{Error, Request};
use std::sync::Arc;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath, interface};

pub(in crate::bus) struct Door(pub(in crate::bus) Arc<Shared>);

/// Message, number, sender, text, when it came (ms), line.
type Incoming = (OwnedObjectPath, u32, String, String, i64, String);

#[interface(name = "org.shunt.Shunt1.Door", introspection_docs = false)]
impl Door {
    /// From memory.
    #[zbus(out_args("bearer"))]
    async fn ask(&self, to: &str, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<&'static str, Error> {
        self.0.gate.door(&call).await?;
        let (to, modem) = (options::address(to)?, options::modem(options)?);
        let divert = self.0.ask(|reply| Request::Ask { to, modem, reply }).await?;
        Ok(if divert { "im" } else { "sms" })
    }

    /// Answered once the text is settled as far as an app cares.
    #[zbus(out_args("outcome", "reason", "message"))]
    async fn divert(
        &self,
        to: &str,
        text: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(&'static str, &'static str, OwnedObjectPath), Error> {
        let caller = self.0.gate.door(&call).await?;
        let (to, text) = (options::address(to)?, options::body(text)?);
        let DivertOptions { options, modem, diverted } = DivertOptions::parse(options)?;
        let ask = |reply| Request::Divert { to, text, options, modem, diverted, caller, reply };
        let settled = self.0.ask(ask).await?;
        let path = settled.id.map_or_else(OwnedObjectPath::default, details::path);
        Ok((settled.outcome.token(), settled.reason.token(), path))
    }

    /// What was diverted, for states and reports that the modem service does not know.
    #[zbus(out_args("texts"))]
    async fn sent(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<Vec<Sent>, Error> {
        self.0.gate.door(&call).await?;
        let owner = options::owner(options)?;
        let texts = self.0.ask(|reply| Request::Sent { owner, reply }).await?;
        Ok(texts.iter().filter_map(details::sent).collect())
    }

    /// The app deleted a delivery report.
    async fn delete_report(&self, message: ObjectPath<'_>, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.door(&call).await?;
        let id = options::text_id(message.as_str())?;
        self.0.ask(|reply| Request::DeleteReport { id, reply }).await
    }

    /// Instant messages that came, a page of them.
    #[zbus(out_args("messages", "more"))]
    async fn inbox(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<(Vec<Incoming>, bool), Error> {
        let caller = self.0.gate.door(&call).await?;
        let after = options::after(options)?;
        let page = self.0.ask(|reply| Request::Inbox { after, caller, reply }).await?;
        let row = |(number, text): (u32, crate::model::Arrived)| {
            let (from, body, line) = (text.from.0.into(), text.body.0.into(), text.line.0.into());
            (details::path(text.id), number, from, body, text.at.0, line)
        };
        Ok((page.texts.into_iter().map(row).collect(), page.more))
    }

    /// Where the lines are.
    #[zbus(out_args("lines"))]
    async fn lines(&self, #[zbus(header)] call: Header<'_>) -> Result<Vec<(String, OwnedObjectPath)>, Error> {
        self.0.gate.door(&call).await?;
        Ok(details::seats(&self.0.published()))
    }

    /// Incoming SMS that were shown as instant messages already and that the modem service may have still.
    #[zbus(out_args("twins"))]
    async fn twins(&self, options: Dict, #[zbus(header)] call: Header<'_>) -> Result<Vec<OwnedObjectPath>, Error> {
        let caller = self.0.gate.door(&call).await?;
        let owner = options::owner(options)?;
        let twins = self.0.ask(|reply| Request::Twins { owner, caller, reply }).await?;
        Ok(twins.into_iter().filter_map(|path| OwnedObjectPath::try_from(&*path).ok()).collect())
    }

    /// Whether an incoming SMS was shown as an instant message already.
    #[zbus(out_args("twin", "shown"))]
    async fn twin(&self, from: &str, text: &str, #[zbus(header)] call: Header<'_>) -> Result<(bool, String), Error> {
        let caller = self.0.gate.door(&call).await?;
        let (from, text) = (options::address(from)?, options::body(text)?);
        let (twin, shown) = self.0.ask(|reply| Request::Twin { from, text, caller, reply }).await?;
        Ok((twin, shown.0.into()))
    }

    /// Emitted by [`crate::bus::Bus::settled`]; here for introspection.
    #[zbus(signal)]
    async fn settled(emitter: &SignalEmitter<'_>, text: Sent) -> zbus::Result<()>;

    /// Emitted by [`crate::bus::Bus::publish`].
    #[zbus(signal)]
    async fn lines_changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

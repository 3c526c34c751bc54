//! `org.shunt.Shunt1.Messaging`. All that it does needs the right to send.

use crate::bus::core::Shared;
use crate::bus::details::{self, Details};
use crate::bus::options::{self, Dict};
use crate::bus::{Error, Filter, Request, RouteOptions, SendOptions};
use std::sync::Arc;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath, interface};

pub(in crate::bus) struct Messaging(pub(in crate::bus) Arc<Shared>);

#[interface(name = "org.shunt.Shunt1.Messaging", introspection_docs = false)]
impl Messaging {
    /// Answered once the text is durable.
    #[zbus(out_args("message"))]
    async fn send(
        &self,
        to: &str,
        text: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.0.gate.listener(&call).await?;
        let (to, text, options) = (options::address(to)?, options::body(text)?, SendOptions::parse(options)?);
        let id = self.0.ask(|reply| Request::Send { to, text, options, caller, reply }).await?;
        Ok(details::path(id))
    }

    /// From what is known; sends nothing.
    #[zbus(out_args("bearer", "reason", "details"))]
    async fn route(
        &self,
        to: &str,
        options: Dict,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(&'static str, &'static str, Details), Error> {
        self.0.gate.may_send(&call).await?;
        let (to, options) = (options::address(to)?, RouteOptions::parse(options)?);
        self.0.ask(|reply| Request::Route { to, options, reply }).await.map(details::route)
    }

    /// Keeps the number's route fresh for this connection, and tells its changes to it.
    async fn watch(&self, to: &str, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let caller = self.0.gate.sender(&call).await?;
        let to = options::address(to)?;
        self.0.gate.watch(&caller, &to.0)?;
        let entered = (caller.clone(), to.clone());
        let watched = self.0.ask(|reply| Request::Watch { to, caller, reply }).await;
        if watched.is_err() {
            // Not taken, so not watched: whether it still was is of no matter.
            let _ = self.0.gate.unwatch(&entered.0, &entered.1.0);
        }
        watched
    }

    /// The end of a `Watch`.
    async fn unwatch(&self, to: &str, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        let caller = self.0.gate.sender(&call).await?;
        let to = options::address(to)?;
        self.0.gate.unwatch(&caller, &to.0)?;
        self.0.ask(|reply| Request::Unwatch { to, caller, reply }).await
    }

    /// Texts, oldest first.
    #[zbus(out_args("messages"))]
    async fn list(&self, filter: Dict, #[zbus(header)] call: Header<'_>) -> Result<Vec<OwnedObjectPath>, Error> {
        self.0.gate.listener(&call).await?;
        let filter = Filter::parse(filter)?;
        let ids = self.0.ask(|reply| Request::List { filter, reply }).await?;
        Ok(ids.into_iter().map(details::path).collect())
    }

    /// One text's record.
    #[zbus(out_args("details"))]
    async fn get(&self, message: ObjectPath<'_>, #[zbus(header)] call: Header<'_>) -> Result<Details, Error> {
        self.0.gate.listener(&call).await?;
        let id = options::text_id(message.as_str())?;
        self.0.ask(|reply| Request::Get { id, reply }).await.map(|record| details::record(&record))
    }

    /// An app has taken an incoming text.
    async fn acknowledge(&self, message: ObjectPath<'_>, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.listener(&call).await?;
        let id = options::text_id(message.as_str())?;
        self.0.ask(|reply| Request::Acknowledge { id, reply }).await
    }

    /// Deletes a text here, either way.
    async fn delete(&self, message: ObjectPath<'_>, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.listener(&call).await?;
        let id = options::text_id(message.as_str())?;
        self.0.ask(|reply| Request::Delete { id, reply }).await
    }

    /// Doesn't send a text after all.
    async fn cancel(&self, message: ObjectPath<'_>, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.listener(&call).await?;
        let id = options::text_id(message.as_str())?;
        self.0.ask(|reply| Request::Cancel { id, reply }).await
    }

    /// Decides on a held text.
    async fn resolve(
        &self,
        message: ObjectPath<'_>,
        bearer: &str,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), Error> {
        self.0.gate.listener(&call).await?;
        let (id, bearer) = (options::text_id(message.as_str())?, options::bearer(bearer)?);
        self.0.ask(|reply| Request::Resolve { id, bearer, reply }).await
    }

    /// A text came. Emitted by [`crate::bus::Bus::received`]; here for introspection, as are the next three.
    #[zbus(signal)]
    async fn received(emitter: &SignalEmitter<'_>, message: ObjectPath<'_>, details: Details) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn changed(emitter: &SignalEmitter<'_>, message: ObjectPath<'_>, details: Details) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn decision_needed(emitter: &SignalEmitter<'_>, message: ObjectPath<'_>, question: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn route_changed(emitter: &SignalEmitter<'_>, to: &str, bearer: &str, reason: &str) -> zbus::Result<()>;
}

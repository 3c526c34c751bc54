//! `org.shunt.Shunt1.Peers`

use crate::bus::core::Shared;
use crate::bus::{Error, Request, details, options};
use crate::model::PeerPolicy;
use std::sync::Arc;
use zbus::interface;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

pub(in crate::bus) struct Peers(pub(in crate::bus) Arc<Shared>);

/// A peer: number, policy, how well it is known.
type Peer = (String, &'static str, &'static str);

/// A sender who was refused: pseudonym, why, how often, when last.
type Unverified = (String, &'static str, u32, u64);

#[interface(name = "org.shunt.Shunt1.Peers", introspection_docs = false)]
impl Peers {
    /// May: send.
    #[zbus(out_args("peers"))]
    async fn list(&self, #[zbus(header)] call: Header<'_>) -> Result<Vec<Peer>, Error> {
        self.0.gate.may_send(&call).await?;
        let peers = self.0.ask(|reply| Request::Peers { reply }).await?;
        let shown = peers.iter().map(|p| (p.number.as_e164().to_owned(), p.policy.token(), p.standing.token()));
        Ok(shown.collect())
    }

    /// May: send.
    #[zbus(out_args("senders"))]
    async fn unverified(&self, #[zbus(header)] call: Header<'_>) -> Result<Vec<Unverified>, Error> {
        self.0.gate.may_send(&call).await?;
        let senders = self.0.ask(|reply| Request::Unverified { reply }).await?;
        let shown = senders.into_iter().map(|it| (it.pseudonym, it.reason.token(), it.times, details::ms(it.at)));
        Ok(shown.collect())
    }

    /// May: settings.
    async fn set_policy(&self, peer: &str, policy: &str, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_set(&call).await?;
        let peer = options::address(peer)?;
        let policy = PeerPolicy::from_token(policy);
        let policy = policy.ok_or(Error::BadArgument("a peer's policy is auto, im-only or sms-only"))?;
        self.0.ask(|reply| Request::SetPolicy { peer, policy, reply }).await
    }

    /// May: settings.
    async fn block(&self, peer: &str, blocked: bool, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_set(&call).await?;
        let peer = options::address(peer)?;
        self.0.ask(|reply| Request::Block { peer, blocked, reply }).await
    }

    /// May: send.
    #[zbus(out_args("number"))]
    async fn safety_number(&self, peer: &str, #[zbus(header)] call: Header<'_>) -> Result<String, Error> {
        self.0.gate.may_send(&call).await?;
        let peer = options::address(peer)?;
        self.0.ask(|reply| Request::SafetyNumber { peer, reply }).await
    }

    /// May: settings.
    async fn verify(&self, peer: &str, verified: bool, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_set(&call).await?;
        let peer = options::address(peer)?;
        self.0.ask(|reply| Request::Verify { peer, verified, reply }).await
    }

    /// May: settings.
    async fn accept(&self, peer: &str, safety_number: &str, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_set(&call).await?;
        let (peer, number) = (options::address(peer)?, options::safety_number(safety_number)?);
        self.0.ask(|reply| Request::Accept { peer, number, reply }).await
    }

    /// May: send, which lets a caller name peers one by one already.
    async fn set_contacts(&self, numbers: Vec<&str>, #[zbus(header)] call: Header<'_>) -> Result<(), Error> {
        self.0.gate.may_send(&call).await?;
        let numbers = options::contacts(&numbers)?;
        self.0.ask(|reply| Request::SetContacts { numbers, reply }).await
    }

    /// Emitted by [`crate::bus::Bus::identity_changed`]; here for introspection.
    #[zbus(signal)]
    async fn identity_changed(emitter: &SignalEmitter<'_>, peer: &str) -> zbus::Result<()>;
}

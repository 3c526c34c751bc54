//! Which key is a peer's: first seen and pinned, changed, confirmed, compared (protocol.md §4).

use super::Core;
use super::peers::{Sighting, key_from, sighted};
use super::turn::Effect;
use super::turn::Turn;
use crate::bus::{Error, Reply};
use crate::model::{Address, PhoneNumber, Trust};
use crate::router::{Class, Input};
use crate::seal::{Certificate, IdentityKey, safety_number};
use crate::store::{PeerRecord, StoreError};

const NO_KEY: Error = Error::NotFound("no key of this peer has been seen; send it a text while both are online");

impl Core {
    /// A valid certificate of the peer's came. Apps hear of a key that nobody has confirmed, once.
    pub(super) fn certificate_seen(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        certificate: &Certificate,
    ) -> Result<Sighting, StoreError> {
        let before = self.peers.get(peer).and_then(|record| record.new_identity);
        let mut sighting = Sighting::Stale;
        self.change_peer(turn, peer, |record| sighting = sighted(record, certificate))?;
        let after = self.peers.get(peer).and_then(|record| record.new_identity);
        if sighting == Sighting::Changed && after != before {
            log::warn!("a peer's identity key is another one: texts to it go by SMS until it is confirmed");
            turn.effect(Effect::IdentityChanged(peer.clone()));
        }
        Ok(sighting)
    }

    /// Whether the user compared the key that the peer's instant messages are sealed for.
    pub(super) fn verified(&self, peer: &PhoneNumber) -> bool {
        self.peers.get(peer).is_some_and(|record| record.trust == Trust::Verified && record.new_identity.is_none())
    }

    /// The safety number with a peer: of the changed key where one waits to be confirmed.
    pub(super) fn safety_number(&self, peer: &Address) -> Result<String, Error> {
        let (peer, record) = self.known(peer)?;
        let key = record.new_identity.as_ref().or(record.pinned_identity.as_ref()).and_then(key_from).ok_or(NO_KEY)?;
        self.safety_with(&peer, &key)
    }

    fn safety_with(&self, peer: &PhoneNumber, key: &IdentityKey) -> Result<String, Error> {
        let (Some(account), Some(identity)) = (&self.account, &self.identity) else { return Err(Error::NotEnrolled) };
        Ok(safety_number((&account.number, &identity.key()), (peer, key)))
    }

    /// The user compared safety numbers, or takes that back.
    pub(super) fn verify(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &Address,
        verified: bool,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let peer = match self.known(peer) {
            Ok((_, record)) if record.pinned_identity.is_none() => Err(NO_KEY),
            Ok((_, record)) if verified && record.new_identity.is_some() => {
                Err(Error::TooLate("the peer's key has changed: call Accept with the new safety number first"))
            }
            found => found.map(|(peer, _)| peer),
        };
        match peer {
            Ok(peer) => {
                let trust = if verified { Trust::Verified } else { Trust::Pinned };
                self.change_peer(turn, &peer, |record| record.trust = trust)?;
                turn.promise(reply);
            }
            Err(error) => turn.answer(reply, Err(error)),
        }
        Ok(())
    }

    /// Confirms a changed key, named by its safety number: yet another key may have come meanwhile.
    pub(super) fn accept(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &Address,
        number: &str,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let waiting = self.known(peer).and_then(|(peer, record)| {
            let new = record.new_identity.ok_or(Error::TooLate("no changed key of this peer waits to be confirmed"))?;
            let key = key_from(&new).ok_or(NO_KEY)?;
            if self.safety_with(&peer, &key)? == number {
                Ok((peer, new))
            } else {
                Err(Error::TooLate("that is not the safety number of the key that waits: call SafetyNumber again"))
            }
        });
        let (peer, key) = match waiting {
            Ok(waiting) => waiting,
            Err(error) => {
                turn.answer(reply, Err(error));
                return Ok(());
            }
        };
        // What was agreed with the old key's phone is void: its sessions, and the lease it granted.
        self.sessions.insert(peer.clone(), Vec::new());
        turn.changed_sessions(&peer);
        self.reaching.heard(&peer);
        self.route(turn, Input::Gone(peer.clone()))?;
        turn.promise(reply);
        self.change_peer(turn, &peer, |record| {
            record.trust = if record.trust == Trust::Pinned { Trust::Pinned } else { Trust::Lapsed };
            record.pinned_identity = Some(key);
            record.new_identity = None;
            record.certificate_expires = None;
            record.bundle_dated = None;
            record.proof_known = None;
        })
    }

    fn known(&self, peer: &Address) -> Result<(PhoneNumber, &PeerRecord), Error> {
        let (Class::Mobile | Class::SmsOnlyList, Some(peer)) = self.classify(peer, self.line(None)) else {
            return Err(Error::BadNumber);
        };
        let record = self.peers.get(&peer).ok_or(NO_KEY)?;
        Ok((peer, record))
    }
}

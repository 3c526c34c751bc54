//! Reaching a peer: number → pseudonym → bundle → session → probe, as far as each is missing.

use super::Core;
use super::peers::{Sighting, key_from, vouched};
use super::turn::Turn;
use crate::model::{PhoneNumber, Timestamp};
use crate::router::Input;
use crate::seal::{Bundle, Jid, Payload, Pseudonym, PseudonymError, Session};
use crate::store::StoreError;
use crate::wall::{FetchError, Opaque, RequestId, ToUplink};
use std::collections::{HashMap, HashSet};

/// What is under way.
#[derive(Default)]
pub(super) struct Reaching {
    fetching: HashMap<RequestId, PhoneNumber>,
    /// Peers whose pseudonym or bundle is on its way.
    busy: HashSet<PhoneNumber>,
    /// Peers who left the last probe unanswered: perhaps another phone, with other keys, has the
    /// number now, so their bundle is fetched anew. With the issue date of our certificate in it.
    unanswered: HashMap<PhoneNumber, Option<Timestamp>>,
}

impl Reaching {
    /// The uplink died: nothing that it was asked will be answered.
    pub(super) fn forget(&mut self) -> Vec<PhoneNumber> {
        self.fetching.clear();
        self.busy.drain().collect()
    }

    /// What was on its way to the peer has ended.
    pub(super) fn idle(&mut self, peer: &PhoneNumber) {
        self.busy.remove(peer);
    }

    /// A letter came from the peer. Gives the issue date of the certificate that the last probe carried.
    pub(super) fn heard(&mut self, peer: &PhoneNumber) -> Option<Timestamp> {
        self.unanswered.remove(peer).flatten()
    }
}

impl Core {
    /// Finds out whether the peer is online; what comes of it is an input to the router.
    pub(super) fn probe(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        if self.reaching.busy.contains(peer) {
            return Ok(());
        }
        let Some(name) = self.peers.get(peer).and_then(|record| record.pseudonym.clone()) else {
            if self.evaluate(turn, peer) {
                self.reaching.busy.insert(peer.clone());
                return Ok(());
            }
            return self.route(turn, Input::ProbeFailed(peer.clone()));
        };
        self.load_sessions(turn, peer)?;
        let acquainted = self.sessions.get(peer).is_some_and(|sessions| !sessions.is_empty());
        // The certificate seen last has ended: the bundle has the next one.
        let certified = self.peers.get(peer).is_some_and(|record| vouched(record, turn.now.wall));
        if acquainted && certified && !self.reaching.unanswered.contains_key(peer) {
            return self.send_probe(turn, peer);
        }
        self.fetch(turn, peer, &name)
    }

    fn send_probe(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        let carried = self.account.as_ref().map(|account| account.certificate.issued);
        self.reaching.unanswered.insert(peer.clone(), carried);
        if self.post(turn, peer, Payload::Probe)? { Ok(()) } else { self.route(turn, Input::ProbeFailed(peer.clone())) }
    }

    pub(super) fn pseudonym_found(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: PhoneNumber,
        result: Result<Pseudonym, PseudonymError>,
    ) -> Result<(), StoreError> {
        self.reaching.busy.remove(&peer);
        match result {
            // The account has ended meanwhile: nothing is noted of anybody any more.
            _ if self.account.is_none() => self.route(turn, Input::ProbeFailed(peer)),
            Ok(pseudonym) => {
                let name = pseudonym.as_str().to_owned();
                self.change_peer(turn, &peer, |record| record.pseudonym = Some(name.clone()))?;
                self.fetch(turn, &peer, &name)
            }
            Err(error) => {
                log::error!("an evaluation does not hold: {error}");
                self.route(turn, Input::ProbeFailed(peer))
            }
        }
    }

    fn fetch(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, name: &str) -> Result<(), StoreError> {
        let request = match Pseudonym::from_wire(name) {
            Ok(of) => self.request(turn, |request| ToUplink::Fetch { request, of }),
            Err(_) => None,
        };
        match request {
            Some(request) => {
                self.reaching.fetching.insert(request, peer.clone());
                self.reaching.busy.insert(peer.clone());
                Ok(())
            }
            None => self.route(turn, Input::ProbeFailed(peer.clone())),
        }
    }

    pub(super) fn fetched(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: Result<Opaque, FetchError>,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.reaching.fetching.remove(&request) else { return Ok(()) };
        self.reaching.busy.remove(&peer);
        match result {
            Ok(bundle) => self.bundle_came(turn, &peer, &bundle.0),
            Err(FetchError::NotFound) => self.route(turn, Input::NotEnrolled(peer)),
            Err(FetchError::Unavailable) => self.route(turn, Input::ProbeFailed(peer)),
        }
    }

    fn bundle_came(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, bytes: &[u8]) -> Result<(), StoreError> {
        let now = turn.now.wall;
        let verified = (|| {
            let account = self.account.as_ref()?;
            let record = self.peers.get(peer)?;
            let name = Pseudonym::from_wire(record.pseudonym.as_ref()?).ok()?;
            let jid = Jid::new(name, account.jid.domain()).ok()?;
            let pinned = record.pinned_identity.as_ref().and_then(key_from);
            let verified = Bundle::decode(bytes).and_then(|bundle| {
                // A new key's phone has its own clock; the old one's bundles are refused by their certificate.
                let last_seen = record.bundle_dated.filter(|_| pinned == Some(*bundle.identity()));
                bundle.verify(&account.keys, &jid, now, last_seen)
            });
            verified.map_err(|error| log::warn!("a peer's bundle is refused: {error}")).ok()
        })();
        let Some(bundle) = verified else { return self.route(turn, Input::ProbeFailed(peer.clone())) };
        match self.certificate_seen(turn, peer, &bundle.certificate)? {
            Sighting::Known => {
                self.change_peer(turn, peer, |record| record.bundle_dated = Some(bundle.date))?;
                self.load_sessions(turn, peer)?;
                let made = self.identity.as_ref().map(|identity| Session::outbound(identity, &bundle));
                let (Some(Ok(session)), Some(sessions)) = (made, self.sessions.get_mut(peer)) else {
                    return self.route(turn, Input::ProbeFailed(peer.clone()));
                };
                let _dropped = Session::add(sessions, session);
                self.send_probe(turn, peer)
            }
            Sighting::Changed => self.route(turn, Input::ProbeFailed(peer.clone())),
            Sighting::Stale => {
                log::warn!("a peer's bundle carries an older certificate than the one seen last: refused");
                self.route(turn, Input::ProbeFailed(peer.clone()))
            }
        }
    }
}

//! Reaching a peer: number → pseudonym → bundle → session → probe, as far as each is missing.
//!
//! While an epoch is changed some peers are in the old one and some in the new one. A number is looked for in each
//! pinned epoch, one after the other; within one it is evaluated once.

use super::Core;
use super::peers::{Sighting, key_from, vouched};
use super::turn::Turn;
use crate::bus::Refusal;
use crate::model::{PhoneNumber, Timestamp};
use crate::router::Input;
use crate::seal::{Bundle, DirectoryKeys, Jid, Payload, Pseudonym, PseudonymError, Session};
use crate::store::{PeerRecord, StoreError};
use crate::wall::{FetchError, Opaque, RequestId, ToUplink};
use std::collections::HashMap;

/// What is under way.
#[derive(Default)]
pub(super) struct Reaching {
    /// Whose bundle, and under which pseudonym.
    fetching: HashMap<RequestId, (PhoneNumber, Pseudonym)>,
    /// Peers whose pseudonym or bundle is on its way.
    busy: HashMap<PhoneNumber, Search>,
    /// Peers who left the last probe unanswered: perhaps another phone, with other keys, has the
    /// number now, so their bundle is fetched anew. With the issue date of our certificate in it.
    unanswered: HashMap<PhoneNumber, Option<Timestamp>>,
}

/// Where a peer is still to be looked for.
struct Search {
    /// Epochs, the next one last.
    left: Vec<char>,
    /// There was no bundle in one of them.
    missed: bool,
    /// It is to be found only, not asked.
    finds: bool,
}

impl Search {
    /// Where it was found last; then from the newest epoch to the oldest.
    fn new(keys: &DirectoryKeys, record: Option<&PeerRecord>) -> Self {
        let last = record.and_then(|record| record.address()?.chars().next());
        let mut left: Vec<char> = keys.epochs.iter().map(|key| key.epoch).collect();
        left.sort_by_key(|epoch| last == Some(*epoch));
        Self { left, missed: false, finds: false }
    }
}

impl Reaching {
    /// The uplink died: nothing that it was asked will be answered.
    pub(super) fn forget(&mut self) -> Vec<PhoneNumber> {
        self.fetching.clear();
        self.busy.drain().map(|(peer, _)| peer).collect()
    }

    /// A letter came from the peer. Gives the issue date of the certificate that the last probe carried.
    pub(super) fn heard(&mut self, peer: &PhoneNumber) -> Option<Timestamp> {
        self.unanswered.remove(peer).flatten()
    }
}

impl Core {
    /// Finds out whether the peer is online; what comes of it is an input to the router.
    pub(super) fn probe(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        if let Some(search) = self.reaching.busy.get_mut(peer) {
            search.finds = false;
            return Ok(());
        }
        self.load_sessions(turn, peer)?;
        let acquainted = self.sessions.get(peer).is_some_and(|sessions| !sessions.is_empty());
        // The certificate seen last has ended: the bundle has the next one.
        let certified = self.peers.get(peer).is_some_and(|record| vouched(record, turn.now.wall));
        if acquainted && certified && !self.reaching.unanswered.contains_key(peer) {
            return self.send_probe(turn, peer);
        }
        self.search(turn, peer, false)
    }

    /// Finds out whether the peer is enrolled. It hears nothing of that.
    pub(super) fn find(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        if self.reaching.busy.contains_key(peer) { Ok(()) } else { self.search(turn, peer, true) }
    }

    fn search(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, finds: bool) -> Result<(), StoreError> {
        let Some(account) = &self.account else { return self.route(turn, Input::ProbeFailed(peer.clone())) };
        let search = Search { finds, ..Search::new(&account.keys, self.peers.get(peer)) };
        self.reaching.busy.insert(peer.clone(), search);
        self.look_on(turn, peer)
    }

    /// Looks for the peer in the next epoch.
    pub(super) fn look_on(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        let Some(search) = self.reaching.busy.get_mut(peer) else { return Ok(()) };
        let Some(epoch) = search.left.pop() else {
            let missed = search.missed;
            self.reaching.busy.remove(peer);
            let peer = peer.clone();
            return self.route(turn, if missed { Input::NotEnrolled(peer) } else { Input::ProbeFailed(peer) });
        };
        let name = self.peers.get(peer).and_then(|record| record.pseudonym(epoch));
        match name.map(Pseudonym::from_wire) {
            Some(Ok(name)) => self.fetch(turn, peer, name),
            _ if self.evaluate(turn, peer, epoch) => Ok(()),
            _ => self.not_reached(turn, peer.clone()),
        }
    }

    /// Nobody can say where the peer is.
    pub(super) fn not_reached(&mut self, turn: &mut Turn<'_, '_>, peer: PhoneNumber) -> Result<(), StoreError> {
        self.reaching.busy.remove(&peer);
        self.route(turn, Input::ProbeFailed(peer))
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
        match result {
            // The account has ended meanwhile: nothing is noted of anybody any more.
            _ if self.account.is_none() => self.not_reached(turn, peer),
            Ok(pseudonym) => {
                self.change_peer(turn, &peer, |record| record.evaluated(pseudonym.as_str()))?;
                self.fetch(turn, &peer, pseudonym)
            }
            Err(error) => {
                log::error!("an evaluation does not hold: {error}");
                self.not_reached(turn, peer)
            }
        }
    }

    fn fetch(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, of: Pseudonym) -> Result<(), StoreError> {
        let name = of.clone();
        match self.request(turn, |request| ToUplink::Fetch { request, of }) {
            Some(request) => {
                self.reaching.fetching.insert(request, (peer.clone(), name));
                Ok(())
            }
            None => self.not_reached(turn, peer.clone()),
        }
    }

    pub(super) fn fetched(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: Result<Opaque, FetchError>,
    ) -> Result<(), StoreError> {
        let Some((peer, name)) = self.reaching.fetching.remove(&request) else { return Ok(()) };
        match result {
            Ok(bundle) => {
                let finds = self.reaching.busy.remove(&peer).is_some_and(|search| search.finds);
                self.bundle_came(turn, &peer, (&name, &bundle.0), finds)
            }
            Err(FetchError::NotFound) => {
                if let Some(search) = self.reaching.busy.get_mut(&peer) {
                    search.missed = true;
                }
                self.look_on(turn, &peer)
            }
            Err(FetchError::Unavailable) => self.not_reached(turn, peer),
        }
    }

    fn bundle_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        (name, bytes): (&Pseudonym, &[u8]),
        finds: bool,
    ) -> Result<(), StoreError> {
        let now = turn.now.wall;
        let verified = (|| {
            let account = self.account.as_ref()?;
            let record = self.peers.get(peer)?;
            let jid = Jid::new(name.clone(), account.jid.domain()).ok()?;
            let pinned = record.pinned_identity.as_ref().and_then(key_from);
            Some(Bundle::decode(bytes).and_then(|bundle| {
                // A new key's phone has its own clock; the old one's bundles are refused by their certificate.
                let last_seen = record.bundle_dated.filter(|_| pinned == Some(*bundle.identity()));
                bundle.verify(&account.keys, &jid, now, last_seen)
            }))
        })();
        let bundle = match verified {
            Some(Ok(bundle)) => bundle,
            refused => {
                if let Some(Err(error)) = refused {
                    log::warn!("a peer's bundle is refused: {error}");
                    self.refused(turn, name.as_str(), error);
                }
                return self.route(turn, Input::ProbeFailed(peer.clone()));
            }
        };
        if finds {
            return self.route(turn, Input::Found(peer.clone()));
        }
        match self.certificate_seen(turn, peer, &bundle.certificate)? {
            Sighting::Known => {
                self.unverified.proven(name.as_str());
                self.change_peer(turn, peer, |record| {
                    record.bundle_dated = Some(bundle.date);
                    record.found(name.as_str());
                })?;
                self.load_sessions(turn, peer)?;
                let made = self.identity.as_ref().map(|identity| Session::outbound(identity, &bundle));
                let (Some(Ok(session)), Some(sessions)) = (made, self.sessions.get_mut(peer)) else {
                    return self.route(turn, Input::ProbeFailed(peer.clone()));
                };
                let _dropped = Session::add(sessions, session);
                self.send_probe(turn, peer)
            }
            Sighting::Changed => {
                self.change_peer(turn, peer, |record| record.found(name.as_str()))?;
                self.route(turn, Input::ProbeFailed(peer.clone()))
            }
            Sighting::Stale => {
                log::warn!("a peer's bundle carries an older certificate than the one seen last: refused");
                self.refused(turn, name.as_str(), Refusal::OlderCertificate);
                self.route(turn, Input::ProbeFailed(peer.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::EpochKey;
    use proptest::prelude::*;

    fn keys(epochs: &str) -> DirectoryKeys {
        let key = |epoch| EpochKey { epoch, voprf: [0; 32], second: None, certificate: [0; 32], enrolment: [0; 32] };
        DirectoryKeys { epochs: epochs.chars().map(key).collect() }
    }

    fn order(epochs: &str, record: Option<&PeerRecord>) -> String {
        Search::new(&keys(epochs), record).left.into_iter().rev().collect()
    }

    #[test]
    fn a_peer_is_looked_for_where_it_was_last_and_then_from_the_newest_epoch_on() {
        let mut record = PeerRecord::default();
        assert_eq!(order("abc", None), "cba");
        assert_eq!(order("abc", Some(&record)), "cba");
        for name in ["cx", "bx"] {
            record.evaluated(name);
        }
        assert_eq!(order("abc", Some(&record)), "cba", "nowhere yet");
        record.found("bx");
        assert_eq!(order("abc", Some(&record)), "bca");
        assert_eq!(order("cd", Some(&record)), "dc", "its epoch is gone");
        assert_eq!((record.pseudonym('c'), record.pseudonym('d')), (Some("cx"), None));
    }

    proptest! {
        /// Whatever was found where: each pinned epoch is looked into once, and no other.
        #[test]
        fn each_pinned_epoch_is_looked_into_once(
            pinned in prop::collection::btree_set(prop::char::range('a', 'f'), 1..6),
            steps in prop::collection::vec((prop::char::range('a', 'f'), any::<bool>()), 0..12),
        ) {
            let mut record = PeerRecord::default();
            for (epoch, found) in steps {
                let name = format!("{epoch}x");
                if found { record.found(&name) } else { record.evaluated(&name) }
                prop_assert_eq!(record.pseudonym(epoch), Some(name.as_str()), "evaluated once");
            }
            let pinned: String = pinned.into_iter().collect();
            let mut looked: Vec<char> = order(&pinned, Some(&record)).chars().collect();
            looked.sort_unstable();
            prop_assert_eq!(looked.into_iter().collect::<String>(), pinned);
        }
    }
}

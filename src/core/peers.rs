//! What is known of peers, in memory: every routing decision asks for it.

use super::turn::Turn;
use crate::model::{PhoneNumber, Timestamp, Trust};
use crate::router::PeerFacts;
use crate::seal::{Certificate, IdentityKey};
use crate::store::{AllPeers, PeerRecord, Tx};
use std::collections::{HashMap, HashSet};

/// All peers, by number and by pseudonym.
#[derive(Default)]
pub(super) struct Peers {
    records: HashMap<PhoneNumber, PeerRecord>,
    by_pseudonym: HashMap<String, PhoneNumber>,
    /// Keys of those whose policy can't be read: which numbers they are is known when one is named.
    unreadable: HashSet<[u8; 32]>,
}

impl Peers {
    pub(super) fn load(all: AllPeers) -> Self {
        let mut peers = Self { unreadable: all.unreadable.into_iter().collect(), ..Self::default() };
        for (number, record) in all.known {
            peers.insert(number, record);
        }
        peers
    }

    /// Whether a number that is named may be one of those whose policy can't be read.
    pub(super) fn may_be_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// A number is named: where its policy can't be read, what routing depends on from now on.
    pub(super) fn named(&mut self, tx: &Tx<'_>, peer: &PhoneNumber) -> Option<PeerFacts> {
        if !self.may_be_unreadable() || !self.unreadable.remove(&tx.number_key(peer)) {
            return None;
        }
        let record = PeerRecord::unreadable();
        let facts = facts(&record);
        self.insert(peer.clone(), record);
        Some(facts)
    }

    pub(super) fn get(&self, peer: &PhoneNumber) -> Option<&PeerRecord> {
        self.records.get(peer)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&PhoneNumber, &PeerRecord)> {
        self.records.iter()
    }

    pub(super) fn by_pseudonym(&self, pseudonym: &str) -> Option<&PhoneNumber> {
        self.by_pseudonym.get(pseudonym)
    }

    /// Whose address that is. One who has moved to another epoch has left the old one.
    pub(super) fn at(&self, pseudonym: &str) -> Option<&PhoneNumber> {
        let peer = self.by_pseudonym(pseudonym)?;
        let address = self.get(peer).and_then(PeerRecord::address);
        (address == Some(pseudonym)).then_some(peer)
    }

    fn insert(&mut self, peer: PhoneNumber, record: PeerRecord) {
        for pseudonym in &record.pseudonyms {
            self.by_pseudonym.insert(pseudonym.clone(), peer.clone());
        }
        self.records.insert(peer, record);
    }

    /// Changes a peer's record, here and in the store; returns what routing depends on if that changed.
    pub(super) fn change(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        change: impl FnOnce(&mut PeerRecord),
    ) -> Option<PeerFacts> {
        let before = self.records.get(peer).cloned().unwrap_or_default();
        let mut record = before.clone();
        change(&mut record);
        if record == before {
            return None;
        }
        record.touched = turn.now.wall;
        let changed = facts(&record) != facts(&before);
        self.insert(peer.clone(), record.clone());
        let (peer, now) = (peer.clone(), facts(&record));
        turn.write(move |tx| tx.put_peer(&peer, &record));
        changed.then_some(now)
    }
}

/// What routing depends on.
pub(super) fn facts(record: &PeerRecord) -> PeerFacts {
    PeerFacts {
        policy: record.policy,
        blocked: record.blocked,
        key_changed: record.new_identity.is_some() || record.trust == Trust::Lapsed,
        wrote_to: record.wrote_to,
    }
}

/// What a sighting of a peer's certified key means.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sighting {
    /// The pinned key, or the first one, which is pinned now.
    Known,
    /// Another key than the pinned one: noted, to be confirmed by the user.
    Changed,
    /// An older certificate than the one seen last: refused.
    Stale,
}

/// Holds a certified key against the pinned one.
pub(super) fn sighted(record: &mut PeerRecord, certificate: &Certificate) -> Sighting {
    if record.certificate_issued.is_some_and(|seen| certificate.not_older_than(seen).is_err()) {
        return Sighting::Stale;
    }
    record.certificate_issued = Some(certificate.issued);
    let bytes = key_bytes(&certificate.identity);
    match record.pinned_identity {
        Some(pinned) if pinned != bytes => {
            record.new_identity = Some(bytes);
            Sighting::Changed
        }
        _ => {
            record.pinned_identity = Some(bytes);
            record.certificate_expires = Some(certificate.expires);
            // The newest certificate names the pinned key: another one seen in between is out.
            record.new_identity = None;
            Sighting::Known
        }
    }
}

/// Whether what comes by the pinned key still counts as the number's: its certificate is the newest
/// one seen and has not ended. Whoever gave the number up keeps the key and the sessions.
pub(super) fn vouched(record: &PeerRecord, now: Timestamp) -> bool {
    record.new_identity.is_none() && record.certificate_expires.is_some_and(|expires| expires > now)
}

/// An identity key as the store keeps it.
pub(super) fn key_bytes(key: &IdentityKey) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (ed25519, curve25519) = bytes.split_at_mut(32);
    ed25519.copy_from_slice(key.ed25519());
    curve25519.copy_from_slice(key.curve25519());
    bytes
}

/// The inverse of [`key_bytes`].
pub(super) fn key_from(bytes: &[u8; 64]) -> Option<IdentityKey> {
    let (ed25519, curve25519) = bytes.split_at(32);
    IdentityKey::from_bytes(ed25519.try_into().ok()?, curve25519.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Identity, Jid, Pseudonym};
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn certificate(identity: &IdentityKey, issued: Timestamp) -> Certificate {
        let pseudonym = Pseudonym::from_wire("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let jid = Jid::new(pseudonym, "im.example.org").unwrap();
        Certificate { jid, identity: *identity, issued, expires: issued.plus(DAY * 30), signature: [0; 64] }
    }

    #[test]
    fn the_first_key_is_pinned_and_another_one_waits() {
        let (one, other) = (Identity::new(NOW).key(), Identity::new(NOW).key());
        let mut record = PeerRecord::default();
        assert!(!vouched(&record, NOW), "nobody vouches for a key that was never seen");
        assert_eq!(sighted(&mut record, &certificate(&one, NOW)), Sighting::Known);
        assert!(vouched(&record, NOW) && !facts(&record).key_changed);
        assert_eq!(sighted(&mut record, &certificate(&other, NOW.plus(DAY))), Sighting::Changed);
        assert_eq!(record.pinned_identity, Some(key_bytes(&one)));
        assert!(facts(&record).key_changed && !vouched(&record, NOW.plus(DAY)));
        // Rolled back: a certificate from before the change.
        assert_eq!(sighted(&mut record, &certificate(&one, NOW.plus(DAY / 2))), Sighting::Stale);
        assert!(facts(&record).key_changed);
        // The first phone enrolled again: its key is the number's once more.
        assert_eq!(sighted(&mut record, &certificate(&one, NOW.plus(DAY * 2))), Sighting::Known);
        assert!(!facts(&record).key_changed && vouched(&record, NOW.plus(DAY * 2)));
    }

    #[test]
    fn a_key_counts_no_longer_than_its_certificate() {
        let one = Identity::new(NOW).key();
        let mut record = PeerRecord::default();
        assert_eq!(sighted(&mut record, &certificate(&one, NOW)), Sighting::Known);
        assert!(vouched(&record, NOW.plus(DAY * 30 - Duration::from_secs(1))));
        assert!(!vouched(&record, NOW.plus(DAY * 30)), "whoever gave the number up still has key and sessions");
        assert_eq!(sighted(&mut record, &certificate(&one, NOW.plus(DAY * 29))), Sighting::Known);
        assert!(vouched(&record, NOW.plus(DAY * 58)), "renewed");
    }

    #[test]
    fn a_key_that_followed_a_verified_one_is_no_better_than_changed() {
        let record = PeerRecord { trust: Trust::Lapsed, ..PeerRecord::default() };
        assert!(facts(&record).key_changed);
    }
}

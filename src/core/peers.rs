//! What is known of peers, in memory: every routing decision asks for it.

use super::turn::Turn;
use crate::model::{PhoneNumber, Timestamp};
use crate::router::PeerFacts;
use crate::seal::IdentityKey;
use crate::store::PeerRecord;
use std::collections::HashMap;

/// All peers, by number and by pseudonym.
#[derive(Default)]
pub(super) struct Peers {
    records: HashMap<PhoneNumber, PeerRecord>,
    by_pseudonym: HashMap<String, PhoneNumber>,
}

impl Peers {
    pub(super) fn load(all: Vec<(PhoneNumber, PeerRecord)>) -> Self {
        let mut peers = Self::default();
        for (number, record) in all {
            peers.insert(number, record);
        }
        peers
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

    fn insert(&mut self, peer: PhoneNumber, record: PeerRecord) {
        if let Some(pseudonym) = &record.pseudonym {
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
        key_changed: record.new_identity.is_some(),
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
pub(super) fn sighted(record: &mut PeerRecord, identity: &IdentityKey, issued: Timestamp) -> Sighting {
    if record.certificate_issued.is_some_and(|seen| issued.seconds() < seen.seconds()) {
        return Sighting::Stale;
    }
    record.certificate_issued = Some(issued);
    let bytes = key_bytes(identity);
    match record.pinned_identity {
        Some(pinned) if pinned != bytes => {
            record.new_identity = Some(bytes);
            Sighting::Changed
        }
        _ => {
            record.pinned_identity = Some(bytes);
            Sighting::Known
        }
    }
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

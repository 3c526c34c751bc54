//! Peers, found by keyed digests of their number or pseudonym, and their sessions.

use super::error::StoreError;
use super::record::number;
use super::tx::{Cell, Tx, UNREADABLE};
use crate::model::{PeerPolicy, PhoneNumber, Timestamp, Trust};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How many sessions are kept with one peer.
pub const MAX_SESSIONS: usize = 4;

/// What we know of a peer. `Debug` shows neither keys nor pseudonym.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// The user's policy towards it.
    pub policy: PeerPolicy,
    /// Its letters are dropped, and it is granted nothing.
    pub blocked: bool,
    /// Its JID's localparts, one for each epoch in which its number was evaluated; the first is where it was found
    /// last.
    pub pseudonyms: Vec<String>,
    /// The identity pinned at first sight: Ed25519 and Curve25519 key.
    pub pinned_identity: Option<[u8; 64]>,
    /// How far the user trusts it.
    pub trust: Trust,
    /// A changed identity that the user has not confirmed.
    pub new_identity: Option<[u8; 64]>,
    /// When the certificate seen last was issued; older ones are refused.
    pub certificate_issued: Option<Timestamp>,
    /// When the pinned identity's certificate ends: from then on its letters need a newer one.
    pub certificate_expires: Option<Timestamp>,
    /// The date of the bundle seen last; older ones are refused.
    pub bundle_dated: Option<Timestamp>,
    /// The issue date of our certificate that it is known to have.
    pub proof_known: Option<Timestamp>,
    /// The user wrote to it.
    pub wrote_to: bool,
    /// When it was heard of last: what forgets strangers.
    pub touched: Timestamp,
}

impl Default for PeerRecord {
    fn default() -> Self {
        Self {
            policy: PeerPolicy::Auto,
            blocked: false,
            pseudonyms: Vec::new(),
            pinned_identity: None,
            trust: Trust::Pinned,
            new_identity: None,
            certificate_issued: None,
            certificate_expires: None,
            bundle_dated: None,
            proof_known: None,
            wrote_to: false,
            touched: Timestamp(0),
        }
    }
}

impl std::fmt::Debug for PeerRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerRecord")
            .field("policy", &self.policy)
            .field("blocked", &self.blocked)
            .field("key_changed", &self.new_identity.is_some())
            .finish_non_exhaustive()
    }
}

impl PeerRecord {
    /// Its JID's localpart.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.pseudonyms.first().map(String::as_str)
    }

    /// Its pseudonym in an epoch, which is a pseudonym's first character.
    #[must_use]
    pub fn pseudonym(&self, epoch: char) -> Option<&str> {
        self.pseudonyms.iter().map(String::as_str).find(|name| name.starts_with(epoch))
    }

    /// Its number was evaluated to that.
    pub fn evaluated(&mut self, name: &str) {
        if !self.pseudonyms.iter().any(|known| known == name) {
            self.pseudonyms.push(name.to_owned());
        }
    }

    /// It is there that it is found.
    pub fn found(&mut self, name: &str) {
        self.pseudonyms.retain(|known| known != name);
        self.pseudonyms.insert(0, name.to_owned());
    }

    /// What may be sent to a peer of whom the user said something that nobody can read any more: nothing by IM, and
    /// nothing by SMS unasked.
    #[must_use]
    pub fn unreadable() -> Self {
        Self { policy: PeerPolicy::ImOnly, blocked: true, ..Self::default() }
    }

    /// The user said something of it, which can't be learned again.
    fn is_said(&self) -> bool {
        self.blocked || self.policy != PeerPolicy::Auto || self.trust != Trust::Pinned
    }

    /// A stranger: nothing the user said or did names it, so it may be forgotten.
    fn is_stranger(&self) -> bool {
        !self.wrote_to && !self.is_said()
    }
}

/// All peers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AllPeers {
    /// Those that can be read, at least in what the user said of them.
    pub known: Vec<(PhoneNumber, PeerRecord)>,
    /// The keys of those of whom the user said something that can't be read ([`PeerRecord::unreadable`]).
    pub unreadable: Vec<[u8; 32]>,
}

/// The record as it is sealed; its order is the encoding.
#[derive(Serialize, Deserialize)]
struct Sealed {
    number: Box<str>,
    policy: u8,
    blocked: bool,
    pseudonyms: Vec<String>,
    pinned_identity: Option<Vec<u8>>,
    trust: u8,
    new_identity: Option<Vec<u8>>,
    certificate_issued: Option<i64>,
    certificate_expires: Option<i64>,
    bundle_dated: Option<i64>,
    proof_known: Option<i64>,
    wrote_to: bool,
    touched: i64,
}

impl Sealed {
    fn new(of: &PhoneNumber, peer: &PeerRecord) -> Self {
        Self {
            number: of.as_e164().into(),
            policy: peer.policy.code(),
            blocked: peer.blocked,
            pseudonyms: peer.pseudonyms.clone(),
            pinned_identity: peer.pinned_identity.map(Vec::from),
            trust: peer.trust.code(),
            new_identity: peer.new_identity.map(Vec::from),
            certificate_issued: peer.certificate_issued.map(|at| at.0),
            certificate_expires: peer.certificate_expires.map(|at| at.0),
            bundle_dated: peer.bundle_dated.map(|at| at.0),
            proof_known: peer.proof_known.map(|at| at.0),
            wrote_to: peer.wrote_to,
            touched: peer.touched.0,
        }
    }

    fn into_peer(self) -> Result<(PhoneNumber, PeerRecord), StoreError> {
        let record = PeerRecord {
            policy: PeerPolicy::from_code(self.policy).ok_or(UNREADABLE)?,
            blocked: self.blocked,
            pseudonyms: self.pseudonyms,
            pinned_identity: key(self.pinned_identity)?,
            trust: Trust::from_code(self.trust).ok_or(UNREADABLE)?,
            new_identity: key(self.new_identity)?,
            certificate_issued: self.certificate_issued.map(Timestamp),
            certificate_expires: self.certificate_expires.map(Timestamp),
            bundle_dated: self.bundle_dated.map(Timestamp),
            proof_known: self.proof_known.map(Timestamp),
            wrote_to: self.wrote_to,
            touched: Timestamp(self.touched),
        };
        Ok((number(&self.number)?, record))
    }
}

/// What the user said of a peer, sealed once more and apart: damage to the record does not undo it.
#[derive(Serialize, Deserialize)]
struct Said {
    number: Box<str>,
    policy: u8,
    blocked: bool,
    trust: u8,
    /// The key that was compared.
    pinned_identity: Option<Vec<u8>>,
}

impl Said {
    fn new(of: &PhoneNumber, peer: &PeerRecord) -> Self {
        Self {
            number: of.as_e164().into(),
            policy: peer.policy.code(),
            blocked: peer.blocked,
            trust: peer.trust.code(),
            pinned_identity: peer.pinned_identity.map(Vec::from),
        }
    }

    fn into_peer(self) -> Result<(PhoneNumber, PeerRecord), StoreError> {
        let record = PeerRecord {
            policy: PeerPolicy::from_code(self.policy).ok_or(UNREADABLE)?,
            blocked: self.blocked,
            trust: Trust::from_code(self.trust).ok_or(UNREADABLE)?,
            pinned_identity: key(self.pinned_identity)?,
            ..PeerRecord::default()
        };
        Ok((number(&self.number)?, record))
    }
}

fn key(key: Option<Vec<u8>>) -> Result<Option<[u8; 64]>, StoreError> {
    key.map(|key| key.try_into().map_err(|_| UNREADABLE)).transpose()
}

/// What is damaged is in nobody's way.
fn sound<T>(opened: Result<T, StoreError>) -> Option<Result<T, StoreError>> {
    match opened {
        Err(StoreError::Corrupt(what)) => {
            log::error!("what is known of a peer is damaged ({what}): it is passed over");
            None
        }
        opened => Some(opened),
    }
}

impl Tx<'_> {
    /// What we know of the number.
    pub fn peer(&self, number: &PhoneNumber) -> Result<Option<PeerRecord>, StoreError> {
        let key = self.number_key(number);
        let row = self.first("SELECT record FROM peers WHERE number = ?1", params![key], |row| row.get(0))?;
        row.map(|record: Cell| Ok(self.open_peer(key, &record.0)?.1)).transpose()
    }

    /// Keeps it.
    pub fn put_peer(&self, number: &PhoneNumber, peer: &PeerRecord) -> Result<(), StoreError> {
        let key = self.number_key(number);
        let record = self.seal_record(("peers", &key, "record"), &Sealed::new(number, peer))?;
        let said = || self.seal_record(("peers", &key, "said"), &Said::new(number, peer));
        let said = peer.is_said().then(said).transpose()?;
        let touched = peer.is_stranger().then_some(peer.touched.0);
        self.run(
            "INSERT OR REPLACE INTO peers (number, touched, said, record) VALUES (?1, ?2, ?3, ?4)",
            params![key, touched, said, record],
        )?;
        Ok(())
    }

    /// All of them. Of a damaged one stands what the user said; where that was nothing, it is passed over: its number
    /// becomes one that nothing is known of.
    pub fn peers(&self) -> Result<AllPeers, StoreError> {
        let rows = self.rows("SELECT number, said, record FROM peers", [], |row| {
            Ok((row.get::<_, Cell>(0)?, row.get::<_, Option<Cell>>(1)?, row.get::<_, Cell>(2)?))
        })?;
        let mut all = AllPeers::default();
        for (key, said, record) in rows {
            let key = <[u8; 32]>::try_from(key.0).map_err(|_| UNREADABLE);
            let Some(key) = sound(key).transpose()? else { continue };
            let said = said.map(|said| self.open_record::<Said>(("peers", &key, "said"), &said.0)?.into_peer());
            match (sound(self.open_peer(key, &record.0)), said) {
                (Some(peer), _) | (None, Some(peer @ Ok(_))) => all.known.push(peer?),
                (None, Some(Err(StoreError::Corrupt(_)))) => {
                    log::error!("nor can the policy towards it be read: texts to it wait until the user sets it anew");
                    all.unreadable.push(key);
                }
                (None, Some(Err(error))) => return Err(error),
                (None, None) => {}
            }
        }
        Ok(all)
    }

    /// The sessions with that number, pickled, newest first. A damaged one is passed over: another is made.
    pub fn sessions(&self, number: &PhoneNumber) -> Result<Vec<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.number_key(number);
        let rows = self.rows("SELECT pickle FROM sessions WHERE number = ?1 ORDER BY place", params![key], |row| {
            row.get::<_, Cell>(0)
        })?;
        rows.iter().filter_map(|pickle| sound(self.open(("sessions", &key, "pickle"), &pickle.0))).collect()
    }

    /// Keeps the newest [`MAX_SESSIONS`] of these, newest first, instead of what was there.
    pub fn put_sessions<P: AsRef<[u8]>>(&self, number: &PhoneNumber, pickles: &[P]) -> Result<(), StoreError> {
        let key = self.number_key(number);
        self.run(
            "DELETE FROM sessions WHERE number = ?1 AND place >= ?2",
            params![key, i64::try_from(pickles.len()).unwrap_or(i64::MAX)],
        )?;
        for (place, pickle) in (0_i64..).zip(pickles.iter().take(MAX_SESSIONS)) {
            let pickle = self.seal(("sessions", &key, "pickle"), pickle.as_ref())?;
            self.run(
                "INSERT INTO sessions (number, place, pickle) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET pickle = excluded.pickle",
                params![key, place, pickle],
            )?;
        }
        Ok(())
    }

    /// Forgets all sessions.
    pub fn drop_sessions(&self) -> Result<(), StoreError> {
        self.run("DELETE FROM sessions", []).map(drop)
    }

    /// What a peer's row is found by.
    #[must_use]
    pub fn number_key(&self, number: &PhoneNumber) -> [u8; 32] {
        self.lookup("number", number.as_e164().as_bytes())
    }

    fn open_peer(&self, key: [u8; 32], record: &[u8]) -> Result<(PhoneNumber, PeerRecord), StoreError> {
        self.open_record::<Sealed>(("peers", &key, "record"), record)?.into_peer()
    }
}

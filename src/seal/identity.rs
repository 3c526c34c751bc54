//! This phone's long-lived keys, and how a phone's public half is written.

use super::bundle::{self, BundleError};
use super::{Certificate, OpenError};
use crate::model::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use vodozemac::olm::{Account, AccountPickle, PreKeyMessage, SessionConfig};
use vodozemac::{Curve25519PublicKey, Ed25519PublicKey};
use zeroize::Zeroizing;

/// The public half of a phone's identity: Ed25519 key, then Curve25519 key, as Olm has them.
/// `Debug` shows neither.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey {
    ed25519: [u8; 32],
    curve25519: [u8; 32],
}

/// Why an identity could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not the text of an identity key.
    #[error("not an identity key: 86 characters of base64url are expected, as `shuntctl identity` prints them")]
    Text,
    /// Not a point of the curve.
    #[error("not an identity key: its Ed25519 half is no valid key")]
    Point,
    /// A stored identity that cannot be read.
    #[error("the stored identity cannot be read: the store is damaged or from a newer version")]
    Pickle,
}

impl IdentityKey {
    /// Ed25519 key ‖ Curve25519 key. Refuses what is no Ed25519 point.
    pub fn from_bytes(ed25519: [u8; 32], curve25519: [u8; 32]) -> Result<Self, IdentityError> {
        Ed25519PublicKey::from_slice(&ed25519).map_err(|_| IdentityError::Point)?;
        Ok(Self { ed25519, curve25519 })
    }

    /// For signatures.
    #[must_use]
    pub fn ed25519(&self) -> &[u8; 32] {
        &self.ed25519
    }

    /// For sessions.
    #[must_use]
    pub fn curve25519(&self) -> &[u8; 32] {
        &self.curve25519
    }

    /// Base64url without padding, 86 characters: what `shuntctl identity` prints.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.ed25519, self.curve25519].concat())
    }

    /// The inverse of [`Self::to_text`], nothing else.
    pub fn from_text(text: &str) -> Result<Self, IdentityError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityError::Text)?;
        let (ed25519, curve25519) = bytes.split_first_chunk().ok_or(IdentityError::Text)?;
        Self::from_bytes(*ed25519, curve25519.try_into().map_err(|_| IdentityError::Text)?)
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(..)")
    }
}

/// This phone's identity keys and fallback keys.
pub struct Identity {
    account: Account,
    /// When the current fallback key was made.
    rotated: Timestamp,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// JSON, so that a newer Olm library still reads an older one's pickle.
#[derive(Serialize, Deserialize)]
struct Pickle {
    version: u8,
    rotated: i64,
    account: AccountPickle,
}

const VERSION: u8 = 1;

impl Identity {
    /// New random keys, with a first fallback key.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let mut account = Account::new();
        account.generate_fallback_key();
        Self { account, rotated: now }
    }

    /// All secrets in clear: the store seals them (under 1 KB).
    pub fn to_pickle(&self) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let pickle = Pickle { version: VERSION, rotated: self.rotated.0, account: self.account.pickle() };
        to_json(&pickle).ok_or(IdentityError::Pickle)
    }

    /// The inverse of [`Self::to_pickle`].
    pub fn from_pickle(bytes: &[u8]) -> Result<Self, IdentityError> {
        let pickle: Pickle = serde_json::from_slice(bytes).map_err(|_| IdentityError::Pickle)?;
        if pickle.version != VERSION {
            return Err(IdentityError::Pickle);
        }
        Ok(Self { account: Account::from_pickle(pickle.account), rotated: Timestamp(pickle.rotated) })
    }

    /// The public half.
    #[must_use]
    pub fn key(&self) -> IdentityKey {
        let keys = self.account.identity_keys();
        IdentityKey { ed25519: *keys.ed25519.as_bytes(), curve25519: keys.curve25519.to_bytes() }
    }

    /// Replaces the fallback key. The one before stays usable until the next call, so call it only
    /// when the new bundle is about to be published, about weekly by [`Self::rotated`]
    /// (protocol.md §4); persist before publishing.
    pub fn rotate_fallback(&mut self, now: Timestamp) {
        self.account.generate_fallback_key();
        self.rotated = now;
    }

    /// When the current fallback key was made.
    #[must_use]
    pub fn rotated(&self) -> Timestamp {
        self.rotated
    }

    /// The signed, dated bundle to publish under [`super::NODE`]. `certificate` must be this
    /// identity's own; publish anew well before 15 days have passed.
    pub fn bundle(&self, certificate: &Certificate, now: Timestamp) -> Result<Vec<u8>, BundleError> {
        // Never marked as published, so the library keeps handing it out.
        let fallback = self.account.fallback_key().into_values().next().ok_or(BundleError::NoFallback)?;
        bundle::make(&self.key(), certificate, fallback.to_bytes(), now, |bytes| self.sign(bytes))
    }

    /// Ed25519 by the identity key; each use begins with a context of its own.
    pub(in crate::seal) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.account.sign(bytes).to_bytes()
    }

    pub(in crate::seal) fn outbound(
        &self,
        identity: &IdentityKey,
        fallback: [u8; 32],
    ) -> Option<vodozemac::olm::Session> {
        let identity = Curve25519PublicKey::from_bytes(identity.curve25519);
        let fallback = Curve25519PublicKey::from_bytes(fallback);
        self.account.create_outbound_session(SessionConfig::version_1(), identity, fallback).ok()
    }

    pub(in crate::seal) fn inbound(
        &mut self,
        first: &PreKeyMessage,
    ) -> Result<(vodozemac::olm::Session, Zeroizing<Vec<u8>>), OpenError> {
        let made = self
            .account
            .create_inbound_session(SessionConfig::version_1(), first.identity_key(), first)
            .map_err(|_| OpenError::Undecryptable)?;
        Ok((made.session, Zeroizing::new(made.plaintext)))
    }
}

/// Serialises without leaving copies of the secrets behind in grown buffers: what does not fit is wiped and
/// written anew.
pub(in crate::seal) fn to_json<T: Serialize>(value: &T) -> Option<Zeroizing<Vec<u8>>> {
    for room in [4 << 10, 64 << 10] {
        let mut bytes = Zeroizing::new(vec![0; room]);
        let mut rest = bytes.as_mut_slice();
        if serde_json::to_writer(&mut rest, value).is_ok() {
            let written = room - rest.len();
            bytes.truncate(written);
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_text() {
        let key = Identity::new(Timestamp(0)).key();
        let text = key.to_text();
        assert_eq!((text.len(), IdentityKey::from_text(&text)), (86, Ok(key)));
        assert_eq!(format!("{key:?}"), "IdentityKey(..)");
    }

    #[test]
    fn other_texts_are_refused() {
        let text = Identity::new(Timestamp(0)).key().to_text();
        // The last of 86 characters has four bits to spare: only zeros are canonical.
        let last = text.chars().last().unwrap();
        let spare = char::from(u8::try_from(last).unwrap() + 1);
        for wrong in [
            String::new(),
            text[1..].to_string(),
            format!("{text}="),
            format!("{text}AA"),
            format!("{text} "),
            format!("{}{spare}", &text[..85]),
            format!("+{}", &text[1..]),
        ] {
            assert_eq!(IdentityKey::from_text(&wrong), Err(IdentityError::Text), "{wrong}");
        }
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert_eq!(IdentityKey::from_bytes(no_point, [1; 32]), Err(IdentityError::Point));
    }

    #[test]
    fn a_pickle_keeps_keys_and_date() {
        let mut identity = Identity::new(Timestamp(1));
        identity.rotate_fallback(Timestamp(7));
        let again = Identity::from_pickle(&identity.to_pickle().unwrap()).unwrap();
        assert_eq!((again.key(), again.rotated()), (identity.key(), Timestamp(7)));
        assert_eq!(again.account.fallback_key(), identity.account.fallback_key());
    }

    #[test]
    fn a_damaged_pickle_is_an_error() {
        let pickle = Identity::new(Timestamp(1)).to_pickle().unwrap();
        assert!(Identity::from_pickle(&pickle[..pickle.len() - 1]).is_err());
        let newer = String::from_utf8(pickle.to_vec()).unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(Identity::from_pickle(newer.as_bytes()).err(), Some(IdentityError::Pickle));
    }
}

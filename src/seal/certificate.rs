//! The directory's word that an address belongs to an identity key (protocol.md §4).

use super::codec::{self, CodecError};
use super::{BadJid, DirectoryKeys, IdentityKey, Jid, Pseudonym};
use crate::model::Timestamp;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest a certificate lives.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How far ahead of ours a peer's or the directory's clock may run: phones without network time
/// are hours off, and a date ahead gains nobody anything but an earlier end.
pub(in crate::seal) const SKEW: Duration = Duration::from_secs(86_400);

const VERSION: u8 = 1;
const CONTEXT: &[u8] = b"shunt certificate 1\0";

/// Longest encoded certificate.
pub(in crate::seal) const MAX: usize = 512;

/// Why a certificate counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the format.
    #[error("certificate: {0}")]
    Codec(#[from] CodecError),
    /// Names no address or key.
    #[error("the certificate names no valid address or key")]
    Names,
    /// Of an epoch that is not pinned here.
    #[error("the certificate is of an epoch whose keys are not pinned: import a newer account file")]
    Epoch,
    /// Not signed by the directory.
    #[error("the certificate is not signed by the directory")]
    Signature,
    /// Dated in the future.
    #[error("the certificate is dated in the future: check this phone's clock")]
    Future,
    /// No longer valid.
    #[error("the certificate has expired: it must be renewed at the directory")]
    Expired,
    /// Valid for longer than allowed, or for no time.
    #[error("the certificate's lifetime is not within 30 days")]
    Lifetime,
    /// Older than one seen before.
    #[error("the certificate is older than one seen before")]
    Superseded,
    /// This phone's clock was never set.
    #[error("this phone's clock is not set: certificates cannot be judged")]
    ClockUnset,
}

impl From<BadJid> for CertificateError {
    fn from(_: BadJid) -> Self {
        Self::Names
    }
}

/// A certificate; believed only after [`Self::verify`]. Its epoch is its JID's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The address.
    pub jid: Jid,
    /// Whose it is.
    pub identity: IdentityKey,
    /// When it was made, to the second.
    pub issued: Timestamp,
    /// When it ends, to the second.
    pub expires: Timestamp,
    /// Ed25519 by the epoch's certificate key.
    pub signature: [u8; 64],
}

/// An identity key in any of the formats.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(in crate::seal) struct KeyWire([u8; 32], [u8; 32]);

impl From<&IdentityKey> for KeyWire {
    fn from(key: &IdentityKey) -> Self {
        Self(*key.ed25519(), *key.curve25519())
    }
}

impl KeyWire {
    pub(in crate::seal) fn read(self) -> Result<IdentityKey, super::IdentityError> {
        IdentityKey::from_bytes(self.0, self.1)
    }
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    pseudonym: [u8; 21],
    domain: &'a str,
    identity: KeyWire,
    issued: i64,
    expires: i64,
}

impl Certificate {
    /// What is signed, after the context.
    fn body(&self) -> Result<Vec<u8>, CertificateError> {
        let body = Body {
            pseudonym: self.jid.pseudonym().to_wire()?,
            domain: self.jid.domain(),
            identity: KeyWire::from(&self.identity),
            issued: self.issued.seconds(),
            expires: self.expires.seconds(),
        };
        Ok(codec::encode(VERSION, &body)?)
    }

    /// Version, body, signature.
    pub fn encode(&self) -> Result<Vec<u8>, CertificateError> {
        let mut bytes = self.body()?;
        bytes.extend_from_slice(&self.signature);
        Ok(bytes)
    }

    /// The inverse of [`Self::encode`]; proves nothing yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > MAX {
            return Err(CodecError::TooLong.into());
        }
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CodecError::Malformed)?;
        let body: Body<'_> = codec::decode(VERSION, body, MAX)?;
        Ok(Self {
            jid: Jid::new(Pseudonym::from_packed(&body.pseudonym)?, body.domain)?,
            identity: body.identity.read().map_err(|_| CertificateError::Names)?,
            issued: time(body.issued)?,
            expires: time(body.expires)?,
            signature: *signature,
        })
    }

    /// The epoch whose key must have signed it.
    #[must_use]
    pub fn epoch(&self) -> char {
        self.jid.epoch()
    }

    /// Holds it against the pinned keys and the clock.
    pub fn verify(&self, keys: &DirectoryKeys, now: Timestamp) -> Result<(), CertificateError> {
        if now < Timestamp::PLAUSIBLE {
            return Err(CertificateError::ClockUnset);
        }
        let key = keys.epoch(self.epoch()).ok_or(CertificateError::Epoch)?;
        UnparsedPublicKey::new(&ED25519, key.certificate)
            .verify(&[CONTEXT, &self.body()?].concat(), &self.signature)
            .map_err(|_| CertificateError::Signature)?;
        if self.expires <= self.issued || self.expires > self.issued.plus(LIFETIME_MAX) {
            Err(CertificateError::Lifetime)
        } else if self.issued > now.plus(SKEW) {
            Err(CertificateError::Future)
        } else if self.expires <= now {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Refuses a certificate issued before the newest one seen of the same peer.
    pub fn not_older_than(&self, pinned: Timestamp) -> Result<(), CertificateError> {
        if self.issued.seconds() < pinned.seconds() { Err(CertificateError::Superseded) } else { Ok(()) }
    }
}

/// Whole seconds from outside, if they are a time that ms can hold.
pub(in crate::seal) fn time(seconds: i64) -> Result<Timestamp, CodecError> {
    seconds.checked_mul(1000).map(Timestamp).ok_or(CodecError::Malformed)
}

/// The directory's signing key.
pub struct DirectorySigner(Ed25519KeyPair);

impl std::fmt::Debug for DirectorySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectorySigner(..)")
    }
}

impl DirectorySigner {
    /// From its 32 secret bytes (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, CertificateError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| CertificateError::Signature)
    }

    /// What phones pin.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        let public = self.0.public_key().as_ref();
        if public.len() == key.len() {
            key.copy_from_slice(public);
        }
        key
    }

    /// A certificate from `now` on, for at most 30 days; both to the second.
    pub fn issue(
        &self,
        jid: &Jid,
        identity: &IdentityKey,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Certificate, CertificateError> {
        if lifetime > LIFETIME_MAX || lifetime.as_secs() == 0 {
            return Err(CertificateError::Lifetime);
        }
        let issued = time(now.seconds())?;
        let expires = time(issued.plus(lifetime).seconds())?;
        let mut made = Certificate { jid: jid.clone(), identity: *identity, issued, expires, signature: [0; 64] };
        let signature = self.0.sign(&[CONTEXT, &made.body()?].concat());
        made.signature = signature.as_ref().try_into().map_err(|_| CertificateError::Signature)?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ALICE, BOB, DAY, Directory, NOW};
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_certificate_holds_from_its_issue_to_its_end() {
        let directory = Directory::new();
        let (keys, made) = (directory.keys(), directory.phone(ALICE).certificate);
        let at = |now| made.verify(&keys, now);
        assert_eq!(at(NOW), Ok(()));
        assert_eq!(at(NOW.minus(SKEW)), Ok(()), "a phone whose clock is a day behind");
        assert_eq!(at(NOW.minus(SKEW + SECOND)), Err(CertificateError::Future));
        assert_eq!(at(NOW.plus(DAY * 30 - SECOND)), Ok(()));
        assert_eq!(at(NOW.plus(DAY * 30)), Err(CertificateError::Expired));
        assert_eq!(at(Timestamp(0)), Err(CertificateError::ClockUnset));
    }

    #[test]
    fn the_signer_gives_no_more_than_thirty_days_and_phones_believe_no_more() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let issue = |lifetime| directory.signer.issue(&alice.jid, &alice.identity.key(), NOW, lifetime);
        assert_eq!(issue(DAY * 30 + SECOND), Err(CertificateError::Lifetime));
        assert_eq!(issue(Duration::from_millis(10)), Err(CertificateError::Lifetime));
        let mut long = issue(DAY).unwrap();
        long.expires = NOW.plus(DAY * 31);
        let signature = directory.signer.0.sign(&[CONTEXT, &long.body().unwrap()].concat());
        long.signature.copy_from_slice(signature.as_ref());
        assert_eq!(long.verify(&directory.keys(), NOW), Err(CertificateError::Lifetime));
    }

    #[test]
    fn a_change_of_any_field_breaks_the_signature() {
        let directory = Directory::new();
        let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
        let changes: [&dyn Fn(&mut Certificate); 6] = [
            &|made| made.jid = bob.jid.clone(),
            &|made| made.jid = Jid::new(made.jid.pseudonym().clone(), "im.example.com").unwrap(),
            &|made| made.identity = bob.identity.key(),
            &|made| made.issued = made.issued.minus(SECOND),
            &|made| made.expires = made.expires.minus(SECOND),
            &|made| made.signature[63] ^= 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut made = alice.certificate.clone();
            change(&mut made);
            assert_eq!(made.verify(&directory.keys(), NOW), Err(CertificateError::Signature), "change {index}");
        }
    }

    #[test]
    fn another_epoch_or_directory_vouches_for_nothing() {
        let directory = Directory::new();
        let made = directory.phone(ALICE).certificate;
        let mut keys = directory.keys();
        keys.epochs[0].epoch = 'b';
        assert_eq!(made.verify(&keys, NOW), Err(CertificateError::Epoch));
        let mut keys = directory.keys();
        keys.epochs[0].certificate = DirectorySigner::from_seed(&[1; 32]).unwrap().public_key();
        assert_eq!(made.verify(&keys, NOW), Err(CertificateError::Signature));
    }

    #[test]
    fn an_older_one_than_pinned_is_refused() {
        let made = Directory::new().phone(ALICE).certificate;
        assert_eq!(made.not_older_than(NOW), Ok(()));
        assert_eq!(made.not_older_than(NOW.plus(SECOND)), Err(CertificateError::Superseded));
    }

    #[test]
    fn a_bundles_signature_is_no_certificate() {
        // The same key over the same bytes in another role would not do: contexts differ.
        let directory = Directory::new();
        let mut made = directory.phone(ALICE).certificate;
        let bare = directory.signer.0.sign(&made.body().unwrap());
        made.signature.copy_from_slice(bare.as_ref());
        assert_eq!(made.verify(&directory.keys(), NOW), Err(CertificateError::Signature));
    }

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(at: prop::sample::Index, bits: u8, tail in 0_usize..3) {
            let mut bytes = Directory::new().phone(ALICE).certificate.encode().unwrap();
            prop_assert!(Certificate::decode(&bytes).is_ok());
            let index = at.index(bytes.len());
            bytes[index] ^= bits;
            bytes.resize(bytes.len() + tail, 0);
            if let Ok(read) = Certificate::decode(&bytes) {
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Ok(read) = Certificate::decode(&bytes) {
                let _ = read.verify(&Directory::new().keys(), NOW);
            }
        }
    }
}

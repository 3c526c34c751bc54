//! What a phone publishes so that others can write to it: signed, dated (protocol.md §4, §5).

use super::certificate::{self, CertificateError, KeyWire, SKEW};
use super::codec::{self, CodecError};
use super::envelope::SUITE_OLM_V1;
use super::{Certificate, DirectoryKeys, IdentityKey, Jid};
use crate::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vodozemac::{Ed25519PublicKey, Ed25519Signature};

/// The PEP node of an account's first, and so far only, device.
pub const NODE: &str = "urn:shunt:1:keys:0";

/// Older bundles are refused.
const AGE_MAX: Duration = Duration::from_secs(15 * 86_400);

const VERSION: u8 = 1;
const CONTEXT: &[u8] = b"shunt bundle 1\0";
const MAX: usize = 1024;
const SUITES_MAX: usize = 8;

/// Why a bundle is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not the format.
    #[error("bundle: {0}")]
    Codec(#[from] CodecError),
    /// No valid identity key in it.
    #[error("the bundle's identity key is no valid key")]
    Key,
    /// Its certificate does not hold.
    #[error("bundle: {0}")]
    Certificate(#[from] CertificateError),
    /// Its certificate is another address's.
    #[error("the bundle's certificate is for another address")]
    OtherAddress,
    /// Its certificate is another identity's.
    #[error("the bundle's certificate is for another identity key")]
    OtherIdentity,
    /// Not signed by its identity key.
    #[error("the bundle is not signed by its identity key")]
    Signature,
    /// Over 15 days old.
    #[error("the bundle is over 15 days old: its phone has not been online")]
    TooOld,
    /// Older than one seen before.
    #[error("the bundle is older than one seen before")]
    Replayed,
    /// Dated in the future.
    #[error("the bundle is dated in the future: check this phone's clock")]
    Future,
    /// No suite in common.
    #[error("the bundle offers no suite that this version speaks")]
    Suite,
    /// No fallback key to publish.
    #[error("this identity holds no fallback key: rotate it first")]
    NoFallback,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    suites: &'a [u8],
    identity: KeyWire,
    certificate: &'a [u8],
    fallback: [u8; 32],
    date: i64,
}

/// A bundle as fetched: nothing in it is believed before [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    identity: IdentityKey,
    certificate: Certificate,
    fallback: [u8; 32],
    date: Timestamp,
    suites: Vec<u8>,
    body: Vec<u8>,
    signature: [u8; 64],
}

/// A bundle that holds; what an outbound session is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBundle {
    /// Whose: compare it with the pinned one before any use.
    pub identity: IdentityKey,
    /// The directory's word for it.
    pub certificate: Certificate,
    /// When it was signed: the next one's `last_seen`.
    pub date: Timestamp,
    pub(in crate::seal) fallback: [u8; 32],
}

/// Encodes and signs.
pub(in crate::seal) fn make(
    identity: &IdentityKey,
    certificate: &Certificate,
    fallback: [u8; 32],
    now: Timestamp,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Result<Vec<u8>, BundleError> {
    if certificate.identity != *identity {
        return Err(BundleError::OtherIdentity);
    }
    let body = Body {
        suites: &[SUITE_OLM_V1],
        identity: KeyWire::from(identity),
        certificate: &certificate.encode()?,
        fallback,
        date: now.seconds(),
    };
    let mut bytes = codec::encode(VERSION, &body)?;
    let signature = sign(&[CONTEXT, &bytes].concat());
    bytes.extend_from_slice(&signature);
    Ok(bytes)
}

impl Bundle {
    /// Reads what was published.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX {
            return Err(CodecError::TooLong.into());
        }
        let (signed, signature) = bytes.split_last_chunk::<64>().ok_or(CodecError::Malformed)?;
        let body: Body<'_> = codec::decode(VERSION, signed, MAX)?;
        if body.suites.is_empty() || body.suites.len() > SUITES_MAX {
            return Err(CodecError::Malformed.into());
        }
        Ok(Self {
            identity: body.identity.read().map_err(|_| BundleError::Key)?,
            certificate: Certificate::decode(body.certificate)?,
            fallback: body.fallback,
            date: certificate::time(body.date)?,
            suites: body.suites.to_vec(),
            body: signed.to_vec(),
            signature: *signature,
        })
    }

    /// The key that it claims to be of.
    #[must_use]
    pub fn identity(&self) -> &IdentityKey {
        &self.identity
    }

    /// Holds it against the pinned directory, the address it was fetched from, the clock, and the
    /// date of the last bundle seen there.
    pub fn verify(
        &self,
        keys: &DirectoryKeys,
        jid: &Jid,
        now: Timestamp,
        last_seen: Option<Timestamp>,
    ) -> Result<VerifiedBundle, BundleError> {
        if self.certificate.jid != *jid {
            return Err(BundleError::OtherAddress);
        }
        if self.certificate.identity != self.identity {
            return Err(BundleError::OtherIdentity);
        }
        self.certificate.verify(keys, now)?;
        let signature = Ed25519Signature::from_slice(&self.signature).map_err(|_| BundleError::Signature)?;
        Ed25519PublicKey::from_slice(self.identity.ed25519())
            .map_err(|_| BundleError::Key)?
            .verify(&[CONTEXT, &self.body].concat(), &signature)
            .map_err(|_| BundleError::Signature)?;
        if !self.suites.contains(&SUITE_OLM_V1) {
            return Err(BundleError::Suite);
        }
        if self.date > now.plus(SKEW) {
            return Err(BundleError::Future);
        }
        if self.date < now.minus(AGE_MAX) {
            return Err(BundleError::TooOld);
        }
        if last_seen.is_some_and(|seen| self.date.seconds() < seen.seconds()) {
            return Err(BundleError::Replayed);
        }
        Ok(VerifiedBundle {
            identity: self.identity,
            certificate: self.certificate.clone(),
            date: self.date,
            fallback: self.fallback,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Identity;
    use super::super::testing::{ALICE, BOB, DAY, Directory, NOW, Phone};
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bundle(phone: &Phone) -> Vec<u8> {
        phone.identity.bundle(&phone.certificate, NOW).unwrap()
    }

    #[test]
    fn a_bundle_holds_for_fifteen_days() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let read = Bundle::decode(&bundle(&alice)).unwrap();
        let at = |now| read.verify(&directory.keys(), &alice.jid, now, None).map(|held| held.date);
        assert_eq!(at(NOW), Ok(NOW));
        assert_eq!(at(NOW.plus(DAY * 15)), Ok(NOW));
        assert_eq!(at(NOW.plus(DAY * 15 + SECOND)), Err(BundleError::TooOld));
        assert_eq!(at(NOW.minus(SKEW)), Ok(NOW));
        let held = read.verify(&directory.keys(), &alice.jid, NOW, None).unwrap();
        assert_eq!((held.identity, &held.certificate), (alice.identity.key(), &alice.certificate));
    }

    #[test]
    fn one_dated_ahead_is_refused_even_where_its_certificate_is_not() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let ahead = alice.identity.bundle(&alice.certificate, NOW.plus(DAY * 2)).unwrap();
        let held = Bundle::decode(&ahead).unwrap().verify(&directory.keys(), &alice.jid, NOW, None);
        assert_eq!(held, Err(BundleError::Future));
    }

    #[test]
    fn an_older_one_than_the_last_seen_is_a_replay() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let read = Bundle::decode(&bundle(&alice)).unwrap();
        let after = |seen| read.verify(&directory.keys(), &alice.jid, NOW.plus(DAY), Some(seen)).map(|_| ());
        assert_eq!(after(NOW), Ok(()));
        assert_eq!(after(NOW.plus(SECOND)), Err(BundleError::Replayed));
    }

    #[test]
    fn anothers_bundle_or_certificate_does_not_pass() {
        let directory = Directory::new();
        let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
        let read = Bundle::decode(&bundle(&alice)).unwrap();
        assert_eq!(read.verify(&directory.keys(), &bob.jid, NOW, None), Err(BundleError::OtherAddress));
        assert_eq!(bob.identity.bundle(&alice.certificate, NOW), Err(BundleError::OtherIdentity));

        // Alice's address and certificate, the keys of somebody who can write to her node.
        let mallory = Identity::new(NOW);
        let mut swapped = read.clone();
        swapped.identity = mallory.key();
        assert_eq!(swapped.verify(&directory.keys(), &alice.jid, NOW, None), Err(BundleError::OtherIdentity));
        let forged = make(&alice.identity.key(), &alice.certificate, [9; 32], NOW, |_| [3; 64]).unwrap();
        let held = Bundle::decode(&forged).unwrap().verify(&directory.keys(), &alice.jid, NOW, None);
        assert_eq!(held, Err(BundleError::Signature));

        let mut other = directory.keys();
        other.epochs[0].certificate = [0; 32];
        assert_eq!(
            read.verify(&other, &alice.jid, NOW, None),
            Err(BundleError::Certificate(CertificateError::Signature))
        );
        let mut late = alice.certificate.clone();
        late.expires = NOW;
        assert!(make(&alice.identity.key(), &late, [9; 32], NOW, |_| [3; 64]).is_ok());
        assert_eq!(
            read.verify(&directory.keys(), &alice.jid, NOW.plus(DAY * 40), None),
            Err(BundleError::Certificate(CertificateError::Expired))
        );
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let good = bundle(&alice);
        for index in 0..good.len() {
            let mut bytes = good.clone();
            bytes[index] ^= 1;
            let held = Bundle::decode(&bytes)
                .and_then(|read| read.verify(&directory.keys(), &alice.jid, NOW.plus(SECOND), Some(NOW)));
            assert!(held.is_err(), "byte {index}");
        }
    }

    #[test]
    fn suites_of_the_future_beside_ours_do_no_harm_and_alone_are_refused() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let with = |suites: &[u8]| {
            let mut read = Bundle::decode(&bundle(&alice)).unwrap();
            let certificate = alice.certificate.encode().unwrap();
            let body = Body {
                suites,
                identity: KeyWire::from(&alice.identity.key()),
                certificate: &certificate,
                fallback: read.fallback,
                date: NOW.seconds(),
            };
            read.suites = suites.to_vec();
            read.body = codec::encode(VERSION, &body).unwrap();
            read.signature = alice.identity.sign(&[CONTEXT, &read.body].concat());
            read.verify(&directory.keys(), &alice.jid, NOW, None).map(|_| ())
        };
        assert_eq!(with(&[2, SUITE_OLM_V1]), Ok(()));
        assert_eq!(with(&[2]), Err(BundleError::Suite));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: prop::sample::Index) {
            let directory = Directory::new();
            let alice = directory.phone(ALICE);
            let _ = Bundle::decode(&bytes);
            let good = bundle(&alice);
            let cut = at.index(good.len());
            prop_assert!(Bundle::decode(&good[..cut]).is_err() || cut > 64);
            let mut mixed = good[..cut].to_vec();
            mixed.extend(bytes);
            if let Ok(read) = Bundle::decode(&mixed) {
                let _ = read.verify(&directory.keys(), &alice.jid, NOW, None);
            }
        }
    }
}

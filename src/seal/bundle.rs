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

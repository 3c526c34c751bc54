//! A certificate renewed by its own key, without an SMS.

use super::EnrolmentError;
use super::message::of;
use crate::model::Timestamp;
use crate::seal::certificate::{self, time};
use crate::seal::{Certificate, Identity, codec};
use serde::{Deserialize, Serialize};
use vodozemac::{Ed25519PublicKey, Ed25519Signature};

const VERSION: u8 = 1;
const CONTEXT: &[u8] = b"shunt renewal 1\0";
const MAX: usize = certificate::MAX + 128;

/// "This certificate is mine, and I want its successor." It names no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The certificate as last issued; it may have expired.
    pub certificate: Certificate,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    made: i64,
    certificate: &'a [u8],
}

impl Renewal {
    /// Signs one for this identity's own certificate.
    pub fn sign(identity: &Identity, certificate: &Certificate, now: Timestamp) -> Result<Vec<u8>, EnrolmentError> {
        let encoded = certificate.encode().map_err(|_| EnrolmentError::Certificate)?;
        let mut bytes = codec::encode(VERSION, &Body { made: now.seconds(), certificate: &encoded })?;
        let signature = identity.sign(&[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// Reads one: signed by the certificate's key, within a day of now. Whether the certificate is
    /// the directory's own is for the caller.
    pub fn open(bytes: &[u8], now: Timestamp) -> Result<Self, EnrolmentError> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(crate::seal::CodecError::Malformed)?;
        let Body { made, certificate } = codec::decode(VERSION, body, MAX)?;
        let certificate = Certificate::decode(certificate).map_err(|_| EnrolmentError::Certificate)?;
        let key =
            Ed25519PublicKey::from_slice(certificate.identity.ed25519()).map_err(|_| EnrolmentError::Certificate)?;
        let signature = Ed25519Signature::from_slice(signature).map_err(|_| EnrolmentError::Signature)?;
        key.verify(&[CONTEXT, body].concat(), &signature).map_err(|_| EnrolmentError::Signature)?;
        of(time(made)?, now)?;
        Ok(Self { certificate })
    }
}

//! The directory's half of a pseudonym: it evaluates points and sees no number (RFC 9497).

use super::pseudonym::{self, Blinding, PseudonymError, Transcript};
use super::{EpochKey, Pseudonym};
use crate::model::PhoneNumber;
use rand_core::{CryptoRng, OsRng, RngCore};
use voprf::{Group, Ristretto255, VoprfServer};

/// Why nothing was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluatorError {
    /// No key follows from that seed, or the epoch is none.
    #[error("no VOPRF key can be made: an epoch a to z and a seed of 32 random bytes are needed")]
    Key,
    /// The point is none, or the identity.
    #[error("not a blinded point of ristretto255")]
    Point,
    /// Making the own transcript failed.
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
}

/// One epoch's evaluation key.
pub struct Evaluator {
    epoch: char,
    server: VoprfServer<Ristretto255>,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Evaluator(..)")
    }
}

impl Evaluator {
    /// Derives the key of `epoch` (a to z) from 32 secret random bytes (RFC 9497 §3.2.1).
    pub fn from_seed(seed: [u8; 32], epoch: char) -> Result<Self, EvaluatorError> {
        if !epoch.is_ascii_lowercase() {
            return Err(EvaluatorError::Key);
        }
        Self::derive(&seed, format!("shunt voprf {epoch}").as_bytes(), epoch)
    }

    fn derive(seed: &[u8; 32], info: &[u8], epoch: char) -> Result<Self, EvaluatorError> {
        let server = VoprfServer::new_from_seed(seed, info).map_err(|_| EvaluatorError::Key)?;
        Ok(Self { epoch, server })
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> char {
        self.epoch
    }

    /// What phones pin.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        Ristretto255::serialize_elem(self.server.get_public_key()).into()
    }

    /// Evaluates one blinded point, with a proof for it alone, so that it can serve as a transcript
    /// (217 µs).
    pub fn evaluate(&self, point: [u8; 32]) -> Result<([u8; 32], [u8; 64]), EvaluatorError> {
        self.evaluate_with(point, &mut OsRng)
    }

    fn evaluate_with<R: RngCore + CryptoRng>(
        &self,
        point: [u8; 32],
        rng: &mut R,
    ) -> Result<([u8; 32], [u8; 64]), EvaluatorError> {
        let blinded = pseudonym::blinded(&point).map_err(|_| EvaluatorError::Point)?;
        let result = self.server.blind_evaluate(rng, &blinded);
        Ok((result.message.serialize().into(), result.proof.serialize().into()))
    }

    /// Pseudonym and transcript of a number whose owner the operator knows: provisioning plays
    /// both halves.
    pub fn own_transcript<R: RngCore + CryptoRng>(
        &self,
        number: &PhoneNumber,
        domain: &str,
        rng: &mut R,
    ) -> Result<(Pseudonym, Transcript), EvaluatorError> {
        let (blinding, point) = Blinding::new(number, rng)?;
        let (evaluated, proof) = self.evaluate_with(point, rng)?;
        // Finishing needs the VOPRF half alone.
        let key = EpochKey { epoch: self.epoch, voprf: self.public_key(), certificate: [0; 32] };
        Ok(blinding.finish(evaluated, proof, &key, domain)?)
    }
}

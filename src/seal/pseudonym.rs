//! Numbers become pseudonyms (protocol.md §4): the directory evaluates a blinded point without
//! learning the number, Argon2id makes a search of all numbers dear even for who holds its key.

use super::jid::is_domain;
use super::{EpochKey, Pseudonym};
use crate::model::PhoneNumber;
use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::{CryptoRng, RngCore};
use ring::digest::{SHA256, digest};
use std::fmt;
use voprf::{BlindedElement, EvaluationElement, Group, Proof, Ristretto255, VoprfClient};
use zeroize::Zeroizing;

/// Argon2id memory in KiB.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 2;
const TAG: usize = 32;

/// Why a number has no pseudonym, or a transcript proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PseudonymError {
    /// Blind, evaluation or public key are no valid encodings.
    #[error("not a valid point or scalar of ristretto255")]
    Encoding,
    /// The proof does not hold: another key than the pinned one was used, or another number.
    #[error("the evaluation is not by the pinned directory key")]
    Proof,
    /// The domain or epoch has no valid form.
    #[error("not a domain or epoch that pseudonyms can be made for")]
    Domain,
    /// Argon2id could not have its 19 MiB.
    #[error("no memory for the pseudonym: try again")]
    Memory,
}

/// A number on its way to the directory and back; keep it until the answer comes.
pub struct Blinding {
    number: PhoneNumber,
    client: VoprfClient<Ristretto255>,
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

/// Proves offline which number a pseudonym stands for. It is a searchable commitment to the
/// number: it never leaves unsealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    blind: [u8; 32],
    evaluation: [u8; 32],
    proof: [u8; 64],
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript(..)")
    }
}

impl Blinding {
    /// Blinds `number`; the second part is what the directory gets (46 µs).
    pub fn new<R: RngCore + CryptoRng>(number: &PhoneNumber, rng: &mut R) -> Result<(Self, [u8; 32]), PseudonymError> {
        let made = VoprfClient::<Ristretto255>::blind(number.as_e164().as_bytes(), rng)
            .map_err(|_| PseudonymError::Encoding)?;
        let point = made.message.serialize().into();
        Ok((Self { number: number.clone(), client: made.state }, point))
    }

    /// The blind alone: with the directory's answer to it, it makes the transcript.
    pub fn blind(&self) -> Result<Zeroizing<[u8; 32]>, PseudonymError> {
        // The client's state is its blind, then the blinded point.
        let state = Zeroizing::new(<[u8; 64]>::from(self.client.serialize()));
        state.first_chunk().copied().map(Zeroizing::new).ok_or(PseudonymError::Encoding)
    }

    /// Checks the directory's proof against the pinned key, unblinds and hashes. Takes 40 ms and,
    /// for that time, 19 MiB: run it once a number, apart from anything that waits.
    pub fn finish(
        &self,
        evaluated: [u8; 32],
        proof: [u8; 64],
        key: &EpochKey,
        domain: &str,
    ) -> Result<(Pseudonym, Transcript), PseudonymError> {
        let transcript = Transcript { blind: *self.blind()?, evaluation: evaluated, proof };
        let output = finalize(&self.client, self.number.as_e164().as_bytes(), &transcript, key)?;
        Ok((harden(&output, key.epoch, domain)?, transcript))
    }
}

impl Transcript {
    /// Blind ‖ evaluation ‖ proof.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 128] {
        let mut bytes = [0; 128];
        let (blind, rest) = bytes.split_at_mut(32);
        let (evaluation, proof) = rest.split_at_mut(32);
        blind.copy_from_slice(&self.blind);
        evaluation.copy_from_slice(&self.evaluation);
        proof.copy_from_slice(&self.proof);
        bytes
    }

    /// The inverse of [`Self::to_bytes`]; proves nothing yet.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 128]) -> Self {
        let mut made = Self { blind: [0; 32], evaluation: [0; 32], proof: [0; 64] };
        let (blind, rest) = bytes.split_at(32);
        let (evaluation, proof) = rest.split_at(32);
        made.blind.copy_from_slice(blind);
        made.evaluation.copy_from_slice(evaluation);
        made.proof.copy_from_slice(proof);
        made
    }

    /// The pseudonym of `number`, if this transcript is of that number under that key. The blinded
    /// point is computed anew from the number; a sent one could be any. 40 ms and 19 MiB, as
    /// [`Blinding::finish`]; a transcript that does not hold costs 0.5 ms.
    pub fn verify(&self, number: &PhoneNumber, key: &EpochKey, domain: &str) -> Result<Pseudonym, PseudonymError> {
        let output = self.output(number.as_e164().as_bytes(), key)?;
        harden(&output, key.epoch, domain)
    }

    pub(in crate::seal) fn output(&self, input: &[u8], key: &EpochKey) -> Result<Zeroizing<[u8; 64]>, PseudonymError> {
        let blind = Ristretto255::deserialize_scalar(&self.blind).map_err(|_| PseudonymError::Encoding)?;
        let client = VoprfClient::<Ristretto255>::deterministic_blind_unchecked(input, blind)
            .map_err(|_| PseudonymError::Encoding)?
            .state;
        finalize(&client, input, self, key)
    }
}

/// RFC 9497 §3.3.2, Finalize.
fn finalize(
    client: &VoprfClient<Ristretto255>,
    input: &[u8],
    transcript: &Transcript,
    key: &EpochKey,
) -> Result<Zeroizing<[u8; 64]>, PseudonymError> {
    let evaluation = EvaluationElement::deserialize(&transcript.evaluation).map_err(|_| PseudonymError::Encoding)?;
    let proof = Proof::deserialize(&transcript.proof).map_err(|_| PseudonymError::Encoding)?;
    let public = Ristretto255::deserialize_elem(&key.voprf).map_err(|_| PseudonymError::Encoding)?;
    let output = client.finalize(input, &evaluation, &proof, public).map_err(|_| PseudonymError::Proof)?;
    Ok(Zeroizing::new(output.into()))
}

/// Argon2id over the VOPRF's output, salted by domain and epoch; its first 20 bytes.
fn harden(output: &[u8; 64], epoch: char, domain: &str) -> Result<Pseudonym, PseudonymError> {
    if !is_domain(domain) || !epoch.is_ascii_lowercase() {
        return Err(PseudonymError::Domain);
    }
    let salt = digest(&SHA256, format!("{domain}\0{epoch}").as_bytes());
    let params = Params::new(MEMORY, PASSES, LANES, Some(TAG)).map_err(|_| PseudonymError::Memory)?;
    let mut tag = Zeroizing::new([0; TAG]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(output, salt.as_ref(), &mut *tag)
        .map_err(|_| PseudonymError::Memory)?;
    let digest = tag.first_chunk().ok_or(PseudonymError::Memory)?;
    Pseudonym::from_digest(epoch, *digest).map_err(|_| PseudonymError::Domain)
}

/// Whether `point` can be a blinded element at all: a canonical point, not the identity
/// (RFC 9497 §2.1). For the directory, before it spends budget.
pub(in crate::seal) fn blinded(point: &[u8; 32]) -> Result<BlindedElement<Ristretto255>, PseudonymError> {
    BlindedElement::deserialize(point).map_err(|_| PseudonymError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn the_slow_hash_is_the_fixed_one() {
        // Computed apart by the reference implementation of Argon2id, from the RFC's first output.
        let output = HEXLOWER
            .decode(
                b"b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d\
                  a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
            )
            .unwrap();
        let output: [u8; 64] = output.try_into().unwrap();
        let pseudonym = harden(&output, 'a', "im.example.org").unwrap();
        assert_eq!(pseudonym.as_str(), "azr6ohgkueojjugzsmaurwlprgh637w5i");
    }

    #[test]
    fn no_pseudonym_is_made_for_a_domain_written_otherwise() {
        for (epoch, domain) in [('a', ""), ('a', "IM.example.org"), ('a', "a\0b"), ('A', "a"), ('1', "a")] {
            assert_eq!(harden(&[0; 64], epoch, domain), Err(PseudonymError::Domain));
        }
    }
}

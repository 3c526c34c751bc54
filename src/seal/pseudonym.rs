//! Numbers become pseudonyms (protocol.md §4): each evaluator, one operator or two, evaluates a blinded point
//! without learning the number, Argon2id makes a search of all numbers dear even for who holds its key.
//!
//! With two, Argon2id's input is SHA-512 of a label and both outputs: neither operator's key is enough to
//! compute one pseudonym, and whoever asks them is known to both and pays from both budgets. With one it is
//! the output itself.

use super::jid::is_domain;
use super::{EpochKey, Pseudonym};
use crate::model::PhoneNumber;
use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::{CryptoRng, RngCore};
use ring::digest::{self, SHA256, SHA512, digest};
use std::fmt;
use voprf::{BlindedElement, EvaluationElement, Group, Proof, Ristretto255, VoprfClient};
use zeroize::{Zeroize, Zeroizing};

/// Argon2id memory in KiB.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const TAG: usize = 32;

/// What stands before two outputs that are joined.
const TWO: &[u8] = b"shunt pseudonym 1 of two evaluators";

/// Why a number has no pseudonym, or a transcript proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PseudonymError {
    /// Blind, evaluation or public key are no valid encodings.
    #[error("not a valid point or scalar of ristretto255")]
    Encoding,
    /// The proof does not hold: another key than the pinned one was used, or another number.
    #[error("the evaluation is not by the pinned directory key")]
    Proof,
    /// There must be one transcript for each pinned evaluator, in their order.
    #[error("one transcript is needed for each evaluator of the epoch")]
    Evaluators,
    /// The domain or epoch has no valid form.
    #[error("not a domain or epoch that pseudonyms can be made for")]
    Domain,
    /// Argon2id could not have its 19 MiB.
    #[error("no memory for the pseudonym: try again")]
    Memory,
}

/// An evaluated point with its proof (RFC 9497 §2.2.1).
pub type Evaluation = ([u8; 32], [u8; 64]);

/// What hides a number from one evaluator; keep it until the answer comes.
pub struct Blinding(Zeroizing<[u8; 32]>);

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

/// One evaluator's part in the proof which number a pseudonym stands for. It is a searchable commitment to
/// the number: it never leaves unsealed.
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
    /// Blinds `number`; the second part is what an evaluator gets (46 µs). A new one for each evaluator.
    pub fn new<R: RngCore + CryptoRng>(number: &PhoneNumber, rng: &mut R) -> Result<(Self, [u8; 32]), PseudonymError> {
        let made = VoprfClient::<Ristretto255>::blind(number.as_e164().as_bytes(), rng)
            .map_err(|_| PseudonymError::Encoding)?;
        // The client's state is its blind, then the blinded point.
        let state = Zeroizing::new(<[u8; 64]>::from(made.state.serialize()));
        let blind = state.first_chunk().copied().ok_or(PseudonymError::Encoding)?;
        Ok((Self(Zeroizing::new(blind)), made.message.serialize().into()))
    }

    /// For the phone's sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The inverse of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// With the answer to it; proves nothing yet.
    #[must_use]
    pub fn transcript(&self, (evaluation, proof): &Evaluation) -> Transcript {
        Transcript { blind: *self.0, evaluation: *evaluation, proof: *proof }
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        self.blind.zeroize();
    }
}

impl Transcript {
    /// Blind ‖ evaluation ‖ proof.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 128]> {
        let mut bytes = Zeroizing::new([0; 128]);
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

    /// Checks the proof against the evaluator's pinned key and unblinds (RFC 9497 §3.3.2, Finalize). The blinded
    /// point is computed anew from the input; a sent one could be any.
    pub(in crate::seal) fn output(&self, input: &[u8], key: &[u8; 32]) -> Result<Zeroizing<[u8; 64]>, PseudonymError> {
        let blind = Ristretto255::deserialize_scalar(&self.blind).map_err(|_| PseudonymError::Encoding)?;
        let client = VoprfClient::<Ristretto255>::deterministic_blind_unchecked(input, blind)
            .map_err(|_| PseudonymError::Encoding)?
            .state;
        let evaluation = EvaluationElement::deserialize(&self.evaluation).map_err(|_| PseudonymError::Encoding)?;
        let proof = Proof::deserialize(&self.proof).map_err(|_| PseudonymError::Encoding)?;
        let public = Ristretto255::deserialize_elem(key).map_err(|_| PseudonymError::Encoding)?;
        let output = client.finalize(input, &evaluation, &proof, public).map_err(|_| PseudonymError::Proof)?;
        Ok(Zeroizing::new(output.into()))
    }
}

impl EpochKey {
    /// The pseudonym of `number`, if these transcripts are of that number under the epoch's keys: one for each
    /// evaluator, in their order. Takes 40 ms and, for that time, 19 MiB: run it once a number, apart from
    /// anything that waits. Transcripts that do not hold cost 0.5 ms each.
    pub fn pseudonym(
        &self,
        number: &PhoneNumber,
        transcripts: &[Transcript],
        domain: &str,
    ) -> Result<Pseudonym, PseudonymError> {
        if transcripts.len() != self.evaluators().count() {
            return Err(PseudonymError::Evaluators);
        }
        let outputs = transcripts
            .iter()
            .zip(self.evaluators())
            .map(|(transcript, key)| transcript.output(number.as_e164().as_bytes(), key))
            .collect::<Result<Vec<_>, _>>()?;
        harden(&*join(&outputs)?, self.epoch, domain)
    }
}

/// One output as it is, two as one.
fn join(outputs: &[Zeroizing<[u8; 64]>]) -> Result<Zeroizing<[u8; 64]>, PseudonymError> {
    match outputs {
        [one] => Ok(one.clone()),
        [first, second] => {
            let mut context = digest::Context::new(&SHA512);
            for part in [TWO, first.as_slice(), second.as_slice()] {
                context.update(part);
            }
            let joined = context.finish().as_ref().try_into().map_err(|_| PseudonymError::Evaluators)?;
            Ok(Zeroizing::new(joined))
        }
        _ => Err(PseudonymError::Evaluators),
    }
}

/// Argon2id over the output, salted by domain and epoch; its first 20 bytes.
fn harden(output: &[u8; 64], epoch: char, domain: &str) -> Result<Pseudonym, PseudonymError> {
    if !is_domain(domain) || !epoch.is_ascii_lowercase() {
        return Err(PseudonymError::Domain);
    }
    let salt = digest(&SHA256, format!("{domain}\0{epoch}").as_bytes());
    let tag = slow_hash(output, salt.as_ref())?;
    let digest = tag.first_chunk().ok_or(PseudonymError::Memory)?;
    Pseudonym::from_digest(epoch, *digest).map_err(|_| PseudonymError::Domain)
}

/// Argon2id: what makes a search of all numbers dear. Takes 40 ms and, for that time, 19 MiB. The salt
/// has 8 bytes at least.
pub fn slow_hash(input: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; TAG]>, PseudonymError> {
    let params = Params::new(MEMORY, PASSES, LANES, Some(TAG)).map_err(|_| PseudonymError::Memory)?;
    let mut tag = Zeroizing::new([0; TAG]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(input, salt, &mut *tag)
        .map_err(|_| PseudonymError::Memory)?;
    Ok(tag)
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

    /// The outputs of RFC 9497, appendix A.1.2.
    const OUTPUTS: [&str; 2] = [
        "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d\
         a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
        "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60\
         356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
    ];

    #[test]
    fn join_and_slow_hash_are_the_fixed_ones() {
        let output = |text: &str| -> Zeroizing<[u8; 64]> {
            Zeroizing::new(HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap())
        };
        let [first, second] = OUTPUTS.map(output);
        let of = |outputs: &[Zeroizing<[u8; 64]>]| harden(&join(outputs).unwrap(), 'a', "im.example.org").unwrap();
        // Computed apart, by the reference implementation of Argon2id.
        assert_eq!(of(std::slice::from_ref(&first)).as_str(), "aogchcqa7skzwe65gmt34hxkdpyyvwrt3");
        assert_eq!(of(&[first.clone(), second.clone()]).as_str(), "ax5m4sahfr7kw2bjebwmzmrze42ldn4bx");
        assert_eq!(of(&[second, first]).as_str(), "asrr2ighqg2f437kf3hby52du7gm6hqwb", "the order counts");
        assert_eq!(join(&[]), Err(PseudonymError::Evaluators));
    }

    #[test]
    fn no_pseudonym_is_made_for_a_domain_written_otherwise() {
        for (epoch, domain) in [('a', ""), ('a', "IM.example.org"), ('a', "a\0b"), ('A', "a"), ('1', "a")] {
            assert_eq!(harden(&[0; 64], epoch, domain), Err(PseudonymError::Domain));
        }
    }
}

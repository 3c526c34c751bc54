//! The directory's half of a pseudonym: it evaluates points and sees no number (RFC 9497).

use super::pseudonym::{self, Blinding, Evaluation, PseudonymError, Transcript};
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
    pub fn evaluate(&self, point: [u8; 32]) -> Result<Evaluation, EvaluatorError> {
        self.evaluate_with(point, &mut OsRng)
    }

    fn evaluate_with<R: RngCore + CryptoRng>(
        &self,
        point: [u8; 32],
        rng: &mut R,
    ) -> Result<Evaluation, EvaluatorError> {
        let blinded = pseudonym::blinded(&point).map_err(|_| EvaluatorError::Point)?;
        let result = self.server.blind_evaluate(rng, &blinded);
        Ok((result.message.serialize().into(), result.proof.serialize().into()))
    }

    /// The transcript of a number whose owner the operator knows: provisioning plays both halves.
    pub fn own_transcript<R: RngCore + CryptoRng>(
        &self,
        number: &PhoneNumber,
        rng: &mut R,
    ) -> Result<Transcript, EvaluatorError> {
        let (blinding, point) = Blinding::new(number, rng)?;
        Ok(blinding.transcript(&self.evaluate_with(point, rng)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::EpochKey;
    use super::super::testing::{ALICE, BOB, DOMAIN, Directory};
    use super::*;
    use data_encoding::HEXLOWER;

    /// RFC 9497, appendix A.1.2: ristretto255-SHA512 in VOPRF mode.
    const PUBLIC: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";
    const BLIND: &str = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
    const PROOF_SCALAR: &str = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";

    struct Vector {
        input: &'static [u8],
        blinded: &'static str,
        evaluated: &'static str,
        proof: &'static str,
        output: &'static str,
    }

    const VECTORS: [Vector; 2] = [
        Vector {
            input: &[0],
            blinded: "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            evaluated: "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            proof: "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06\
                    6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
            output: "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d\
                     a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
        },
        Vector {
            input: &[0x5a; 17],
            blinded: "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
            evaluated: "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468",
            proof: "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a\
                    67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
            output: "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60\
                     356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
        },
    ];

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// Gives one scalar: a wide reduction of it and zeros is itself.
    struct Given(Vec<u8>);

    impl RngCore for Given {
        fn next_u32(&mut self) -> u32 {
            panic!("only bytes are asked for")
        }
        fn next_u64(&mut self) -> u64 {
            panic!("only bytes are asked for")
        }
        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
            bytes[..self.0.len()].copy_from_slice(&self.0);
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(bytes);
            Ok(())
        }
    }

    impl CryptoRng for Given {}

    fn rfc() -> Evaluator {
        Evaluator::derive(&[0xa3; 32], b"test key", 'a').unwrap()
    }

    #[test]
    fn the_rfcs_vectors_pass_through_both_halves() {
        let evaluator = rfc();
        assert_eq!(evaluator.public_key(), hex(PUBLIC));
        for vector in &VECTORS {
            let mut rng = Given(hex::<32>(PROOF_SCALAR).to_vec());
            let evaluation = evaluator.evaluate_with(hex(vector.blinded), &mut rng).unwrap();
            assert_eq!(evaluation, (hex(vector.evaluated), hex(vector.proof)));
            let transcript = Blinding::from_bytes(hex(BLIND)).transcript(&evaluation);
            assert_eq!(*transcript.output(vector.input, &evaluator.public_key()).unwrap(), hex(vector.output));
        }
    }

    #[test]
    fn the_blind_changes_the_point_and_not_the_output() {
        let evaluator = rfc();
        let number = PhoneNumber::from_e164(ALICE).unwrap();
        let outputs: Vec<_> = [hex::<32>(BLIND), hex::<32>(PROOF_SCALAR)]
            .into_iter()
            .map(|scalar| {
                let (blinding, point) = Blinding::new(&number, &mut Given(scalar.to_vec())).unwrap();
                assert_eq!(*blinding.to_bytes(), scalar);
                let transcript = blinding.transcript(&evaluator.evaluate(point).unwrap());
                *transcript.output(ALICE.as_bytes(), &evaluator.public_key()).unwrap()
            })
            .collect();
        assert_eq!(outputs[0], outputs[1]);
    }

    #[test]
    fn what_is_no_point_is_not_evaluated() {
        let evaluator = rfc();
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        for point in [[0; 32], [0xff; 32], minus_one, [1; 32]] {
            assert_eq!(evaluator.evaluate(point), Err(EvaluatorError::Point));
        }
    }

    #[test]
    fn each_epoch_has_a_key_of_its_own() {
        let key = |epoch| Evaluator::from_seed([1; 32], epoch).map(|evaluator| evaluator.public_key());
        assert_ne!(key('a').unwrap(), key('b').unwrap());
        assert_eq!(key('A'), Err(EvaluatorError::Key));
        assert_eq!(key('é'), Err(EvaluatorError::Key));
    }

    #[test]
    fn a_number_has_one_pseudonym_however_it_was_blinded() {
        let directory = Directory::new();
        let key = directory.keys().epochs[0];
        let alice = directory.phone(ALICE);
        let (blinding, point) = Blinding::new(&alice.number, &mut OsRng).unwrap();
        let transcript = blinding.transcript(&directory.evaluator.evaluate(point).unwrap());
        assert!(alice.transcripts != [transcript.clone()], "blinded anew each time");
        let of = |domain| key.pseudonym(&alice.number, std::slice::from_ref(&transcript), domain).unwrap();
        assert_eq!(of(DOMAIN), *alice.jid.pseudonym());
        assert_ne!(of(DOMAIN), *directory.phone(BOB).jid.pseudonym());
        assert_ne!(of("other.example.org"), of(DOMAIN));
    }

    #[test]
    fn a_changed_answer_of_the_directory_is_refused() {
        let directory = Directory::new();
        let key = directory.keys().epochs[0];
        let number = PhoneNumber::from_e164(ALICE).unwrap();
        let (blinding, point) = Blinding::new(&number, &mut OsRng).unwrap();
        let (_, other) = Blinding::new(&number, &mut OsRng).unwrap();
        let (evaluated, proof) = directory.evaluator.evaluate(point).unwrap();
        let (for_other, proof_of_other) = directory.evaluator.evaluate(other).unwrap();
        let finish = |evaluated, proof, key: &EpochKey| {
            key.pseudonym(&number, &[blinding.transcript(&(evaluated, proof))], DOMAIN).map(|_| ())
        };
        assert_eq!(finish(for_other, proof, &key), Err(PseudonymError::Proof));
        assert_eq!(finish(evaluated, proof_of_other, &key), Err(PseudonymError::Proof));
        assert_eq!(finish([0; 32], proof, &key), Err(PseudonymError::Encoding));
        assert_eq!(finish(evaluated, [0xff; 64], &key), Err(PseudonymError::Encoding));
        // Another key for one victim would tag him.
        let tagging = Evaluator::from_seed([2; 32], 'a').unwrap();
        let (tagged, proof) = tagging.evaluate(point).unwrap();
        assert_eq!(finish(tagged, proof, &key), Err(PseudonymError::Proof));
        assert_eq!(finish(tagged, proof, &EpochKey { voprf: [0; 32], ..key }), Err(PseudonymError::Encoding));
    }

    #[test]
    fn each_part_of_a_transcript_counts() {
        let directory = Directory::new();
        let key = directory.keys().epochs[0];
        let alice = directory.phone(ALICE);
        let good = alice.transcripts[0].to_bytes();
        assert!(Transcript::from_bytes(&good) == alice.transcripts[0]);
        for index in [0, 20, 32, 50, 64, 90, 96, 120] {
            let mut bytes = good.clone();
            bytes[index] ^= 4;
            let held = key.pseudonym(&alice.number, &[Transcript::from_bytes(&bytes)], DOMAIN);
            assert!(held.is_err(), "byte {index}");
        }
        let bob = PhoneNumber::from_e164(BOB).unwrap();
        assert_eq!(key.pseudonym(&bob, &alice.transcripts, DOMAIN), Err(PseudonymError::Proof));
    }

    #[test]
    fn with_two_evaluators_both_transcripts_count_and_their_order() {
        let directory = Directory::of_two();
        let key = directory.keys().epochs[0];
        let alice = directory.phone(ALICE);
        let of = |transcripts: &[Transcript]| key.pseudonym(&alice.number, transcripts, DOMAIN);
        let [first, second] = &alice.transcripts[..] else { panic!("one an evaluator") };
        assert_eq!(of(&alice.transcripts).as_ref(), Ok(alice.jid.pseudonym()));
        assert_ne!(alice.jid, Directory::new().phone(ALICE).jid, "no single evaluator's pseudonym");
        for too_few_or_many in [vec![], vec![first], vec![first, second, second]] {
            let transcripts: Vec<_> = too_few_or_many.into_iter().cloned().collect();
            assert_eq!(of(&transcripts), Err(PseudonymError::Evaluators));
        }
        for foreign in [[second, first], [first, first], [second, second]] {
            assert_eq!(of(&foreign.map(Clone::clone)), Err(PseudonymError::Proof));
        }
        let bobs = &directory.phone(BOB).transcripts[1];
        assert_eq!(of(&[first.clone(), bobs.clone()]), Err(PseudonymError::Proof));
        let one = EpochKey { second: None, ..key };
        assert_eq!(one.pseudonym(&alice.number, &alice.transcripts, DOMAIN), Err(PseudonymError::Evaluators));
    }
}

//! Caller id: the first letter proves its sender's number, offline (protocol.md §4).

use super::{Certificate, CertificateError, DirectoryKeys, IdentityKey, Jid, PseudonymError, Transcript};
use crate::model::{PhoneNumber, Timestamp};

/// Why a caller is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The certificate does not hold.
    #[error("caller proof: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate is another address's.
    #[error("the caller's certificate is for another address")]
    OtherAddress,
    /// The certificate is another identity's.
    #[error("the caller's certificate is for another identity key than the session's")]
    OtherIdentity,
    /// The transcripts do not hold.
    #[error("caller proof: {0}")]
    Transcript(#[from] PseudonymError),
    /// The number has another pseudonym.
    #[error("the caller's address is not the pseudonym of that number")]
    OtherNumber,
}

/// Number, the evaluation's transcripts (one an evaluator), certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerProof {
    /// The number claimed.
    pub number: PhoneNumber,
    /// What ties it to the pseudonym.
    pub transcripts: Vec<Transcript>,
    /// What ties the pseudonym to the key.
    pub certificate: Certificate,
}

impl CallerProof {
    /// The cheap part of [`Self::verify`], enough where it is known whose number `sender` stands for:
    /// the certificate holds, names `sender`, and its key is this session's.
    pub fn certified(
        &self,
        sender: &Jid,
        session: &IdentityKey,
        keys: &DirectoryKeys,
        now: Timestamp,
    ) -> Result<(), ProofError> {
        if self.certificate.jid != *sender {
            return Err(ProofError::OtherAddress);
        }
        if self.certificate.identity != *session {
            return Err(ProofError::OtherIdentity);
        }
        Ok(self.certificate.verify(keys, now)?)
    }

    /// The caller's number, if all holds: the certificate names `sender`, its key is this session's,
    /// and `sender` is the number's pseudonym. The dear part (40 ms, 19 MiB) comes last: who holds
    /// no certificate can't make us pay it. Compare `certificate.issued` with the pinned one beside.
    pub fn verify(
        &self,
        sender: &Jid,
        session: &IdentityKey,
        keys: &DirectoryKeys,
        now: Timestamp,
    ) -> Result<PhoneNumber, ProofError> {
        self.certified(sender, session, keys, now)?;
        let key = keys.epoch(sender.epoch()).ok_or(CertificateError::Epoch)?;
        if key.pseudonym(&self.number, &self.transcripts, sender.domain())? == *sender.pseudonym() {
            Ok(self.number.clone())
        } else {
            Err(ProofError::OtherNumber)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ALICE, BOB, DAY, Directory, NOW};
    use super::*;

    #[test]
    fn a_true_caller_is_known_by_number() {
        let directory = Directory::new();
        let alice = directory.phone(ALICE);
        let number = alice.proof().verify(&alice.jid, &alice.identity.key(), &directory.keys(), NOW.plus(DAY));
        assert_eq!(number.as_ref(), Ok(&alice.number));
    }

    #[test]
    fn each_part_of_a_false_claim_is_refused() {
        let directory = Directory::new();
        let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
        let (keys, key) = (directory.keys(), alice.identity.key());
        let verify = |proof: &CallerProof, keys: &DirectoryKeys| proof.verify(&alice.jid, &key, keys, NOW);

        assert_eq!(alice.proof().verify(&bob.jid, &key, &keys, NOW), Err(ProofError::OtherAddress));
        assert_eq!(alice.proof().verify(&alice.jid, &bob.identity.key(), &keys, NOW), Err(ProofError::OtherIdentity));
        let mut stolen = alice.proof();
        stolen.certificate = directory.signer.issue(&alice.jid, &bob.identity.key(), NOW, DAY).unwrap();
        assert_eq!(verify(&stolen, &keys), Err(ProofError::OtherIdentity));
        assert_eq!(
            alice.proof().verify(&alice.jid, &key, &keys, NOW.plus(DAY * 31)),
            Err(ProofError::Certificate(CertificateError::Expired))
        );
        let mut other_number = alice.proof();
        other_number.number = bob.number.clone();
        assert_eq!(verify(&other_number, &keys), Err(ProofError::Transcript(PseudonymError::Proof)));
        let mut other_pair = other_number.clone();
        other_pair.transcripts = bob.transcripts.clone();
        assert_eq!(verify(&other_pair, &keys), Err(ProofError::OtherNumber), "his own number, her address");
        let mut doubled = alice.proof();
        doubled.transcripts.extend(alice.transcripts.clone());
        assert_eq!(verify(&doubled, &keys), Err(ProofError::Transcript(PseudonymError::Evaluators)));
        assert_eq!(
            verify(&alice.proof(), &DirectoryKeys::default()),
            Err(ProofError::Certificate(CertificateError::Epoch))
        );
        let mut other_key = keys.clone();
        other_key.epochs[0].voprf = super::super::Evaluator::from_seed([8; 32], 'a').unwrap().public_key();
        assert_eq!(verify(&alice.proof(), &other_key), Err(ProofError::Transcript(PseudonymError::Proof)));
    }

    #[test]
    fn with_two_evaluators_a_caller_shows_both_transcripts_and_they_are_his() {
        let directory = Directory::of_two();
        let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
        let verify = |transcripts: Vec<Transcript>| {
            let proof = CallerProof { transcripts, ..alice.proof() };
            proof.verify(&alice.jid, &alice.identity.key(), &directory.keys(), NOW)
        };
        assert_eq!(verify(alice.transcripts.clone()).as_ref(), Ok(&alice.number));
        let refused = |why| Err(ProofError::Transcript(why));
        assert_eq!(verify(alice.transcripts[..1].to_vec()), refused(PseudonymError::Evaluators));
        let foreign = vec![alice.transcripts[0].clone(), bob.transcripts[1].clone()];
        assert_eq!(verify(foreign), refused(PseudonymError::Proof));
    }
}

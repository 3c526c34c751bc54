//! What the tests of this layer share: two phones and their directory.

use super::*;
use crate::model::{PhoneNumber, Timestamp};
use rand_core::OsRng;
use std::time::Duration;

pub(in crate::seal) const DAY: Duration = Duration::from_secs(86_400);
pub(in crate::seal) const DOMAIN: &str = "im.example.org";
pub(in crate::seal) const NOW: Timestamp = Timestamp(1_790_000_000_000);
pub(in crate::seal) const ALICE: &str = "+491701234567";
pub(in crate::seal) const BOB: &str = "+491707654321";

pub(in crate::seal) struct Directory {
    pub(in crate::seal) evaluator: Evaluator,
    pub(in crate::seal) second: Option<Evaluator>,
    pub(in crate::seal) signer: DirectorySigner,
}

impl Directory {
    pub(in crate::seal) fn new() -> Self {
        Self {
            evaluator: Evaluator::from_seed([7; 32], 'a').unwrap(),
            second: None,
            signer: DirectorySigner::from_seed(&[9; 32]).unwrap(),
        }
    }

    /// With a second operator's evaluator.
    pub(in crate::seal) fn of_two() -> Self {
        Self { second: Some(Evaluator::from_seed([8; 32], 'a').unwrap()), ..Self::new() }
    }

    pub(in crate::seal) fn enrolment(&self) -> EnrolmentKey {
        EnrolmentKey::from_seed(&[11; 32])
    }

    pub(in crate::seal) fn keys(&self) -> DirectoryKeys {
        let key = EpochKey {
            epoch: 'a',
            voprf: self.evaluator.public_key(),
            second: self.second.as_ref().map(Evaluator::public_key),
            certificate: self.signer.public_key(),
            enrolment: self.enrolment().public_key(),
        };
        DirectoryKeys { epochs: vec![key] }
    }

    /// A phone with everything proven; the dear part is run once a number and process.
    pub(in crate::seal) fn phone(&self, number: &str) -> Phone {
        use std::collections::HashMap;
        use std::sync::{LazyLock, Mutex};
        type Made = HashMap<(String, bool), (Pseudonym, Vec<Transcript>)>;
        static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
        let number = PhoneNumber::from_e164(number).unwrap();
        let (pseudonym, transcripts) = MADE
            .lock()
            .unwrap()
            .entry((number.as_e164().to_string(), self.second.is_some()))
            .or_insert_with(|| {
                let evaluators = [&self.evaluator].into_iter().chain(&self.second);
                let own = |evaluator: &Evaluator| evaluator.own_transcript(&number, &mut OsRng).unwrap();
                let transcripts: Vec<_> = evaluators.map(own).collect();
                (self.keys().epochs[0].pseudonym(&number, &transcripts, DOMAIN).unwrap(), transcripts)
            })
            .clone();
        let jid = Jid::new(pseudonym, DOMAIN).unwrap();
        let identity = Identity::new(NOW);
        let certificate = self.signer.issue(&jid, &identity.key(), NOW, DAY * 30).unwrap();
        Phone { number, jid, identity, certificate, transcripts, sessions: Vec::new() }
    }
}

pub(in crate::seal) struct Phone {
    pub(in crate::seal) number: PhoneNumber,
    pub(in crate::seal) jid: Jid,
    pub(in crate::seal) identity: Identity,
    pub(in crate::seal) certificate: Certificate,
    pub(in crate::seal) transcripts: Vec<Transcript>,
    pub(in crate::seal) sessions: Vec<Session>,
}

impl Phone {
    pub(in crate::seal) fn party(&self) -> Party {
        Party { jid: self.jid.clone(), identity: self.identity.key() }
    }

    pub(in crate::seal) fn proof(&self) -> CallerProof {
        CallerProof {
            number: self.number.clone(),
            transcripts: self.transcripts.clone(),
            certificate: self.certificate.clone(),
        }
    }

    pub(in crate::seal) fn letter(&self, to: &Phone, payload: Payload, proof: bool) -> Letter {
        Letter { from: self.party(), to: to.party(), payload, proof: proof.then(|| self.proof()) }
    }

    /// Makes a session from the other's bundle.
    pub(in crate::seal) fn meet(&mut self, directory: &Directory, other: &Phone) {
        let bundle = other.identity.bundle(&other.certificate, NOW).unwrap();
        let bundle = Bundle::decode(&bundle).unwrap().verify(&directory.keys(), &other.jid, NOW, None).unwrap();
        let session = Session::outbound(&self.identity, &bundle).unwrap();
        assert_eq!(Session::add(&mut self.sessions, session), None);
    }

    pub(in crate::seal) fn send(&mut self, to: &Phone, payload: Payload, proof: bool) -> Vec<u8> {
        let letter = self.letter(to, payload, proof);
        let session = Session::preferred(&mut self.sessions).unwrap();
        seal(session, &letter).unwrap().as_bytes().to_vec()
    }

    pub(in crate::seal) fn receive(&mut self, from: &Phone, envelope: &[u8]) -> Result<Opened, OpenError> {
        self.receive_as(&from.jid, None, envelope)
    }

    pub(in crate::seal) fn receive_as(
        &mut self,
        from: &Jid,
        pinned: Option<IdentityKey>,
        envelope: &[u8],
    ) -> Result<Opened, OpenError> {
        let to = self.jid.clone();
        open(&mut self.identity, &mut self.sessions, &Expected { to: &to, from, pinned }, envelope)
    }
}

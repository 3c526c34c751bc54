//! What the targets share: a directory and two phones whose keys are the same in every run, so that
//! a finding can be replayed. The keys in `fixtures/` belong to nobody.

use shunt::model::{PhoneNumber, Timestamp};
use shunt::seal::{Certificate, DirectoryKeys, DirectorySigner, EnrolmentKey, EpochKey, Evaluator, Identity, Jid, Party, Session};
use std::time::Duration;

/// The time of all that is dated.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000);
pub const ALICE: &str = "+491701234567";
pub const ALICE_JID: &str = "aabcdefghijklmnopqrstuvwxyz234567@im.example.org";
pub const BOB_JID: &str = "a765432zyxwvutsrqponmlkjihgfedcba@im.example.org";

/// Bob's identity and his session with Alice, on which she has written to him.
pub const BOB: &[u8] = include_bytes!("../fixtures/bob.json");
pub const BOBS_SESSION: &[u8] = include_bytes!("../fixtures/bobs-session.json");

pub fn evaluator() -> Evaluator {
    Evaluator::from_seed([7; 32], 'a').unwrap()
}

pub fn signer() -> DirectorySigner {
    DirectorySigner::from_seed(&[9; 32]).unwrap()
}

pub fn enrolment() -> EnrolmentKey {
    EnrolmentKey::from_seed(&[11; 32])
}

pub fn keys() -> DirectoryKeys {
    let key = EpochKey {
        epoch: 'a',
        voprf: evaluator().public_key(),
        second: None,
        certificate: signer().public_key(),
        enrolment: enrolment().public_key(),
    };
    DirectoryKeys { epochs: vec![key] }
}

pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

pub fn number() -> PhoneNumber {
    PhoneNumber::from_e164(ALICE).unwrap()
}

pub fn bob() -> Identity {
    Identity::from_pickle(BOB).unwrap()
}

pub fn bobs_session() -> Session {
    Session::from_pickle(BOBS_SESSION).unwrap()
}

pub fn certificate(party: &Party) -> Certificate {
    signer().issue(&party.jid, &party.identity, NOW, Duration::from_secs(30 * 86_400)).unwrap()
}

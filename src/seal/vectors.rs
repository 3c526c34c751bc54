//! Project Wycheproof's hard cases against what this layer composes.

use super::column::expand;
use super::testing::{ALICE, DAY, Directory, NOW};
use super::{EnrolmentError, Identity, IdentityKey, SessionId, Start};
use crate::model::PhoneNumber;
use rand_core::OsRng;
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::signature::{ED25519, UnparsedPublicKey};
use vodozemac::{Ed25519PublicKey, Ed25519Signature};
use wycheproof::TestResult;
use wycheproof::xdh::TestFlag;

#[test]
fn our_hkdf_gives_the_vectors_keys() {
    let vectors = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let tests = vectors.test_groups.iter().flat_map(|group| &group.tests);
    let mut seen = 0;
    // Of other sizes we make none; a longer output begins with the same bytes, a shorter one is a part of them.
    for test in tests.filter(|test| test.result == TestResult::Valid) {
        let key = expand(&Salt::new(HKDF_SHA256, &test.salt).extract(&test.ikm), &test.info).unwrap();
        let both = key.len().min(test.size);
        assert_eq!(&key[..both], &test.okm[..both], "{}", test.tc_id);
        seen += usize::from(test.size >= key.len());
    }
    assert!(seen > 20, "{seen}");
}

/// Certificates are verified by ring, bundles by vodozemac.
#[test]
fn a_signature_is_good_for_certificates_and_for_bundles_or_for_neither() {
    let vectors = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut refused = 0;
    for group in &vectors.test_groups {
        let key: &[u8] = &group.key.pk;
        for test in &group.tests {
            let good = test.result == TestResult::Valid;
            let by_ring = UnparsedPublicKey::new(&ED25519, key).verify(&test.msg, &test.sig).is_ok();
            let by_vodozemac = Ed25519PublicKey::from_slice(key.try_into().unwrap())
                .and_then(|key| Ok(key.verify(&test.msg, &Ed25519Signature::from_slice(&test.sig)?)?));
            assert_eq!((by_ring, by_vodozemac.is_ok()), (good, good), "{}: {}", test.tc_id, test.comment);
            refused += usize::from(!good);
        }
    }
    assert!(refused > 50, "{refused}");
}

/// Keys whose shared secret is nothing but zeros, whoever's the other key is.
fn without_a_secret() -> Vec<[u8; 32]> {
    let vectors = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let tests = vectors.test_groups.iter().flat_map(|group| &group.tests);
    let keys: Vec<[u8; 32]> = tests
        .filter(|test| test.flags.contains(&TestFlag::ZeroSharedSecret))
        .filter_map(|test| test.public_key.to_vec().try_into().ok())
        .collect();
    assert!(keys.len() > 6);
    keys
}

#[test]
fn no_session_begins_with_a_key_that_gives_no_secret() {
    let (alice, bob) = (Identity::new(NOW), Identity::new(NOW).key());
    assert!(alice.outbound(&bob, *bob.curve25519()).is_some(), "with honest keys it does");
    for key in without_a_secret() {
        let weak = IdentityKey::from_bytes(*bob.ed25519(), key).unwrap();
        assert!(alice.outbound(&weak, *bob.curve25519()).is_none(), "as an identity: {key:?}");
        assert!(alice.outbound(&bob, key).is_none(), "as a fallback key: {key:?}");
    }
}

#[test]
fn no_enrolment_is_sealed_to_or_opened_from_a_key_that_gives_no_secret() {
    let (directory, identity) = (Directory::new(), Identity::new(NOW).key());
    let start = Start { number: PhoneNumber::from_e164(ALICE).unwrap(), made: NOW.plus(DAY), renews: None };
    let mut pinned = directory.keys().epochs[0];
    let request = start.seal(SessionId::new(&mut OsRng), identity, &pinned).unwrap();
    // Behind version, session, identity key and epoch.
    let encapsulated = 1 + 16 + 64 + 1..1 + 16 + 64 + 1 + 32;
    for key in without_a_secret() {
        let mut weak = request.as_bytes().to_vec();
        weak[encapsulated.clone()].copy_from_slice(&key);
        assert_eq!(Start::open(&directory.enrolment(), &weak).err(), Some(EnrolmentError::Sealed), "{key:?}");
        pinned.enrolment = key;
        let sealed = start.seal(SessionId::new(&mut OsRng), identity, &pinned);
        assert_eq!(sealed.err(), Some(EnrolmentError::Sealed), "{key:?}");
    }
}

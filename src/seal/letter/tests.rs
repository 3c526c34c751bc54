use super::*;
use crate::seal::testing::{ALICE, BOB, DAY, Directory, NOW};
use proptest::prelude::*;
use std::sync::LazyLock;

struct Cast {
    from: Party,
    to: Party,
    proof: CallerProof,
}

static CAST: LazyLock<Cast> = LazyLock::new(|| {
    let directory = Directory::new();
    let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
    Cast { from: alice.party(), to: bob.party(), proof: alice.proof() }
});

fn payload() -> impl Strategy<Value = Payload> {
    let id = || any::<[u8; 16]>().prop_map(TextId);
    prop_oneof![
        Just(Payload::Probe),
        Just(Payload::Bye),
        (any::<[u8; 16]>(), 0..=LEASE_MAX_MS)
            .prop_map(|(lease, ends_in_ms)| Payload::Answer { lease: LeaseId(lease), ends_in_ms }),
        (id(), any::<[u8; 16]>(), any::<String>(), any::<i64>(), any::<u16>()).prop_map(
            |(id, lease, body, sent, ordinal)| Payload::Text {
                id,
                lease: LeaseId(lease),
                body: Body(body.into()),
                sent: Timestamp(sent),
                ordinal,
            }
        ),
        (id(), any::<bool>()).prop_map(|(id, read)| Payload::Receipt { id, read }),
        id().prop_map(|id| Payload::Revoke { id }),
        (id(), any::<bool>()).prop_map(|(id, shown)| Payload::RevokeAnswer { id, shown }),
    ]
}

fn letter() -> impl Strategy<Value = Letter> {
    (payload(), any::<bool>(), any::<bool>()).prop_map(|(payload, proof, abroad)| {
        let mut to = CAST.to.clone();
        if abroad {
            to.jid = Jid::new(to.jid.pseudonym().clone(), "other.example.net").unwrap();
        }
        Letter { from: CAST.from.clone(), to, payload, proof: proof.then(|| CAST.proof.clone()) }
    })
}

fn plain(payload: Payload) -> Letter {
    Letter { from: CAST.from.clone(), to: CAST.to.clone(), payload, proof: None }
}

proptest! {
    #[test]
    fn every_letter_reads_back_as_written(letter in letter()) {
        prop_assert_eq!(Letter::decode(&letter.encode().unwrap()).unwrap(), letter);
    }

    #[test]
    fn bytes_left_over_are_an_error(letter in letter(), extra in 1_usize..9) {
        let mut bytes = letter.encode().unwrap().to_vec();
        bytes.resize(bytes.len() + extra, 0);
        prop_assert_eq!(Letter::decode(&bytes), Err(CodecError::NotCanonical.into()));
    }

    #[test]
    fn a_letter_cut_short_is_an_error(letter in letter(), cut: prop::sample::Index) {
        let bytes = letter.encode().unwrap();
        prop_assert!(Letter::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(letter in letter(), at: prop::sample::Index, bits: u8) {
        let mut bytes = letter.encode().unwrap().to_vec();
        let index = at.index(bytes.len());
        bytes[index] ^= bits;
        if let Ok(read) = Letter::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap().to_vec(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = Letter::decode(&bytes);
        let _ = Letter::decode(&[&[VERSION], bytes.as_slice()].concat());
    }

    #[test]
    fn all_but_texts_weigh_the_same(one in letter(), other in letter()) {
        let weigh = |letter: &Letter| letter.weight(letter.encode().unwrap().len()).unwrap();
        let text = |letter: &Letter| matches!(letter.payload, Payload::Text { .. });
        let mut other = other;
        other.to = one.to.clone();
        other.proof = one.proof.clone();
        prop_assume!(!text(&one) && !text(&other));
        prop_assert_eq!(weigh(&one), weigh(&other));
    }
}

#[test]
fn limits_hold_both_ways() {
    let text = |length: usize| Payload::Text {
        id: TextId([1; 16]),
        lease: LeaseId([2; 16]),
        body: Body("x".repeat(length).into()),
        sent: NOW,
        ordinal: 0,
    };
    assert!(Letter::decode(&plain(text(BODY_MAX)).encode().unwrap()).is_ok());
    assert_eq!(plain(text(BODY_MAX + 1)).encode().err(), Some(LetterError::Body));
    let answer = |ends_in_ms| Payload::Answer { lease: LeaseId([2; 16]), ends_in_ms };
    assert_eq!(plain(answer(LEASE_MAX_MS + 1)).encode().err(), Some(LetterError::Lease));
    let mut proofless = plain(Payload::Probe);
    proofless.proof = Some(CallerProof { transcripts: Vec::new(), ..CAST.proof.clone() });
    assert_eq!(proofless.encode().err(), Some(LetterError::Transcripts));

    // The same, said by somebody who does not keep to them.
    let wire = |payload: PayloadWire<'_>| {
        let letter = LetterWire {
            from: CAST.from.wire().unwrap(),
            to: CAST.to.wire().unwrap(),
            from_domain: CAST.from.jid.domain(),
            to_domain: None,
            payload,
            proof: None,
        };
        Letter::decode(&codec::encode(VERSION, &letter).unwrap()).err()
    };
    let body = "x".repeat(BODY_MAX + 1);
    let text = PayloadWire::Text { id: [1; 16], lease: [2; 16], body: &body, sent: 0, ordinal: 0 };
    assert_eq!(wire(text), Some(LetterError::Body));
    assert_eq!(wire(PayloadWire::Answer { lease: [2; 16], ends_in_ms: u32::MAX }), Some(LetterError::Lease));
    assert_eq!(Letter::decode(&vec![VERSION; MAX + 1]), Err(CodecError::TooLong.into()));
}

#[test]
fn a_domain_said_twice_or_no_domain_is_refused() {
    let wire = |from_domain, to_domain| {
        let letter = LetterWire {
            from: CAST.from.wire().unwrap(),
            to: CAST.to.wire().unwrap(),
            from_domain,
            to_domain,
            payload: PayloadWire::Probe,
            proof: None,
        };
        Letter::decode(&codec::encode(VERSION, &letter).unwrap()).err()
    };
    assert_eq!(wire("im.example.org", None), None);
    assert_eq!(wire("im.example.org", Some("im.example.org")), Some(CodecError::NotCanonical.into()));
    assert_eq!(wire("", None), Some(BadJid::Domain.into()));
    assert_eq!(wire("a/b", None), Some(BadJid::Domain.into()));
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = plain(Payload::Probe).encode().unwrap().to_vec();
    bytes[0] = 2;
    assert_eq!(Letter::decode(&bytes), Err(CodecError::Version(2).into()));
    assert_eq!(Letter::decode(&[]), Err(CodecError::Empty.into()));
}

#[test]
fn debug_shows_no_number_no_text_and_no_key() {
    let mut letter = plain(Payload::Text {
        id: TextId([1; 16]),
        lease: LeaseId([2; 16]),
        body: Body("meet me at noon".into()),
        sent: NOW,
        ordinal: 0,
    });
    letter.proof = Some(CAST.proof.clone());
    let shown = format!("{letter:?}");
    assert!(!shown.contains("noon") && !shown.contains(&ALICE[3..]), "{shown}");
    assert!(shown.contains("IdentityKey(..)") && shown.contains("Transcript(..)"), "{shown}");
}

#[test]
fn the_wire_form_is_fixed() {
    // What one phone of another make must read: version, parties, domain, payload.
    let letter = plain(Payload::Revoke { id: TextId([0xab; 16]) });
    let bytes = letter.encode().unwrap();
    let mut expected = vec![1];
    for party in [&CAST.from, &CAST.to] {
        expected.extend(party.jid.pseudonym().to_wire().unwrap());
        expected.extend(party.identity.ed25519());
        expected.extend(party.identity.curve25519());
    }
    expected.push(14);
    expected.extend(b"im.example.org");
    expected.push(0); // the same domain
    expected.push(4); // Revoke
    expected.extend([0xab; 16]);
    expected.push(0); // no proof
    assert_eq!(*bytes, expected);
    assert_eq!(CAST.proof.certificate.expires, NOW.plus(DAY * 30));
}

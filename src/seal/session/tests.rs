use super::*;
use crate::model::{Body, LeaseId, TextId, Timestamp};
use crate::seal::testing::{ALICE, BOB, Directory, Phone};
use crate::seal::{BUCKETS, Payload};

const CAROL: &str = "+33612345678";

fn text(id: u8, body: &str) -> Payload {
    Payload::Text {
        id: TextId([id; 16]),
        lease: LeaseId([id; 16]),
        body: Body(body.into()),
        sent: Timestamp(1_790_000_000_123),
        ordinal: 3,
    }
}

fn answer() -> Payload {
    Payload::Answer { lease: LeaseId([4; 16]), ends_in_ms: 180_000 }
}

/// Alice has a session with Bob, and both have heard of each other on it.
fn acquainted() -> (Phone, Phone) {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    let probe = alice.send(&bob, Payload::Probe, true);
    bob.receive(&alice, &probe).unwrap();
    let reply = bob.send(&alice, answer(), true);
    alice.receive(&bob, &reply).unwrap();
    (alice, bob)
}

#[test]
fn a_first_letter_makes_a_session_and_the_answer_comes_back_on_it() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    let probe = alice.send(&bob, Payload::Probe, true);
    assert!(!alice.sessions[0].established());

    let opened = bob.receive(&alice, &probe).unwrap();
    assert_eq!(opened.letter, alice.letter(&bob, Payload::Probe, true));
    assert!(opened.new_session && opened.session_index == 0 && opened.dropped.is_none());
    assert_eq!(bob.sessions[0].id(), alice.sessions[0].id());
    assert_eq!(*bob.sessions[0].peer(), alice.identity.key());

    let reply = bob.send(&alice, answer(), false);
    let opened = alice.receive(&bob, &reply).unwrap();
    assert_eq!(opened.letter.payload, answer());
    assert!(!opened.new_session && alice.sessions[0].established());
}

#[test]
fn several_first_letters_make_one_session() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    let first = alice.send(&bob, Payload::Probe, true);
    let second = alice.send(&bob, text(1, "hello"), true);
    // Out of order, too.
    assert!(bob.receive(&alice, &second).unwrap().new_session);
    assert!(!bob.receive(&alice, &first).unwrap().new_session);
    assert_eq!(bob.sessions.len(), 1);
}

#[test]
fn a_replayed_envelope_opens_nothing() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    let first = alice.send(&bob, Payload::Probe, true);
    bob.receive(&alice, &first).unwrap();
    assert_eq!(bob.receive(&alice, &first).unwrap_err(), OpenError::Undecryptable);
    let reply = bob.send(&alice, answer(), false);
    alice.receive(&bob, &reply).unwrap();
    assert_eq!(alice.receive(&bob, &reply).unwrap_err(), OpenError::Undecryptable);
    assert_eq!((alice.sessions.len(), bob.sessions.len()), (1, 1));
}

#[test]
fn crossing_first_letters_still_end_in_a_conversation() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    bob.meet(&directory, &alice);
    let (one, other) = (alice.send(&bob, Payload::Probe, true), bob.send(&alice, Payload::Probe, true));
    assert!(bob.receive(&alice, &one).unwrap().new_session);
    assert!(alice.receive(&bob, &other).unwrap().new_session);
    for round in 0..4 {
        let there = alice.send(&bob, text(round, "there"), false);
        assert_eq!(bob.receive(&alice, &there).unwrap().letter.payload, text(round, "there"));
        let back = bob.send(&alice, text(round, "back"), false);
        assert_eq!(alice.receive(&bob, &back).unwrap().letter.payload, text(round, "back"));
    }
    assert_eq!((alice.sessions.len(), bob.sessions.len()), (2, 2));
}

#[test]
fn the_session_heard_on_last_is_used_to_send() {
    let directory = Directory::new();
    let (mut alice, mut bob) = acquainted();
    let old = bob.sessions[0].id();
    let late = alice.send(&bob, text(1, "late"), false);
    // Alice loses her store of sessions and starts anew.
    alice.sessions.clear();
    alice.meet(&directory, &bob);
    let probe = alice.send(&bob, Payload::Probe, true);
    let opened = bob.receive(&alice, &probe).unwrap();
    assert!(opened.new_session && opened.session_index == 1);
    assert_ne!(Session::preferred(&mut bob.sessions).unwrap().id(), old);
    bob.receive(&alice, &late).unwrap();
    assert_eq!(Session::preferred(&mut bob.sessions).unwrap().id(), old);
}

#[test]
fn no_more_than_four_sessions_are_kept_and_the_longest_unheard_goes() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    let mut ids = Vec::new();
    for _ in 0..SESSIONS_MAX {
        alice.sessions.clear();
        alice.meet(&directory, &bob);
        let probe = alice.send(&bob, Payload::Probe, true);
        assert_eq!(bob.receive(&alice, &probe).unwrap().dropped, None);
        ids.push(alice.sessions[0].id());
    }
    alice.sessions.clear();
    alice.meet(&directory, &bob);
    let probe = alice.send(&bob, Payload::Probe, true);
    let opened = bob.receive(&alice, &probe).unwrap();
    assert_eq!(opened.dropped.as_ref(), Some(&ids[0]));
    assert_eq!((bob.sessions.len(), opened.session_index), (SESSIONS_MAX, SESSIONS_MAX - 1));
}

#[test]
fn sessions_and_identity_survive_a_restart() {
    let (mut alice, mut bob) = acquainted();
    let envelope = alice.send(&bob, text(1, "after the restart"), false);
    bob.identity = Identity::from_pickle(&bob.identity.to_pickle().unwrap()).unwrap();
    bob.sessions = vec![Session::from_pickle(&bob.sessions[0].to_pickle().unwrap()).unwrap()];
    let opened = bob.receive(&alice, &envelope).unwrap();
    assert_eq!(opened.letter.payload, text(1, "after the restart"));
    assert!(Session::from_pickle(b"{}").is_err() && Identity::from_pickle(b"[1]").is_err());
}

#[test]
fn a_rotated_fallback_key_stays_good_for_one_more_rotation() {
    let directory = Directory::new();
    let (mut alice, mut bob, mut carol) = (directory.phone(ALICE), directory.phone(BOB), directory.phone(CAROL));
    alice.meet(&directory, &bob);
    let from_alice = alice.send(&bob, Payload::Probe, true);
    carol.meet(&directory, &bob);
    let from_carol = carol.send(&bob, Payload::Probe, true);
    bob.identity.rotate_fallback(Timestamp(5));
    assert_eq!(bob.identity.rotated(), Timestamp(5));
    assert!(bob.receive(&alice, &from_alice).is_ok());
    bob.identity.rotate_fallback(Timestamp(6));
    bob.sessions.clear();
    assert_eq!(bob.receive(&carol, &from_carol).unwrap_err(), OpenError::Undecryptable);
}

#[test]
fn a_letter_must_name_both_ends_of_its_session() {
    let directory = Directory::new();
    let (mut alice, mut bob, carol) = (directory.phone(ALICE), directory.phone(BOB), directory.phone(CAROL));
    alice.meet(&directory, &bob);
    let mut forge = |change: &dyn Fn(&mut Letter)| {
        let mut letter = alice.letter(&bob, Payload::Probe, false);
        change(&mut letter);
        let envelope = seal(&mut alice.sessions[0], &letter).map(|sealed| sealed.as_bytes().to_vec());
        envelope.map(|envelope| bob.receive_as(&alice.jid, None, &envelope).map(|_| ()))
    };
    assert_eq!(forge(&|letter| letter.from.jid = carol.jid.clone()), Ok(Err(OpenError::OtherSender)));
    assert_eq!(forge(&|letter| letter.from.identity = carol.identity.key()), Ok(Err(OpenError::OtherSender)));
    assert_eq!(forge(&|letter| letter.to.jid = carol.jid.clone()), Ok(Err(OpenError::OtherRecipient)));
    assert_eq!(forge(&|letter| letter.to.identity = carol.identity.key()), Err(SealError::OtherPeer));
    assert_eq!(forge(&|_| ()), Ok(Ok(())));
    assert_eq!(bob.sessions.len(), 1);
}

#[test]
fn a_forwarded_letter_is_not_its_forwarders() {
    // Bob hands Alice's first letter on to Carol under his own address.
    let directory = Directory::new();
    let (mut alice, bob, mut carol) = (directory.phone(ALICE), directory.phone(BOB), directory.phone(CAROL));
    alice.meet(&directory, &carol);
    let envelope = alice.send(&carol, Payload::Probe, true);
    assert_eq!(carol.receive(&bob, &envelope).unwrap_err(), OpenError::OtherSender);
    assert!(carol.sessions.is_empty());
}

#[test]
fn another_identity_than_the_pinned_one_is_named_and_changes_nothing() {
    let directory = Directory::new();
    let (mut alice, mut bob) = acquainted();
    let pinned = alice.identity.key();
    let mut again = directory.phone(ALICE);
    again.meet(&directory, &bob);
    let probe = again.send(&bob, Payload::Probe, true);
    let opened = bob.receive_as(&alice.jid, Some(pinned), &probe);
    assert_eq!(opened.unwrap_err(), OpenError::IdentityChanged);
    assert_eq!(bob.sessions.len(), 1);
    let envelope = alice.send(&bob, text(1, "the same as ever"), false);
    assert!(bob.receive_as(&alice.jid, Some(pinned), &envelope).is_ok());
    // Looked at apart, it proves whose it is.
    let to = bob.jid.clone();
    let expected = Expected { to: &to, from: &alice.jid, pinned: None };
    let opened = open(&mut bob.identity, &mut Vec::new(), &expected, &probe).unwrap();
    assert_eq!(opened.letter.from.identity, again.identity.key());
}

#[test]
fn a_changed_byte_anywhere_opens_nothing() {
    let (mut alice, mut bob) = acquainted();
    for kind in ["first", "later"] {
        if kind == "first" {
            alice.meet(&Directory::new(), &bob);
        }
        let envelope = alice.send(&bob, text(1, "whole"), false);
        for index in (0..envelope.len()).step_by(3) {
            let mut changed = envelope.clone();
            changed[index] ^= 0x20;
            assert!(bob.receive(&alice, &changed).is_err(), "{kind}, byte {index}");
        }
        assert_eq!(bob.receive(&alice, &envelope).unwrap().letter.payload, text(1, "whole"), "{kind}");
        let reply = bob.send(&alice, answer(), false);
        alice.receive(&bob, &reply).unwrap();
    }
}

#[test]
fn control_letters_are_of_one_size_first_or_later_long_chain_or_short() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    let id = TextId([1; 16]);
    let control = || {
        [
            Payload::Probe,
            answer(),
            Payload::Answer { lease: LeaseId([0; 16]), ends_in_ms: 0 },
            Payload::Receipt { id, read: true },
            Payload::Revoke { id },
            Payload::RevokeAnswer { id, shown: false },
            Payload::Bye,
        ]
    };
    for payload in control() {
        assert_eq!(alice.send(&bob, payload.clone(), true).len(), 1024, "{payload:?}");
        assert_eq!(alice.send(&bob, payload.clone(), false).len(), 512, "{payload:?}");
    }
    let first = alice.send(&bob, Payload::Probe, true);
    bob.receive(&alice, &first).unwrap();
    for _ in 0..300 {
        assert_eq!(bob.send(&alice, Payload::Probe, false).len(), 512);
    }
    for payload in control() {
        assert_eq!(bob.send(&alice, payload.clone(), false).len(), 512, "{payload:?}");
        assert_eq!(bob.send(&alice, payload.clone(), true).len(), 1024, "{payload:?}");
    }
}

#[test]
fn texts_of_every_length_fit_the_few_sizes() {
    let directory = Directory::new();
    let (mut alice, mut bob) = (directory.phone(ALICE), directory.phone(BOB));
    alice.meet(&directory, &bob);
    for length in (0..crate::seal::BODY_MAX).step_by(997).chain([crate::seal::BODY_MAX]) {
        let body = "x".repeat(length);
        let envelope = alice.send(&bob, text(1, &body), true);
        assert!(BUCKETS.contains(&envelope.len()), "{length}: {}", envelope.len());
        assert_eq!(bob.receive(&alice, &envelope).unwrap().letter.payload, text(1, &body));
    }
    let long = alice.letter(&bob, text(1, &"x".repeat(crate::seal::BODY_MAX + 1)), true);
    assert_eq!(seal(&mut alice.sessions[0], &long), Err(SealError::Letter(LetterError::Body)));
}

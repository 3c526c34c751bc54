//! Olm sessions with a peer, and the two verbs over them: [`seal`] and [`open`].
//!
//! Persist what changed before anything goes out: the session after [`seal`], session after
//! [`open`], in the same transaction as what the letter caused (protocol.md §1).

use super::envelope::{self, Envelope, EnvelopeError, OlmKind, SUITE_OLM_V1};
use super::identity::to_json;
use super::{Identity, IdentityKey, Jid, Letter, LetterError, Sealed, VerifiedBundle};
use serde::{Deserialize, Serialize};
use std::fmt;
use vodozemac::olm::{self, OlmMessage, PreKeyMessage, SessionPickle};
use zeroize::Zeroizing;

/// Most sessions kept with one peer: crossing first letters make two, a lost store one more.
pub const SESSIONS_MAX: usize = 4;

const VERSION: u8 = 1;

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The bundle's keys are weak on purpose.
    #[error("the peer's bundle has keys that no session can be made with")]
    WeakKey,
    /// A stored session that cannot be read.
    #[error("the stored session cannot be read: the store is damaged or from a newer version")]
    Pickle,
}

/// Why a letter was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It has no encoding.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// It fits no envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The letter's recipient is not this session's peer.
    #[error("the letter is addressed to another identity than the session's")]
    OtherPeer,
    /// The session cannot be used.
    #[error("the session cannot encrypt: start a new one from the peer's bundle")]
    Session,
}

/// Why an envelope was not opened. Whatever it is, the sender gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// No session opens it: a replay, one from before this phone's store, or not for us.
    #[error("no session opens the envelope")]
    Undecryptable,
    /// The first letter of another identity than the pinned one: the key changed, or it is forged.
    #[error("the envelope is from another identity key than the pinned one")]
    IdentityChanged,
    /// No letter inside.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// The letter names another sender than session and stanza.
    #[error("the letter inside names another sender than its session or stanza")]
    OtherSender,
    /// The letter names another recipient.
    #[error("the letter inside is addressed to somebody else")]
    OtherRecipient,
}

/// One Olm session with a peer's identity.
pub struct Session {
    olm: olm::Session,
    peer: IdentityKey,
    /// Rises with each session made and each letter received on it; the highest is used to send.
    order: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

/// JSON, for the reason told in `identity`.
#[derive(Serialize, Deserialize)]
struct Pickle {
    version: u8,
    peer: String,
    order: u64,
    olm: SessionPickle,
}

impl Session {
    /// A session towards a peer that was never heard of, or whose old sessions answer nothing.
    /// Add it by [`Self::add`].
    pub fn outbound(identity: &Identity, bundle: &VerifiedBundle) -> Result<Self, SessionError> {
        let olm = identity.outbound(&bundle.identity, bundle.fallback).ok_or(SessionError::WeakKey)?;
        Ok(Self { olm, peer: bundle.identity, order: 0 })
    }

    /// Adds a session as the one to send by. Gives the id of the one that had to go: over
    /// [`SESSIONS_MAX`], the longest unheard.
    pub fn add(sessions: &mut Vec<Self>, mut session: Self) -> Option<String> {
        session.order = next_order(sessions);
        let dropped = if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().enumerate().min_by_key(|(_, session)| session.order).map(|(index, _)| index);
            oldest.map(|index| sessions.remove(index).id())
        } else {
            None
        };
        sessions.push(session);
        dropped
    }

    /// The session to send by: the one that was heard on, or made, last.
    pub fn preferred(sessions: &mut [Self]) -> Option<&mut Self> {
        sessions.iter_mut().max_by_key(|session| session.order)
    }

    /// Its id: public, the same on both phones, unique among all sessions.
    #[must_use]
    pub fn id(&self) -> String {
        self.olm.session_id()
    }

    /// With whom.
    #[must_use]
    pub fn peer(&self) -> &IdentityKey {
        &self.peer
    }

    /// Whether the peer has answered on it: until then each letter is a first one, and carries the
    /// caller proof.
    #[must_use]
    pub fn established(&self) -> bool {
        self.olm.has_received_message()
    }

    /// Its secrets in clear: the store seals them (1 to 10 KB).
    pub fn to_pickle(&self) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        let pickle = Pickle { version: VERSION, peer: self.peer.to_text(), order: self.order, olm: self.olm.pickle() };
        to_json(&pickle).ok_or(SessionError::Pickle)
    }

    /// The inverse of [`Self::to_pickle`].
    pub fn from_pickle(bytes: &[u8]) -> Result<Self, SessionError> {
        let pickle: Pickle = serde_json::from_slice(bytes).map_err(|_| SessionError::Pickle)?;
        if pickle.version != VERSION {
            return Err(SessionError::Pickle);
        }
        Ok(Self {
            olm: olm::Session::from_pickle(pickle.olm),
            peer: IdentityKey::from_text(&pickle.peer).map_err(|_| SessionError::Pickle)?,
            order: pickle.order,
        })
    }
}

fn next_order(sessions: &[Session]) -> u64 {
    sessions.iter().map(|session| session.order).max().unwrap_or(0).saturating_add(1)
}

/// Seals a letter to the session's peer. Persist the session, then let the envelope out; a resend
/// is the same bytes.
pub fn seal(session: &mut Session, letter: &Letter) -> Result<Sealed, SealError> {
    if letter.to.identity != session.peer {
        return Err(SealError::OtherPeer);
    }
    let encoded = letter.encode()?;
    let padded = envelope::pad(&encoded, letter.weight(encoded.len())?)?;
    let message = session.olm.encrypt(padded.as_slice()).map_err(|_| SealError::Session)?;
    let (kind, message) = match message {
        OlmMessage::PreKey(message) => (OlmKind::PreKey, message.to_bytes()),
        OlmMessage::Normal(message) => (OlmKind::Normal, message.to_bytes()),
    };
    Ok(Sealed(Envelope { suite: SUITE_OLM_V1, kind, message }.encode()?))
}

/// What an envelope must match.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Our own address.
    pub to: &'a Jid,
    /// The sender as the server vouches for it.
    pub from: &'a Jid,
    /// The identity key pinned for that sender. With `None` any identity may start a session: to
    /// look into the letter after [`OpenError::IdentityChanged`], call again with `None` and no
    /// sessions, and believe nothing before its caller proof holds.
    pub pinned: Option<IdentityKey>,
}

/// An opened envelope.
#[derive(Debug)]
pub struct Opened {
    /// The letter: sender and recipient are proven to be the session's two ends. The sender's
    /// number is not: that is the caller proof's.
    pub letter: Letter,
    /// Which of the sessions it came by: the one to persist.
    pub session_index: usize,
    /// Whether that session is new.
    pub new_session: bool,
    /// Id of a session that had to go for a new one.
    pub dropped: Option<String>,
}

/// Opens an envelope by one of the sessions with its sender, or by a new one.
///
/// On an error nothing needs to be persisted, and what is in memory may be kept or dropped:
/// at worst a session has used up the key of the very envelope that was refused.
pub fn open(
    identity: &mut Identity,
    sessions: &mut Vec<Session>,
    expected: &Expected<'_>,
    envelope: &[u8],
) -> Result<Opened, OpenError> {
    let envelope = Envelope::decode(envelope)?;
    match envelope.kind {
        OlmKind::Normal => {
            let message = olm::Message::from_bytes(&envelope.message).map_err(|_| OpenError::Undecryptable)?;
            by_existing(identity, sessions, expected, &OlmMessage::Normal(message))
        }
        OlmKind::PreKey => {
            let first = PreKeyMessage::from_bytes(&envelope.message).map_err(|_| OpenError::Undecryptable)?;
            if sessions.iter().any(|session| session.olm.session_keys() == first.session_keys()) {
                // A further first message of a session we have, or a replay: never a second session.
                by_existing(identity, sessions, expected, &OlmMessage::PreKey(first))
            } else {
                by_new(identity, sessions, expected, &first)
            }
        }
    }
}

fn by_existing(
    identity: &Identity,
    sessions: &mut [Session],
    expected: &Expected<'_>,
    message: &OlmMessage,
) -> Result<Opened, OpenError> {
    let order = next_order(sessions);
    for (session_index, session) in sessions.iter_mut().enumerate() {
        if let OlmMessage::PreKey(first) = message
            && session.olm.session_keys() != first.session_keys()
        {
            continue;
        }
        let Ok(plain) = session.olm.decrypt(message).map(Zeroizing::new) else { continue };
        let letter = read(identity, expected, &plain)?;
        if letter.from.identity != session.peer {
            return Err(OpenError::OtherSender);
        }
        session.order = order;
        return Ok(Opened { letter, session_index, new_session: false, dropped: None });
    }
    Err(OpenError::Undecryptable)
}

fn by_new(
    identity: &mut Identity,
    sessions: &mut Vec<Session>,
    expected: &Expected<'_>,
    first: &PreKeyMessage,
) -> Result<Opened, OpenError> {
    let sender = first.identity_key().to_bytes();
    if expected.pinned.is_some_and(|pinned| *pinned.curve25519() != sender) {
        return Err(OpenError::IdentityChanged);
    }
    let (olm, plain) = identity.inbound(first)?;
    let letter = read(identity, expected, &plain)?;
    if *letter.from.identity.curve25519() != sender {
        return Err(OpenError::OtherSender);
    }
    let session = Session { olm, peer: letter.from.identity, order: 0 };
    let dropped = Session::add(sessions, session);
    Ok(Opened { letter, session_index: sessions.len().saturating_sub(1), new_session: true, dropped })
}

/// Reads a letter and holds it against stanza, pin and ourselves.
fn read(identity: &Identity, expected: &Expected<'_>, plain: &[u8]) -> Result<Letter, OpenError> {
    let letter = Letter::decode(envelope::unpad(plain)?)?;
    if letter.to.jid != *expected.to || letter.to.identity != identity.key() {
        return Err(OpenError::OtherRecipient);
    }
    if letter.from.jid != *expected.from {
        return Err(OpenError::OtherSender);
    }
    if expected.pinned.is_some_and(|pinned| pinned != letter.from.identity) {
        return Err(OpenError::IdentityChanged);
    }
    Ok(letter)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ALICE, BOB, Directory, Phone};
    use super::super::{BUCKETS, Payload};
    use super::*;
    use crate::model::{Body, LeaseId, TextId, Timestamp};

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
        for length in (0..super::super::BODY_MAX).step_by(997).chain([super::super::BODY_MAX]) {
            let body = "x".repeat(length);
            let envelope = alice.send(&bob, text(1, &body), true);
            assert!(BUCKETS.contains(&envelope.len()), "{length}: {}", envelope.len());
            assert_eq!(bob.receive(&alice, &envelope).unwrap().letter.payload, text(1, &body));
        }
        let long = alice.letter(&bob, text(1, &"x".repeat(super::super::BODY_MAX + 1)), true);
        assert_eq!(seal(&mut alice.sessions[0], &long), Err(SealError::Letter(LetterError::Body)));
    }
}

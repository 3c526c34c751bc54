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

    /// Its secrets in clear: the store seals them (1 to 3 KB; some 30 KB where many letters were lost).
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
    /// Whether that session is new. With a sender who has no pinned identity yet it deserves nothing,
    /// not even a row in the store, before the letter's caller proof holds.
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
mod tests;

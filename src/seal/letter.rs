//! What stands inside the seal (protocol.md §5).
//!
//! The model's words can't be serialised, on purpose; the mirror structs here spell out by hand
//! what of them goes into a letter.

use super::certificate::KeyWire;
use super::codec::{self, CodecError};
use super::{BadJid, CallerProof, Certificate, EVALUATORS_MAX, IdentityKey, Jid, Pseudonym, Transcript};
use crate::model::{Body, LeaseId, PhoneNumber, TextId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Longest text by IM, in bytes of UTF-8; what is longer goes by SMS, which takes up to 39,015 of the
/// GSM alphabet's characters.
pub const BODY_MAX: usize = 16 * 1024;

/// Longest lease, ms (protocol.md §3).
pub const LEASE_MAX_MS: u32 = 180_000;

const VERSION: u8 = 1;

/// Longest encoded letter: what the largest envelope holds.
pub(in crate::seal) const MAX: usize = BODY_MAX + 4096;

/// Longest encoding of any payload but a text: an answer's tag, lease, and 3 bytes of ms.
const CONTROL: usize = 20;

/// Why bytes are no letter, or a letter has no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// Not the format.
    #[error("letter: {0}")]
    Codec(#[from] CodecError),
    /// An address in it is none.
    #[error("letter: {0}")]
    Jid(#[from] BadJid),
    /// An identity key, number or certificate in it is none.
    #[error("the letter names no valid key, number or certificate")]
    Names,
    /// The text is too long.
    #[error("the text is longer than 16 KiB")]
    Body,
    /// The lease is too long.
    #[error("the lease is longer than three minutes")]
    Lease,
    /// No transcript, or more than evaluators.
    #[error("a caller proof has one transcript or two")]
    Transcripts,
}

/// Sender or recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The address.
    pub jid: Jid,
    /// The identity keys.
    pub identity: IdentityKey,
}

/// What a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Are you online for me?
    Probe,
    /// Yes: a lease. There is no letter for no: refusal is silence.
    Answer {
        /// Its random id.
        lease: LeaseId,
        /// It ends so many ms after it was granted, at most [`LEASE_MAX_MS`].
        ends_in_ms: u32,
    },
    /// A text.
    Text {
        /// The same over every resend.
        id: TextId,
        /// The lease it is sent under.
        lease: LeaseId,
        /// At most [`BODY_MAX`] bytes.
        body: Body,
        /// By the sender's clock.
        sent: Timestamp,
        /// n of the twin mark (protocol.md §2).
        ordinal: u16,
    },
    /// A text was shown, or read.
    Receipt {
        /// Which.
        id: TextId,
        /// Read, not only shown.
        read: bool,
    },
    /// Was it shown? If not, never show it.
    Revoke {
        /// Which.
        id: TextId,
    },
    /// The answer to a revoke, binding for its sender.
    RevokeAnswer {
        /// Which.
        id: TextId,
        /// Whether it was shown.
        shown: bool,
    },
    /// The leases that I granted you end now.
    Bye,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who says it; held against session and stanza by [`super::open`].
    pub from: Party,
    /// To whom; held against our own.
    pub to: Party,
    /// What.
    pub payload: Payload,
    /// Who is calling, in the first letter to a peer.
    pub proof: Option<CallerProof>,
}

#[derive(Serialize, Deserialize)]
struct PartyWire {
    pseudonym: [u8; 21],
    identity: KeyWire,
}

#[derive(Serialize, Deserialize)]
enum PayloadWire<'a> {
    Probe,
    Answer { lease: [u8; 16], ends_in_ms: u32 },
    Text { id: [u8; 16], lease: [u8; 16], body: &'a str, sent: i64, ordinal: u16 },
    Receipt { id: [u8; 16], read: bool },
    Revoke { id: [u8; 16] },
    RevokeAnswer { id: [u8; 16], shown: bool },
    Bye,
}

#[derive(Serialize, Deserialize)]
struct TranscriptWire([u8; 32], [u8; 32], [u8; 32], [u8; 32]);

#[derive(Serialize, Deserialize)]
struct ProofWire<'a> {
    number: &'a str,
    transcripts: Vec<TranscriptWire>,
    certificate: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct LetterWire<'a> {
    from: PartyWire,
    to: PartyWire,
    from_domain: &'a str,
    /// None where both have the same domain.
    to_domain: Option<&'a str>,
    #[serde(borrow)]
    payload: PayloadWire<'a>,
    #[serde(borrow)]
    proof: Option<ProofWire<'a>>,
}

impl Party {
    fn wire(&self) -> Result<PartyWire, LetterError> {
        Ok(PartyWire { pseudonym: self.jid.pseudonym().to_wire()?, identity: KeyWire::from(&self.identity) })
    }
}

impl PartyWire {
    fn read(&self, domain: &str) -> Result<Party, LetterError> {
        Ok(Party {
            jid: Jid::new(Pseudonym::from_packed(&self.pseudonym)?, domain)?,
            identity: self.identity.read().map_err(|_| LetterError::Names)?,
        })
    }
}

impl Payload {
    fn wire(&self) -> Result<PayloadWire<'_>, LetterError> {
        Ok(match self {
            Self::Probe => PayloadWire::Probe,
            Self::Answer { ends_in_ms, .. } if *ends_in_ms > LEASE_MAX_MS => return Err(LetterError::Lease),
            Self::Answer { lease, ends_in_ms } => PayloadWire::Answer { lease: lease.0, ends_in_ms: *ends_in_ms },
            Self::Text { body, .. } if body.0.len() > BODY_MAX => return Err(LetterError::Body),
            Self::Text { id, lease, body, sent, ordinal } => {
                PayloadWire::Text { id: id.0, lease: lease.0, body: &body.0, sent: sent.0, ordinal: *ordinal }
            }
            Self::Receipt { id, read } => PayloadWire::Receipt { id: id.0, read: *read },
            Self::Revoke { id } => PayloadWire::Revoke { id: id.0 },
            Self::RevokeAnswer { id, shown } => PayloadWire::RevokeAnswer { id: id.0, shown: *shown },
            Self::Bye => PayloadWire::Bye,
        })
    }
}

impl PayloadWire<'_> {
    fn read(&self) -> Result<Payload, LetterError> {
        Ok(match *self {
            Self::Probe => Payload::Probe,
            Self::Answer { ends_in_ms, .. } if ends_in_ms > LEASE_MAX_MS => return Err(LetterError::Lease),
            Self::Answer { lease, ends_in_ms } => Payload::Answer { lease: LeaseId(lease), ends_in_ms },
            Self::Text { body, .. } if body.len() > BODY_MAX => return Err(LetterError::Body),
            Self::Text { id, lease, body, sent, ordinal } => Payload::Text {
                id: TextId(id),
                lease: LeaseId(lease),
                body: Body(body.into()),
                sent: Timestamp(sent),
                ordinal,
            },
            Self::Receipt { id, read } => Payload::Receipt { id: TextId(id), read },
            Self::Revoke { id } => Payload::Revoke { id: TextId(id) },
            Self::RevokeAnswer { id, shown } => Payload::RevokeAnswer { id: TextId(id), shown },
            Self::Bye => Payload::Bye,
        })
    }
}

impl From<&Transcript> for TranscriptWire {
    fn from(transcript: &Transcript) -> Self {
        let bytes = transcript.to_bytes();
        let mut quarters = [[0; 32]; 4];
        for (quarter, chunk) in quarters.iter_mut().zip(bytes.chunks_exact(32)) {
            quarter.copy_from_slice(chunk);
        }
        let [a, b, c, d] = quarters;
        Self(a, b, c, d)
    }
}

impl TranscriptWire {
    fn read(&self) -> Transcript {
        let mut bytes = Zeroizing::new([0; 128]);
        for (chunk, quarter) in bytes.chunks_exact_mut(32).zip([self.0, self.1, self.2, self.3]) {
            chunk.copy_from_slice(&quarter);
        }
        Transcript::from_bytes(&bytes)
    }
}

impl ProofWire<'_> {
    fn read(&self) -> Result<CallerProof, LetterError> {
        if !(1..=EVALUATORS_MAX).contains(&self.transcripts.len()) {
            return Err(LetterError::Transcripts);
        }
        Ok(CallerProof {
            number: PhoneNumber::from_e164(self.number).map_err(|_| LetterError::Names)?,
            transcripts: self.transcripts.iter().map(TranscriptWire::read).collect(),
            certificate: Certificate::decode(self.certificate).map_err(|_| LetterError::Names)?,
        })
    }
}

impl Letter {
    /// The letter in bytes, not yet padded.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, LetterError> {
        let certificate = match &self.proof {
            Some(proof) => proof.certificate.encode().map_err(|_| LetterError::Names)?,
            None => Vec::new(),
        };
        let proof = match &self.proof {
            Some(proof) if !(1..=EVALUATORS_MAX).contains(&proof.transcripts.len()) => {
                return Err(LetterError::Transcripts);
            }
            Some(proof) => Some(ProofWire {
                number: proof.number.as_e164(),
                transcripts: proof.transcripts.iter().map(TranscriptWire::from).collect(),
                certificate: &certificate,
            }),
            None => None,
        };
        let letter = LetterWire {
            from: self.from.wire()?,
            to: self.to.wire()?,
            from_domain: self.from.jid.domain(),
            to_domain: (self.to.jid.domain() != self.from.jid.domain()).then(|| self.to.jid.domain()),
            payload: self.payload.wire()?,
            proof,
        };
        Ok(Zeroizing::new(codec::encode(VERSION, &letter)?))
    }

    /// The inverse of [`Self::encode`]: strict, bounded; nothing in it is believed yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, LetterError> {
        let letter: LetterWire<'_> = codec::decode(VERSION, bytes, MAX)?;
        if letter.to_domain == Some(letter.from_domain) {
            return Err(CodecError::NotCanonical.into());
        }
        Ok(Self {
            from: letter.from.read(letter.from_domain)?,
            to: letter.to.read(letter.to_domain.unwrap_or(letter.from_domain))?,
            payload: letter.payload.read()?,
            proof: letter.proof.as_ref().map(ProofWire::read).transpose()?,
        })
    }

    /// The length to pad by: all letters but texts count as the longest of them, so that probe,
    /// answer and receipt can't fall on two sides of a bucket's edge.
    pub(in crate::seal) fn weight(&self, encoded: usize) -> Result<usize, LetterError> {
        if matches!(self.payload, Payload::Text { .. }) {
            return Ok(encoded);
        }
        let payload = codec::size(&self.payload.wire()?)?;
        Ok(encoded.saturating_add(CONTROL.saturating_sub(payload)))
    }
}

#[cfg(test)]
mod tests;

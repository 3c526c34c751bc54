//! What makes things unreadable: sessions, letters, certificates, pseudonyms, columns at rest.
//!
//! Only this module makes [`Sealed`] and [`Pseudonym`], the two things that may go out.
//! Everything that a stranger can send is decoded strictly: one version byte, bounded, canonical,
//! nothing left over (protocol.md §5).

mod account;
mod bundle;
mod certificate;
mod codec;
mod column;
mod enrolment;
mod envelope;
mod evaluator;
mod identity;
mod jid;
mod keys;
mod letter;
mod outbound;
mod proof;
mod pseudonym;
mod safety;
mod session;
mod wording;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;

pub use account::{AccountError, AccountFile, SecondEvaluator, bearer_token, second_token};
pub use bundle::{Bundle, BundleError, NODE, VerifiedBundle};
pub use certificate::{Certificate, CertificateError, DirectorySigner};
pub use codec::{CodecError, encode_wiped};
pub use column::{ColumnCipher, ColumnError};
#[cfg(any(test, fuzzing))]
pub use enrolment::fuzz;
pub use enrolment::{
    Answer, AnswerKey, Code, CodeSms, Confirm, EnrolmentError, EnrolmentKey, Header, Kind, NewAccount, NewSecret,
    Purpose, Renewal, SealedRequest, SessionId, Start, code_sms, new_secret,
};
pub use envelope::{BUCKETS, Envelope, EnvelopeError, OlmKind, SUITE_OLM_V1};
pub use evaluator::{Evaluator, EvaluatorError};
pub use identity::{Identity, IdentityError, IdentityKey};
pub use jid::{BadJid, Jid};
pub use keys::{DirectoryKeys, EVALUATORS_MAX, EpochKey};
pub use letter::{BODY_MAX, LEASE_MAX_MS, Letter, LetterError, Party, Payload};
pub use outbound::{Pseudonym, Sealed};
pub use proof::{CallerProof, ProofError};
pub use pseudonym::{Blinding, Evaluation, PseudonymError, Transcript, slow_hash};
pub use safety::safety_number;
pub use session::{Expected, OpenError, Opened, SESSIONS_MAX, SealError, Session, SessionError, open, seal};
pub use wording::skeleton;

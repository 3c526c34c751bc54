//! What is said inside the seal.

use super::exchange::{self, AnswerKey, EnrolmentKey, Header, Kind, SealedRequest};
use super::filling::{self, Filled};
use super::{Code, EnrolmentError, SessionId};
use crate::model::{PhoneNumber, Timestamp};
use crate::seal::certificate::SKEW;
use crate::seal::{Certificate, CodecError, EVALUATORS_MAX, EpochKey, Evaluation, IdentityKey, codec};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const MAX: usize = 1024;

/// Asks for a code by SMS.
#[derive(Clone, PartialEq, Eq)]
pub struct Start {
    /// The number that shall be proven.
    pub number: PhoneNumber,
    /// When it was asked, to the second: a request that somebody kept sends no SMS later.
    pub made: Timestamp,
    /// The bearer token of the account whose number is to be proven anew: it has codes that nobody else can use up.
    pub renews: Option<Zeroizing<String>>,
}

/// Gives the code back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// The number once more: the directory kept none since [`Start`].
    pub number: PhoneNumber,
    /// The code.
    pub code: Code,
    /// What for.
    pub purpose: Purpose,
}

/// What a proven number is wanted for.
#[derive(Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A new account; one that the number had ends. The phone's own blinded point of the number is
    /// evaluated with it, so that the transcript is its own.
    Enrol {
        /// ristretto255.
        blinded: [u8; 32],
    },
    /// A new certificate for the account of this bearer token: the fresh proof that a renewal needs
    /// at times. Nothing else changes.
    Renew {
        /// As [`crate::seal::bearer_token`] makes it.
        token: Zeroizing<String>,
    },
}

/// A new secret for an account; `PUT` with the old bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecret(pub Zeroizing<String>);

/// What the directory answers to a right code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Purpose::Enrol`].
    Enrolled(NewAccount),
    /// To [`Purpose::Renew`].
    Renewed(Certificate),
}

/// A new account: its address is the certificate's.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// SCRAM password.
    pub secret: Zeroizing<String>,
    /// The directory's word.
    pub certificate: Certificate,
    /// The blinded point's evaluation with its proof, one for each evaluator: finish it, and hold
    /// the pseudonym against the certificate's.
    pub evaluations: Vec<Evaluation>,
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}

silent!(Start, Purpose, NewSecret, NewAccount);

#[derive(Serialize, Deserialize)]
struct StartWire<'a> {
    number: &'a str,
    made: i64,
    #[serde(borrow)]
    renews: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct ConfirmWire<'a> {
    number: &'a str,
    code: u32,
    #[serde(borrow)]
    purpose: PurposeWire<'a>,
}

#[derive(Serialize, Deserialize)]
enum PurposeWire<'a> {
    Enrol([u8; 32]),
    Renew(&'a str),
}

#[derive(Serialize, Deserialize)]
enum AnswerWire<'a> {
    Enrolled { secret: &'a str, certificate: &'a [u8], evaluations: Vec<EvaluationWire> },
    Renewed(&'a [u8]),
}

#[derive(Serialize, Deserialize)]
struct EvaluationWire([u8; 32], [u8; 32], [u8; 32]);

/// A new account secret: 256 random bits as text that any SASL library takes unchanged.
pub fn new_secret<R: RngCore + CryptoRng>(rng: &mut R) -> Result<Zeroizing<String>, rand_core::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.try_fill_bytes(bytes.as_mut_slice())?;
    // Not `encode_string`: it leaves a copy on the stack.
    let mut text = vec![0; 43];
    let whole = URL_SAFE_NO_PAD.encode_slice(bytes.as_slice(), &mut text);
    debug_assert_eq!(whole, Ok(43), "32 bytes are 43 characters");
    Ok(Zeroizing::new(String::from_utf8(text).unwrap_or_default()))
}

/// A secret or token in the one form that we make.
fn secret(text: &str) -> Result<Zeroizing<String>, EnrolmentError> {
    let mut bytes = Zeroizing::new([0; 33]);
    match URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()) {
        Ok(32) => Ok(Zeroizing::new(text.to_owned())),
        _ => Err(EnrolmentError::Secret),
    }
}

/// A number in the one form that we write.
fn exactly(text: &str) -> Result<PhoneNumber, EnrolmentError> {
    let number = PhoneNumber::from_e164(text).map_err(|_| EnrolmentError::Number)?;
    if number.as_e164() == text { Ok(number) } else { Err(EnrolmentError::Number) }
}

fn plain<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
    Ok(Zeroizing::new(codec::encode(VERSION, value)?))
}

impl Filled for Start {
    const SIZE: usize = filling::REQUEST;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        let renews = self.renews.as_ref().map(|token| token.as_str());
        plain(&StartWire { number: self.number.as_e164(), made: self.made.seconds(), renews })
    }

    fn decode(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        let wire: StartWire<'_> = codec::decode(VERSION, bytes, MAX)?;
        let (number, made) = (exactly(wire.number)?, crate::seal::certificate::time(wire.made)?);
        Ok(Self { number, made, renews: wire.renews.map(secret).transpose()? })
    }
}

impl Start {
    /// Seals it for the directory.
    pub fn seal(
        &self,
        session: SessionId,
        identity: IdentityKey,
        to: &EpochKey,
    ) -> Result<SealedRequest, EnrolmentError> {
        let header = Header { session, identity, epoch: to.epoch };
        exchange::seal(Kind::Start, header, &to.enrolment, &self.fill()?).map(|(request, _)| request)
    }

    /// Opens one; [`Self::is_of`] tells whether it is of today.
    pub fn open(key: &EnrolmentKey, request: &[u8]) -> Result<(Header, Self), EnrolmentError> {
        let (header, filled, _) = key.open(Kind::Start, request)?;
        Ok((header, Self::read(&filled)?))
    }

    /// Refuses what was made over a day before or after `now`: phones without network time are hours
    /// off. Within that time the directory remembers the sessions that it saw.
    pub fn is_of(&self, now: Timestamp) -> Result<(), EnrolmentError> {
        of(self.made, now)
    }
}

pub(super) fn of(made: Timestamp, now: Timestamp) -> Result<(), EnrolmentError> {
    if made < now.minus(SKEW) || made > now.plus(SKEW) { Err(EnrolmentError::Date) } else { Ok(()) }
}

impl Filled for Confirm {
    const SIZE: usize = filling::REQUEST;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        let purpose = match &self.purpose {
            Purpose::Enrol { blinded } => PurposeWire::Enrol(*blinded),
            Purpose::Renew { token } => PurposeWire::Renew(token),
        };
        plain(&ConfirmWire { number: self.number.as_e164(), code: self.code.number(), purpose })
    }

    fn decode(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        let wire: ConfirmWire<'_> = codec::decode(VERSION, bytes, MAX)?;
        let purpose = match wire.purpose {
            PurposeWire::Enrol(blinded) => Purpose::Enrol { blinded },
            PurposeWire::Renew(token) => Purpose::Renew { token: secret(token)? },
        };
        Ok(Self { number: exactly(wire.number)?, code: Code::from_number(wire.code)?, purpose })
    }
}

impl Confirm {
    /// Seals it for the directory; the key opens the answer. Keep both, and send the same bytes again
    /// when the answer was lost: they get the same answer while the session lasts.
    pub fn seal(
        &self,
        session: SessionId,
        identity: IdentityKey,
        to: &EpochKey,
    ) -> Result<(SealedRequest, AnswerKey), EnrolmentError> {
        exchange::seal(Kind::Confirm, Header { session, identity, epoch: to.epoch }, &to.enrolment, &self.fill()?)
    }

    /// Opens one; the key seals the answer.
    pub fn open(key: &EnrolmentKey, request: &[u8]) -> Result<(Header, Self, AnswerKey), EnrolmentError> {
        let (header, filled, answer) = key.open(Kind::Confirm, request)?;
        Ok((header, Self::read(&filled)?, answer))
    }
}

impl Filled for NewSecret {
    const SIZE: usize = filling::REQUEST;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        plain(&self.0.as_str())
    }

    fn decode(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        Ok(Self(secret(codec::decode(VERSION, bytes, MAX)?)?))
    }
}

impl NewSecret {
    /// Seals it for the directory, under an id of its own.
    pub fn seal(
        &self,
        session: SessionId,
        identity: IdentityKey,
        to: &EpochKey,
    ) -> Result<SealedRequest, EnrolmentError> {
        let header = Header { session, identity, epoch: to.epoch };
        exchange::seal(Kind::Secret, header, &to.enrolment, &self.fill()?).map(|(request, _)| request)
    }

    /// Opens one.
    pub fn open(key: &EnrolmentKey, request: &[u8]) -> Result<(Header, Self), EnrolmentError> {
        let (header, filled, _) = key.open(Kind::Secret, request)?;
        Ok((header, Self::read(&filled)?))
    }
}

impl Filled for Answer {
    const SIZE: usize = filling::ANSWER;

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        let encode = |certificate: &Certificate| certificate.encode().map_err(|_| EnrolmentError::Certificate);
        match self {
            Self::Enrolled(NewAccount { secret, certificate, evaluations }) => {
                let evaluations = evaluations.iter().map(|(point, proof)| {
                    let (challenge, response) = proof.split_at(32);
                    let half = |half: &[u8]| half.try_into().map_err(|_| EnrolmentError::Codec(CodecError::Malformed));
                    Ok(EvaluationWire(*point, half(challenge)?, half(response)?))
                });
                plain(&AnswerWire::Enrolled {
                    secret,
                    certificate: &encode(certificate)?,
                    evaluations: evaluations.collect::<Result<_, EnrolmentError>>()?,
                })
            }
            Self::Renewed(certificate) => plain(&AnswerWire::Renewed(&encode(certificate)?)),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        let certificate_of = |bytes: &[u8]| Certificate::decode(bytes).map_err(|_| EnrolmentError::Certificate);
        Ok(match codec::decode(VERSION, bytes, MAX)? {
            AnswerWire::Enrolled { secret: text, certificate, evaluations } => {
                if !(1..=EVALUATORS_MAX).contains(&evaluations.len()) {
                    return Err(CodecError::Malformed.into());
                }
                let evaluations = evaluations.into_iter().map(|EvaluationWire(point, challenge, response)| {
                    let mut proof = [0; 64];
                    let (first, second) = proof.split_at_mut(32);
                    first.copy_from_slice(&challenge);
                    second.copy_from_slice(&response);
                    (point, proof)
                });
                Self::Enrolled(NewAccount {
                    secret: secret(text)?,
                    certificate: certificate_of(certificate)?,
                    evaluations: evaluations.collect(),
                })
            }
            AnswerWire::Renewed(certificate) => Self::Renewed(certificate_of(certificate)?),
        })
    }
}

impl Answer {
    /// Seals it for the phone that asked.
    pub fn seal(&self, session: &SessionId, key: &AnswerKey) -> Result<Vec<u8>, EnrolmentError> {
        key.seal(session, &self.fill()?)
    }

    /// Opens the answer to a confirmation. What it claims is for `AccountFile::check` to hold against
    /// the pinned keys.
    pub fn open(session: &SessionId, key: &AnswerKey, answer: &[u8]) -> Result<Self, EnrolmentError> {
        Self::read(&key.open(session, answer)?)
    }
}

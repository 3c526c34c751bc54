//! How a phone gets its account: what it and the directory say to each other (protocol.md §4).
//!
//! A session has an id that the phone draws. `start` shows the directory the number, sealed; the
//! code comes by SMS with a tag of that id; `confirm` gives number and code back together with the phone's
//! own blinded point, and its answer holds the account. Between the two the directory knows neither. Everything towards the directory is sealed
//! to its key of the epoch (RFC 9180) and of one length; the answer is sealed to the one who asked.
//!
//! Over HTTPS (`config/directory.openapi.yaml`); `sealed`, `renewal` and `certificate` are base64 with
//! padding, `ID` is [`SessionId::to_text`]:
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `PUT /v1/enrolments/ID` | `{"sealed"}` of [`Start`] | 202 `{"expires": SECONDS}`; the same bytes again: the same, and no second SMS; an account's own token in it opens codes that nobody else can use up |
//! | `POST /v1/enrolments/ID/confirm` | `{"sealed"}` of [`Confirm`] | 200 `{"sealed"}`, an [`Answer`]; the same bytes again: the same |
//! | `POST /v1/certificate`, bearer token | `{"renewal"}`, [`Renewal::sign`] | 200 `{"certificate"}`; 403 `proof-needed`: enrol with [`Purpose::Renew`] |
//! | `PUT /v1/account/secret`, old bearer token | `{"sealed"}` of [`NewSecret`] | 200 `{}`; keep both until then, and after a lost answer try the new one |
//! | `DELETE /v1/account`, bearer token | none | 200 `{}` |
//!
//! Errors are `{"error", "message"}`. Start: 422 `number-invalid`, `number-not-mobile`; 429
//! `enrolment-limit`; 502 `sms-failed`; 409 `session-conflict` (another request under this id); 403
//! `clock`. Confirm: 404 `session-unknown` (never there, or over: begin anew); 403 `code-wrong`; 410 `code-spent` (five attempts: begin anew); 422 `number-other` (not the one that was begun with). Both: 400 `bad-request`, 404
//! `unknown-epoch`.

mod code;
mod exchange;
mod filling;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod message;
mod renewal;

pub use code::{Code, CodeSms, code_sms};
pub use exchange::{AnswerKey, EnrolmentKey, Header, Kind, SealedRequest};
pub use message::{Answer, Confirm, NewAccount, NewSecret, Purpose, Start, new_secret};
pub use renewal::Renewal;

use super::CodecError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::{CryptoRng, RngCore};
use std::fmt;

/// Why something said at an enrolment counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// Not the format.
    #[error("enrolment: {0}")]
    Codec(#[from] CodecError),
    /// No session id, identity key or epoch before the sealed part.
    #[error("the enrolment names no valid session, identity key or epoch")]
    Header,
    /// Of an epoch that has no key here.
    #[error("the enrolment is of an epoch that is not served (any more): get the current one's keys")]
    Epoch,
    /// Not sealed to this key, or changed on its way.
    #[error("the enrolment's sealed part can't be opened: it was changed, or sealed to another key")]
    Sealed,
    /// No number in it.
    #[error("the enrolment names no number in E.164 form")]
    Number,
    /// No code.
    #[error("not a code: the eight digits of the SMS are expected")]
    Code,
    /// No secret that an account could have.
    #[error("not an account secret: 43 characters of base64url are expected")]
    Secret,
    /// The certificate in it is none.
    #[error("the enrolment's certificate is no valid certificate")]
    Certificate,
    /// A renewal that its identity key did not sign.
    #[error("the renewal is not signed by the certificate's identity key")]
    Signature,
    /// A request or renewal made at another time than now.
    #[error("dated more than a day from now: check this phone's clock")]
    Date,
}

/// One enrolment: 16 random bytes drawn by the phone. Who knows it could make an SMS that the phone
/// takes for its code, so it goes to the directory alone. `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new one.
    pub fn new<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// As it stands in the directory's paths: 22 characters of base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The inverse of [`Self::to_text`], nothing else.
    pub fn from_text(text: &str) -> Result<Self, EnrolmentError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| EnrolmentError::Header)?;
        bytes.try_into().map(Self).map_err(|_| EnrolmentError::Header)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

#[cfg(test)]
mod tests;

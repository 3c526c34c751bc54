//! The code and the SMS that brings it.

use super::{EnrolmentError, SessionId};
use data_encoding::BASE32_NOPAD;
use ring::digest::{SHA256, digest};
use std::fmt;

/// Codes are below this: eight digits.
const CODES: u32 = 100_000_000;
const DIGITS: usize = 8;

/// Characters of the tag: 50 bits, so that nobody guesses one while a session lasts.
const TAG: usize = 10;

const BEFORE: &str = "Shunt code ";
const BETWEEN: &str = ". Tell it to nobody. #";

/// The secret that an SMS proves a number by. `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

impl Code {
    /// One that follows from 256 bits that nobody can tell from random ones: the remainder's bias is
    /// under 2^-37.
    pub(super) fn from_tag(tag: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *tag;
        Self((u64::from_be_bytes([a, b, c, d, e, f, g, h]) % u64::from(CODES)) as u32)
    }

    /// As a person types it: eight digits, spaces and hyphens between them.
    pub fn from_typed(text: &str) -> Result<Self, EnrolmentError> {
        if text.len() > 4 * DIGITS {
            return Err(EnrolmentError::Code);
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        Self::from_digits(&digits)
    }

    pub(super) fn from_number(number: u32) -> Result<Self, EnrolmentError> {
        if number < CODES { Ok(Self(number)) } else { Err(EnrolmentError::Code) }
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }

    fn from_digits(digits: &str) -> Result<Self, EnrolmentError> {
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EnrolmentError::Code);
        }
        digits.parse().map(Self).map_err(|_| EnrolmentError::Code)
    }

    /// What is compared: in constant time, since a stranger sends the other side.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// The SMS of a session, in the GSM 7-bit alphabet and one segment (3GPP TS 23.038 §6.2.1):
/// `Shunt code 12345678. Tell it to nobody. #abcde23456`.
#[must_use]
pub fn code_sms(code: Code, session: &SessionId) -> String {
    format!("{BEFORE}{:08}{BETWEEN}{}", code.0, tag(session))
}

/// A code SMS as it came in. Which session it is for is told by [`Self::is_for`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeSms {
    /// The code.
    pub code: Code,
    tag: Box<str>,
}

impl fmt::Debug for CodeSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSms(..)")
    }
}

impl CodeSms {
    /// Reads exactly what [`code_sms`] writes; any other text is somebody's SMS.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, rest) = text.strip_prefix(BEFORE)?.split_at_checked(DIGITS)?;
        let tag = rest.strip_prefix(BETWEEN)?;
        let base32 = tag.len() == TAG && tag.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        Some(Self { code: Code::from_digits(digits).ok().filter(|_| base32)?, tag: tag.into() })
    }

    /// Whether it belongs to this session: only then may it be kept from the inbox.
    #[must_use]
    pub fn is_for(&self, session: &SessionId) -> bool {
        *self.tag == *tag(session)
    }
}

fn tag(session: &SessionId) -> String {
    let digest = digest(&SHA256, &[b"shunt code tag 1\0", session.as_bytes().as_slice()].concat());
    let mut tag = BASE32_NOPAD.encode(digest.as_ref()).to_ascii_lowercase();
    tag.truncate(TAG);
    tag
}

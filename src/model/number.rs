//! Phone numbers: what people type, and E.164.

use std::fmt;

/// A number in E.164 form: `+`, country code, national number; 8 to 15 digits (ITU-T E.164 §6).
/// `Debug` shows no digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(Box<str>);

/// Whatever stands in a To or From field: typed, from a SIM, or from a PDU. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub Box<str>);

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

/// Where national numbers belong: an E.164 country code (1 to 999).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home(pub u16);

/// Not a number in E.164 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadNumber;

impl fmt::Display for BadNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a phone number in E.164 form: write + and the country code, such as +49")
    }
}

impl std::error::Error for BadNumber {}

/// What an address turns out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A plausible mobile number.
    Mobile(PhoneNumber),
    /// A short code, an alphanumeric name, a service code, or a number that can't be a mobile's.
    SmsOnly,
    /// Nothing that could be sent to (empty, or no dialable character).
    Unusable,
}

impl PhoneNumber {
    /// Takes a number that already is in E.164 form, nothing else.
    pub fn from_e164(_number: &str) -> Result<Self, BadNumber> {
        Err(BadNumber)
    }

    /// The number, `+` first. What is done with it is the caller's responsibility.
    #[must_use]
    pub fn as_e164(&self) -> &str {
        &self.0
    }
}

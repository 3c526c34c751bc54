//! Phone numbers: what people type, and E.164.

pub mod emergency;
mod mcc;
mod plan;
mod written;

use plan::{Plan, Trunk};
use std::fmt;
use written::Written;

/// A number in E.164 form: `+`, an assigned country code, national number; 7 to 15 digits
/// (ITU-T E.164 §6; the shortest plans in use, such as Niue's, have seven). `Debug` shows no digit.
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
    /// A short code, an alphanumeric name, a service code, or a number that can't be a mobile's or
    /// can't be told to be one: it goes as the SMS it would have been.
    SmsOnly,
    /// Nothing that could be sent to: empty, no dialable character, more digits than an SMS can
    /// carry, control characters, or `+` with something else than a number.
    Unusable,
}

impl PhoneNumber {
    /// Takes a number that already is in E.164 form, nothing else: no separator, no other script's
    /// digits, no unassigned country code. Its length is checked against E.164, not the country's plan.
    pub fn from_e164(number: &str) -> Result<Self, BadNumber> {
        let digits = number.strip_prefix('+').ok_or(BadNumber)?;
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadNumber);
        }
        plan::split(digits).map(|_| Self(number.into())).ok_or(BadNumber)
    }

    /// The number, `+` first. What is done with it is the caller's responsibility.
    #[must_use]
    pub fn as_e164(&self) -> &str {
        &self.0
    }
}

impl Home {
    /// Where a SIM belongs, by its mobile country code (the IMSI's first three digits). `None` where
    /// one MCC serves several country codes, and for test and global networks.
    #[must_use]
    pub fn from_mcc(mcc: u16) -> Option<Self> {
        mcc::country_code(mcc).map(Self)
    }

    /// Where a number belongs.
    #[must_use]
    pub fn of(number: &PhoneNumber) -> Option<Self> {
        plan::split(number.0.trim_start_matches('+')).map(|(plan, _)| Self(plan.code))
    }
}

impl Address {
    /// What a text to this address is sent to. National numbers and international prefixes are read
    /// as at `home`; without it only numbers that begin with `+` can be told.
    #[must_use]
    pub fn destination(&self, home: Option<Home>) -> Destination {
        match written::read(&self.0) {
            Written::Nothing => Destination::Unusable,
            Written::Service(_) | Written::Name(_) => Destination::SmsOnly,
            Written::Number { plus: true, digits, local: false } => mobile(&digits),
            Written::Number { plus: false, digits, local: false } => {
                match home.and_then(|home| plan::plan(home.0)).and_then(|plan| international(&digits, plan)) {
                    Some(international) => mobile(&international),
                    None => Destination::SmsOnly,
                }
            }
            Written::Number { .. } => Destination::SmsOnly,
        }
    }

    /// The address as a modem takes it: ASCII digits, `+`, `*`, `#` and nothing else for a number, a
    /// name as it is. Nothing for an [`Destination::Unusable`] one. National numbers stay national:
    /// the SMS is what it would have been.
    #[must_use]
    pub fn dialable(&self) -> Option<Box<str>> {
        match written::read(&self.0) {
            Written::Nothing => None,
            Written::Name(name) => Some(name.into()),
            Written::Service(digits) | Written::Number { plus: false, digits, .. } => Some(digits.into()),
            Written::Number { plus: true, digits, .. } => Some(format!("+{digits}").into()),
        }
    }
}

/// A number dialled at home, as country code and national number.
fn international(digits: &str, home: &Plan) -> Option<String> {
    for exit in home.exit.split(' ').filter(|exit| !exit.is_empty()) {
        if let Some(abroad) = digits.strip_prefix(exit) {
            return Some(abroad.to_owned());
        }
    }
    let stripped = |trunks: &'static str| {
        trunks
            .split(' ')
            // A national number never begins with a trunk prefix 0; where the prefix is another
            // digit it may, and the length decides.
            .filter(|trunk| trunk.starts_with('0') || digits.len() > usize::from(home.max))
            .find_map(|trunk| digits.strip_prefix(trunk))
    };
    let national = match home.trunk {
        Trunk::None => digits,
        Trunk::Needed(trunks) => stripped(trunks)?,
        Trunk::Optional(trunks) => stripped(trunks).unwrap_or(digits),
    };
    Some(format!("{}{national}", home.code))
}

/// A plausible mobile number, or one for SMS alone.
fn mobile(digits: &str) -> Destination {
    let Some((plan, national)) = plan::split(digits) else { return Destination::SmsOnly };
    // "+49 0151…": the trunk prefix is no part of the international number, so nobody can know what was meant.
    let trunk_left = matches!(plan.trunk, Trunk::Needed(_) | Trunk::Optional(_)) && national.starts_with('0');
    if trunk_left || !plan.fits(national) || !plan.plausible_mobile(national) {
        return Destination::SmsOnly;
    }
    match PhoneNumber::from_e164(&format!("+{digits}")) {
        Ok(number) => Destination::Mobile(number),
        Err(BadNumber) => Destination::SmsOnly,
    }
}

#[cfg(test)]
mod tests;

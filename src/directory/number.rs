//! Which numbers may be enrolled: valid ones that can be a mobile's.

use crate::model::PhoneNumber;
use phonenumber::{Mode, Type};

/// Why a number can't be enrolled. Never shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NumberError {
    /// Not understood.
    #[error("that is no phone number: write it with + and the country code, such as +49")]
    Unreadable,
    /// Its country has no such number.
    #[error("no such number exists in its country's numbering plan: check its digits")]
    Invalid,
    /// Something else than a mobile.
    #[error("that number can't be a mobile phone's ({0}): it could not get an SMS")]
    NotMobile(&'static str),
}

/// A number that may be enrolled.
pub(super) struct Enrollable {
    pub(super) number: PhoneNumber,
    /// Its country, ISO 3166-1 alpha-2; empty where a country code has none.
    pub(super) country: String,
}

/// Reads a number in international form and judges it by its country's numbering plan.
pub(super) fn parse(text: &str) -> Result<PhoneNumber, NumberError> {
    enrollable(text).map(|enrollable| enrollable.number)
}

/// The same, with its country.
pub(super) fn enrollable(text: &str) -> Result<Enrollable, NumberError> {
    let text = text.trim();
    if !text.starts_with('+') || text.len() > 40 {
        return Err(NumberError::Unreadable);
    }
    let number = phonenumber::parse(None, text).map_err(|_| NumberError::Unreadable)?;
    if number.extension().is_some() {
        return Err(NumberError::Unreadable);
    }
    if !number.is_valid() {
        return Err(NumberError::Invalid);
    }
    mobile(number.number_type(&phonenumber::metadata::DATABASE))?;
    let e164 = number.format().mode(Mode::E164).to_string();
    Ok(Enrollable {
        number: PhoneNumber::from_e164(&e164).map_err(|_| NumberError::Unreadable)?,
        country: number.country().id().map_or_else(String::new, |id| id.as_ref().to_owned()),
    })
}

fn mobile(kind: Type) -> Result<(), NumberError> {
    Err(NumberError::NotMobile(match kind {
        Type::Mobile | Type::FixedLineOrMobile => return Ok(()),
        Type::FixedLine => "a landline",
        Type::PremiumRate => "a premium-rate number",
        Type::TollFree => "a toll-free number",
        Type::SharedCost => "a shared-cost number",
        Type::Voip => "a voice-over-IP number",
        Type::PersonalNumber => "a personal number",
        Type::Pager => "a pager",
        Type::Uan => "a company number",
        Type::Emergency => "an emergency number",
        Type::Voicemail => "a mailbox",
        _ => "of another kind",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mobile_number_becomes_e164_however_it_is_written() {
        for text in ["+4917612345678", "+49 176 12345678", " +49 (0)176-123 456 78 "] {
            assert_eq!(parse(text).unwrap().as_e164(), "+4917612345678");
        }
        assert_eq!(parse("+1 202 555 0123").unwrap().as_e164(), "+12025550123");
        assert_eq!(parse("+39 347 1234567").unwrap().as_e164(), "+393471234567");
    }

    #[test]
    fn without_a_country_code_there_is_no_number() {
        for text in
            ["", "+", "017612345678", "hello", "+49", "0049 176 12345678", "+999 1234567", "+49 176 12345678 ext. 5"]
        {
            assert_eq!(parse(text), Err(NumberError::Unreadable), "{text}");
        }
        assert_eq!(parse(&format!("+49{}", "1".repeat(1000))), Err(NumberError::Unreadable));
    }

    #[test]
    fn a_number_outside_its_numbering_plan_is_invalid() {
        for text in ["+4917", "+491761234567890", "+12025"] {
            assert!(matches!(parse(text), Err(NumberError::Invalid | NumberError::Unreadable)), "{text}");
        }
    }

    #[test]
    fn what_is_no_mobile_is_told_so() {
        for (text, kind) in [
            ("+49 30 227 0", "a landline"),
            ("+49 900 1234567", "a premium-rate number"),
            ("+49 800 1234567", "a toll-free number"),
        ] {
            assert_eq!(parse(text), Err(NumberError::NotMobile(kind)), "{text}");
        }
    }
}

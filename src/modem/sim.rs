//! What a SIM says of its number and home, whichever service tells it.

use crate::model::{Address, Destination, Home, PhoneNumber};

/// From an IMSI or a PLMN: both begin with the mobile country code.
pub(super) fn home(plmn: &str) -> Option<Home> {
    plmn.get(..3).and_then(|mcc| mcc.parse().ok()).and_then(Home::from_mcc)
}

pub(super) fn own_number(written: &str, home: Option<Home>) -> Option<PhoneNumber> {
    let address = Address(written.into());
    if let Some(number) = address.dialable().and_then(|number| PhoneNumber::from_e164(&number).ok()) {
        return Some(number);
    }
    match address.destination(home) {
        Destination::Mobile(number) => Some(number),
        Destination::SmsOnly | Destination::Unusable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_number_may_be_national() {
        let written = |own: &str| own_number(own, home("26201")).map(|number| number.as_e164().to_owned());
        assert_eq!(written("+4915112345678").as_deref(), Some("+4915112345678"));
        assert_eq!(written("015112345678").as_deref(), Some("+4915112345678"));
        assert_eq!(written("+4930123456").as_deref(), Some("+4930123456"));
        assert_eq!(written(""), None);
        assert_eq!(written("VOICEMAIL"), None);
    }
}

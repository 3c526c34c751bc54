//! What a modem and its SIM say of themselves: the values that must never leave the phone.

use crate::private::note;

/// Numbers and names of one modem with its SIM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The SIM's own number, `+49…`; the SMSC knows the phone by it.
    pub number: String,
    /// Whether `+CNUM` tells the number. Many SIMs do not know it.
    pub tells_number: bool,
    /// 15 digits.
    pub imei: String,
    /// 15 digits, beginning with the operator's code.
    pub imsi: String,
    /// 19 or 20 digits.
    pub iccid: String,
    /// MCC and MNC of the home network.
    pub operator_code: String,
    /// Its name: on the SIM, and as shown when registered.
    pub operator_name: String,
    /// MCC and MNC when roaming.
    pub roaming_code: String,
    /// Emergency numbers on the SIM (EF_ECC), beyond the standard ones.
    pub emergency: Vec<String>,
}

impl Identity {
    /// Values that follow from the number, so that each phone has its own.
    pub fn of(number: &str) -> Self {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let tail: String =
            format!("{digits:0>9}").chars().rev().take(9).collect::<Vec<_>>().into_iter().rev().collect();
        Self {
            number: number.to_owned(),
            tells_number: true,
            imei: with_check_digit(&format!("35693{tail}")),
            imsi: format!("262010{tail}"),
            iccid: with_check_digit(&format!("894902000{tail}")),
            operator_code: "26201".to_owned(),
            operator_name: "EmuNet".to_owned(),
            roaming_code: "20801".to_owned(),
            emergency: Vec::new(),
        }
    }

    /// All of it is private.
    pub(super) fn note(&self) {
        [&self.number, &self.imei, &self.imsi, &self.iccid].into_iter().for_each(|private| note(private));
    }
}

/// Appends the Luhn digit.
fn with_check_digit(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(d - b'0') * if i % 2 == 0 { 2 } else { 1 };
            d / 10 + d % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_gets_values_of_the_right_length() {
        let identity = Identity::of("+4915112345601");
        assert_eq!((identity.imei.len(), identity.imsi.len(), identity.iccid.len()), (15, 15, 19));
        assert_ne!(identity.imei, Identity::of("+4915112345602").imei);
    }

    #[test]
    fn the_check_digit_is_luhns() {
        assert_eq!(with_check_digit("7992739871"), "79927398713");
    }
}

//! SMS objects that only the door shows: instant messages, and delivery reports of texts sent as such.

use crate::model::{Civil, Timestamp};
use std::collections::HashMap;
use zbus::{OwnedVariant, Variant};

/// Where ModemManager's SMS objects are; a decimal number follows.
pub(super) const SMS_PATH: &str = "/org/freedesktop/ModemManager1/SMS/";
/// Our objects' numbers begin here, far above what ModemManager counts to.
const OURS: u32 = 1 << 30;
/// Reports' numbers, after all that instant messages may have.
const REPORTS: u32 = OURS + (1 << 29);

/// Properties by name.
pub(super) type Dict = HashMap<String, OwnedVariant>;

/// What an instant message that came in says.
pub(super) struct Content {
    pub(super) from: String,
    pub(super) text: String,
    /// ISO 8601, as ModemManager writes the SMSC's stamp.
    pub(super) stamp: String,
}

/// A delivery report.
pub(super) struct Report {
    /// The core's object of the text that it is about.
    pub(super) message: String,
    /// Shown by the modem that has it.
    pub(super) line: Box<str>,
    pub(super) number: String,
    pub(super) reference: u32,
    pub(super) stamp: String,
}

/// The path of an instant message with this number of the core's; `None` where the number is too large.
pub(super) fn im_path(serial: u32) -> Option<String> {
    (serial < REPORTS - OURS).then(|| format!("{SMS_PATH}{}", OURS + serial))
}

/// The inverse.
pub(super) fn im_number(path: &str) -> Option<u32> {
    let number = sms_number(path)?.checked_sub(OURS)?;
    (number < REPORTS - OURS).then_some(number)
}

/// The path of the report on a text that ModemManager has as this object.
pub(super) fn report_path(sms: &str) -> Option<String> {
    let number = sms_number(sms)?;
    (number < OURS).then(|| format!("{SMS_PATH}{}", REPORTS.saturating_add(number)))
}

/// Whether ModemManager could not have made it.
pub(super) fn is_ours(path: &str) -> bool {
    sms_number(path).is_some_and(|number| number >= OURS)
}

/// The number of an SMS object, spelled as ModemManager spells it.
pub(super) fn sms_number(path: &str) -> Option<u32> {
    let digits = path.strip_prefix(SMS_PATH)?;
    digits.parse().ok().filter(|number: &u32| number.to_string() == digits)
}

/// The reference (TP-MR, 3GPP TS 23.040 §9.2.3.6) of a text that the SMSC never saw: from its object,
/// so that a report names the same after a restart.
pub(super) fn reference(sms: &str) -> u32 {
    sms_number(sms).map_or(1, |number| number % 255 + 1)
}

/// MM_SMS_STATE_RECEIVED, and MM_SMS_PDU_TYPE_DELIVER and _STATUS_REPORT.
const RECEIVED: u32 = 3;
const DELIVER: u32 = 1;
const STATUS_REPORT: u32 = 3;
/// MM_SMS_STORAGE_ME.
const STORAGE: u32 = 2;
/// MM_SMS_DELIVERY_STATE_UNKNOWN and _COMPLETED_RECEIVED.
const NO_DELIVERY_STATE: u32 = 0x100;
const COMPLETED: u32 = 0;

impl Content {
    /// As `org.freedesktop.ModemManager1.Sms` has it.
    pub(super) fn properties(&self) -> Dict {
        let mut all = received(DELIVER, &self.from, &self.stamp);
        set(&mut all, "Text", self.text.as_str());
        all
    }
}

impl Report {
    pub(super) fn properties(&self) -> Dict {
        let mut all = received(STATUS_REPORT, &self.number, &self.stamp);
        set(&mut all, "MessageReference", self.reference);
        set(&mut all, "DischargeTimestamp", self.stamp.as_str());
        set(&mut all, "DeliveryState", COMPLETED);
        all
    }
}

pub(super) fn set<'v>(all: &mut Dict, name: &str, value: impl Into<Variant<'v>>) {
    // Fails for descriptors only, of which there are none.
    if let Ok(value) = value.into().try_into_owned() {
        all.insert(name.to_owned(), value);
    }
}

fn received(kind: u32, number: &str, stamp: &str) -> Dict {
    let mut all = Dict::new();
    set(&mut all, "State", RECEIVED);
    set(&mut all, "PduType", kind);
    set(&mut all, "Number", number);
    set(&mut all, "Text", "");
    set(&mut all, "Data", Vec::<u8>::new());
    set(&mut all, "SMSC", "");
    set(&mut all, "Validity", (0u32, Variant::from(0u32)));
    set(&mut all, "Class", -1i32);
    set(&mut all, "TeleserviceId", 0u32);
    set(&mut all, "ServiceCategory", 0u32);
    set(&mut all, "DeliveryReportRequest", false);
    set(&mut all, "MessageReference", 0u32);
    set(&mut all, "Timestamp", stamp);
    set(&mut all, "DischargeTimestamp", "");
    set(&mut all, "DeliveryState", NO_DELIVERY_STATE);
    set(&mut all, "Storage", STORAGE);
    all
}

/// Milliseconds since 1970 as ModemManager writes a stamp, in UTC.
pub(super) fn stamp(millis: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = Timestamp(millis).into();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_in_utc_and_say_so() {
        assert_eq!(stamp(1_798_761_599_999), "2026-12-31T23:59:59+00");
    }

    #[test]
    fn our_objects_are_told_from_modemmanagers() {
        let path = |number: u32| format!("{SMS_PATH}{number}");
        assert!(is_ours(&im_path(0).unwrap()) && is_ours(&report_path(&path(7)).unwrap()));
        assert!(!is_ours(&path(7)) && !is_ours("/org/freedesktop/ModemManager1/Modem/0"));
        assert_ne!(im_path((1 << 29) - 1), report_path(&path(0)));
        assert_eq!(im_path(1 << 29), None);
        assert_eq!(report_path(&im_path(1).unwrap()), None);
        assert_eq!(im_number(&im_path(5).unwrap()), Some(5));
        for other in
            [path(7), report_path(&path(7)).unwrap(), format!("{SMS_PATH}0{OURS}"), format!("{SMS_PATH}+{OURS}")]
        {
            assert_eq!(im_number(&other), None, "{other}");
        }
    }
}

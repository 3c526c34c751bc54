//! SMS objects read: texts, status reports, and what is neither.

use crate::{
    model::{Address, Body, LineId},
    modem::{IncomingSms, Kind, Sent, SmsObject, StatusReport, bus::Properties, stamp},
};

/// `MMSmsState`.
const RECEIVING: u32 = 2;
const RECEIVED: u32 = 3;
const SENT: u32 = 5;

/// `MMSmsPduType`.
const DELIVER: u32 = 1;
const REPORT: u32 = 3;

/// What an SMS object is, for who reads the modem's list.
pub(super) enum Found {
    /// A whole incoming SMS.
    Incoming(IncomingSms),
    /// A status report.
    Report(StatusReport),
    /// Parts are missing: its state will change.
    Incomplete,
    /// Outgoing, or stored by somebody.
    NotOurs,
}

/// Reads an SMS object.
pub(super) fn read(properties: &Properties, line: &LineId, sms: SmsObject) -> Found {
    match (properties.number("State").unwrap_or(0), properties.number("PduType").unwrap_or(0)) {
        (RECEIVING, _) => Found::Incomplete,
        (RECEIVED, REPORT) => Found::Report(report(properties, line, sms)),
        (RECEIVED, pdu) => Found::Incoming(incoming(properties, line, sms, pdu)),
        _ => Found::NotOurs,
    }
}

fn incoming(properties: &Properties, line: &LineId, sms: SmsObject, pdu: u32) -> IncomingSms {
    let from = properties.text("Number").unwrap_or_default();
    let text = properties.text("Text").unwrap_or_default();
    let stamp = properties.text("Timestamp").unwrap_or_default();
    // Class 0 is shown and not kept (TS 23.038 §4); data is for some application's port.
    let plain = pdu == DELIVER
        && !from.is_empty()
        && !properties.has_bytes("Data")
        && properties.signed("Class").unwrap_or(-1) != 0;
    IncomingSms {
        line: line.clone(),
        sms,
        from: Address(from.into()),
        body: Body(if plain { text.into() } else { "".into() }),
        sent: stamp::read(stamp),
        stamp: stamp.into(),
        kind: if plain { Kind::Plain } else { Kind::Other },
    }
}

fn report(properties: &Properties, line: &LineId, sms: SmsObject) -> StatusReport {
    StatusReport {
        line: line.clone(),
        sms,
        to: Address(properties.text("Number").unwrap_or_default().into()),
        reference: reference(properties).unwrap_or_default(),
        delivered: delivered(properties.number("DeliveryState").unwrap_or(u32::MAX)),
    }
}

fn reference(properties: &Properties) -> Option<u8> {
    properties.number("MessageReference").and_then(|reference| reference.try_into().ok())
}

/// From TP-Status (TS 23.040 §9.2.3.15), which `MMSmsDeliveryState` follows below 0x80.
fn delivered(status: u32) -> Option<bool> {
    match status {
        // Received, or forwarded to where nobody confirms; 2 is "replaced by the SC".
        0x00 | 0x01 => Some(true),
        // Permanent error, and temporary ones after which the SC gave up.
        0x40..=0x7f => Some(false),
        _ => None,
    }
}

/// Number and text of an outgoing object, to prove that it is the one meant.
pub(super) fn is_for(properties: &Properties, number: &str, text: &str) -> bool {
    properties.text("Number") == Some(number) && properties.text("Text") == Some(text)
}

/// The proof that it was sent, if there is one.
pub(super) fn sent(properties: &Properties) -> Option<Sent> {
    (properties.number("State") == Some(SENT)).then(|| Sent { references: reference(properties).into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_delivered_failed_or_still_trying() {
        assert_eq!(delivered(0x00), Some(true));
        assert_eq!(delivered(0x01), Some(true));
        assert_eq!(delivered(0x02), None);
        assert_eq!(delivered(0x20), None);
        assert_eq!(delivered(0x46), Some(false));
        assert_eq!(delivered(0x62), Some(false));
        assert_eq!(delivered(0x100), None);
    }
}

//! Texts that went as instant messages: their state, of which ModemManager knows nothing, and their reports.

use super::{
    Desk,
    names::*,
    objects::{Report, reference, report_path, stamp},
};
use crate::door::{rules::Arg, wire::Message};
use std::collections::BTreeMap;
use zbus::{OwnedObjectPath, Variant};

/// MM_SMS_STATE_SENDING and _SENT.
pub(super) const SENDING: u32 = 4;
pub(super) const SENT: u32 = 5;

/// A text as the core's `Sent` and `Settled` tell it: its object there, ModemManager's, whose that is, state, whether it has
/// a report, when it left, recipient, line.
type Row = (OwnedObjectPath, OwnedObjectPath, String, String, bool, i64, String, String);

impl Desk {
    pub(super) fn found_sent(&mut self, message: &Message<'_>) {
        let Some((rows,)) = message.body::<(Vec<Row>,)>() else { return };
        for row in rows {
            if self.is_sent(&row) {
                self.sent.insert(row.1.to_string());
                self.show_report(row);
            }
        }
    }

    /// The core's `Settled`.
    pub(super) fn settled(&mut self, message: &Message<'_>) {
        let Some((row,)) = message.body::<(Row,)>().filter(|(row,)| self.is_sent(row)) else { return };
        self.show_sent(row.1.to_string());
        match (row.4, report_path(&row.1)) {
            (false, Some(path)) => self.drop_report(&path),
            _ => self.show_report(row),
        }
    }

    fn is_sent(&self, (_, _, owner, state, ..): &Row) -> bool {
        Some(owner) == self.mm.as_ref() && matches!(&**state, "im-delivered" | "im-read" | "sms-sent" | "sms-delivered")
    }

    /// A text left without the app's waiting for it.
    pub(super) fn show_sent(&mut self, sms: String) {
        if self.sent.insert(sms.clone()) {
            self.show_state(&sms, SENDING);
            self.show_state(&sms, SENT);
        }
    }

    /// A text that went as an instant message has this state now. Once sent it has the reference too by which its
    /// report is found: a client that keeps the properties asks for none again.
    pub(super) fn show_state(&mut self, sms: &str, state: u32) {
        let mut changed: BTreeMap<&str, Variant<'_>> = BTreeMap::from([("State", Variant::from(state))]);
        if state == SENT {
            changed.insert("MessageReference", Variant::from(reference(sms)));
        }
        self.mm_signal(
            (sms, PROPERTIES, "PropertiesChanged"),
            &[Arg::Text(SMS), Arg::Other, Arg::Other],
            &(SMS, changed, Vec::<&str>::new()),
        );
    }

    /// Shows a text's report, if it has one, by the modem that has its line.
    fn show_report(&mut self, (message, sms, _, _, there, at, number, line): Row) {
        let path = report_path(&sms).filter(|path| there && !self.reports.contains_key(path));
        let Some(path) = path else { return };
        let modem = self.told_at(&line);
        let (message, line) = (message.to_string(), line.into());
        let report = Report { message, line, number, reference: reference(&sms), stamp: stamp(at) };
        self.reports.insert(path.clone(), report);
        match modem {
            Some(modem) => self.tell(&modem, vec![path], vec![]),
            None => self.show_lines(),
        }
    }

    /// It is no more: whoever was shown it is told.
    pub(super) fn drop_report(&mut self, path: &str) {
        if let Some(report) = self.reports.remove(path)
            && let Some(modem) = self.told_at(&report.line)
        {
            self.tell(&modem, vec![], vec![path.to_owned()]);
        }
    }

    /// ModemManager's object went.
    pub(super) fn gone(&mut self, message: &Message<'_>) -> Option<()> {
        let (sms,): (OwnedObjectPath,) = message.body()?;
        self.sent.remove(sms.as_str());
        self.judged.remove(sms.as_str());
        // Of one that it was never shown the app needs no farewell.
        self.hidden.remove(sms.as_str()).then_some(())
    }
}

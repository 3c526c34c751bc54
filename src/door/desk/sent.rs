//! Texts that went as instant messages: their state, of which ModemManager knows nothing, and their reports.

use super::{
    Desk, Purpose,
    inbox::text,
    names::*,
    objects::{Dict, Report, reference, report_path, stamp},
    start::{Objects, modem_of},
};
use crate::door::{rules::Arg, wire::Message};
use std::collections::BTreeMap;
use zbus::{OwnedObjectPath, Variant};

/// MM_SMS_STATE_SENDING and _SENT.
pub(super) const SENDING: u32 = 4;
pub(super) const SENT: u32 = 5;
/// Reports that are looked after at a start: of the newest texts.
const MOST_REPORTS: usize = 64;

impl Desk {
    pub(super) fn found_sent(&mut self, message: &Message<'_>) {
        type Row = (OwnedObjectPath, String, String, i64, bool);
        let Some((rows,)) = message.body::<(Vec<Row>,)>() else { return };
        let mut reported = 0;
        for (sms, owner, state, _, delivered) in rows {
            if Some(owner) != self.mm || !is_sent(&state) {
                continue;
            }
            let sms = sms.to_string();
            if delivered && reported < MOST_REPORTS {
                reported += 1;
                self.ask_reported(&sms);
            }
            self.sent.insert(sms);
        }
    }

    /// The core's `Settled`.
    pub(super) fn settled(&mut self, message: &Message<'_>) {
        let Some((sms, owner, state)) = message.body::<(OwnedObjectPath, String, String)>() else { return };
        if Some(owner) != self.mm || !is_sent(&state) {
            return;
        }
        let delivered = matches!(state.as_str(), "im-delivered" | "im-read" | "sms-delivered");
        self.show_sent(sms.to_string(), delivered);
    }

    /// A text left without the app's waiting for it.
    pub(super) fn show_sent(&mut self, sms: String, delivered: bool) {
        if self.sent.insert(sms.clone()) {
            self.show_state(&sms, SENDING);
            self.show_state(&sms, SENT);
        }
        if delivered {
            self.ask_reported(&sms);
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

    /// Whether the app asked for a report, its object says.
    pub(super) fn ask_reported(&mut self, sms: &str) {
        let known = report_path(sms).is_none_or(|path| self.reports.contains_key(&path));
        if !known && !self.crowded() {
            let purpose = Purpose::Reported { sms: sms.to_owned() };
            self.call_mm(purpose, (sms, PROPERTIES, "GetAll"), &(SMS,));
        }
    }

    /// If so, it is shown where the text is.
    pub(super) fn found_reported(&mut self, sms: &str, message: &Message<'_>) {
        let Some((all,)) = message.body::<(Dict,)>() else { return };
        if all.get("DeliveryReportRequest").is_some_and(|wanted| bool::try_from(wanted) == Ok(true)) {
            let purpose = Purpose::ReportedWhere { sms: sms.to_owned(), number: text(&all, "Number") };
            self.call_mm(purpose, (MM_PATH, OBJECTS, "GetManagedObjects"), &());
        }
    }

    pub(super) fn found_reported_where(&mut self, sms: &str, number: String, message: &Message<'_>) {
        let modem = message.body::<(Objects,)>().and_then(|(objects,)| modem_of(&objects, sms));
        let (Some(path), Some(modem)) = (report_path(sms), modem) else { return };
        let stamp = stamp(self.now.wall.0);
        let report = Report { modem: modem.clone(), number, reference: reference(sms), stamp };
        if self.reports.insert(path.clone(), report).is_none() {
            self.tell(&modem, vec![path], vec![]);
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

fn is_sent(state: &str) -> bool {
    matches!(state, "im-delivered" | "im-read" | "sms-sent" | "sms-delivered")
}

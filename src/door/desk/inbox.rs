//! Instant messages that came, texts that went as such, and their reports: as the core tells them.

use super::{
    Desk, Phase, Purpose, SMS, Sent,
    objects::{Dict, Im, Report, im_path, reference, report_path, stamp},
};
use crate::door::wire::Message;
use std::collections::BTreeMap;
use zbus::{OwnedObjectPath, OwnedVariant};

/// MM_SMS_STATE_SENDING and _SENT.
pub(super) const SENDING: u32 = 4;
pub(super) const SENT: u32 = 5;
/// Reports that are looked after at a start: of the newest texts.
const MOST_REPORTS: usize = 64;

impl Desk {
    /// The core's `Received`: an SMS the app has from its modem service.
    pub(super) fn received(&mut self, message: &Message<'_>) {
        let details = message.body::<(OwnedObjectPath, Dict)>().map(|(_, details)| details);
        if details.is_none_or(|details| text(&details, "bearer") != "sms") {
            self.ask_inbox(true);
        }
    }

    /// The core's `Changed`: one that any app deleted goes, once.
    pub(super) fn changed(&mut self, message: &Message<'_>) {
        let Some((object, details)) = message.body::<(OwnedObjectPath, Dict)>() else { return };
        let deleted = details.get("deleted").is_some_and(|deleted| bool::try_from(deleted) == Ok(true));
        let path = self.inbox.iter().find(|(_, im)| deleted && im.message == object.as_str()).map(|(path, _)| path);
        if let Some(path) = path.cloned() {
            self.inbox.remove(&path);
            self.tell_at_first(vec![], vec![path]);
        }
    }

    /// Asks for all that came.
    pub(super) fn ask_inbox(&mut self, announce: bool) {
        self.call_core(Purpose::Inbox { announce }, "Inbox", &());
    }

    /// Takes the core's list, and tells the app what is new on it and what is gone from it.
    pub(super) fn found_inbox(&mut self, message: &Message<'_>, announce: bool) {
        type Row = (OwnedObjectPath, u32, String, String, i64);
        // An error: no rights, or no store. What is known stays.
        let Some((rows,)) = message.body::<(Vec<Row>,)>() else { return };
        let (mut now, mut came) = (BTreeMap::new(), Vec::new());
        for (object, serial, from, text, at) in rows {
            let im = Im { message: object.to_string(), from, text, stamp: stamp(at) };
            let Some(path) = im_path(serial) else { continue };
            if !self.inbox.contains_key(&path) {
                came.push(path.clone());
            }
            now.insert(path, im);
        }
        let went = self.inbox.keys().filter(|path| !now.contains_key(*path)).cloned().collect::<Vec<_>>();
        self.inbox = now;
        // An answer that came too late for the start tells news.
        let announce = announce || self.phase == Phase::Ready;
        match announce {
            true => self.show_by_ofono(),
            false => self.ofono_due = Some(self.in_patience()),
        }
        if announce && !(came.is_empty() && went.is_empty()) {
            self.tell_at_first(came, went);
        }
    }

    /// What only the door shows is shown at the first modem.
    pub(super) fn tell_at_first(&mut self, came: Vec<String>, went: Vec<String>) {
        if let Some(modem) = self.modems.first().cloned() {
            self.tell(&modem, came, went);
        }
    }

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
            self.sent.insert(sms, Sent { state: SENT });
        }
    }

    /// The core's `Settled`.
    pub(super) fn settled(&mut self, message: &Message<'_>) {
        let Some((sms, owner, state)) = message.body::<(OwnedObjectPath, String, String)>() else { return };
        if Some(owner) != self.mm || !is_sent(&state) {
            return;
        }
        let sms = sms.to_string();
        if self.sent.insert(sms.clone(), Sent { state: SENT }).is_none() {
            self.show_state(&sms, SENDING);
            self.show_state(&sms, SENT);
        }
        if matches!(state.as_str(), "im-delivered" | "im-read" | "sms-delivered") {
            self.ask_reported(&sms);
        }
    }

    /// Whether the app asked for a report, its object says.
    pub(super) fn ask_reported(&mut self, sms: &str) {
        let known = report_path(sms).is_none_or(|path| self.reports.contains_key(&path));
        if !known && !self.crowded() {
            let purpose = Purpose::Reported { sms: sms.to_owned() };
            self.call_mm(purpose, (sms, super::PROPERTIES, "GetAll"), &(SMS,));
        }
    }

    pub(super) fn found_reported(&mut self, sms: &str, message: &Message<'_>) {
        let Some((all,)) = message.body::<(Dict,)>() else { return };
        let wanted = all.get("DeliveryReportRequest").is_some_and(|wanted| bool::try_from(wanted) == Ok(true));
        let (Some(path), true) = (report_path(sms), wanted) else { return };
        let stamp = stamp(self.now.wall.0);
        let report = Report { number: text(&all, "Number"), reference: reference(sms), stamp };
        if self.reports.insert(path.clone(), report).is_none() {
            self.tell_at_first(vec![path], vec![]);
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

pub(super) fn text(all: &Dict, name: &str) -> String {
    all.get(name).and_then(|value| <&str>::try_from(&**value).ok()).unwrap_or_default().to_owned()
}

pub(super) fn number(all: &Dict, name: &str) -> Option<u32> {
    let value: &OwnedVariant = all.get(name)?;
    u32::try_from(value).ok()
}

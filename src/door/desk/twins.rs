//! An incoming SMS that may be the twin of an instant message that was shown already: the app is told of it only when
//! the core has judged it, or is silent. Those that came while no door was there the core names at the start.

use super::{
    Action, Desk, Phase, Purpose,
    inbox::text,
    names::*,
    objects::{Dict, is_ours},
};
use crate::door::wire::Message;
use crate::model::Instant;
use crate::router::split_mark;
use zbus::OwnedObjectPath;

/// An SMS that is not shown yet.
#[derive(Debug)]
pub(super) struct Judged {
    /// ModemManager's `Added`.
    added: Vec<u8>,
    modem: String,
    /// The app was told its modem's `Messages` without it.
    pub(super) left_out: bool,
    pub(super) until: Instant,
}

impl Desk {
    /// ModemManager's `Added`: of an incoming SMS the text is looked at first.
    pub(super) fn added(&mut self, message: &Message<'_>) -> Option<()> {
        let (sms, received): (OwnedObjectPath, bool) = message.body()?;
        if !received || self.core.is_none() || self.crowded() || is_ours(&sms) {
            return None;
        }
        let sms = sms.to_string();
        let (added, modem) = (message.bytes.to_vec(), message.head.path.to_owned());
        let judged = Judged { added, modem, left_out: false, until: self.in_patience() };
        self.judged.insert(sms.clone(), judged);
        self.hidden.insert(sms.clone());
        self.call_mm(Purpose::TwinText(sms.clone()), (&sms, PROPERTIES, "GetAll"), &(SMS,));
        Some(())
    }

    pub(super) fn found_twin_text(&mut self, sms: &str, message: &Message<'_>) {
        let all = message.body::<(Dict,)>().map(|(all,)| all).unwrap_or_default();
        let (from, body) = (text(&all, "Number"), text(&all, "Text"));
        if split_mark(&body).is_none() {
            return self.reveal(sms);
        }
        self.call_core(Purpose::Twin(sms.to_owned()), "Twin", &(from, body));
    }

    pub(super) fn found_twin(&mut self, sms: &str, message: &Message<'_>) {
        match message.body::<(bool, String)>() {
            // Hidden for good; the core deletes it from the modem.
            Some((true, _)) => drop(self.judged.remove(sms)),
            _ => self.reveal(sms),
        }
    }

    /// Before the app has read what there is, they are hidden; what it was told already stays.
    pub(super) fn found_twins(&mut self, message: &Message<'_>) {
        if matches!(self.phase, Phase::Starting(_))
            && let Some((twins,)) = message.body::<(Vec<OwnedObjectPath>,)>()
        {
            self.hidden.extend(twins.iter().map(ToString::to_string));
        }
    }

    /// Shows it.
    fn reveal(&mut self, sms: &str) {
        let Some(judged) = self.judged.remove(sms) else { return };
        self.hidden.remove(sms);
        self.forget_judging(sms);
        // Neither before what its client lists it from, nor before an earlier one.
        if judged.left_out || self.lines.telling(&judged.modem) {
            self.tell(&judged.modem, vec![sms.to_owned()], vec![]);
        } else {
            self.out.push(Action::ToApp(judged.added));
        }
    }

    pub(super) fn twins_elapsed(&mut self) {
        let late = self.judged.iter().filter(|(_, judged)| judged.until <= self.now.mono);
        for sms in late.map(|(sms, _)| sms.clone()).collect::<Vec<_>>() {
            self.reveal(&sms);
        }
    }
}

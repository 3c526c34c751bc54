//! oFono (doc/messagemanager-api.txt): number and text are in the call, and what comes in is one signal.

use super::{
    Desk, Purpose,
    held::{Held, Text},
    inbox::Im,
    later,
    names::*,
    object,
    objects::Content,
};
use crate::door::{header::Head, rules::Arg, wire::Message};
use crate::model::Instant;
use std::{collections::HashMap, time::Duration};
use zbus::Variant;

const MESSAGE: &str = "org.ofono.Message";
/// oFono tells everybody who listens, and so do the doors: what one app has read stays this long for the others.
const FOR_OTHERS: Duration = Duration::from_secs(5);

/// An instant message that the app was told of by oFono.
pub(super) struct Told {
    /// The core's object.
    message: String,
    /// When to delete it, if the app has read it by then.
    pub(super) due: Instant,
}

impl Desk {
    /// Holds `SendMessage`. oFono itself asks for a report, or not, for all texts alike.
    pub(super) fn hold_ofono(&mut self, message: &Message<'_>) -> Option<()> {
        let (to, body): (String, String) = message.body()?;
        if !self.diverts() || message.head.no_reply || to.is_empty() || body.is_empty() {
            return None;
        }
        let mut held = Held::new(message, self.in_patience());
        held.modem = Some(message.head.path.to_owned());
        held.text = Some(Text { to, body, report: false });
        self.put(message, held);
        self.ask(message.head.serial);
        Some(())
    }

    /// What oFono does when a text was sent: its message comes, is sent, and goes.
    pub(super) fn sent_by_ofono(&mut self, given: &Head<'_>, modem: &str, token: &str) -> Option<()> {
        // oFono's are 40 hexadecimal digits.
        let digits: String = token.chars().filter(char::is_ascii_hexdigit).collect();
        let path = format!("{modem}/message_{digits:0>40}");
        let state = |state| HashMap::from([("State", Variant::from(state))]);
        let args = [Arg::Path(&path), Arg::Other];
        self.ofono_signal((modem, OFONO_MESSAGES, "MessageAdded"), &args, &(object(&path), state("pending")));
        self.answer(given, "", &(object(&path),))?;
        let sent = ("State", Variant::from("sent"));
        self.ofono_signal((&path, MESSAGE, "PropertyChanged"), &[Arg::Text("State"), Arg::Other], &sent);
        self.ofono_signal((modem, OFONO_MESSAGES, "MessageRemoved"), &[Arg::Path(&path)], &(object(&path),));
        Some(())
    }

    /// Shows what came as oFono shows an SMS, if the app listens for it, by the modem that has its line.
    pub(super) fn show_by_ofono(&mut self) {
        if self.ofono.is_none() || self.ofono_due.is_some() {
            return;
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut told = false;
        inbox.tell_each(|im, content| {
            let modem = self.lines.modem(&im.line).filter(|modem| !modem.starts_with(MODEM_PATH)).map(str::to_owned);
            let shown = modem.is_some_and(|modem| self.incoming_by_ofono(&modem, im, content));
            told |= shown;
            shown
        });
        self.inbox = inbox;
        if told && self.inbox.waits_for_room() {
            self.ask_inbox(0);
        }
    }

    /// oFono keeps no message that it has told of, so neither does the core once an app has it.
    fn incoming_by_ofono(&mut self, modem: &str, im: &Im, content: &Content) -> bool {
        // Unlike ModemManager, oFono tells the zone's minutes too.
        let stamp = format!("{}00", content.stamp);
        let information = HashMap::from([
            ("Sender", Variant::from(content.from.as_str())),
            ("SentTime", Variant::from(stamp.as_str())),
            ("LocalSentTime", Variant::from(stamp.as_str())),
        ]);
        let args = [Arg::Text(&content.text), Arg::Other];
        let before = self.out.len();
        self.ofono_signal((modem, OFONO_MESSAGES, "IncomingMessage"), &args, &(content.text.as_str(), information));
        let told = self.out.len() > before;
        if told {
            self.told.push(Told { message: im.message.clone(), due: later(self.now.mono, FOR_OTHERS) });
        }
        told
    }

    /// What the app has read is deleted; an app that hangs is looked at again.
    pub(super) fn told_elapsed(&mut self, app_read: bool) {
        let now = self.now.mono;
        if app_read {
            return self.delete_told(Some(now));
        }
        let late = self.told.iter_mut().filter(|told| told.due <= now);
        late.for_each(|told| told.due = later(now, FOR_OTHERS));
    }

    /// The app hung up, having read all that it was told. What it sent takes its course.
    pub(in crate::door) fn app_left(&mut self) {
        self.delete_told(None);
    }

    /// Has the core delete what was told, as far as it is due.
    fn delete_told(&mut self, by: Option<Instant>) {
        let due = |told: &mut Told| by.is_none_or(|by| told.due <= by);
        for Told { message, .. } in self.told.extract_if(.., due).collect::<Vec<_>>() {
            let to = (CORE, CORE_PATH, CORE_MESSAGING, "Delete");
            self.call(Purpose::Forget, to, &(object(&message),));
        }
    }

    fn ofono_signal<B: serde::Serialize + zbus::Type>(
        &mut self,
        member: (&str, &str, &str),
        args: &[Arg<'_>],
        body: &B,
    ) {
        if let Some(ofono) = self.ofono.clone() {
            self.signal((&ofono, OFONO), member, args, body);
        }
    }
}

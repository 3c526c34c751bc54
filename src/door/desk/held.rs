//! The app's Send, held until the core says which way the text goes.
//!
//! Up to the Divert anything that is late or fails lets the Send pass, and nothing is kept anywhere. From the
//! Divert on only the core's word counts: an SMS is sent by the app's own Send only where the core let go of the text.
//! Where that word does not come in time the app is told that it can't be known, and the Send is kept: a core that
//! lets go of the text later still has it sent.

use super::{
    Action, Desk, Purpose, Tracked,
    inbox::{number, text},
    later,
    local::{CORE_FAILED, Reply},
    names::*,
    object,
    objects::Dict,
    order::GONE,
    sent::SENDING,
    start::{Objects, modem_of},
};
use crate::door::{
    header::{Head, Kind},
    wire::Message,
};
use crate::model::Instant;
use std::{collections::HashMap, time::Duration};
use zbus::{OwnedObjectPath, Variant};

/// How long the core's word on a text may take, whether it works on it, hangs, or died and is awaited. Apps give up
/// 25 s after their call (GDBus's and libdbus's default), of which a second may have passed before the Divert; with
/// its defaults a core has decided, or its own SMS is with the modem, after 17 s.
const WORD: Duration = Duration::from_secs(22);
const STOPPING: &str = "org.shunt.Error.Stopping";
const UNCERTAIN: &str = "org.shunt.Error.Uncertain";
const FAILED: &str = "org.shunt.Error.Failed";
pub(super) const NO_REPLY: &str = "org.freedesktop.DBus.Error.NoReply";
const ALREADY_SENT: &str = "This message was already sent, cannot send it again";

/// A held call.
#[derive(Debug)]
pub(super) struct Held {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    pub(super) destination: String,
    /// ModemManager's object, which oFono has none of, and whose it is: a new owner numbers its objects afresh.
    pub(super) sms: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) modem: Option<String>,
    pub(super) text: Option<Text>,
    /// Given once the text is handed over: from then on the core's answer binds.
    pub(super) token: Option<String>,
    /// A core that died may have it.
    pub(super) perhaps_taken: bool,
    /// Then: it passes, or after a Divert, it is uncertain. `None`: the app was told that it is.
    pub(super) until: Option<Instant>,
    /// The app's later calls that would change the same text, in their order.
    pub(super) behind: Vec<Vec<u8>>,
}

/// What is to be sent.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) to: String,
    pub(super) body: String,
    pub(super) report: bool,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text")
    }
}

impl Desk {
    /// Holds ModemManager's `Sms.Send`.
    pub(super) fn hold(&mut self, message: &Message<'_>) -> Option<()> {
        let head = &message.head;
        if head.no_reply || !head.signature.is_empty() {
            return None;
        }
        if self.sent.contains(head.path) {
            return self.reply(head, Reply::Error(CORE_FAILED, ALREADY_SENT.to_owned()));
        }
        if !self.diverts() {
            return None;
        }
        let sms = head.path.to_owned();
        self.put(
            message,
            Held { sms: Some(sms.clone()), owner: self.mm.clone(), ..Held::new(message, self.in_patience()) },
        );
        self.call_mm(Purpose::Where(head.serial), (MM_PATH, OBJECTS, "GetManagedObjects"), &());
        self.call_mm(Purpose::Text(head.serial), (&sms, PROPERTIES, "GetAll"), &(SMS,));
        Some(())
    }

    pub(super) fn put(&mut self, message: &Message<'_>, held: Held) {
        self.held.insert(message.head.serial, held);
    }

    /// Which modem has the object: the core must know the line.
    pub(super) fn found_where(&mut self, call: u32, message: &Message<'_>) {
        let Some(held) = self.held.get_mut(&call) else { return };
        let sms = held.sms.as_deref().unwrap_or_default();
        match message.body::<(Objects,)>().and_then(|(objects,)| modem_of(&objects, sms)) {
            Some(modem) => {
                held.modem = Some(modem);
                self.ask(call);
            }
            None => self.release(call),
        }
    }

    pub(super) fn found_text(&mut self, call: u32, message: &Message<'_>) {
        let Some(held) = self.held.get_mut(&call) else { return };
        match message.body::<(Dict,)>().and_then(|(all,)| plain(&all)) {
            Some(text) => {
                held.text = Some(text);
                self.ask(call);
            }
            None => self.release(call),
        }
    }

    /// Asks whether a Divert is worth it, once all is known.
    pub(super) fn ask(&mut self, call: u32) {
        let Some(Held { modem: Some(modem), text: Some(text), .. }) = self.held.get(&call) else { return };
        let (modem, to) = (modem.clone(), text.to.clone());
        let options = HashMap::from([("modem", Variant::from(object(&modem)))]);
        self.call_core(Purpose::Ask(call), "Ask", &(to, options));
    }

    pub(super) fn asked(&mut self, call: u32, message: &Message<'_>) {
        match message.body::<(String,)>() {
            Some((bearer,)) if bearer == "im" => {
                self.tokens = self.tokens.saturating_add(1);
                let token = format!("{}-{}", self.name, self.tokens);
                let until = later(self.now.mono, WORD);
                if let Some(held) = self.held.get_mut(&call) {
                    (held.token, held.until) = (Some(token), Some(until));
                    self.divert(call);
                }
            }
            _ => self.release(call),
        }
    }

    fn divert(&mut self, call: u32) {
        let Some(Held { sms, owner, modem: Some(modem), text: Some(text), token: Some(token), .. }) =
            self.held.get(&call)
        else {
            return;
        };
        let (sms, owner, modem, text, token) = (sms.clone(), owner.clone(), modem.clone(), text.clone(), token.clone());
        let mut options = HashMap::from([
            ("token", Variant::from(token)),
            ("modem", Variant::from(object(&modem))),
            ("report", Variant::from(text.report)),
        ]);
        if let (Some(sms), Some(owner)) = (&sms, &owner) {
            options.insert("sms", Variant::from(object(sms)));
            options.insert("owner", Variant::from(owner.as_str()));
        }
        self.call_core(Purpose::Divert(call), "Divert", &(text.to, text.body, options));
    }

    pub(super) fn diverted(&mut self, call: u32, message: &Message<'_>) {
        let head = &message.head;
        if head.kind == Kind::Return {
            let outcome = message.body::<(String, String, OwnedObjectPath)>().map(|(outcome, ..)| outcome);
            return match outcome.as_deref() {
                Some("im" | "sms-sent") => self.succeed(call),
                Some("sms") => self.release(call),
                _ => self.fail(call, UNCERTAIN, None),
            };
        }
        let said = message.said();
        let Some(held) = self.held.get_mut(&call) else { return };
        match head.error {
            UNCERTAIN => self.fail(call, UNCERTAIN, said),
            FAILED => self.fail(call, FAILED, said),
            _ if head.sender == BUS => self.unheard(call, head.error),
            // The core ends; it may have taken the text. The next one is asked, when it is there.
            STOPPING => held.perhaps_taken = true,
            // This core does not judge what an earlier one took.
            _ if held.perhaps_taken => self.fail(call, UNCERTAIN, None),
            // Refused: the core did not take it.
            _ => self.release(call),
        }
    }

    /// The bus says that no answer comes.
    fn unheard(&mut self, call: u32, error: &str) {
        let back = self.core.is_some();
        let Some(held) = self.held.get_mut(&call) else { return };
        let perhaps_taken = matches!(error, NO_REPLY | "org.freedesktop.DBus.Error.Timeout");
        if !perhaps_taken && !held.perhaps_taken {
            // Never delivered: it was not handed over.
            return self.release(call);
        }
        held.perhaps_taken = true;
        if perhaps_taken && back {
            self.divert(call);
        }
    }

    /// The core is back: what it may have taken is handed over again, with the same token.
    pub(super) fn divert_again(&mut self) {
        let asks = |call: u32| self.calls.values().any(|purpose| matches!(purpose, Purpose::Divert(of) if *of == call));
        let waiting = self.held.iter().filter(|(call, held)| held.perhaps_taken && !asks(**call));
        let calls: Vec<u32> = waiting.map(|(call, _)| *call).collect();
        for call in calls {
            self.divert(call);
        }
    }

    fn succeed(&mut self, call: u32) {
        let Some(mut held) = self.held.remove(&call) else { return };
        let (gone, behind) = (self.is_gone(&held), std::mem::take(&mut held.behind));
        let head = Head { serial: call, destination: &held.destination, ..Head::blank(Kind::Call) };
        match (held.sms, held.modem, held.token) {
            // Another text has its number now.
            _ if gone && held.until.is_none() => {}
            _ if gone => drop(self.reply(&head, Reply::Nothing)),
            // The app has its answer, but for the state.
            (sms, ..) if held.until.is_none() => sms.into_iter().for_each(|sms| self.show_sent(sms)),
            (Some(sms), ..) => {
                // Another connection's Settled may have been first.
                if self.sent.insert(sms.clone()) {
                    self.show_state(&sms, SENDING);
                }
                let _ = self.ping(&held.destination, call);
                self.tracked.insert(call, Tracked::Sent { sms });
            }
            (None, Some(modem), Some(token)) => {
                let _ = self.ping(head.destination, call);
                self.tracked.insert(call, Tracked::SentByOfono { modem, token });
            }
            _ => {}
        }
        self.go_on(behind, gone);
    }

    fn fail(&mut self, call: u32, error: &'static str, said: Option<String>) {
        let Some(held) = self.held.remove(&call) else { return };
        let gone = self.is_gone(&held);
        if held.until.is_some() {
            self.refuse(call, &held.destination, error, said);
        }
        self.go_on(held.behind, gone);
    }

    pub(super) fn refuse(&mut self, call: u32, destination: &str, error: &'static str, said: Option<String>) {
        let head = Head { serial: call, destination, ..Head::blank(Kind::Call) };
        let said = said.unwrap_or_else(|| "The text may have arrived; sending it again may show it twice".to_owned());
        let _unanswered = self.reply(&head, Reply::Error(error, said));
    }

    /// The held call passes, byte for byte.
    pub(super) fn release(&mut self, call: u32) {
        let Some(mut held) = self.held.remove(&call) else { return };
        self.forget_call(call);
        let (gone, behind) = (self.is_gone(&held), std::mem::take(&mut held.behind));
        match held.until {
            Some(_) if gone => self.refuse(call, &held.destination, NO_REPLY, Some(GONE.to_owned())),
            Some(_) => {
                self.out.push(Action::ToBus(held.bytes));
                self.tracked.insert(call, Tracked::Passed);
            }
            None if gone => {}
            None => self.send_after_all(held),
        }
        self.go_on(behind, gone);
    }

    /// The app has had its answer: the call is the desk's own, and the modem service's signals tell what comes of it.
    fn send_after_all(&mut self, held: Held) {
        match (held.sms, held.modem, held.text) {
            (Some(sms), ..) => self.call_mm(Purpose::Forget, (&sms, SMS, "Send"), &()),
            (None, Some(modem), Some(text)) => {
                let to = (OFONO, modem.as_str(), OFONO_MESSAGES, "SendMessage");
                self.call(Purpose::Forget, to, &(text.to, text.body));
            }
            _ => {}
        }
    }

    pub(super) fn held_elapsed(&mut self) {
        let late = |held: &Held| held.until.is_some_and(|until| until <= self.now.mono);
        let calls: Vec<(u32, bool)> =
            self.held.iter().filter(|(_, held)| late(held)).map(|(call, held)| (*call, held.token.is_some())).collect();
        for (call, handed_over) in calls {
            if handed_over { self.doubt(call) } else { self.release(call) }
        }
    }

    /// The app waits no longer; the core's word still decides.
    fn doubt(&mut self, call: u32) {
        let Some(mut held) = self.held.remove(&call) else { return };
        let (gone, behind) = (self.is_gone(&held), std::mem::take(&mut held.behind));
        held.until = None;
        self.refuse(call, &held.destination, UNCERTAIN, None);
        self.held.insert(call, held);
        self.go_on(behind, gone);
    }
}

impl Held {
    pub(super) fn new(message: &Message<'_>, until: Instant) -> Self {
        Self {
            bytes: message.bytes.to_vec(),
            destination: message.head.destination.to_owned(),
            sms: None,
            owner: None,
            modem: None,
            text: None,
            token: None,
            perhaps_taken: false,
            until: Some(until),
            behind: Vec::new(),
        }
    }
}

/// A plain text, not yet sent. What has data, a class, an SMSC of its own, or is a CDMA teleservice is none.
fn plain(all: &Dict) -> Option<Text> {
    /// MM_SMS_PDU_TYPE_UNKNOWN (not yet sent) and _SUBMIT.
    const OUTGOING: [u32; 2] = [0, 2];
    /// MM_SMS_STATE_UNKNOWN and _STORED.
    const UNSENT: [u32; 2] = [0, 1];
    let data: Vec<u8> = all.get("Data")?.try_clone().ok()?.try_into().ok()?;
    let class = i32::try_from(all.get("Class")?).ok()?;
    let found = Text {
        to: text(all, "Number"),
        body: text(all, "Text"),
        report: bool::try_from(all.get("DeliveryReportRequest")?).ok()?,
    };
    let is_plain = OUTGOING.contains(&number(all, "PduType")?)
        && UNSENT.contains(&number(all, "State")?)
        && data.is_empty()
        && class == -1
        && text(all, "SMSC").is_empty()
        && number(all, "TeleserviceId")? == 0
        && number(all, "ServiceCategory")? == 0
        && !found.to.is_empty()
        && !found.body.is_empty();
    is_plain.then_some(found)
}

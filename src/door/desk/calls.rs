//! The desk's own calls, and where their answers go.

use super::{Desk, Look, names::*};
use crate::door::{
    header::{Head, Kind},
    inbound::Side,
    wire::Message,
};

/// Why the desk made a call.
#[derive(Debug)]
pub(super) enum Purpose {
    Owner(&'static str),
    Switch,
    Lines,
    /// Those after a number.
    Inbox {
        after: u32,
    },
    /// For the app's call with this serial, which reads one of our objects.
    Content {
        call: u32,
        path: String,
    },
    Sent,
    /// SMS that were shown as instant messages.
    Twins,
    /// The modem's `Messages`, for telling what came and went.
    Messages {
        modem: String,
    },
    /// Of the held Send with this serial.
    Where(u32),
    Text(u32),
    Ask(u32),
    Divert(u32),
    /// The app's Delete with this serial, of one of our objects.
    Delete {
        call: u32,
        path: String,
    },
    /// An incoming SMS that may be a twin.
    TwinText(String),
    Twin(String),
    /// The same for oFono's signal with this serial.
    TwinByOfono(u32),
    /// The answer tells nothing.
    Forget,
}

/// A question of which one is under way at a time.
#[derive(Default)]
pub(super) struct Asking {
    open: bool,
    again: bool,
}

impl Asking {
    /// Whether it is to be asked now; else it will be again.
    pub(super) fn begin(&mut self) -> bool {
        self.again = self.open;
        !std::mem::replace(&mut self.open, true)
    }

    /// It was answered; whether it is to be asked again.
    pub(super) fn end(&mut self) -> bool {
        self.open = false;
        std::mem::take(&mut self.again)
    }
}

impl Purpose {
    /// Of which of the app's calls it is.
    fn call(&self) -> Option<u32> {
        match self {
            Self::Where(call) | Self::Text(call) | Self::Ask(call) | Self::Divert(call) => Some(*call),
            Self::Content { call, .. } | Self::Delete { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// Whether it is about whether to show an incoming SMS.
    fn judges(&self, shown: &str) -> bool {
        matches!(self, Self::TwinText(sms) | Self::Twin(sms) if sms == shown)
    }
}

impl Desk {
    /// An answer to a call of the desk's; one that nobody waits for any more is passed over, and so is what another says
    /// than those who were asked.
    pub(super) fn own_answered(&mut self, message: &Message<'_>) {
        let by = Some(message.head.sender);
        let asked = by == Some(BUS) || [&self.core, &self.mm, &self.ofono].iter().any(|owner| owner.as_deref() == by);
        let purpose = if asked { self.calls.remove(&message.head.reply_serial) } else { None };
        if let Some(purpose) = purpose {
            self.answered(purpose, message);
            self.settle();
        }
    }

    /// A call of the app's is answered: nothing more is to be found out for it.
    pub(super) fn forget_call(&mut self, call: u32) {
        self.calls.retain(|_, purpose| purpose.call() != Some(call));
    }

    pub(super) fn forget_judging(&mut self, sms: &str) {
        self.calls.retain(|_, purpose| !purpose.judges(sms));
    }

    /// What is too long to be looked into passes; who waits for it goes on without.
    pub(super) fn pass_by(&mut self, side: Side, head: &Head<'_>) -> Look {
        if side == Side::Bus {
            self.tracked.remove(&head.reply_serial);
            self.own_answered(&Message { head: Head { kind: Kind::Error, error: "", ..*head }, bytes: &[] });
        }
        Look::Pass
    }

    fn answered(&mut self, purpose: Purpose, message: &Message<'_>) {
        match purpose {
            Purpose::Owner(name) => self.owner(name, message.body().map(|(owner,): (String,)| owner)),
            Purpose::Switch => self.found_switch(message),
            Purpose::Lines => self.found_lines(message),
            Purpose::Inbox { after } => self.found_inbox(after, message),
            Purpose::Content { call, path } => self.found_content(call, &path, message),
            Purpose::Sent => self.found_sent(message),
            Purpose::Twins => self.found_twins(message),
            Purpose::Messages { modem } => self.announce(&modem, message),
            Purpose::Where(call) => self.found_where(call, message),
            Purpose::Text(call) => self.found_text(call, message),
            Purpose::Ask(call) => self.asked(call, message),
            Purpose::Divert(call) => self.diverted(call, message),
            Purpose::Delete { call, path } => self.deleted(call, &path, message),
            Purpose::TwinText(sms) => self.found_twin_text(&sms, message),
            Purpose::Twin(sms) => self.found_twin(&sms, message),
            Purpose::TwinByOfono(serial) => self.found_twin_by_ofono(serial, message),
            Purpose::Forget => {}
        }
    }
}

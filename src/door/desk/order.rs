//! Calls that would change a text whose Send is held: ModemManager is to get them after it, as the app said them.
//!
//! They are those that name its object and do something with it. Reading it passes, as ModemManager answers that while
//! it sends; so do other texts, calls, and all that is said to others. oFono's messages have no name until the app has
//! its answer, so none of its calls can be about one that is held.

use super::{
    Action, Desk,
    held::{Held, NO_REPLY},
    names::*,
    objects::sms_number,
    rewrite::Tracked,
};
use crate::door::{header::Head, wire::Message};
use zbus::OwnedObjectPath;

/// Bytes of calls that wait behind held Sends: with so many, the app itself waits.
pub(super) const MOST_BEHIND: usize = 64 * 1024;

/// Whether it is a call that changes a text of ModemManager's, by its header.
pub(super) fn changes_text(head: &Head<'_>) -> bool {
    let of = |interface: &str| head.interface.is_empty() || head.interface == interface;
    match head.member {
        "Send" | "Store" => of(SMS) && sms_number(head.path).is_some(),
        "Delete" => of(MESSAGING) && head.path.starts_with(MODEM_PATH),
        _ => false,
    }
}

/// The object of the text that a call changes.
fn changed(message: &Message<'_>) -> Option<String> {
    match message.head.member {
        _ if !changes_text(&message.head) => None,
        "Delete" => message.body().map(|(sms,): (OwnedObjectPath,)| sms.to_string()),
        _ => Some(message.head.path.to_owned()),
    }
}

impl Desk {
    /// Has a call wait for the Send that it must not overtake, if there is one.
    pub(super) fn wait_behind(&mut self, message: &Message<'_>) -> Option<()> {
        let sms = changed(message)?;
        let owner = &self.mm;
        let before = |held: &&mut Held| held.until.is_some() && held.sms.as_ref() == Some(&sms) && held.owner == *owner;
        let held = self.held.values_mut().find(before)?;
        held.behind.push(message.bytes.to_vec());
        Some(())
    }

    /// Whether a Send is held that such a call might have to wait for.
    pub(super) fn may_wait_behind(&self, head: &Head<'_>) -> bool {
        changes_text(head) && self.held.values().any(|held| held.sms.is_some())
    }

    pub(super) fn behind(&self) -> usize {
        self.held.values().flat_map(|held| &held.behind).map(Vec::len).sum()
    }

    /// Whether the object that a held Send is for went with its ModemManager: its number may be another text's by now.
    pub(super) fn is_gone(&self, held: &Held) -> bool {
        held.sms.is_some() && held.owner != self.mm
    }

    /// A held Send has its answer, or has passed: what waited behind it goes on, as if it were said now.
    pub(super) fn go_on(&mut self, behind: Vec<Vec<u8>>, gone: bool) {
        for bytes in behind {
            let Some(message) = Message::read(&bytes) else { continue };
            let head = &message.head;
            if gone {
                if !head.no_reply {
                    self.refuse(head.serial, head.destination, NO_REPLY, Some(GONE.to_owned()));
                }
            } else if self.app_said(&message).is_none() {
                if !head.no_reply {
                    self.tracked.insert(head.serial, Tracked::Passed);
                }
                self.out.push(Action::ToBus(bytes));
            }
        }
    }
}

/// What the app is told of a call to an object that is gone.
pub(super) const GONE: &str = "ModemManager restarted, and this message is gone with it";

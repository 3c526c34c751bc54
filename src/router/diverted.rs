//! Texts that an app wrote to the modem service and that were diverted to us: their plain SMS is
//! somebody else's to send.
//!
//! Whoever diverted it (the app's door, a ROM's agent) waits for the outcome. While it waits, a text
//! of which provably nothing left is never sent as SMS by us: it ends `Released`, and the other sends
//! its own. Provably nothing left: no IM was committed, or the peer said under seal that it was not
//! shown and never will be; and no SMS of ours was issued that might have gone. Where the IM's outcome
//! stays unknown we send the marked SMS ourselves, since only we can make the mark. So the other is
//! never told to send after an IM that may have been shown.
//!
//! What becomes of it when processes die:
//!
//! | the core dies | and after its start |
//! | --- | --- |
//! | before the text is committed | it was never here: asked again, it is a new text |
//! | committed, nothing left | `Released` at once: the other is told so if it asks again with the same token; if not, it told its app that the outcome is unknown, and nothing was sent |
//! | IM committed, outcome unknown | revoked as ever. Shown: `ImDelivered`. Not shown: `Released`. No answer: our marked SMS |
//! | our marked SMS made or issued | as any SMS of ours |
//! | settled, the answer lost | the record, or the token of a released one, answers the same again |
//!
//! The other dies while we live: its text is ours from then on ([`Router::take_over`]), as a modem
//! service goes on sending for an app that left. A held text is ours too: nobody waits for a user's
//! decision with a call open; its app is told that it may still arrive.

use super::Router;
use super::input::Action;
use super::mark::split_mark;
use super::outgoing::{conversation, twin_possible};
use crate::model::{Now, Reason, State, Text, TextId};

/// Whether its SMS, if it were sent now, would be the other's.
pub(super) fn is_theirs(text: &Text) -> bool {
    text.diverted.as_ref().is_some_and(|diverted| diverted.waits)
        && !twin_possible(text)
        && !text.cancelled
        && text.sms.as_ref().is_none_or(|sms| !sms.issued)
        // What ends like a mark needs one of its own, which the other would not add.
        && split_mark(&text.body.0).is_none()
}

impl Router {
    pub(super) fn is_theirs(&self, id: TextId) -> bool {
        self.texts.get(&id).is_some_and(|pending| is_theirs(&pending.text))
    }

    /// Lets go of it, for the other to send.
    pub(super) fn release(&mut self, id: TextId, reason: Reason, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.text.reason = reason;
        // An object that was made for it and never sent.
        if let Some(sms) = pending.text.sms.take() {
            out.push(Action::SmsDelete { line: Some(pending.text.line.clone()), sms });
        }
        self.end(id, State::Released);
    }

    /// By SMS: the other's, or ours.
    pub(super) fn by_sms(&mut self, now: Now, id: TextId, reason: Reason, out: &mut Vec<Action>) {
        if !self.is_theirs(id) {
            return self.start_sms(id, reason, out);
        }
        self.release(id, reason, out);
        if let Some(to) = self.texts.get(&id).map(|pending| conversation(&pending.text)) {
            self.pump(now, &to, out);
        }
    }

    /// Whoever diverted it is gone: from now on it is a text like any other.
    pub fn take_over(&mut self, id: TextId) -> Vec<Action> {
        if let Some(diverted) = self.texts.get_mut(&id).and_then(|pending| pending.text.diverted.as_mut()) {
            diverted.waits = false;
            self.save(id);
        }
        self.finish(Vec::new())
    }
}

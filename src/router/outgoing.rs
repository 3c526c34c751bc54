//! One text's way from `Queued` to a final state (protocol.md §1).

use super::input::{Action, Class, Conditions, Link};
use super::policy::{Verdict, decide};
use super::{PROBE_BUDGET, Pending, Router, Timer};
use crate::model::{Address, Now, Reason, State, Text, TextId};

/// Why a user's wish can't be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is settled, or unknown.
    #[error("that text is settled; nothing can be changed any more")]
    Settled,
    /// The modem has it.
    #[error("the SMS is already with the modem; it can't be taken back")]
    WithModem,
    /// It waits for no decision.
    #[error("that text waits for no decision; only a held one can be resolved")]
    NotHeld,
}

/// Whom a text goes to, as conversations name it.
pub(super) fn conversation(text: &Text) -> Address {
    text.peer.as_ref().map_or_else(|| text.to.clone(), |peer| Address(peer.as_e164().into()))
}

/// Whether its IM may have been shown: an SMS for it needs the mark, and it must not end `Failed`.
pub(super) fn twin_possible(text: &Text) -> bool {
    text.im.is_some_and(|im| !im.not_shown)
}

impl Router {
    pub(super) fn submit(&mut self, now: Now, text: Text, class: Class, out: &mut Vec<Action>) {
        let id = text.id;
        let to = conversation(&text);
        let mut pending = Pending::new(text, class);
        if class == Class::Emergency {
            self.texts.insert(id, pending);
            return self.start_sms(id, Reason::Emergency, out);
        }
        pending.handed_over = Some(now.mono);
        self.texts.insert(id, pending);
        self.conversations.push(&to, id);
        self.save(id);
        self.pump(now, &to, out);
    }

    pub(super) fn restore(&mut self, now: Now, texts: Vec<(Text, Class)>, out: &mut Vec<Action>) {
        let mut conversations = Vec::new();
        for (text, class) in texts {
            let (id, to, state) = (text.id, conversation(&text), text.state);
            let mut pending = Pending::new(text, class);
            pending.handed_over = Some(now.mono);
            self.texts.insert(id, pending);
            if let State::Held(_) = state {
                self.conversations.hold(&to, id);
            } else {
                self.conversations.push(&to, id);
            }
            conversations.push(to.clone());
            // An im-only text waits for its peer, whoever asks again.
            if self.is_theirs(id) && !self.im_only(id) {
                // Whoever waited for it asks again, or has told its app that it can't know.
                self.release(id, Reason::Unknown, out);
                continue;
            }
            match state {
                // Whatever was under way when the process ended has an unknown outcome.
                State::ImSending | State::ImAccepted => self.outcome_unknown(now, id, out),
                State::Revoking if !self.conditions.on => self.fall_back(now, id, out),
                State::Revoking => self.start_revoke(now, id, out),
                State::SmsSending => self.resume_sms(now, id, out),
                _ => {}
            }
        }
        for to in conversations {
            self.pump(now, &to, out);
            self.held_later(now, &to);
        }
    }

    /// Moves the conversation's head along as far as it goes without waiting.
    pub(super) fn pump(&mut self, now: Now, to: &Address, out: &mut Vec<Action>) {
        while let Some(id) = self.conversations.head(to) {
            let Some(pending) = self.texts.get_mut(&id) else {
                self.conversations.remove(to, id);
                continue;
            };
            if pending.text.state != State::Queued {
                return;
            }
            let decide_by = *pending.decide_by.get_or_insert(now.mono.plus(PROBE_BUDGET));
            match self.verdict(now, id) {
                Verdict::Im { lease } => return self.start_im(now, id, lease, out),
                // An IM of unknown outcome went before: the fallback policy has its say.
                Verdict::Sms { .. } if self.falls_back(id) => return self.fall_back(now, id, out),
                Verdict::Sms { reason } if self.is_theirs(id) => self.release(id, reason, out),
                Verdict::Sms { reason } => return self.start_sms(id, reason, out),
                Verdict::Hold { question, reason } => self.hold(now, id, question, reason, out),
                Verdict::Wait => return self.timers.set(Timer::Text(id), decide_by),
                Verdict::Probe => {
                    self.timers.set(Timer::Text(id), decide_by);
                    if let Some(peer) = self.texts.get(&id).and_then(|pending| pending.text.peer.clone()) {
                        self.start_probe(now, &peer, out);
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn verdict(&self, now: Now, id: TextId) -> Verdict {
        let Some(pending) = self.texts.get(&id) else { return Verdict::Sms { reason: Reason::Unknown } };
        let mut facts = self.facts_of(now, pending);
        facts.ordinal = pending.text.ordinal;
        facts.asked = pending.handed_over;
        facts.patient = pending.decide_by.is_none_or(|by| by > now.mono);
        decide(&facts)
    }

    pub(super) fn text_due(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        match pending.text.state {
            State::Queued => self.pump(now, &conversation(&pending.text), out),
            State::ImSending | State::ImAccepted => self.outcome_unknown(now, id, out),
            State::Revoking => self.fall_back(now, id, out),
            State::SmsSending if !pending.at_modem => {
                let reason = pending.text.reason;
                self.by_sms(now, id, reason, out);
            }
            _ => {}
        }
    }

    /// The switch, the link, a setting or the network changed.
    pub(super) fn conditions_changed(&mut self, now: Now, new: Conditions, out: &mut Vec<Action>) {
        let old = std::mem::replace(&mut self.conditions, new);
        if old == new {
            return;
        }
        if (old.link == Link::Up && new.link != Link::Up) || (old.on && !new.on) {
            self.presence.forget_all();
        }
        for to in self.conversations.all() {
            if let Some(id) = self.conversations.head(&to) {
                self.head_under(now, id, &old, out);
            }
            self.wake(now, &to, out);
            if new.link == Link::Up && old.link != Link::Up {
                self.held_due(now, &to, out);
            }
        }
        if new.link == Link::Up && old.link != Link::Up {
            for peer in self.presence.watched() {
                self.watch(now, peer, out);
            }
        }
    }

    /// What a change of conditions means for a text that is under way.
    pub(super) fn head_under(&mut self, now: Now, id: TextId, old: &Conditions, out: &mut Vec<Action>) {
        let new = self.conditions;
        let im_may_go = self.im_may_go(now, id);
        let Some(pending) = self.texts.get_mut(&id) else { return };
        match pending.text.state {
            State::ImSending | State::ImAccepted | State::Revoking if old.on && !new.on => self.fall_back(now, id, out),
            State::ImSending | State::ImAccepted if old.link == Link::Up && new.link != Link::Up => {
                self.outcome_unknown(now, id, out);
            }
            State::Revoking if new.link == Link::Up && !pending.revoke_sent => {
                pending.revoke_sent = true;
                if !pending.text.cancelled && im_may_go {
                    // Under a lease that still lives it is shown, and the revoke is answered "shown".
                    out.push(Action::Resend(id));
                }
                out.push(Action::Revoke(id));
            }
            _ => {}
        }
    }

    /// Takes a text back, as far as that is still possible.
    pub fn cancel(&mut self, now: Now, id: TextId) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        let pending = self.texts.get_mut(&id).ok_or(Refused::Settled)?;
        match pending.text.state {
            State::ImSending | State::ImAccepted => {
                pending.text.cancelled = true;
                self.start_revoke(now, id, &mut out);
            }
            State::Revoking => {
                pending.text.cancelled = true;
                self.save(id);
            }
            State::SmsSending if pending.text.sms.is_some() || pending.class == Class::Emergency => {
                return Err(Refused::WithModem);
            }
            State::SmsSending if pending.at_modem => {
                pending.text.cancelled = true;
                pending.cancel_sms = true;
                self.save(id);
            }
            _ => self.settle_without_sms(now, id, &mut out),
        }
        Ok(self.finish(out))
    }

    /// Ends a text's work here and lets the next one go.
    pub(super) fn settle(&mut self, now: Now, id: TextId, end: State, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        let to = conversation(&pending.text);
        self.end(id, end);
        self.pump(now, &to, out);
    }

    /// Ends a text's work here.
    pub(super) fn end(&mut self, id: TextId, end: State) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.text.state = end;
        pending.at_modem = false;
        self.conversations.remove(&conversation(&pending.text), id);
        self.timers.clear(&Timer::Text(id));
        self.save(id);
    }

    /// Marks the record to be stored once, as it is at the end of this input.
    pub(super) fn save(&mut self, id: TextId) {
        if !self.dirty.contains(&id) {
            self.dirty.push(id);
        }
    }

    /// Puts the records to be stored before all else, and lets go of settled texts.
    pub(super) fn finish(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut out = Vec::with_capacity(actions.len() + self.dirty.len());
        let (now, later): (Vec<_>, Vec<_>) = actions.into_iter().partition(|a| matches!(a, Action::SmsNow(_)));
        out.extend(now);
        for id in std::mem::take(&mut self.dirty) {
            if let Some(pending) = self.texts.get_mut(&id) {
                out.push(Action::Save(Box::new(pending.text.clone())));
                if pending.told.replace(pending.text.state) != Some(pending.text.state) {
                    out.push(Action::Announce(Box::new(pending.text.clone())));
                }
                if pending.text.state.is_final() {
                    self.texts.remove(&id);
                }
            }
        }
        out.extend(later);
        out
    }
}

/// News about a text that is settled and no longer in the router's hands: returns whether the
/// record changed.
#[must_use]
pub fn refine(text: &mut Text, news: Late) -> bool {
    let refined = match (news, text.state) {
        (Late::Shown { read: true }, State::ImDelivered) => State::ImRead,
        (Late::Shown { read }, State::Uncertain(_)) if text.im.is_some() => {
            if read {
                State::ImRead
            } else {
                State::ImDelivered
            }
        }
        (Late::SmsDelivered, State::SmsSent) => State::SmsDelivered,
        (Late::SmsDelivered, State::Uncertain(_)) if text.sms.is_some() => State::SmsDelivered,
        _ => return false,
    };
    text.state = refined;
    true
}

/// What may still become known of a settled text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// The peer's sealed word that it was shown.
    Shown {
        /// And read.
        read: bool,
    },
    /// The SMS's status report.
    SmsDelivered,
}

impl Pending {
    fn new(text: Text, class: Class) -> Self {
        Self {
            text,
            class,
            handed_over: None,
            decide_by: None,
            before_im: None,
            revoke_sent: false,
            at_modem: false,
            cancel_sms: false,
            shown: false,
            told: None,
        }
    }
}

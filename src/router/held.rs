//! Texts that wait for their peer or for the user, beside the queue.

use super::input::Action;
use super::outgoing::{Refused, conversation, twin_possible};
use super::policy::Verdict;
use super::{Router, Timer};
use crate::model::{Address, Bearer, Now, Question, Reason, State, TextId};
use std::time::Duration;

/// Between probes for held texts: from a minute to an hour.
const HELD_LEAST: Duration = Duration::from_secs(60);
const HELD_DOUBLINGS: u32 = 6;

impl Router {
    pub(super) fn hold_and_pump(&mut self, now: Now, id: TextId, question: Question, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        let (to, reason) = (conversation(&pending.text), pending.text.reason);
        self.hold(now, id, question, reason, out);
        self.pump(now, &to, out);
    }

    pub(super) fn hold(&mut self, now: Now, id: TextId, question: Question, reason: Reason, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.text.state = State::Held(question);
        pending.text.reason = reason;
        pending.decide_by = None;
        if let Some(diverted) = &mut pending.text.diverted {
            diverted.waits = false;
        }
        let to = conversation(&pending.text);
        self.timers.clear(&Timer::Text(id));
        self.conversations.hold(&to, id);
        self.save(id);
        out.push(Action::Ask(id, question));
        self.held_later(now, &to);
    }

    /// Whether a text of this conversation is under way by one bearer or the other.
    fn busy(&self, to: &Address) -> bool {
        let head = self.conversations.head(to).and_then(|id| self.texts.get(&id));
        head.is_some_and(|pending| pending.text.state != State::Queued)
    }

    pub(super) fn requeue(&mut self, to: &Address, id: TextId, behind: usize) {
        if let Some(pending) = self.texts.get_mut(&id) {
            pending.text.state = State::Queued;
            pending.decide_by = None;
            self.conversations.unhold(to, id, behind);
        }
    }

    /// Held texts that wait for their peer make it be asked again, ever more rarely.
    pub(super) fn held_later(&mut self, now: Now, to: &Address) {
        let waits = self.conversations.held(to).iter().any(|id| {
            self.texts.get(id).is_some_and(|pending| pending.text.state == State::Held(Question::PeerOffline))
        });
        if waits {
            let tries = self.conversations.held_try(to).min(HELD_DOUBLINGS);
            let pause = HELD_LEAST.saturating_mul(1 << tries);
            self.timers.set(Timer::Held(to.clone()), now.mono.plus(pause));
        }
    }

    pub(super) fn held_due(&mut self, now: Now, to: &Address, out: &mut Vec<Action>) {
        let held = self.conversations.held(to);
        for id in &held {
            if let Some(pending) = self.texts.get_mut(id) {
                pending.handed_over = Some(now.mono);
            }
        }
        let waiting = held.into_iter().find(|id| matches!(self.verdict(now, *id), Verdict::Probe));
        if let Some(peer) = waiting.and_then(|id| self.texts.get(&id)).and_then(|pending| pending.text.peer.clone()) {
            self.start_probe(now, &peer, out);
        }
        self.held_later(now, to);
    }

    /// The peer may be reachable, or the user decided: held texts go first, then the queue.
    pub(super) fn wake(&mut self, now: Now, to: &Address, out: &mut Vec<Action>) {
        let mut behind = usize::from(self.busy(to));
        for id in self.conversations.held(to) {
            let waits_for_peer = self.texts.get(&id).is_some_and(|pending| {
                matches!(pending.text.state, State::Held(Question::PeerOffline | Question::KeyChanged))
            });
            if waits_for_peer && !matches!(self.verdict(now, id), Verdict::Hold { .. } | Verdict::Probe | Verdict::Wait)
            {
                self.requeue(to, id, behind);
                behind += 1;
            }
        }
        self.pump(now, to, out);
    }

    /// The user's decision about a held text.
    pub fn resolve(&mut self, now: Now, id: TextId, bearer: Bearer) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        let pending = self.texts.get_mut(&id).ok_or(Refused::Settled)?;
        let State::Held(question) = pending.text.state else { return Err(Refused::NotHeld) };
        let to = conversation(&pending.text);
        pending.text.only = Some(bearer);
        pending.handed_over = Some(now.mono);
        let ask_first = bearer == Bearer::Sms && question == Question::PeerOffline && twin_possible(&pending.text);
        let under_way = self.busy(&to);
        self.requeue(&to, id, usize::from(under_way));
        self.save(id);
        if ask_first && !under_way && self.conditions.on {
            self.start_revoke(now, id, &mut out);
        } else {
            self.pump(now, &to, &mut out);
        }
        Ok(self.finish(out))
    }
}

//! A text's way by IM: sealed, answered, or unknown and revoked (protocol.md §1).

use super::input::{Action, Conditions, Link};
use super::outgoing::{conversation, twin_possible};
use super::policy::{Verdict, decide};
use super::{REVOKE_BUDGET, Router, Timer};
use crate::model::{Bearer, Cause, FallbackPolicy, ImAttempt, LeaseId, Now, Question, Reason, State, TextId};

impl Router {
    pub(super) fn start_im(&mut self, now: Now, id: TextId, lease: LeaseId, out: &mut Vec<Action>) {
        let due = now.mono.plus(self.conditions.fallback_after);
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.before_im = pending.text.im.replace(ImAttempt { lease, at: now.wall, not_shown: false });
        pending.text.state = State::ImSending;
        pending.text.reason = Reason::Online;
        self.timers.set(Timer::Text(id), due);
        self.save(id);
        out.push(Action::SealText(id));
    }

    /// The session could not seal it: nothing left under this lease, which is worth nothing.
    pub(super) fn not_sealed(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        if pending.text.state != State::ImSending {
            return;
        }
        pending.text.im = pending.before_im.take();
        pending.text.state = State::Queued;
        pending.decide_by = Some(now.mono);
        let (to, peer) = (conversation(&pending.text), pending.text.peer.clone());
        if let Some(peer) = peer {
            self.presence.forget(&peer, now.mono);
        }
        self.pump(now, &to, out);
    }

    /// Told to the apps but not stored: nothing depends on it, and a commit costs energy.
    pub(super) fn accepted(&mut self, id: TextId, out: &mut Vec<Action>) {
        if let Some(pending) = self.texts.get_mut(&id).filter(|pending| pending.text.state == State::ImSending) {
            pending.text.state = State::ImAccepted;
            pending.told = Some(State::ImAccepted);
            out.push(Action::Announce(Box::new(pending.text.clone())));
        }
    }

    /// An IM under way is unknown from now on: ask the peer, or wait for it where no SMS is allowed.
    pub(super) fn outcome_unknown(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        if !matches!(pending.text.state, State::ImSending | State::ImAccepted) {
            return;
        }
        if !self.conditions.on {
            return self.fall_back(now, id, out);
        }
        if self.im_only(id) && !pending.text.cancelled {
            // The same envelope id may go again under a new lease: a revoke would forbid that.
            return self.hold_and_pump(now, id, Question::PeerOffline, out);
        }
        self.start_revoke(now, id, out);
    }

    pub(super) fn start_revoke(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let up = self.conditions.link == Link::Up;
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.text.state = State::Revoking;
        pending.revoke_sent = up;
        self.timers.set(Timer::Text(id), now.mono.plus(REVOKE_BUDGET));
        self.save(id);
        if up {
            out.push(Action::Revoke(id));
        }
    }

    pub(super) fn receipt(&mut self, now: Now, id: TextId, read: bool, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id).filter(|pending| pending.text.im.is_some()) else { return };
        if let Some(peer) = &pending.text.peer {
            self.presence.texted(peer);
        }
        if pending.text.state == State::SmsSending {
            pending.shown = true;
            if pending.text.sms.is_some() {
                return; // Send is issued: its outcome decides.
            }
            if pending.at_modem {
                pending.cancel_sms = true; // The object is being made: delete it when it exists.
                return;
            }
        }
        self.settle(now, id, if read { State::ImRead } else { State::ImDelivered }, out);
    }

    pub(super) fn revoke_answer(&mut self, now: Now, id: TextId, shown: bool, out: &mut Vec<Action>) {
        if shown {
            return self.receipt(now, id, false, out);
        }
        let Some(pending) = self.texts.get_mut(&id) else { return };
        let Some(im) = &mut pending.text.im else { return };
        match pending.text.state {
            State::ImSending | State::ImAccepted | State::Revoking => {
                im.not_shown = true;
                self.fall_back(now, id, out);
            }
            // Too late for this attempt's mark, in time for the next one.
            State::SmsSending if !pending.at_modem => {
                im.not_shown = true;
                self.save(id);
            }
            State::Held(_) | State::Queued => {
                im.not_shown = true;
                self.save(id);
            }
            _ => {}
        }
    }

    /// No receipt will settle it: by SMS, if the policy lets it.
    pub(super) fn fall_back(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        let unknown = twin_possible(&pending.text);
        if pending.text.cancelled {
            let end = if unknown { State::Uncertain(Cause::Cancelled) } else { State::Failed(Cause::Cancelled) };
            return self.settle(now, id, end, out);
        }
        let told_to = pending.text.only == Some(Bearer::Sms);
        let roaming = self.conditions.roaming;
        if self.im_only(id) {
            return self.hold_and_pump(now, id, Question::FallbackUnknown, out);
        }
        match self.conditions.fallback {
            _ if told_to => {}
            FallbackPolicy::Never if unknown => return self.settle(now, id, State::Uncertain(Cause::NoReceipt), out),
            FallbackPolicy::Never => return self.settle(now, id, State::Failed(Cause::NoReceipt), out),
            FallbackPolicy::Ask => return self.hold_and_pump(now, id, Question::FallbackUnknown, out),
            FallbackPolicy::NotRoaming if roaming => {
                return self.hold_and_pump(now, id, Question::FallbackRoaming, out);
            }
            FallbackPolicy::NotRoaming | FallbackPolicy::Always => {}
        }
        let reason = match self.conditions {
            Conditions { on: false, .. } => Reason::SwitchOff,
            Conditions { link: Link::Up, .. } => Reason::RegisteredOffline,
            _ => Reason::LinkDown,
        };
        self.by_sms(now, id, reason, out);
    }

    /// Whether an SMS for it now would be a fallback that the user has not asked for.
    pub(super) fn falls_back(&self, id: TextId) -> bool {
        let text = self.texts.get(&id).map(|pending| &pending.text);
        text.is_some_and(|text| twin_possible(text) && text.only != Some(Bearer::Sms))
    }

    /// Whether nothing but the peer's absence stands in the way of an IM.
    pub(super) fn im_may_go(&self, now: Now, id: TextId) -> bool {
        let Some(pending) = self.texts.get(&id) else { return false };
        let mut facts = self.facts_of(now, pending);
        facts.ordinal = pending.text.ordinal;
        facts.asked = Some(now.mono);
        matches!(decide(&facts), Verdict::Im { .. } | Verdict::Probe | Verdict::Wait)
    }

    pub(super) fn im_only(&self, id: TextId) -> bool {
        self.texts.get(&id).is_some_and(|pending| self.facts_of(Now::default(), pending).im_only())
    }
}

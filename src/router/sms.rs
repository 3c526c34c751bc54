//! A text's way by SMS: not idempotent, so every step is committed before the next (protocol.md §1).

use super::input::{Action, Class, SmsOutcome};
use super::outgoing::twin_possible;
use super::{Router, Timer};
use crate::model::{Cause, LineId, Now, Reason, SmsAttempt, State, TextId};
use std::time::Duration;

/// Pauses before an SMS that provably left nothing is tried again; after the last it has failed.
const SMS_RETRIES: &[Duration] = &[
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(40),
    Duration::from_secs(120),
];

fn delete(line: &LineId, sms: SmsAttempt) -> Action {
    Action::SmsDelete { line: Some(line.clone()), sms }
}

impl Router {
    pub(super) fn resume_sms(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        match pending.text.sms.take() {
            Some(sms) if sms.issued => {
                pending.text.sms = Some(sms);
                pending.at_modem = true;
                out.push(Action::SmsProve(id));
            }
            unsent => {
                let line = pending.text.line.clone();
                out.extend(unsent.map(|sms| delete(&line, sms)));
                if pending.text.cancelled {
                    // Taken back while its object was being made.
                    return self.settle_without_sms(now, id, out);
                }
                let reason = pending.text.reason;
                self.start_sms(id, reason, out);
            }
        }
    }

    pub(super) fn start_sms(&mut self, id: TextId, reason: Reason, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        pending.text.state = State::SmsSending;
        pending.text.reason = reason;
        pending.at_modem = true;
        let marked = twin_possible(&pending.text);
        out.push(match pending.class {
            Class::Emergency => Action::SmsNow(Box::new(pending.text.clone())),
            _ => Action::SmsCreate { id, marked },
        });
        self.timers.clear(&Timer::Text(id));
        self.save(id);
    }

    pub(super) fn sms_outcome(&mut self, now: Now, id: TextId, outcome: SmsOutcome, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id).filter(|pending| pending.at_modem) else {
            // Settled meanwhile (a late receipt, a cancel): the object is an orphan.
            if let SmsOutcome::Prepared(attempt) = outcome {
                out.push(Action::SmsDelete { line: None, sms: attempt });
            }
            return;
        };
        match outcome {
            SmsOutcome::Prepared(mut attempt) => {
                if pending.cancel_sms {
                    out.push(delete(&pending.text.line, attempt));
                    return self.settle_without_sms(now, id, out);
                }
                attempt.issued = true;
                pending.text.sms = Some(attempt);
                let sent_already = pending.class == Class::Emergency;
                self.save(id);
                if !sent_already {
                    out.push(Action::SmsSend(id));
                }
            }
            SmsOutcome::Sent { references } => {
                if let Some(sms) = &mut pending.text.sms {
                    sms.references = references;
                    out.push(delete(&pending.text.line, sms.clone()));
                }
                self.settle(now, id, State::SmsSent, out);
            }
            SmsOutcome::Later(cause) => self.sms_later(now, id, cause, out),
            SmsOutcome::Never(cause) => {
                out.extend(pending.text.sms.take().map(|sms| delete(&pending.text.line, sms)));
                self.sms_failed(now, id, cause, out);
            }
            SmsOutcome::Unknown(cause) => {
                let end = if pending.shown { State::ImDelivered } else { State::Uncertain(cause) };
                self.settle(now, id, end, out);
            }
            SmsOutcome::Delivered => {}
        }
    }

    pub(super) fn sms_later(&mut self, now: Now, id: TextId, cause: Cause, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get_mut(&id) else { return };
        out.extend(pending.text.sms.take().map(|sms| delete(&pending.text.line, sms)));
        let pause = SMS_RETRIES.get(usize::from(pending.text.retries)).copied();
        if pending.shown || pending.cancel_sms {
            return self.settle_without_sms(now, id, out);
        }
        let Some(pause) = pause else { return self.sms_failed(now, id, cause, out) };
        pending.text.retries += 1;
        pending.at_modem = false;
        self.timers.set(Timer::Text(id), now.mono.plus(pause));
        self.save(id);
    }

    pub(super) fn sms_failed(&mut self, now: Now, id: TextId, cause: Cause, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        let end = match () {
            () if pending.shown => State::ImDelivered,
            () if twin_possible(&pending.text) => State::Uncertain(cause),
            () => State::Failed(cause),
        };
        self.settle(now, id, end, out);
    }

    /// The SMS is not wanted any more, and provably did not leave.
    pub(super) fn settle_without_sms(&mut self, now: Now, id: TextId, out: &mut Vec<Action>) {
        let Some(pending) = self.texts.get(&id) else { return };
        let end = match () {
            () if pending.shown => State::ImDelivered,
            () if twin_possible(&pending.text) => State::Uncertain(Cause::Cancelled),
            () => State::Failed(Cause::Cancelled),
        };
        self.settle(now, id, end, out);
    }
}

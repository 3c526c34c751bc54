//! Texts that apps wrote to the modem service, diverted by their doors (`router::diverted` has the rules).

use super::Core;
use super::turn::{Effect, ModemJob, Turn};
use crate::bus::{Caller, DoorOutcome, Error, Reply, Settlement};
use crate::model::{Address, Body, Diverted, Line, LineId, Now, Reason, State, Text, TextId};
use crate::modem::SmsObject;
use crate::router::{Class, Verdict, split_mark};
use crate::store::StoreError;
use std::collections::{HashMap, HashSet, VecDeque};

/// A caller, and where it waits for its answer.
type Waiter = (Box<str>, Reply<Settlement>);

/// The doors that are there, and those that wait for an outcome.
#[derive(Default)]
pub(super) struct Doors {
    there: HashSet<Box<str>>,
    /// Twins that the modem service may have still, oldest first.
    twins: VecDeque<Twin>,
    waiting: HashMap<TextId, Vec<Waiter>>,
}

/// Twins that are remembered; before more come, a door has come.
const TWINS: usize = 256;

/// An incoming SMS whose text was shown as an instant message.
struct Twin {
    line: LineId,
    sms: SmsObject,
    /// The modem was told to delete it.
    deleted: bool,
}

/// What a text's state means to who diverted it; `None` while that is open.
fn settlement(text: &Text) -> Option<Result<Settlement, Error>> {
    let as_it_is = |outcome| Settlement { outcome, reason: text.reason, id: Some(text.id) };
    Some(match text.state {
        State::ImDelivered | State::ImRead => Ok(as_it_is(DoorOutcome::Im)),
        State::SmsSent | State::SmsDelivered => Ok(as_it_is(DoorOutcome::SmsSent)),
        State::Released => Ok(Settlement::theirs(text.reason)),
        State::Failed(cause) => Err(Error::Failed(cause.token())),
        State::Uncertain(_) | State::Held(_) => Err(Error::Uncertain),
        State::Queued | State::ImSending | State::ImAccepted | State::Revoking | State::SmsSending => return None,
    })
}

impl Core {
    /// A door showed itself; it stays until its caller is gone. Its app is not shown twins: those that wait go.
    pub(super) fn door_came(&mut self, turn: &mut Turn<'_, '_>, caller: Caller) {
        self.doors.there.insert(caller.name);
        self.delete_twins(turn);
    }

    /// A twin came in. A door hides it from its app; for other apps it would be the only copy, so it stays in the
    /// modem while there is no door.
    pub(super) fn twin_came(&mut self, turn: &mut Turn<'_, '_>, line: LineId, sms: SmsObject) {
        let twins = &mut self.doors.twins;
        if !twins.iter().any(|twin| twin.sms == sms) {
            twins.push_back(Twin { line, sms, deleted: false });
        }
        if twins.len() > TWINS {
            twins.pop_front();
        }
        if !self.doors.there.is_empty() {
            self.delete_twins(turn);
        }
    }

    /// Without a store that keeps what was shown, the modem must.
    fn delete_twins(&mut self, turn: &mut Turn<'_, '_>) {
        if self.degraded.is_some() {
            return;
        }
        for twin in self.doors.twins.iter_mut().filter(|twin| !twin.deleted) {
            twin.deleted = true;
            turn.effect(Effect::Modem(ModemJob::Delete { line: twin.line.clone(), sms: twin.sms.clone() }));
        }
    }

    /// The twins among a modem service's objects, also those that it is just deleting.
    pub(super) fn twins(&self, owner: &str) -> Vec<Box<str>> {
        let of = self.doors.twins.iter().filter(|twin| *twin.sms.owner == *owner);
        of.map(|twin| twin.sms.object.clone()).collect()
    }

    /// The line in that object of the modem service.
    pub(super) fn line_in(&self, modem: Option<&str>) -> Option<LineId> {
        let line = self.lines.values().find(|line| modem.is_some() && line.modem.as_deref() == modem);
        line.map(|line| line.id.clone())
    }

    /// As [`Self::is_emergency`], for a line named by its modem.
    pub(super) fn is_emergency_in(&self, to: &Address, modem: Option<&str>) -> bool {
        self.classify(to, self.line(self.line_in(modem).as_ref())).0 == Class::Emergency
    }

    /// Whether a text would be worth diverting; from memory alone.
    pub(super) fn worth_diverting(&self, now: Now, to: &Address, modem: Option<&str>) -> Result<bool, Error> {
        let line = self.line(self.line_in(modem).as_ref());
        let (class, peer) = self.classify(to, line);
        let verdict = self.router.route(now, line.map(|line| &line.id), peer.as_ref(), class).verdict;
        // One that is under way must not be overtaken; and a start's restore has not told of it yet.
        let restoring = self.restore_by.is_some() && self.enabled;
        let waits = restoring || peer.is_some_and(|peer| self.router.is_busy(&peer));
        Ok(class == Class::Mobile && (waits || !matches!(verdict, Verdict::Sms { .. })))
    }

    pub(super) fn divert(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (to, body): (Address, Body),
        options: crate::bus::SendOptions,
        (diverted, caller): (Diverted, Caller),
        reply: Reply<Settlement>,
    ) -> Result<(), StoreError> {
        let name = caller.name.clone();
        self.door_came(turn, caller);
        if let Some(token) = &options.token {
            if turn.tx.was_released(token)? {
                turn.answer(reply, Ok(Settlement::theirs(Reason::Unknown)));
                return Ok(());
            }
            if let Some(earlier) = turn.tx.text_by_token(token)? {
                match settlement(self.router.text(earlier.id).unwrap_or(&earlier)) {
                    Some(settled) => turn.answer(reply, settled),
                    None => self.doors.waiting.entry(earlier.id).or_default().push((name, reply)),
                }
                return Ok(());
            }
        }
        match self.new_text(turn, to, body, options)? {
            Ok((mut text, class)) => {
                text.diverted = Some(diverted);
                self.doors.waiting.entry(text.id).or_default().push((name, reply));
                self.submit(turn, text, class)
            }
            // The modem service says better what is wrong with it.
            Err(_refused) => {
                turn.answer(reply, Ok(Settlement::theirs(Reason::Unknown)));
                Ok(())
            }
        }
    }

    /// What a text's state can't say: that its app has had the report, and wants it no more.
    pub(super) fn delete_report(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: TextId,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let found = turn.tx.text(id)?.filter(Text::has_report);
        let Some(mut text) = found else {
            turn.answer(reply, Err(Error::NotFound("no such report")));
            return Ok(());
        };
        if let Some(diverted) = &mut text.diverted {
            diverted.report_deleted = true;
        }
        let record = text.clone();
        turn.write(move |tx| tx.put_text(&record));
        turn.promise(reply);
        turn.effect(Effect::ReportDeleted(Box::new(text)));
        Ok(())
    }

    /// Answers who waits for this text, if it is settled as far as they care.
    pub(super) fn answer_door(&mut self, turn: &mut Turn<'_, '_>, text: &Text) {
        let Some(settled) = settlement(text) else { return };
        for (_, reply) in self.doors.waiting.remove(&text.id).unwrap_or_default() {
            turn.answer(reply, settled);
        }
    }

    /// A door left: nobody else sends what it diverted.
    pub(super) fn door_left(&mut self, turn: &mut Turn<'_, '_>, name: &str) -> Result<(), StoreError> {
        self.doors.there.remove(name);
        let (mut left, mut unanswered) = (Vec::new(), Vec::new());
        self.doors.waiting.retain(|id, waiters| {
            unanswered.extend(waiters.extract_if(.., |(waiter, _)| **waiter == *name).map(|(_, reply)| reply));
            if waiters.is_empty() {
                left.push(*id);
            }
            !waiters.is_empty()
        });
        // One that lives on and may not any more must not send what we took.
        for reply in unanswered {
            turn.answer(reply, Err(Error::Uncertain));
        }
        for id in left {
            let actions = self.router.take_over(id);
            self.carry_out(turn, actions)?;
        }
        Ok(())
    }

    /// Whether an incoming SMS is the twin of a text shown as IM, and its text without the mark.
    pub(super) fn is_twin(
        &self,
        turn: &Turn<'_, '_>,
        line: Option<&Line>,
        from: &Address,
        body: &Body,
    ) -> Result<(bool, Body), StoreError> {
        let mark = split_mark(&body.0);
        let from = self.sender_of(from, line);
        let (_, twin) = self.twin_of(turn, from.as_ref(), mark)?;
        let shown = mark.map_or(&*body.0, |(text, _)| text);
        Ok((twin.is_some_and(|twin| twin.bearer == crate::model::Bearer::Im), Body(shown.into())))
    }
}

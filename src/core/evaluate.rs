//! A number's pseudonym: blinded for each evaluator apart, asked of all of them at once, hashed when all have
//! answered. One that does not answer fails it: the text goes by SMS, as when the directory is out of reach.

use super::Core;
use super::event::Event;
use super::turn::{Effect, Turn};
use crate::model::{Instant, PhoneNumber};
use crate::seal::{Blinding, EpochKey, Evaluation, Pseudonym, PseudonymError};
use crate::store::StoreError;
use crate::wall::{DirectoryError, Operator, Point, RequestId, ToUplink};
use rand_core::OsRng;
use std::collections::HashMap;
use std::time::Duration;

/// The longest wait for a budget that is believed.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The numbers that are being evaluated.
#[derive(Default)]
pub(super) struct Evaluating {
    numbers: HashMap<PhoneNumber, Number>,
    /// Whose answer it will be, and which evaluator's.
    asked: HashMap<RequestId, (PhoneNumber, usize)>,
    /// An evaluator's budget is used up until then: neither is asked, or the other's would be spent in vain.
    spent_until: Option<Instant>,
    /// What was denied while it is being found out which token holds.
    denied: Vec<(PhoneNumber, char)>,
}

/// One number: for each evaluator of the epoch what hides it, and the answer.
struct Number {
    key: EpochKey,
    parts: Vec<(Blinding, Option<Evaluation>)>,
}

impl Evaluating {
    /// The uplink is gone: nothing that it was asked will be answered.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
        self.asked.clear();
        self.denied.clear();
    }

    fn spent(&mut self, now: Instant, seconds: u32) {
        let until = now.plus(Duration::from_secs(seconds.into()).min(WAIT_MAX));
        self.spent_until = self.spent_until.max(Some(until));
    }

    /// The other evaluator's answer, if it is still to come, is nobody's then. The epoch that it was asked in.
    fn give_up(&mut self, peer: &PhoneNumber) -> Option<char> {
        self.asked.retain(|_, (asked, _)| asked != peer);
        self.numbers.remove(peer).map(|number| number.key.epoch)
    }

    /// Takes an answer; the number, where it was the last one.
    fn answered(&mut self, peer: &PhoneNumber, whose: usize, evaluation: Evaluation) -> Option<Number> {
        let number = self.numbers.get_mut(peer)?;
        number.parts.get_mut(whose)?.1 = Some(evaluation);
        let whole = number.parts.iter().all(|(_, evaluation)| evaluation.is_some());
        if whole { self.numbers.remove(peer) } else { None }
    }
}

impl Number {
    fn pseudonym(&self, number: &PhoneNumber, domain: &str) -> Result<Pseudonym, PseudonymError> {
        let parts = self.parts.iter();
        let transcripts: Vec<_> =
            parts.filter_map(|(blinding, evaluation)| Some(blinding.transcript(evaluation.as_ref()?))).collect();
        self.key.pseudonym(number, &transcripts, domain)
    }
}

impl Core {
    /// Asks for the peer's pseudonym in an epoch. Whether that was possible.
    pub(super) fn evaluate(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, epoch: char) -> bool {
        let key = self.account.as_ref().and_then(|account| account.keys.epoch(epoch)).copied();
        let Some(key) = key else { return false };
        if self.evaluating.spent_until.is_some_and(|until| until > turn.now.mono) {
            log::info!("an evaluator's budget is used up: the number is not looked up now");
            return false;
        }
        let mut number = Number { key, parts: Vec::new() };
        let operators = [Operator::First, Operator::Second];
        for (whose, by) in operators.into_iter().take(key.evaluators().count()).enumerate() {
            let Ok((blinding, point)) = Blinding::new(peer, &mut OsRng) else { return false };
            let blinded = vec![point];
            let request = self.request(turn, |request| ToUplink::Evaluate { request, by, epoch: key.epoch, blinded });
            let Some(request) = request else { return false };
            self.evaluating.asked.insert(request, (peer.clone(), whose));
            number.parts.push((blinding, None));
        }
        self.evaluating.numbers.insert(peer.clone(), number);
        true
    }

    /// An evaluator answered.
    pub(super) fn evaluated(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: Result<Vec<(Point, Vec<u8>)>, DirectoryError>,
    ) -> Result<(), StoreError> {
        let Some((peer, whose)) = self.evaluating.asked.remove(&request) else { return Ok(()) };
        if let Err(error) = &result {
            log::warn!("evaluator {} did not evaluate: {error:?}", whose + 1);
        }
        match result {
            Err(DirectoryError::Budget(seconds)) => self.evaluating.spent(turn.now.mono, seconds),
            Err(DirectoryError::Denied) => return self.denied(turn, request, peer, whose),
            // Nobody has an account there any more, or yet.
            Err(DirectoryError::Epoch) => {
                self.evaluating.give_up(&peer);
                return self.look_on(turn, &peer);
            }
            _ => {}
        }
        let first = result.ok().and_then(|answers| answers.into_iter().next());
        let evaluation = first.and_then(|(point, proof)| Some((point, <[u8; 64]>::try_from(proof).ok()?)));
        let (Some(evaluation), Some(account)) = (evaluation, &self.account) else {
            self.evaluating.give_up(&peer);
            return self.not_reached(turn, peer);
        };
        let domain = account.jid.domain().to_owned();
        if let Some(number) = self.evaluating.answered(&peer, whose, evaluation) {
            // Argon2id takes 40 ms: not in the loop.
            turn.effect(Effect::Compute(Box::new(move || {
                let result = number.pseudonym(&peer, &domain);
                Event::Pseudonym(peer, result)
            })));
        }
        Ok(())
    }

    /// An evaluator does not know the token that a request went by. What the second knows it has from the directory,
    /// which registers this device there with each new secret.
    fn denied(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        peer: PhoneNumber,
        whose: usize,
    ) -> Result<(), StoreError> {
        let Some(epoch) = self.evaluating.give_up(&peer) else { return Ok(()) };
        let second = whose > 0;
        if second && self.secrets.is_told() {
            self.evaluating.denied.push((peer, epoch));
            return Ok(());
        }
        if self.secrets.by_earlier_token(request) {
            return self.evaluate_again(turn, peer, epoch);
        }
        if second {
            self.want_secret(turn)?;
            return self.not_reached(turn, peer);
        }
        self.evaluating.denied.push((peer, epoch));
        self.token_denied(turn, request)
    }

    /// It was found out which token holds, or not: what was denied meanwhile is asked again.
    pub(super) fn evaluate_denied(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        for (peer, epoch) in std::mem::take(&mut self.evaluating.denied) {
            self.evaluate_again(turn, peer, epoch)?;
        }
        Ok(())
    }

    fn evaluate_again(&mut self, turn: &mut Turn<'_, '_>, peer: PhoneNumber, epoch: char) -> Result<(), StoreError> {
        if self.evaluate(turn, &peer, epoch) { Ok(()) } else { self.not_reached(turn, peer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_wait_of_both_budgets_counts_and_none_lasts_for_ever() {
        let mut evaluating = Evaluating::default();
        let now = Instant::default();
        evaluating.spent(now, 900);
        evaluating.spent(now, 60);
        assert_eq!(evaluating.spent_until, Some(now.plus(Duration::from_secs(900))));
        evaluating.spent(now, u32::MAX);
        assert_eq!(evaluating.spent_until, Some(now.plus(WAIT_MAX)));
    }
}

//! The checker: at every step, and at the quiet end.

use crate::phone::Letter;
use crate::world::World;
use shunt::model::{Bearer, FallbackPolicy, PeerPolicy, State, TextId};
use std::collections::HashMap;

impl World {
    /// Receipts and answers to revokes are for holders of a lease.
    pub(crate) fn may_answer(&mut self, phone: usize, letter: &Letter) -> Result<(), String> {
        match letter {
            Letter::Answer(..) => self.granted[phone] = Some(self.now),
            Letter::Receipt(_) | Letter::RevokeAnswer(..) => {
                let live = self.granted[phone].is_some_and(|at| self.now < at + 180_000);
                if !live {
                    return Err(format!("lease: {letter:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An SMS is begun: the policies and the user let it.
    pub(crate) fn may_go_by_sms(&mut self, phone: usize, id: TextId) -> Result<(), String> {
        let first = self.begun.insert(id);
        let owner = &self.phones[phone];
        let text = &owner.store.texts[&id];
        if !first || text.only == Some(Bearer::Sms) {
            return Ok(());
        }
        let im_only = text.only == Some(Bearer::Im) || owner.facts.policy == PeerPolicy::ImOnly;
        if im_only {
            return Err(format!("im-only: {id:?}"));
        }
        let lets = match owner.fallback {
            FallbackPolicy::Always => true,
            FallbackPolicy::NotRoaming => !owner.roaming,
            FallbackPolicy::Never | FallbackPolicy::Ask => false,
        };
        if text.im.is_some() && !lets {
            return Err(format!("fallback: {:?} {id:?}", owner.fallback));
        }
        Ok(())
    }

    /// No earlier text to the same peer is unsettled.
    pub(crate) fn in_order(&self, phone: usize, id: TextId) -> Result<(), String> {
        let store = &self.phones[phone].store;
        let earlier = store.order.iter().take_while(|other| **other != id);
        for other in earlier.map(|other| &store.texts[other]).filter(|text| text.peer.is_some()) {
            if !other.state.is_final() && !self.held.contains(&other.id) {
                return Err(format!("order: {id:?} overtakes one that is {:?}", other.state));
            }
        }
        Ok(())
    }

    /// Everything under way arrives, time passes, and the books are checked.
    pub fn quiet(&mut self) -> Result<(), String> {
        for phone in 0..2 {
            self.set_link(phone, true)?;
        }
        for _ in 0..400 {
            for phone in 0..2 {
                while !self.answers[phone].is_empty() {
                    self.answer(phone)?;
                }
                while let Some(letter) = self.letters[phone].pop_front() {
                    self.hand_over(phone, letter)?;
                }
                while !self.jobs[phone].is_empty() {
                    self.modem(phone, 0, 0)?;
                }
                while !self.sms[phone].is_empty() {
                    self.deliver_sms(phone, 0, false)?;
                }
            }
            if (0..2).all(|phone| self.is_idle(phone)) {
                break;
            }
            self.wait(2_000)?;
        }
        for writer in 0..2 {
            self.settled(writer)?;
        }
        Ok(())
    }

    /// Nothing is under way but what waits for the user.
    fn is_idle(&self, phone: usize) -> bool {
        let here = &self.phones[phone];
        let nothing = self.letters[phone].is_empty() && self.jobs[phone].is_empty() && self.sms[phone].is_empty();
        nothing && !here.router.in_flight()
    }

    fn settled(&self, writer: usize) -> Result<(), String> {
        let router = &self.phones[writer].router;
        let (unsettled, held) = (router.unsettled(), self.phones[writer].held().len());
        if unsettled != held || router.in_flight() {
            return Err(format!("memory: {unsettled} texts in work, {held} held"));
        }
        let store = &self.phones[writer].store;
        let mut must = HashMap::<&str, usize>::new();
        for text in store.texts.values() {
            match text.state {
                State::Held(_) => {}
                state if !state.is_final() => return Err(format!("stuck: a text stays {state:?}")),
                State::Failed(_) if text.im.is_some_and(|im| !im.not_shown) => {
                    return Err(format!("failed: {text:?}"));
                }
                State::Failed(_) if self.arrived.contains_key(&text.id) || self.im_shown.contains(&text.id) => {
                    return Err(format!("failed: {text:?}"));
                }
                State::ImDelivered | State::ImRead | State::SmsSent | State::SmsDelivered if text.peer.is_some() => {
                    *must.entry(&text.body.0).or_default() += 1;
                }
                State::Released if self.sent_by_door.contains(&text.id) => {
                    *must.entry(&text.body.0).or_default() += 1;
                }
                _ => {}
            }
        }
        for (body, least) in must {
            let shown = self.shown[writer].get(body).copied().unwrap_or(0);
            if shown < least {
                return Err(format!("lost: {body:?} was sent {least} times and shown {shown} times"));
            }
        }
        Ok(())
    }
}

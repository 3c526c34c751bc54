//! The doors of a phone's apps: they divert texts, wait, and send their own SMS when told to.

use crate::phone::Effect;
use crate::world::{Flaw, World};
use shunt::model::{State, TextId};

impl World {
    pub(crate) fn write(&mut self, phone: usize, wording: u8, diverted: bool) -> Result<(), String> {
        let id = self.id();
        *self.written[phone].entry(format!("text {wording}")).or_default() += 1;
        if diverted {
            self.waiting[phone].push(id);
        }
        let effects = self.phones[phone].write(self.time(), id, wording, diverted);
        self.perform(phone, effects)
    }

    /// The router settled it, or holds it: the answer is on its way.
    pub(crate) fn settled_for_door(&mut self, phone: usize, id: TextId) -> Result<(), String> {
        if self.phones[phone].store.texts[&id].state != State::Released {
            // Whenever that answer comes, the door sends nothing.
            self.waiting[phone].retain(|other| *other != id);
        } else if self.waiting[phone].contains(&id) {
            self.may_go_by_sms(phone, id)?;
            self.answers[phone].push_back(id);
        }
        Ok(())
    }

    /// The next answer reaches its door.
    pub(crate) fn answer(&mut self, phone: usize) -> Result<(), String> {
        let Some(id) = self.answers[phone].pop_front() else { return Ok(()) };
        let waited = self.waiting[phone].contains(&id);
        self.waiting[phone].retain(|other| *other != id);
        if waited && self.phones[phone].store.texts[&id].state == State::Released {
            return self.door_sends(phone, id);
        }
        Ok(())
    }

    fn door_sends(&mut self, phone: usize, id: TextId) -> Result<(), String> {
        if self.im_unknown(id) {
            return Err(format!("released: {id:?}"));
        }
        if self.cancelled.contains(&id) {
            return Err(format!("cancelled: {id:?}"));
        }
        self.counts_as_sent(id)?;
        self.sent_by_door.insert(id);
        let body = self.phones[phone].store.texts[&id].body.0.to_string();
        self.sent(phone, id, body);
        Ok(())
    }

    /// The phone's core came back: doors without an answer ask again with their tokens, or give up.
    pub(crate) fn doors_ask_again(&mut self, phone: usize, asks: bool) -> Result<(), String> {
        let waiting = self.waiting[phone].clone();
        self.answers[phone].clear();
        for id in waiting {
            let state = self.phones[phone].store.texts[&id].state;
            if self.flaw == Flaw::DoorGuesses {
                self.waiting[phone].retain(|other| *other != id);
                self.door_sends(phone, id)?;
            } else if !asks {
                self.waiting[phone].retain(|other| *other != id);
            } else if state == State::Released {
                self.answers[phone].push_back(id);
            }
        }
        Ok(())
    }

    /// The doors die, and with them their answers; the core sends what they waited for.
    pub(crate) fn doors_leave(&mut self, phone: usize) -> Result<(), String> {
        self.answers[phone].clear();
        let now = self.time();
        for id in std::mem::take(&mut self.waiting[phone]) {
            let actions = self.phones[phone].router.take_over(id);
            let effects: Vec<Effect> = self.phones[phone].carry_out(now, actions);
            self.perform(phone, effects)?;
        }
        Ok(())
    }
}

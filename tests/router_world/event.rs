//! What may happen, and what it does to the world.

use crate::phone::{Effect, Letter};
use crate::world::{Job, World};
use proptest::sample::Index;
use shunt::model::{Bearer, FallbackPolicy, PeerPolicy, TextId};
use shunt::router::Input;

/// What happens next. `pick` chooses among what is under way.
#[derive(Debug, Clone)]
pub enum Event {
    Write {
        phone: usize,
        wording: u8,
    },
    /// An app's text, diverted by its door, which waits.
    Divert {
        phone: usize,
        wording: u8,
    },
    /// An answer reaches its door.
    Answer {
        pick: usize,
    },
    /// A phone's doors die, and the answers to them are lost.
    Leave {
        phone: usize,
    },
    Emergency {
        phone: usize,
    },
    Deliver {
        pick: usize,
    },
    Drop {
        pick: usize,
    },
    Modem {
        pick: usize,
        how: u8,
    },
    Sms {
        pick: usize,
        twice: bool,
    },
    Wait {
        ms: u64,
    },
    Link {
        phone: usize,
    },
    Switch {
        phone: usize,
    },
    /// `asks`: doors whose answer is lost ask again; else they tell their apps that they can't know.
    Crash {
        phone: usize,
        asks: bool,
    },
    Cancel {
        phone: usize,
        text: Index,
    },
    Resolve {
        phone: usize,
        text: Index,
        bearer: Bearer,
    },
    Policy {
        phone: usize,
        policy: PeerPolicy,
    },
    Block {
        phone: usize,
    },
    Fallback {
        phone: usize,
        policy: FallbackPolicy,
    },
    Roam {
        phone: usize,
    },
    Sealing {
        phone: usize,
    },
    /// The server sends an envelope back; `lies` if it was delivered all the same.
    Bounce {
        pick: usize,
        lies: bool,
    },
    Accept {
        phone: usize,
        text: Index,
    },
}

impl World {
    pub fn step(&mut self, event: &Event) -> Result<(), String> {
        let now = self.time();
        match *event {
            Event::Write { phone, wording } => self.write(phone, wording, false),
            Event::Divert { phone, wording } => self.write(phone, wording, true),
            Event::Answer { pick } => self.answer(pick % 2),
            Event::Leave { phone } => self.doors_leave(phone),
            Event::Emergency { phone } => {
                let id = self.id();
                let effects = self.phones[phone].emergency(now, id);
                if !matches!(effects.first(), Some(Effect::Now { .. })) {
                    return Err(format!("emergency: {effects:?}"));
                }
                self.perform(phone, effects)
            }
            Event::Deliver { pick } => match self.letters[pick % 2].pop_front() {
                Some(letter) => self.hand_over(pick % 2, letter),
                None => Ok(()),
            },
            Event::Drop { pick } => {
                // The server loses what it held for a session that ended.
                self.letters[pick % 2].pop_front();
                Ok(())
            }
            Event::Modem { pick, how } => self.modem(pick % 2, pick / 2, how),
            Event::Sms { pick, twice } => self.deliver_sms(pick % 2, pick / 2, twice),
            Event::Wait { ms } => self.wait(ms),
            Event::Link { phone } => {
                let up = !self.phones[phone].up;
                self.set_link(phone, up)
            }
            Event::Switch { phone } => {
                let effects = self.phones[phone].switch(now);
                if !self.phones[phone].on() {
                    self.letters[1 - phone].push_back(Letter::Unavailable);
                }
                self.perform(phone, effects)
            }
            Event::Crash { phone, asks } => {
                self.jobs[phone].retain(|job| matches!(job, Job::Send { .. }));
                let under_way = std::mem::take(&mut self.jobs[phone]);
                // What was being sent goes out or not; nobody is told.
                for (nth, job) in under_way.into_iter().enumerate() {
                    if let (Job::Send { id, body }, 0) = (job, nth % 2) {
                        self.sent(phone, id, body);
                    }
                }
                self.letters[1 - phone].push_back(Letter::Unavailable);
                self.granted[phone] = None;
                let effects = self.phones[phone].crash(now);
                self.answers[phone].clear();
                self.perform(phone, effects)?;
                self.doors_ask_again(phone, asks)?;
                self.set_link(phone, true)
            }
            Event::Cancel { phone, ref text } => {
                if self.phones[phone].store.order.is_empty() {
                    return Ok(());
                }
                let id = *text.get(&self.phones[phone].store.order);
                let Ok(actions) = self.phones[phone].router.cancel(now, id) else { return Ok(()) };
                self.cancelled.insert(id);
                let effects = self.phones[phone].carry_out(now, actions);
                self.perform(phone, effects)
            }
            Event::Resolve { phone, ref text, bearer } => {
                let held: Vec<TextId> = self.phones[phone].held();
                if held.is_empty() {
                    return Ok(());
                }
                let id = *text.get(&held);
                let Ok(actions) = self.phones[phone].router.resolve(now, id, bearer) else { return Ok(()) };
                let effects = self.phones[phone].carry_out(now, actions);
                self.perform(phone, effects)
            }
            Event::Policy { phone, policy } => {
                self.phones[phone].facts.policy = policy;
                self.facts_changed(phone)
            }
            Event::Block { phone } => {
                self.phones[phone].facts.blocked = !self.phones[phone].facts.blocked;
                self.facts_changed(phone)
            }
            Event::Fallback { phone, policy } => {
                self.phones[phone].fallback = policy;
                self.conditions_changed(phone)
            }
            Event::Roam { phone } => {
                self.phones[phone].roaming = !self.phones[phone].roaming;
                self.conditions_changed(phone)
            }
            Event::Sealing { phone } => {
                self.phones[phone].unsealable = !self.phones[phone].unsealable;
                Ok(())
            }
            Event::Bounce { pick, lies } => {
                let to = pick % 2;
                let text = self.letters[to].iter().position(|letter| matches!(letter, Letter::Text { .. }));
                let Some(at) = text else { return Ok(()) };
                let letter = if lies { self.letters[to].get(at).cloned() } else { self.letters[to].remove(at) };
                let Some(Letter::Text { id, .. }) = letter else { return Ok(()) };
                let effects = self.phones[1 - to].input(now, Input::Bounced(id));
                self.perform(1 - to, effects)
            }
            Event::Accept { phone, ref text } => {
                if self.phones[phone].store.order.is_empty() {
                    return Ok(());
                }
                let id = *text.get(&self.phones[phone].store.order);
                let effects = self.phones[phone].input(now, Input::Accepted(id));
                self.perform(phone, effects)
            }
        }
    }
}

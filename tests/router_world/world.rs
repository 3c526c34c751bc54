//! Two phones, the server between them, the SMSC, and the checker.

use crate::phone::{Effect, Letter, Phone, outcome};
use proptest::sample::Index;
use shunt::model::{Bearer, FallbackPolicy, Instant, Now, PeerPolicy, State, TextId, Timestamp};
use shunt::router::{Input, SmsOutcome, split_mark};
use std::collections::{HashMap, HashSet, VecDeque};

const WALL: i64 = 1_800_000_000_000;

/// What happens next. `pick` chooses among what is under way.
#[derive(Debug, Clone)]
pub enum Event {
    Write {
        phone: usize,
        wording: u8,
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
    Crash {
        phone: usize,
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

/// A world that is wrong on purpose, to prove the checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    IgnoresMarks,
    SendsUnmarked,
    ForgetsShown,
    /// Networks strip white space from an SMS's end: no text may be lost by it.
    StripsMarks,
    /// Answers revokes that it does not owe.
    AnswersAnybody,
    /// What the user set about the peer never reaches the router.
    IgnoresPolicy,
    /// The fallback policy never reaches the router.
    IgnoresFallback,
}

/// A job at a phone's modem.
#[derive(Debug, Clone)]
enum Job {
    Create { id: TextId, marked: bool },
    Send { id: TextId, body: String },
    Prove { id: TextId },
}

pub struct World {
    flaw: Flaw,
    now: u64,
    phones: [Phone; 2],
    /// Letters on their way to a phone, in order.
    letters: [VecDeque<Letter>; 2],
    /// Jobs at a phone's modem; gone when the phone crashes.
    jobs: [Vec<Job>; 2],
    /// SMS on their way to a phone: serial, wire body.
    sms: [Vec<(u64, String)>; 2],
    /// Bodies written and shown, by writer.
    written: [HashMap<String, usize>; 2],
    shown: [HashMap<String, usize>; 2],
    /// IM frames that left for a text, and revokes answered "not shown".
    im_left: HashSet<TextId>,
    not_shown: HashSet<TextId>,
    /// Sends per text whose outcome was not a provable "nothing left".
    sends: HashMap<TextId, usize>,
    arrived: HashMap<TextId, usize>,
    /// Texts shown by IM.
    im_shown: HashSet<TextId>,
    /// Texts that their user took back, with success.
    cancelled: HashSet<TextId>,
    /// Texts whose first SMS was begun: retries are not asked for again.
    begun: HashSet<TextId>,
    /// Texts that were held once: they stand beside the queue.
    held: HashSet<TextId>,
    /// When each phone last granted a lease, in its present life.
    granted: [Option<u64>; 2],
    serial: u64,
    ids: u64,
}

impl World {
    pub fn new(flaw: Flaw) -> Self {
        let mut world = Self {
            flaw,
            now: 1_000,
            phones: [Phone::new("+4915112345602"), Phone::new("+4915112345601")],
            letters: Default::default(),
            jobs: Default::default(),
            sms: Default::default(),
            written: Default::default(),
            shown: Default::default(),
            im_left: HashSet::new(),
            not_shown: HashSet::new(),
            sends: HashMap::new(),
            arrived: HashMap::new(),
            im_shown: HashSet::new(),
            cancelled: HashSet::new(),
            begun: HashSet::new(),
            held: HashSet::new(),
            granted: [None; 2],
            serial: 0,
            ids: 0,
        };
        for phone in 0..2 {
            world.phones[phone].up = true;
            let effects = world.phones[phone].refresh(world.time());
            world.perform(phone, effects).unwrap();
        }
        world
    }

    fn time(&self) -> Now {
        Now { mono: Instant(self.now), wall: Timestamp(WALL + i64::try_from(self.now).unwrap()) }
    }

    fn id(&mut self) -> TextId {
        self.ids += 1;
        TextId(u128::from(self.ids).to_be_bytes())
    }

    pub fn step(&mut self, event: &Event) -> Result<(), String> {
        let now = self.time();
        match *event {
            Event::Write { phone, wording } => {
                let id = self.id();
                *self.written[phone].entry(format!("text {wording}")).or_default() += 1;
                let effects = self.phones[phone].write(now, id, wording);
                self.perform(phone, effects)
            }
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
            Event::Crash { phone } => {
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
                self.perform(phone, effects)?;
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

    fn facts_changed(&mut self, phone: usize) -> Result<(), String> {
        if self.flaw == Flaw::IgnoresPolicy {
            return Ok(());
        }
        let effects = self.phones[phone].tell_facts(self.time());
        self.perform(phone, effects)
    }

    fn conditions_changed(&mut self, phone: usize) -> Result<(), String> {
        if self.flaw == Flaw::IgnoresFallback {
            return Ok(());
        }
        let effects = self.phones[phone].refresh(self.time());
        self.perform(phone, effects)
    }

    fn set_link(&mut self, phone: usize, up: bool) -> Result<(), String> {
        self.phones[phone].up = up;
        if !up {
            self.letters[1 - phone].push_back(Letter::Unavailable);
        }
        let effects = self.phones[phone].refresh(self.time());
        self.perform(phone, effects)
    }

    fn hand_over(&mut self, to: usize, letter: Letter) -> Result<(), String> {
        if let Letter::RevokeAnswer(id, false) = letter {
            self.not_shown.insert(id);
        }
        let forgets = self.flaw == Flaw::ForgetsShown;
        let revoked = match letter {
            Letter::Revoke(id) if self.flaw == Flaw::AnswersAnybody => Some(id),
            _ => None,
        };
        let mut effects = self.phones[to].letter(self.time(), letter, forgets);
        if let Some(id) = revoked.filter(|_| effects.is_empty() && self.phones[to].on()) {
            effects.push(Effect::Letter(Letter::RevokeAnswer(id, false)));
        }
        self.perform(to, effects)
    }

    fn modem(&mut self, phone: usize, pick: usize, how: u8) -> Result<(), String> {
        if self.jobs[phone].is_empty() {
            return Ok(());
        }
        let job = self.jobs[phone].remove(pick % self.jobs[phone].len());
        let now = self.time();
        let effects = match job {
            Job::Create { id, marked } => {
                let marked = marked && self.flaw != Flaw::SendsUnmarked;
                let body = self.phones[phone].sms_body(id, marked);
                self.phones[phone].prepared(now, id, &body)
            }
            Job::Prove { id } => {
                // The modem service was restarted too: it can prove nothing.
                self.phones[phone].input(now, Input::Sms(id, SmsOutcome::Unknown(shunt::model::Cause::Restarted)))
            }
            Job::Send { id, body } => {
                let (left, outcome) = outcome(how);
                if left {
                    self.sent(phone, id, body);
                }
                if matches!(outcome, SmsOutcome::Later(_)) {
                    self.sends.remove(&id);
                }
                self.phones[phone].input(now, Input::Sms(id, outcome))
            }
        };
        self.perform(phone, effects)
    }

    fn sent(&mut self, phone: usize, id: TextId, body: String) {
        self.serial += 1;
        if body != "help" {
            self.sms[1 - phone].push((self.serial, body));
            *self.arrived.entry(id).or_default() += 1;
        }
    }

    fn deliver_sms(&mut self, to: usize, pick: usize, twice: bool) -> Result<(), String> {
        if self.sms[to].is_empty() {
            return Ok(());
        }
        let at = pick % self.sms[to].len();
        let (serial, wire) = if twice { self.sms[to][at].clone() } else { self.sms[to].remove(at) };
        let wire = if self.flaw == Flaw::StripsMarks { wire.trim_end().to_owned() } else { wire };
        let effects = self.phones[to].sms(self.time(), serial, &wire, self.flaw == Flaw::IgnoresMarks);
        self.perform(to, effects)
    }

    /// Time passes; each phone is woken at its deadlines.
    fn wait(&mut self, ms: u64) -> Result<(), String> {
        let until = self.now + ms;
        loop {
            let due = (0..2).filter_map(|p| self.phones[p].router.deadline().map(|at| (at.0, p))).min();
            let Some((at, phone)) = due.filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            let effects = self.phones[phone].input(self.time(), Input::Tick);
            self.perform(phone, effects)?;
            if self.phones[phone].router.deadline().is_some_and(|next| next.0 <= self.now) {
                return Err("stuck: a deadline stays in the past".to_owned());
            }
        }
        self.now = until;
        Ok(())
    }

    fn perform(&mut self, phone: usize, effects: Vec<Effect>) -> Result<(), String> {
        self.held.extend(self.phones[phone].held());
        for effect in effects {
            match effect {
                Effect::Letter(letter) => {
                    if !self.phones[phone].on() {
                        return Err(format!("off: {letter:?}"));
                    }
                    self.may_answer(phone, &letter)?;
                    if let Letter::Text { id, .. } = &letter {
                        if self.phones[phone].facts.blocked {
                            return Err(format!("blocked: {id:?}"));
                        }
                        self.in_order(phone, *id)?;
                        self.im_left.insert(*id);
                    }
                    if self.phones[phone].up {
                        self.letters[1 - phone].push_back(letter);
                    }
                }
                Effect::Create { id, marked } => {
                    self.in_order(phone, id)?;
                    self.may_go_by_sms(phone, id)?;
                    self.jobs[phone].push(Job::Create { id, marked });
                }
                Effect::Send { id, body } => {
                    if self.cancelled.contains(&id) {
                        return Err(format!("cancelled: {id:?}"));
                    }
                    let unknown = self.im_left.contains(&id) && !self.not_shown.contains(&id);
                    if unknown && split_mark(&body).is_none() {
                        return Err(format!("unmarked: {body:?}"));
                    }
                    let sends = self.sends.entry(id).or_default();
                    *sends += 1;
                    if *sends > 1 {
                        return Err(format!("resent: {id:?}"));
                    }
                    self.jobs[phone].push(Job::Send { id, body });
                }
                Effect::Prove { id } => self.jobs[phone].push(Job::Prove { id }),
                Effect::Now { id, body } => {
                    let now = self.time();
                    let more = self.phones[phone].prepared(now, id, &body);
                    self.perform(phone, more)?;
                    let sent = SmsOutcome::Sent { references: vec![] };
                    let more = self.phones[phone].input(now, Input::Sms(id, sent));
                    self.perform(phone, more)?;
                }
                Effect::Show { id, body } => {
                    self.im_shown.extend(id);
                    let writer = 1 - phone;
                    let shown = self.shown[writer].entry(body.clone()).or_default();
                    *shown += 1;
                    let strips = self.flaw == Flaw::StripsMarks;
                    if !strips && *shown > self.written[writer].get(&body).copied().unwrap_or(0) {
                        return Err(format!("twice: {body:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Receipts and answers to revokes are for holders of a lease.
    fn may_answer(&mut self, phone: usize, letter: &Letter) -> Result<(), String> {
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
    fn may_go_by_sms(&mut self, phone: usize, id: TextId) -> Result<(), String> {
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
    fn in_order(&self, phone: usize, id: TextId) -> Result<(), String> {
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

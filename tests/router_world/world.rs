//! Two phones, the server between them, the SMSC, and the checker.

use crate::phone::{Effect, Letter, Phone, outcome};
use shunt::model::{Instant, Now, TextId, Timestamp};
use shunt::router::{Input, SmsOutcome, split_mark};
use std::collections::{HashMap, HashSet, VecDeque};

const WALL: i64 = 1_800_000_000_000;

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
    /// A door that lost its answer sends its SMS all the same.
    DoorGuesses,
}

/// A job at a phone's modem.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    Create { id: TextId, marked: bool },
    Send { id: TextId, body: String },
    Prove { id: TextId },
}

pub struct World {
    pub(crate) flaw: Flaw,
    pub(crate) now: u64,
    pub(crate) phones: [Phone; 2],
    /// Letters on their way to a phone, in order.
    pub(crate) letters: [VecDeque<Letter>; 2],
    /// Jobs at a phone's modem; gone when the phone crashes.
    pub(crate) jobs: [Vec<Job>; 2],
    /// SMS on their way to a phone: serial, wire body.
    pub(crate) sms: [Vec<(u64, String)>; 2],
    /// Bodies written and shown, by writer.
    pub(crate) written: [HashMap<String, usize>; 2],
    pub(crate) shown: [HashMap<String, usize>; 2],
    /// IM frames that left for a text, and revokes answered "not shown".
    pub(crate) im_left: HashSet<TextId>,
    pub(crate) not_shown: HashSet<TextId>,
    /// Sends per text whose outcome was not a provable "nothing left".
    pub(crate) sends: HashMap<TextId, usize>,
    pub(crate) arrived: HashMap<TextId, usize>,
    /// Texts shown by IM.
    pub(crate) im_shown: HashSet<TextId>,
    /// Texts that their user took back, with success.
    pub(crate) cancelled: HashSet<TextId>,
    /// Texts whose first SMS was begun: retries are not asked for again.
    pub(crate) begun: HashSet<TextId>,
    /// Texts that were held once: they stand beside the queue.
    pub(crate) held: HashSet<TextId>,
    /// When each phone last granted a lease, in its present life.
    pub(crate) granted: [Option<u64>; 2],
    /// Texts whose doors wait, and answers on their way to a phone's doors.
    pub(crate) waiting: [Vec<TextId>; 2],
    pub(crate) answers: [VecDeque<TextId>; 2],
    /// Texts that their doors sent.
    pub(crate) sent_by_door: HashSet<TextId>,
    pub(crate) serial: u64,
    pub(crate) ids: u64,
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
            waiting: Default::default(),
            answers: Default::default(),
            sent_by_door: HashSet::new(),
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

    pub(crate) fn time(&self) -> Now {
        Now { mono: Instant(self.now), wall: Timestamp(WALL + i64::try_from(self.now).unwrap()) }
    }

    pub(crate) fn id(&mut self) -> TextId {
        self.ids += 1;
        TextId(u128::from(self.ids).to_be_bytes())
    }

    pub(crate) fn facts_changed(&mut self, phone: usize) -> Result<(), String> {
        if self.flaw == Flaw::IgnoresPolicy {
            return Ok(());
        }
        let effects = self.phones[phone].tell_facts(self.time());
        self.perform(phone, effects)
    }

    pub(crate) fn conditions_changed(&mut self, phone: usize) -> Result<(), String> {
        if self.flaw == Flaw::IgnoresFallback {
            return Ok(());
        }
        let effects = self.phones[phone].refresh(self.time());
        self.perform(phone, effects)
    }

    pub(crate) fn set_link(&mut self, phone: usize, up: bool) -> Result<(), String> {
        self.phones[phone].up = up;
        if !up {
            self.letters[1 - phone].push_back(Letter::Unavailable);
        }
        let effects = self.phones[phone].refresh(self.time());
        self.perform(phone, effects)
    }

    pub(crate) fn hand_over(&mut self, to: usize, letter: Letter) -> Result<(), String> {
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

    pub(crate) fn modem(&mut self, phone: usize, pick: usize, how: u8) -> Result<(), String> {
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

    pub(crate) fn sent(&mut self, phone: usize, id: TextId, body: String) {
        self.serial += 1;
        if body != "help" {
            self.sms[1 - phone].push((self.serial, body));
            *self.arrived.entry(id).or_default() += 1;
        }
    }

    pub(crate) fn deliver_sms(&mut self, to: usize, pick: usize, twice: bool) -> Result<(), String> {
        if self.sms[to].is_empty() {
            return Ok(());
        }
        let at = pick % self.sms[to].len();
        let (serial, wire) = if twice { self.sms[to][at].clone() } else { self.sms[to].remove(at) };
        let wire = if self.flaw == Flaw::StripsMarks { wire.trim_end().to_owned() } else { wire };
        let effects = self.phones[to].sms(self.time(), serial, &wire, self.flaw == Flaw::IgnoresMarks);
        self.perform(to, effects)
    }

    pub(crate) fn im_unknown(&self, id: TextId) -> bool {
        self.im_left.contains(&id) && !self.not_shown.contains(&id)
    }

    pub(crate) fn counts_as_sent(&mut self, id: TextId) -> Result<(), String> {
        let sends = self.sends.entry(id).or_default();
        *sends += 1;
        if *sends > 1 { Err(format!("resent: {id:?}")) } else { Ok(()) }
    }

    /// Time passes; each phone is woken at its deadlines.
    pub(crate) fn wait(&mut self, ms: u64) -> Result<(), String> {
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

    pub(crate) fn perform(&mut self, phone: usize, effects: Vec<Effect>) -> Result<(), String> {
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
                    let unmarked = split_mark(&body).is_none();
                    if unmarked && self.im_unknown(id) {
                        return Err(format!("unmarked: {body:?}"));
                    }
                    if unmarked && self.waiting[phone].contains(&id) {
                        return Err(format!("theirs: {id:?}"));
                    }
                    self.counts_as_sent(id)?;
                    self.jobs[phone].push(Job::Send { id, body });
                }
                Effect::Settled { id } => self.settled_for_door(phone, id)?,
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
}

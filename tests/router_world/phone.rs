//! One phone: the real router and judgements over a model of the store.

use shunt::model::Bearer;
use shunt::model::{
    Address, Body, Cause, Diverted, Encoding, FallbackPolicy, LeaseId, LineId, Now, PhoneNumber, PresencePolicy,
    Reason, Shown, SmsAttempt, State, Text, TextId, Timestamp, WordingKey,
};
use shunt::router::{
    Action, Class, Conditions, Granting, ImFacts, ImVerdict, Input, Late, Link, PeerFacts, Probed, Router, SmsFacts,
    SmsOutcome, SmsVerdict, judge_im, judge_sms, refine, split_mark, wire_body,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// A letter between the phones; who it is from is the channel it comes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    Probe,
    Answer(LeaseId, Duration),
    Text {
        id: TextId,
        lease: LeaseId,
        body: String,
        ordinal: u16,
    },
    Receipt(TextId),
    Revoke(TextId),
    RevokeAnswer(TextId, bool),
    /// The server's word that the other has gone.
    Unavailable,
}

/// What the phone does to the world.
#[derive(Debug, Clone)]
pub enum Effect {
    Letter(Letter),
    /// Make an SMS object; `marked` as the router says.
    Create {
        id: TextId,
        marked: bool,
    },
    Send {
        id: TextId,
        body: String,
    },
    Prove {
        id: TextId,
    },
    Now {
        id: TextId,
        body: String,
    },
    /// A diverted text is settled, as far as its owner cares.
    Settled {
        id: TextId,
    },
    /// Shown; by IM it has the sender's id.
    Show {
        id: Option<TextId>,
        body: String,
    },
}

/// What survives a crash.
#[derive(Debug, Default)]
pub struct Store {
    pub texts: HashMap<TextId, Text>,
    pub order: Vec<TextId>,
    pub envelopes: HashMap<TextId, Letter>,
    shown: HashMap<(String, u16), Shown>,
    im_shown: HashSet<TextId>,
    revoked: HashSet<TextId>,
    sms_seen: HashSet<u64>,
    ordinals: HashMap<String, u16>,
    on: bool,
}

pub struct Phone {
    pub router: Router,
    granting: Granting,
    pub store: Store,
    pub other: PhoneNumber,
    pub up: bool,
    /// The session with the other is broken: nothing can be sealed.
    pub unsealable: bool,
    /// What the user set about the other, and for all.
    pub facts: PeerFacts,
    pub fallback: FallbackPolicy,
    pub roaming: bool,
    leases: u128,
}

/// Of a phone with one line, which is the account's.
fn router() -> Router {
    let mut router = Router::new();
    let _nothing = router.handle(Now::default(), Input::AccountLine(Some(LineId("line".into()))));
    router
}

impl Phone {
    pub fn new(other: &str) -> Self {
        let store = Store { on: true, ..Store::default() };
        let other = PhoneNumber::from_e164(other).unwrap();
        Self {
            router: router(),
            granting: Granting::default(),
            store,
            other,
            up: false,
            unsealable: false,
            facts: PeerFacts::default(),
            fallback: FallbackPolicy::Always,
            roaming: false,
            leases: 0,
        }
    }

    pub fn on(&self) -> bool {
        self.store.on
    }

    pub fn conditions(&self) -> Conditions {
        let link = if self.up && self.store.on { Link::Up } else { Link::Down };
        Conditions {
            on: self.store.on,
            account: true,
            link,
            roaming: self.roaming,
            allow_roaming: true,
            fallback: self.fallback,
            ..Conditions::default()
        }
    }

    pub fn refresh(&mut self, now: Now) -> Vec<Effect> {
        if !(self.up && self.store.on) {
            self.granting.close_all();
        }
        let conditions = self.conditions();
        self.input(now, Input::Conditions(conditions))
    }

    pub fn switch(&mut self, now: Now) -> Vec<Effect> {
        self.store.on = !self.store.on;
        self.refresh(now)
    }

    /// The process dies and starts again.
    pub fn crash(&mut self, now: Now) -> Vec<Effect> {
        self.router = router();
        self.granting = Granting::default();
        self.up = false;
        let mut effects = self.refresh(now);
        effects.extend(self.tell_facts(now));
        let live = self.store.order.iter().map(|id| &self.store.texts[id]).filter(|text| !text.state.is_final());
        let texts = live.map(|text| (text.clone(), class(text))).collect();
        effects.extend(self.input(now, Input::Restore(texts)));
        effects
    }

    /// The router hears what the user set about the other.
    pub fn tell_facts(&mut self, now: Now) -> Vec<Effect> {
        self.input(now, Input::Peer(self.other.clone(), self.facts))
    }

    pub fn input(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let actions = self.router.handle(now, input);
        self.carry_out(now, actions)
    }

    pub fn carry_out(&mut self, now: Now, actions: Vec<Action>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::SmsNow(text) => effects.push(Effect::Now { id: text.id, body: text.body.0.to_string() }),
                Action::Save(text) => {
                    if !self.store.texts.contains_key(&text.id) {
                        self.store.order.push(text.id);
                    }
                    self.store.texts.insert(text.id, *text);
                }
                Action::Announce(text) if text.diverted.is_some() => {
                    if text.state.is_final() || matches!(text.state, State::Held(_)) {
                        effects.push(Effect::Settled { id: text.id });
                    }
                }
                // Nobody watches here.
                Action::Announce(_) | Action::Ask(..) | Action::SmsDelete { .. } | Action::Find(_) => {}
                Action::SealText(id) if self.unsealable => {
                    actions.extend(self.router.handle(now, Input::NotSealed(id)));
                }
                Action::SealText(id) => {
                    let text = &self.store.texts[&id];
                    let lease = text.im.unwrap().lease;
                    let body = text.body.0.to_string();
                    let letter = Letter::Text { id, lease, body, ordinal: text.ordinal };
                    self.store.envelopes.insert(id, letter.clone());
                    effects.push(Effect::Letter(letter));
                }
                Action::Resend(id) => effects.extend(self.store.envelopes.get(&id).cloned().map(Effect::Letter)),
                Action::Revoke(id) => effects.push(Effect::Letter(Letter::Revoke(id))),
                Action::Probe(_) => effects.push(Effect::Letter(Letter::Probe)),
                Action::SmsCreate { id, marked } => effects.push(Effect::Create { id, marked }),
                Action::SmsSend(id) => {
                    let text = &self.store.texts[&id];
                    // The object was made with the body of its `SmsCreate`.
                    let body = text.sms.as_ref().unwrap().object.to_string();
                    effects.push(Effect::Send { id, body });
                }
                Action::SmsProve(id) => effects.push(Effect::Prove { id }),
            }
        }
        effects
    }

    pub fn write(&mut self, now: Now, id: TextId, wording: u8, diverted: bool) -> Vec<Effect> {
        let body = format!("text {wording}");
        let ordinal = self.store.ordinals.entry(body.clone()).or_default();
        let mut text = blank(id, &self.other, &body, *ordinal, now.wall);
        text.diverted =
            diverted.then(|| Diverted { object: "/".into(), owner: "".into(), waits: true, report_deleted: false });
        *ordinal += 1;
        self.input(now, Input::Submit(Box::new(text), Class::Mobile))
    }

    pub fn emergency(&mut self, now: Now, id: TextId) -> Vec<Effect> {
        let mut text = blank(id, &self.other, "help", 0, now.wall);
        text.to = Address("112".into());
        text.peer = None;
        self.input(now, Input::Submit(Box::new(text), Class::Emergency))
    }

    /// Texts that wait for the peer or the user.
    pub fn held(&self) -> Vec<TextId> {
        let held = |id: &&TextId| matches!(self.store.texts[*id].state, State::Held(_));
        self.store.order.iter().filter(held).copied().collect()
    }

    /// What an SMS would be made of.
    pub fn sms_body(&self, id: TextId, marked: bool) -> String {
        let text = &self.store.texts[&id];
        wire_body(&text.body.0, text.ordinal, marked).into_owned()
    }

    pub fn prepared(&mut self, now: Now, id: TextId, body: &str) -> Vec<Effect> {
        let attempt = SmsAttempt { object: body.into(), owner: ":1.1".into(), issued: false, references: vec![] };
        self.input(now, Input::Sms(id, SmsOutcome::Prepared(attempt)))
    }

    pub fn letter(&mut self, now: Now, letter: Letter, forgets: bool) -> Vec<Effect> {
        if !self.store.on || !self.up || self.facts.blocked {
            return Vec::new();
        }
        let peer = self.other.clone();
        match letter {
            Letter::Probe => {
                self.leases += 1;
                let id = LeaseId(self.leases.to_be_bytes());
                let facts = self.router.peer(&peer);
                match self.granting.probe(now, &peer, PresencePolicy::Anyone, facts, true, id) {
                    Probed::Grant { lease, ends_in, .. } => vec![Effect::Letter(Letter::Answer(lease, ends_in))],
                    Probed::Silence => Vec::new(),
                }
            }
            Letter::Answer(lease, ends_in) => self.input(now, Input::Granted { peer, lease, ends_in }),
            Letter::Unavailable => self.input(now, Input::Gone(peer)),
            Letter::Receipt(id) => self.news(now, id, Input::Receipt { id, read: false }, true),
            Letter::RevokeAnswer(id, shown) => self.news(now, id, Input::RevokeAnswer { id, shown }, shown),
            Letter::Revoke(id) => {
                if !self.granting.owes(now.mono, &peer) {
                    return Vec::new();
                }
                let shown = self.store.im_shown.contains(&id);
                if !shown {
                    self.store.revoked.insert(id);
                }
                vec![Effect::Letter(Letter::RevokeAnswer(id, shown))]
            }
            Letter::Text { id, lease, body, ordinal } => self.text(now, id, lease, body, ordinal, forgets),
        }
    }

    fn text(&mut self, now: Now, id: TextId, lease: LeaseId, body: String, n: u16, forgets: bool) -> Vec<Effect> {
        let facts = ImFacts {
            lease: self.granting.under(now.mono, &self.other, lease),
            shown: self.store.im_shown.contains(&id) && !forgets,
            revoked: self.store.revoked.contains(&id),
            twin: self.store.shown.get(&(body.clone(), n)).copied(),
            blocked: false,
        };
        let verdict = judge_im(&facts);
        if verdict != ImVerdict::Silence {
            self.granting.texted(&self.other.clone());
        }
        let receipt = Effect::Letter(Letter::Receipt(id));
        match verdict {
            ImVerdict::Silence => Vec::new(),
            ImVerdict::Revoked => vec![Effect::Letter(Letter::RevokeAnswer(id, false))],
            ImVerdict::Shown => {
                self.store.im_shown.insert(id);
                vec![receipt]
            }
            ImVerdict::Show => {
                self.store.im_shown.insert(id);
                self.store.shown.insert((body.clone(), n), Shown { id, bearer: Bearer::Im, at: now.wall });
                vec![Effect::Show { id: Some(id), body }, receipt]
            }
        }
    }

    /// An SMS came in; `serial` is what the SMSC's time stamp tells apart.
    pub fn sms(&mut self, now: Now, serial: u64, wire: &str, ignores_marks: bool) -> Vec<Effect> {
        let mark = split_mark(wire).filter(|_| !ignores_marks);
        let key = mark.map(|(body, n)| (body.to_owned(), n));
        let twin = key.as_ref().and_then(|key| self.store.shown.get(key)).copied();
        let seen = !self.store.sms_seen.insert(serial);
        match judge_sms(&SmsFacts { seen, twin }) {
            SmsVerdict::Repeat | SmsVerdict::Twin => Vec::new(),
            SmsVerdict::Show => {
                let id = TextId([0; 16]);
                if let Some(key) = key {
                    self.store.shown.insert(key, Shown { id, bearer: Bearer::Sms, at: now.wall });
                }
                let body = mark.map_or(wire, |(body, _)| body).trim_end().to_owned();
                vec![Effect::Show { id: None, body }]
            }
        }
    }

    fn news(&mut self, now: Now, id: TextId, input: Input, shown: bool) -> Vec<Effect> {
        if self.router.text(id).is_some() {
            return self.input(now, input);
        }
        if let Some(text) = self.store.texts.get_mut(&id).filter(|_| shown) {
            let _changed = refine(text, Late::Shown { read: false });
        }
        Vec::new()
    }
}

fn class(text: &Text) -> Class {
    if text.peer.is_some() { Class::Mobile } else { Class::Emergency }
}

fn blank(id: TextId, to: &PhoneNumber, body: &str, ordinal: u16, at: Timestamp) -> Text {
    Text {
        id,
        line: LineId("line".into()),
        to: Address(to.as_e164().into()),
        peer: Some(to.clone()),
        body: Body(body.into()),
        at,
        state: State::Queued,
        reason: Reason::Unknown,
        only: None,
        wording: WordingKey([0; 32]),
        ordinal,
        im: None,
        sms: None,
        retries: 0,
        encoding: Encoding::Gsm7,
        token: None,
        report: false,
        cancelled: false,
        diverted: None,
    }
}

/// Outcomes of a send, by number: whether it left, and what the modem says.
pub fn outcome(how: u8) -> (bool, SmsOutcome) {
    match how {
        0 | 1 => (true, SmsOutcome::Sent { references: vec![] }),
        2 => (false, SmsOutcome::Later(Cause::NoNetwork)),
        3 => (true, SmsOutcome::Unknown(Cause::ModemMute)),
        4 => (false, SmsOutcome::Never(Cause::Refused)),
        _ => (false, SmsOutcome::Unknown(Cause::NetworkTimeout)),
    }
}

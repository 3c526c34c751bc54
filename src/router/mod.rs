//! Decisions, and nothing else: no clock, no randomness, no database, no log, no await.
//!
//! The core feeds an [`Input`] with the time it happened and gets back [`Action`]s. It carries out
//! every [`Action::Save`] and [`Action::SealText`] of one answer in one transaction, commits, and only
//! then does the rest, in order (protocol.md §1, "commit, then act"). The one exception is
//! [`Action::SmsNow`]: an emergency text waits for nothing.
//!
//! | file | what happens when |
//! | --- | --- |
//! | `policy` | which bearer, by reasons in a fixed order |
//! | `outgoing` | one text's way from `Queued` to a final state |
//! | `im`, `sms`, `held` | its three legs |
//! | `diverted` | texts whose plain SMS somebody else sends |
//! | `conversation` | who goes next to one peer |
//! | `presence` | leases held from others, probes for them |
//! | `granting` | leases granted to others |
//! | `rest` | sleep and waking: when leases may be granted |
//! | `rotation` | the account's secret, and a new one in its place |
//! | `incoming` | what to do with a text that came in |
//! | `mark` | the twin mark on a fallback SMS |
//! | `switch` | the uplink's life: off, starting, online, waiting, stopping |
//! | `backoff`, `timers` | when to try again |
//! | `allowance` | how much others may make us do |

mod allowance;
mod backoff;
mod conversation;
mod diverted;
mod enrolling;
mod granting;
mod held;
mod im;
mod incoming;
mod input;
mod mark;
mod outgoing;
mod policy;
mod presence;
mod rest;
mod rotation;
mod sms;
mod switch;
mod tenure;
#[cfg(test)]
mod tests;
mod timers;

pub use allowance::Allowance;
pub use backoff::Backoff;
pub use enrolling::{Doing, EnrolInput, EnrolStep, Enrolling, Stage};
pub use granting::{Granting, Obligation, Probed};
pub use incoming::{ImFacts, ImVerdict, SMS_SEEN_FOR, SmsFacts, SmsVerdict, judge_im, judge_sms, twin_remembered};
pub use input::{Action, Class, Conditions, Input, Link, PeerFacts, SmsOutcome};
pub use mark::{MAX_ORDINAL, marked, split_mark, wire_body};
pub use outgoing::{Late, Refused, refine};
pub use policy::{Explained, Facts, RULES, Rule, Verdict};
pub use rest::{Rest, RestInput, RestStep};
pub use rotation::{Rotation, SecretInput, SecretStep};
pub use switch::{Phase, Step, Switch, SwitchInput, Why};
pub use tenure::{Renewal, Sim, Tenure};

use crate::model::{Address, ImAttempt, Instant, LineId, Now, PhoneNumber, State, Text, TextId};
use conversation::Conversations;
use presence::Presence;
use std::collections::HashMap;
use timers::Timers;

/// How long a probe may take before the text goes by SMS (protocol.md §1).
pub const PROBE_BUDGET: std::time::Duration = std::time::Duration::from_millis(1500);
/// How long a revoke may go unanswered before the SMS goes with the mark (protocol.md §1).
pub const REVOKE_BUDGET: std::time::Duration = std::time::Duration::from_secs(5);

/// The sender's side of every text that is not settled yet, and what is known of its peers.
/// Lives in memory; [`Input::Restore`] brings it back from the store.
#[derive(Debug, Default)]
pub struct Router {
    conditions: Conditions,
    /// The line whose number the account has.
    account_line: Option<LineId>,
    texts: HashMap<TextId, Pending>,
    conversations: Conversations,
    presence: Presence,
    peers: HashMap<PhoneNumber, PeerFacts>,
    timers: Timers<Timer>,
    /// Texts whose records this input changed.
    dirty: Vec<TextId>,
}

/// A text in work: its record, and what need not survive a restart.
#[derive(Debug)]
struct Pending {
    text: Text,
    class: Class,
    /// When it was handed over to this process.
    handed_over: Option<Instant>,
    /// Until when the choice of bearer may wait for a probe or a link that is just coming up.
    decide_by: Option<Instant>,
    /// The attempt before the one being sealed.
    before_im: Option<ImAttempt>,
    /// A revoke went out on the present link.
    revoke_sent: bool,
    /// The modem is at work on it: an outcome will come.
    at_modem: bool,
    /// The SMS is no longer wanted; its object is to be deleted as soon as it exists.
    cancel_sms: bool,
    /// A late receipt came while the SMS was with the modem.
    shown: bool,
    /// The state that was announced last.
    told: Option<State>,
}

/// What a deadline is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A text's next step is due.
    Text(TextId),
    /// A probe's budget, or a held lease that somebody watches.
    Peer(PhoneNumber),
    /// Held texts to this peer: probe again.
    Held(Address),
}

impl Router {
    /// An empty router: switch off, link down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input; the answer must be carried out as the module's head says.
    #[must_use]
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Conditions(conditions) => self.conditions_changed(now, conditions, &mut out),
            Input::AccountLine(line) => self.account_line = line,
            Input::Peer(peer, facts) => self.peer_changed(now, peer, facts, &mut out),
            Input::Restore(texts) => self.restore(now, texts, &mut out),
            Input::Submit(text, class) => self.submit(now, *text, class, &mut out),
            Input::Sms(id, outcome) => self.sms_outcome(now, id, outcome, &mut out),
            Input::Accepted(id) => self.accepted(id, &mut out),
            Input::NotSealed(id) => self.not_sealed(now, id, &mut out),
            Input::Bounced(id) => self.outcome_unknown(now, id, &mut out),
            Input::Receipt { id, read } => self.receipt(now, id, read, &mut out),
            Input::RevokeAnswer { id, shown } => self.revoke_answer(now, id, shown, &mut out),
            Input::Granted { peer, lease, ends_in } => self.granted(now, &peer, lease, ends_in, &mut out),
            Input::NotEnrolled(peer) => self.not_enrolled(now, &peer, &mut out),
            Input::Found(peer) => self.found(now, &peer),
            Input::ProbeFailed(peer) => self.probe_failed(now, &peer, &mut out),
            Input::Gone(peer) => self.gone(now, &peer, &mut out),
            Input::Watch(peer) => self.watch(now, peer, &mut out),
            Input::Unwatch(peer) => self.presence.unwatch(&peer),
            Input::Tick => self.tick(now, &mut out),
        }
        self.finish(out)
    }

    /// When [`Input::Tick`] is due next, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The text's record, while it is in work.
    #[must_use]
    pub fn text(&self, id: TextId) -> Option<&Text> {
        self.texts.get(&id).map(|pending| &pending.text)
    }

    /// How many texts are in work, held ones included.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.texts.len()
    }

    /// Whether anything is under way that should not be slept over: held texts and pauses may be.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        self.texts.len() > self.conversations.held_count()
    }

    /// The conditions last given.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What is known of a peer.
    #[must_use]
    pub fn peer(&self, peer: &PhoneNumber) -> PeerFacts {
        self.peers.get(peer).copied().unwrap_or_default()
    }

    /// Which way a text from `line` (`None`: the account's) would go now, and why; changes nothing and sends nothing.
    #[must_use]
    pub fn route(&self, now: Now, line: Option<&LineId>, peer: Option<&PhoneNumber>, class: Class) -> Explained {
        policy::explain(&self.facts(now, line, peer, class, None))
    }

    /// Whether a text to this peer is under way or waits its turn: a later one must not overtake it.
    #[must_use]
    pub fn is_busy(&self, peer: &PhoneNumber) -> bool {
        self.conversations.head(&Address(peer.as_e164().into())).is_some()
    }

    /// When the lease held from `peer` ends, if there is a live one.
    #[must_use]
    pub fn lease_ends(&self, now: Now, peer: &PhoneNumber) -> Option<Instant> {
        self.presence.lease(now.mono, peer).map(|lease| lease.ends)
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some(timer) = self.timers.pop_due(now.mono) {
            match timer {
                Timer::Text(id) => self.text_due(now, id, out),
                Timer::Peer(peer) => self.peer_due(now, &peer, out),
                Timer::Held(to) => self.held_due(now, &to, out),
            }
        }
    }

    fn peer_changed(&mut self, now: Now, peer: PhoneNumber, facts: PeerFacts, out: &mut Vec<Action>) {
        let confirmed = self.peer(&peer).key_changed && !facts.key_changed;
        let to = Address(peer.as_e164().into());
        if facts.wrote_to {
            self.may_be_asked(now, &peer);
        }
        self.peers.insert(peer, facts);
        self.wake(now, &to, out);
        if confirmed {
            // Whoever confirmed the key waits for the texts that were held for it.
            self.held_due(now, &to, out);
        }
    }

    fn facts_of(&self, now: Now, pending: &Pending) -> policy::Facts<'_> {
        let text = &pending.text;
        self.facts(now, Some(&text.line), text.peer.as_ref(), pending.class, text.only)
    }

    /// All that a bearer is chosen by.
    fn facts(
        &self,
        now: Now,
        line: Option<&LineId>,
        peer: Option<&PhoneNumber>,
        class: Class,
        only: Option<crate::model::Bearer>,
    ) -> policy::Facts<'_> {
        policy::Facts {
            conditions: &self.conditions,
            accounts_line: self.account_line.is_some() && (line.is_none() || line == self.account_line.as_ref()),
            class,
            only,
            ordinal: 0,
            asked: None,
            patient: true,
            clock_set: now.wall >= crate::model::Timestamp::PLAUSIBLE,
            peer: peer.map(|peer| self.peer(peer)).unwrap_or_default(),
            lease: peer.and_then(|peer| self.presence.lease(now.mono, peer)),
            probe: peer.map_or(presence::ProbeState::None, |peer| self.presence.probe(now.mono, peer)),
        }
    }
}

//! Which bearer, by reasons in a fixed order (protocol.md §1).

use super::input::{Class, Conditions, Link, PeerFacts};
use super::mark::MAX_ORDINAL;
use super::presence::{Lease, ProbeState};
use crate::model::{Bearer, Instant, LeaseId, PeerPolicy, Question, Reason};

/// Which way a text goes now.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By IM, under this lease.
    Im {
        /// The live lease.
        lease: LeaseId,
    },
    /// By SMS.
    Sms {
        /// Why.
        reason: Reason,
    },
    /// Ask the peer first.
    Probe,
    /// A probe or the link's first connection is under way.
    Wait,
    /// Never by SMS without the user: wait for the peer, or for a decision.
    Hold {
        /// What for.
        question: Question,
        /// What stands in the way.
        reason: Reason,
    },
}

/// A verdict with the rules it passed, as `shuntctl route` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What would happen to a text handed over now.
    pub verdict: Verdict,
    /// The bearer, as far as it is known without asking the peer.
    pub bearer: Bearer,
    /// Why.
    pub reason: Reason,
    /// Names of the rules that let the text pass, in order.
    pub passed: &'static [Rule],
    /// The rule that decided.
    pub decided: &'static str,
}

/// A rule's name, and its verdict if it has one.
pub type Rule = (&'static str, fn(&Facts<'_>) -> Option<Verdict>);

/// All that a bearer is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub(super) conditions: &'a Conditions,
    /// The text goes from the line whose number the account has.
    pub(super) accounts_line: bool,
    pub(super) class: Class,
    pub(super) only: Option<Bearer>,
    pub(super) ordinal: u16,
    pub(super) clock_set: bool,
    pub(super) peer: PeerFacts,
    pub(super) lease: Option<Lease>,
    pub(super) probe: ProbeState,
    /// When the text was handed over; `None` for a mere question.
    pub(super) asked: Option<Instant>,
    /// The text may still wait for a probe or for the link.
    pub(super) patient: bool,
}

/// The rules, in order; the first with a verdict decides. Those from `switch` on give way to
/// `im-only`, which holds a text rather than downgrade it.
pub const RULES: &[Rule] = &[
    ("emergency", |f| (f.class == Class::Emergency).then_some(sms(Reason::Emergency))),
    ("short-code", |f| (f.class == Class::ShortCode).then_some(sms(Reason::ShortCode))),
    ("sms-only-list", |f| (f.class == Class::SmsOnlyList).then_some(sms(Reason::SmsOnlyList))),
    ("policy", policy),
    ("switch", |f| (!f.conditions.on).then_some(sms(Reason::SwitchOff))),
    ("clock", |f| (!f.clock_set).then_some(sms(Reason::ClockUnset))),
    ("link", link),
    ("metered", |f| (f.conditions.metered && !f.conditions.allow_metered).then_some(sms(Reason::Metered))),
    ("roaming", |f| (f.conditions.roaming && !f.conditions.allow_roaming).then_some(sms(Reason::Roaming))),
    ("sim", |f| (!f.conditions.sim).then_some(sms(Reason::NoSim))),
    ("line", |f| (!f.accounts_line).then_some(sms(Reason::OtherLine))),
    ("enrolled", |f| matches!(f.probe, ProbeState::NotEnrolled { .. }).then_some(sms(Reason::NotEnrolled))),
    ("key", |f| f.peer.key_changed.then_some(sms(Reason::KeyChanged))),
    ("ordinal", |f| (f.ordinal > MAX_ORDINAL).then_some(sms(Reason::Policy))),
    ("lease", |f| f.lease.map(|lease| Verdict::Im { lease: lease.id })),
    ("probe", |f| Some(probe(f))),
];

/// The rule from which on `im-only` holds.
const HOLDS_FROM: usize = 4;

const fn sms(reason: Reason) -> Verdict {
    Verdict::Sms { reason }
}

fn policy(f: &Facts<'_>) -> Option<Verdict> {
    let by_sms = f.only == Some(Bearer::Sms) || (f.peer.policy == PeerPolicy::SmsOnly && f.only != Some(Bearer::Im));
    match () {
        () if by_sms => Some(sms(Reason::Policy)),
        // To block somebody is not to say that what was meant for IM alone may go by SMS.
        () if f.peer.blocked && f.im_only() => {
            Some(Verdict::Hold { question: Question::PeerOffline, reason: Reason::Policy })
        }
        () => f.peer.blocked.then_some(sms(Reason::Policy)),
    }
}

fn link(f: &Facts<'_>) -> Option<Verdict> {
    match f.conditions.link {
        Link::Up => None,
        Link::Connecting if f.patient => Some(Verdict::Wait),
        Link::Connecting | Link::Down => Some(sms(Reason::LinkDown)),
    }
}

fn probe(f: &Facts<'_>) -> Verdict {
    let fresh = |ended| f.asked.is_none_or(|asked| ended >= asked);
    match f.probe {
        ProbeState::Probing { .. } if f.patient => Verdict::Wait,
        ProbeState::Probing { .. } => sms(Reason::RegisteredOffline),
        ProbeState::Silent { ended } if fresh(ended) => sms(Reason::RegisteredOffline),
        ProbeState::Failed { ended } if fresh(ended) => sms(Reason::Unknown),
        ProbeState::NotEnrolled { .. } => sms(Reason::NotEnrolled),
        ProbeState::None | ProbeState::Found | ProbeState::Silent { .. } | ProbeState::Failed { .. } if f.patient => {
            Verdict::Probe
        }
        ProbeState::None | ProbeState::Found | ProbeState::Silent { .. } | ProbeState::Failed { .. } => {
            sms(Reason::Unknown)
        }
    }
}

impl Facts<'_> {
    /// Whether this text must not go by SMS unasked.
    pub(super) fn im_only(&self) -> bool {
        self.only == Some(Bearer::Im) || (self.only.is_none() && self.peer.policy == PeerPolicy::ImOnly)
    }
}

pub(super) fn decide(f: &Facts<'_>) -> Verdict {
    explain(f).verdict
}

pub(super) fn explain(f: &Facts<'_>) -> Explained {
    let (at, decided, verdict) = RULES
        .iter()
        .enumerate()
        .find_map(|(at, (name, rule))| rule(f).map(|verdict| (at, *name, verdict)))
        .unwrap_or((RULES.len(), "probe", sms(Reason::Unknown)));
    let verdict = match verdict {
        Verdict::Sms { reason } if at >= HOLDS_FROM && f.im_only() => Verdict::Hold {
            question: if reason == Reason::KeyChanged { Question::KeyChanged } else { Question::PeerOffline },
            reason,
        },
        other => other,
    };
    let (bearer, reason) = match verdict {
        Verdict::Im { .. } => (Bearer::Im, Reason::Online),
        Verdict::Sms { reason } => (Bearer::Sms, reason),
        Verdict::Hold { reason, .. } => (Bearer::Im, reason),
        Verdict::Wait if f.conditions.link != Link::Up => (Bearer::Sms, Reason::LinkDown),
        Verdict::Probe if f.probe == ProbeState::Found => (Bearer::Sms, Reason::Enrolled),
        Verdict::Wait | Verdict::Probe => (Bearer::Sms, Reason::Unknown),
    };
    Explained { verdict, bearer, reason, passed: RULES.get(..at).unwrap_or_default(), decided }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Conditions = Conditions {
        on: true,
        account: true,
        link: Link::Up,
        sim: true,
        roaming: false,
        metered: false,
        allow_roaming: false,
        allow_metered: true,
        fallback_after: std::time::Duration::from_secs(10),
        fallback: crate::model::FallbackPolicy::Always,
    };

    fn facts(conditions: &Conditions) -> Facts<'_> {
        Facts {
            conditions,
            accounts_line: true,
            class: Class::Mobile,
            only: None,
            ordinal: 0,
            clock_set: true,
            peer: PeerFacts::default(),
            lease: Some(Lease { id: LeaseId([1; 16]), ends: Instant(1_000) }),
            probe: ProbeState::None,
            asked: Some(Instant(0)),
            patient: true,
        }
    }

    #[test]
    fn a_live_lease_means_im() {
        assert_eq!(decide(&facts(&ON)), Verdict::Im { lease: LeaseId([1; 16]) });
    }

    #[test]
    fn earlier_rules_win_over_later_ones() {
        let all_wrong = Conditions { on: false, link: Link::Down, roaming: true, ..ON };
        let mut f = facts(&all_wrong);
        f.class = Class::Emergency;
        f.peer.policy = PeerPolicy::ImOnly;
        f.peer.key_changed = true;
        assert_eq!(decide(&f), sms(Reason::Emergency));
        f.class = Class::Mobile;
        assert_eq!(decide(&f), Verdict::Hold { question: Question::PeerOffline, reason: Reason::SwitchOff });
        f.peer.policy = PeerPolicy::Auto;
        assert_eq!(decide(&f), sms(Reason::SwitchOff));
        let on = Conditions { on: true, ..all_wrong };
        f.conditions = &on;
        assert_eq!(decide(&f), sms(Reason::LinkDown));
        let up = Conditions { link: Link::Up, ..on };
        f.conditions = &up;
        assert_eq!(decide(&f), sms(Reason::Roaming));
        let home = Conditions { roaming: false, ..up };
        f.conditions = &home;
        assert_eq!(decide(&f), sms(Reason::KeyChanged));
    }

    #[test]
    fn a_silence_answers_the_texts_that_waited_for_it_and_no_later_one() {
        let mut f = facts(&ON);
        f.lease = None;
        f.probe = ProbeState::Silent { ended: Instant(50) };
        assert_eq!(decide(&f), sms(Reason::RegisteredOffline));
        f.asked = Some(Instant(51));
        assert_eq!(decide(&f), Verdict::Probe);
        f.patient = false;
        assert_eq!(decide(&f), sms(Reason::Unknown));
    }

    #[test]
    fn an_explanation_names_the_rules_passed() {
        let conditions = Conditions { metered: true, allow_metered: false, ..ON };
        let explained = explain(&facts(&conditions));
        assert_eq!(explained.decided, "metered");
        assert_eq!(explained.passed.last().map(|(name, _)| *name), Some("link"));
        assert_eq!((explained.bearer, explained.reason), (Bearer::Sms, Reason::Metered));
    }

    #[test]
    fn im_only_holds_from_the_switch_on() {
        assert_eq!(RULES[HOLDS_FROM].0, "switch");
    }
}

//! Leases held from others, and the probes that ask for them (protocol.md §3).

use super::granting::{SILENCE, UNUSED_LEASES};
use super::input::Action;
use super::{PROBE_BUDGET, Router, Timer};
use crate::model::{Address, Instant, LeaseId, Now, PhoneNumber};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The longest lease that is believed.
const LONGEST_LEASE: Duration = Duration::from_secs(180);
/// A lease is used this much less than granted: the text must still arrive under it.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How long "not enrolled" is believed: each fetch shows the server whom we think of.
const NOT_ENROLLED_FOR: Duration = Duration::from_secs(15 * 60);
/// How often a watched peer that is not online is asked.
const WATCH_AGAIN: Duration = Duration::from_secs(30);
/// Leases without a text that a watch takes: the peer grants one more before it falls silent, and that one is for
/// the text that the user may yet write.
const WATCHED_LEASES: u8 = UNUSED_LEASES - 1;
/// The peer forgets them an hour after the last one; its clock may have begun a little later.
const FORGOTTEN: Duration = SILENCE.saturating_add(Duration::from_secs(60));

/// A lease that a peer granted us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) ends: Instant,
}

/// How the last probe of a peer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ProbeState {
    /// Nothing known.
    #[default]
    None,
    /// Under way.
    Probing { until: Instant },
    /// No answer within the budget: silence and refusal look the same.
    Silent { ended: Instant },
    /// It could not be sent.
    Failed { ended: Instant },
    /// No bundle under that pseudonym.
    NotEnrolled { until: Instant },
    /// There is one; it was not asked anything, as the user never wrote to it.
    Found,
}

#[derive(Debug, Default)]
pub(super) struct Presence {
    held: HashMap<PhoneNumber, Lease>,
    probes: HashMap<PhoneNumber, ProbeState>,
    watched: HashSet<PhoneNumber>,
    /// Leases that a peer granted since a text of ours was shown there, and when the last one.
    unused: HashMap<PhoneNumber, (u8, Instant)>,
}

impl Presence {
    pub(super) fn lease(&self, now: Instant, peer: &PhoneNumber) -> Option<Lease> {
        self.held.get(peer).copied().filter(|lease| lease.ends > now)
    }

    pub(super) fn probe(&self, now: Instant, peer: &PhoneNumber) -> ProbeState {
        match self.probes.get(peer).copied().unwrap_or_default() {
            ProbeState::NotEnrolled { until } if until <= now => ProbeState::None,
            state => state,
        }
    }

    pub(super) fn unwatch(&mut self, peer: &PhoneNumber) {
        self.watched.remove(peer);
    }

    pub(super) fn watched(&self) -> Vec<PhoneNumber> {
        let mut watched: Vec<PhoneNumber> = self.watched.iter().cloned().collect();
        watched.sort();
        watched
    }

    fn count_lease(&mut self, now: Instant, peer: &PhoneNumber) {
        self.unused.retain(|_, (_, last)| last.plus(FORGOTTEN) > now);
        let (count, last) = self.unused.entry(peer.clone()).or_insert((0, now));
        (*count, *last) = (count.saturating_add(1), now);
    }

    /// A text of ours was shown there: no lease counts as unused.
    pub(super) fn texted(&mut self, peer: &PhoneNumber) {
        self.unused.remove(peer);
    }

    /// Until when a watch must leave the peer alone, so that it grants a text its lease.
    fn rests_until(&self, now: Instant, peer: &PhoneNumber) -> Option<Instant> {
        let (count, last) = self.unused.get(peer)?;
        let until = last.plus(FORGOTTEN);
        (*count >= WATCHED_LEASES && until > now).then_some(until)
    }

    /// What is known of one peer proved worthless.
    pub(super) fn forget(&mut self, peer: &PhoneNumber, now: Instant) {
        self.held.remove(peer);
        self.probes.insert(peer.clone(), ProbeState::Failed { ended: now });
    }

    /// Nothing known holds any longer: the link is gone or the switch went off.
    pub(super) fn forget_all(&mut self) {
        self.held.clear();
        self.probes.clear();
    }
}

impl Router {
    /// Asks the peer, unless that is under way.
    pub(super) fn start_probe(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        if matches!(self.presence.probe(now.mono, peer), ProbeState::Probing { .. }) {
            return;
        }
        let until = now.mono.plus(PROBE_BUDGET);
        self.presence.probes.insert(peer.clone(), ProbeState::Probing { until });
        self.timers.set(Timer::Peer(peer.clone()), until);
        out.push(Action::Probe(peer.clone()));
    }

    pub(super) fn granted(
        &mut self,
        now: Now,
        peer: &PhoneNumber,
        id: LeaseId,
        ends_in: Duration,
        out: &mut Vec<Action>,
    ) {
        let ends = now.mono.plus(ends_in.min(LONGEST_LEASE).saturating_sub(LEASE_MARGIN));
        self.presence.held.retain(|_, lease| lease.ends > now.mono);
        self.presence.count_lease(now.mono, peer);
        self.presence.held.insert(peer.clone(), Lease { id, ends });
        self.presence.probes.remove(peer);
        if self.presence.watched.contains(peer) {
            self.timers.set(Timer::Peer(peer.clone()), ends);
        } else {
            self.timers.clear(&Timer::Peer(peer.clone()));
        }
        self.wake(now, &Address(peer.as_e164().into()), out);
    }

    pub(super) fn not_enrolled(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        let until = now.mono.plus(NOT_ENROLLED_FOR);
        self.probe_over(now, peer, ProbeState::NotEnrolled { until }, out);
    }

    /// A watched peer is enrolled.
    pub(super) fn found(&mut self, now: Now, peer: &PhoneNumber) {
        let asked = matches!(self.presence.probe(now.mono, peer), ProbeState::Probing { .. });
        // A text may have asked meanwhile.
        if !asked && self.presence.watched.contains(peer) {
            self.presence.probes.insert(peer.clone(), ProbeState::Found);
            self.timers.clear(&Timer::Peer(peer.clone()));
        }
    }

    /// The user writes to the peer: where its text does not ask whether it is online, the watch will.
    pub(super) fn may_be_asked(&mut self, now: Now, peer: &PhoneNumber) {
        if self.presence.probe(now.mono, peer) == ProbeState::Found {
            self.timers.set(Timer::Peer(peer.clone()), now.mono.plus(WATCH_AGAIN));
        }
    }

    pub(super) fn probe_failed(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        self.probe_over(now, peer, ProbeState::Failed { ended: now.mono }, out);
    }

    fn probe_over(&mut self, now: Now, peer: &PhoneNumber, state: ProbeState, out: &mut Vec<Action>) {
        self.presence.probes.insert(peer.clone(), state);
        if self.presence.watched.contains(peer) {
            self.timers.set(Timer::Peer(peer.clone()), now.mono.plus(WATCH_AGAIN));
        } else {
            self.timers.clear(&Timer::Peer(peer.clone()));
        }
        self.wake(now, &Address(peer.as_e164().into()), out);
    }

    /// The peer is gone: what is under way to it is unknown, and the icon turns grey.
    pub(super) fn gone(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        if self.presence.held.remove(peer).is_none() {
            return;
        }
        if self.presence.watched.contains(peer) {
            self.timers.set(Timer::Peer(peer.clone()), now.mono.plus(WATCH_AGAIN));
        }
        let under_way = self.conversations.head(&Address(peer.as_e164().into()));
        if let Some(id) = under_way {
            self.outcome_unknown(now, id, out);
        }
    }

    pub(super) fn watch(&mut self, now: Now, peer: PhoneNumber, out: &mut Vec<Action>) {
        self.presence.watched.insert(peer.clone());
        match self.presence.lease(now.mono, &peer) {
            Some(lease) => self.timers.set(Timer::Peer(peer), lease.ends),
            None => self.look_again(now, &peer, out),
        }
    }

    pub(super) fn peer_due(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        if let ProbeState::Probing { .. } = self.presence.probe(now.mono, peer) {
            self.probe_over(now, peer, ProbeState::Silent { ended: now.mono }, out);
        } else if self.presence.watched.contains(peer) {
            self.look_again(now, peer, out);
        }
    }

    /// Probes a watched peer if a text to it would be worth a probe, else looks again later.
    fn look_again(&mut self, now: Now, peer: &PhoneNumber, out: &mut Vec<Action>) {
        if let Some(until) = self.presence.rests_until(now.mono, peer) {
            return self.timers.set(Timer::Peer(peer.clone()), until);
        }
        let mut facts = self.facts(now, None, Some(peer), super::Class::Mobile, None);
        facts.asked = Some(now.mono);
        match super::policy::decide(&facts) {
            super::Verdict::Probe if self.peer(peer).wrote_to => self.start_probe(now, peer, out),
            super::Verdict::Probe if self.presence.probe(now.mono, peer) == ProbeState::Found => {}
            // A probe would show it the user's number.
            super::Verdict::Probe => {
                self.timers.set(Timer::Peer(peer.clone()), now.mono.plus(WATCH_AGAIN));
                out.push(Action::Find(peer.clone()));
            }
            super::Verdict::Wait if facts.conditions.link == super::Link::Up => {}
            _ => self.timers.set(Timer::Peer(peer.clone()), now.mono.plus(WATCH_AGAIN)),
        }
    }
}

//! Leases granted to others (protocol.md §3): who is told that this phone is online right now, and
//! what that obliges us to.

use super::allowance::Allowance;
use super::input::PeerFacts;
use crate::model::{Instant, LeaseId, Now, PhoneNumber, PresencePolicy, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// A lease's length.
const LEASE: Duration = Duration::from_secs(180);
/// Leases granted to somebody who sends no text, before silence.
pub(super) const UNUSED_LEASES: u8 = 3;
/// How long that silence lasts; and unused leases are forgotten so long after the last one.
pub(super) const SILENCE: Duration = Duration::from_secs(60 * 60);
/// Probes of one peer that are answered: ten at once, then two a minute. Whoever loses the link again and again
/// needs some.
const OF_ONE: Allowance = Allowance::new(10, Duration::from_secs(30));
/// Of all peers together: each answer wakes the radio.
const OF_ALL: Allowance = Allowance::new(120, Duration::from_secs(10));
/// Peers remembered at a time; beyond it new ones are met with silence.
const PEERS: usize = 1000;

/// What a probe is answered.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// A lease.
    Grant {
        /// Its id.
        lease: LeaseId,
        /// How long it lasts from now.
        ends_in: Duration,
        /// Send directed presence: they held none until now.
        first: bool,
    },
    /// Nothing: refusal and absence look the same.
    Silence,
}

/// What we owe the holder of a lease.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obligation {
    /// Show the text, answer everything.
    Live {
        /// When the lease was granted, by our wall clock.
        granted: Timestamp,
    },
    /// Ended early (switched off, link lost, asleep): no text is shown under it any more, but
    /// revokes are still answered until it would have run out.
    Closed,
    /// Nothing.
    None,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    id: LeaseId,
    granted: Timestamp,
    ends: Instant,
    open: bool,
}

#[derive(Debug)]
struct Holder {
    leases: Vec<Lease>,
    unused: u8,
    silent_until: Instant,
    probes: Allowance,
}

/// The leases out, in memory only.
#[derive(Debug)]
pub struct Granting {
    holders: HashMap<PhoneNumber, Holder>,
    probes: Allowance,
}

impl Default for Granting {
    fn default() -> Self {
        Self { holders: HashMap::new(), probes: OF_ALL }
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self { leases: Vec::new(), unused: 0, silent_until: Instant(0), probes: OF_ONE }
    }
}

impl Granting {
    /// Answers a probe from `peer`, who has proven that number. `may` says whether this phone may be
    /// online at all: switch on, link up, SIM there, awake.
    pub fn probe(
        &mut self,
        now: Now,
        peer: &PhoneNumber,
        policy: PresencePolicy,
        facts: PeerFacts,
        may: bool,
        id: LeaseId,
    ) -> Probed {
        let welcome = match policy {
            PresencePolicy::Anyone => true,
            PresencePolicy::Mutual => facts.wrote_to,
            PresencePolicy::Nobody => false,
        };
        if !may || !welcome || facts.blocked {
            return Probed::Silence;
        }
        if !self.holders.contains_key(peer) && self.holders.len() >= PEERS {
            self.holders.retain(|_, holder| holder.silent_until > now.mono || holder.owes(now.mono));
            if self.holders.len() >= PEERS {
                return Probed::Silence;
            }
        }
        let holder = self.holders.entry(peer.clone()).or_default();
        holder.leases.retain(|lease| lease.ends > now.mono);
        if holder.silent_until <= now.mono {
            holder.unused = 0;
        } else if holder.unused >= UNUSED_LEASES {
            return Probed::Silence;
        }
        // Last, so that what is met with silence anyway uses up nothing.
        if !holder.probes.take(now.mono) || !self.probes.take(now.mono) {
            return Probed::Silence;
        }
        holder.unused += 1;
        holder.silent_until = now.mono.plus(SILENCE);
        let first = !holder.leases.iter().any(|lease| lease.open);
        holder.leases.push(Lease { id, granted: now.wall, ends: now.mono.plus(LEASE), open: true });
        Probed::Grant { lease: id, ends_in: LEASE, first }
    }

    /// What is owed to `peer` under the lease that a text names.
    pub fn under(&self, now: Instant, peer: &PhoneNumber, id: LeaseId) -> Obligation {
        let lease = self.holders.get(peer).and_then(|holder| holder.leases.iter().find(|lease| lease.id == id));
        match lease {
            Some(lease) if lease.ends <= now => Obligation::None,
            Some(Lease { open: true, granted, .. }) => Obligation::Live { granted: *granted },
            Some(_) => Obligation::Closed,
            None => Obligation::None,
        }
    }

    /// Whether `peer` holds, or held and may still count on, any lease: its revokes are answered.
    #[must_use]
    pub fn owes(&self, now: Instant, peer: &PhoneNumber) -> bool {
        self.holders.get(peer).is_some_and(|holder| holder.owes(now))
    }

    /// `peer` is blocked: it holds nothing any more, as if this phone had gone offline. Whether it
    /// held an open lease, and so is to get directed `unavailable`.
    #[must_use]
    pub fn block(&mut self, peer: &PhoneNumber) -> bool {
        let Some(holder) = self.holders.get_mut(peer) else { return false };
        let open = holder.leases.iter().any(|lease| lease.open);
        holder.leases.clear();
        open
    }

    /// A text came from `peer`: its leases are not idle curiosity.
    pub fn texted(&mut self, peer: &PhoneNumber) {
        if let Some(holder) = self.holders.get_mut(peer) {
            holder.unused = 0;
        }
    }

    /// Those whose last open lease has run out: they are to get directed `unavailable`.
    pub fn run_out(&mut self, now: Instant) -> Vec<PhoneNumber> {
        let mut gone = Vec::new();
        for (peer, holder) in &mut self.holders {
            let was_open = holder.leases.iter().any(|lease| lease.open);
            holder.leases.retain(|lease| lease.ends > now);
            if was_open && !holder.leases.iter().any(|lease| lease.open) {
                gone.push(peer.clone());
            }
        }
        self.holders.retain(|_, holder| !holder.leases.is_empty() || holder.silent_until > now);
        gone
    }

    /// When [`Self::run_out`] is due next: the end of the last open lease of some holder.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let last_open = |holder: &Holder| holder.leases.iter().filter(|l| l.open).map(|l| l.ends).max();
        self.holders.values().filter_map(last_open).min()
    }

    /// Ends every lease early; returns their holders, who are to get directed `unavailable`.
    pub fn close_all(&mut self) -> Vec<PhoneNumber> {
        let mut closed = Vec::new();
        for (peer, holder) in &mut self.holders {
            if holder.leases.iter().any(|lease| lease.open) {
                closed.push(peer.clone());
            }
            for lease in &mut holder.leases {
                lease.open = false;
            }
        }
        closed
    }
}

impl Holder {
    fn owes(&self, now: Instant) -> bool {
        self.leases.iter().any(|lease| lease.ends > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer() -> PhoneNumber {
        PhoneNumber::from_e164("+4915112345678").unwrap()
    }

    fn at(ms: u64) -> Now {
        Now { mono: Instant(ms), wall: Timestamp(1_800_000_000_000 + i64::try_from(ms).unwrap()) }
    }

    fn ask(granting: &mut Granting, now: Now, id: u8) -> Probed {
        granting.probe(now, &peer(), PresencePolicy::Anyone, PeerFacts::default(), true, LeaseId([id; 16]))
    }

    #[test]
    fn a_lease_is_live_until_it_ends_and_owes_nothing_after() {
        let mut granting = Granting::default();
        assert!(matches!(ask(&mut granting, at(0), 1), Probed::Grant { first: true, .. }));
        let id = LeaseId([1; 16]);
        assert!(matches!(granting.under(Instant(179_999), &peer(), id), Obligation::Live { .. }));
        assert_eq!(granting.under(Instant(180_000), &peer(), id), Obligation::None);
        assert_eq!(granting.run_out(Instant(180_000)), [peer()]);
        assert_eq!(granting.deadline(), None);
    }

    #[test]
    fn a_closed_lease_shows_no_text_but_still_answers_revokes() {
        let mut granting = Granting::default();
        let _ = ask(&mut granting, at(0), 1);
        assert_eq!(granting.close_all(), [peer()]);
        assert_eq!(granting.under(Instant(1), &peer(), LeaseId([1; 16])), Obligation::Closed);
        assert!(granting.owes(Instant(1), &peer()));
        assert!(!granting.owes(Instant(180_000), &peer()));
    }

    #[test]
    fn three_leases_without_a_text_bring_silence_for_an_hour() {
        let mut granting = Granting::default();
        for n in 0..3 {
            assert!(matches!(ask(&mut granting, at(n * 200_000), 1), Probed::Grant { .. }));
        }
        assert_eq!(ask(&mut granting, at(600_000), 1), Probed::Silence);
        granting.texted(&peer());
        assert!(matches!(ask(&mut granting, at(700_000), 1), Probed::Grant { .. }));
        let mut granting = Granting::default();
        for n in 0..3 {
            let _ = ask(&mut granting, at(n), 1);
        }
        assert!(matches!(ask(&mut granting, at(2 + 3_600_000), 1), Probed::Grant { .. }));
    }

    proptest! {
        /// Whenever somebody who never writes asks: at most three leases in an hour, and so at most nine minutes of it.
        #[test]
        fn a_stalker_gets_three_leases_an_hour_whatever_its_rhythm(pauses in prop::collection::vec(0_u64..4_000_000, 1..200)) {
            let (mut granting, mut now, mut granted) = (Granting::default(), 0, Vec::new());
            for pause in pauses {
                now += pause;
                let _ = granting.run_out(Instant(now));
                if let Probed::Grant { .. } = ask(&mut granting, at(now), 1) {
                    granted.push(now);
                }
                prop_assert!(granted.iter().filter(|then| **then + 3_600_000 > now).count() <= 3);
            }
        }
    }

    #[test]
    fn policy_and_block_mean_silence() {
        let mut granting = Granting::default();
        let blocked = PeerFacts { blocked: true, ..PeerFacts::default() };
        let id = LeaseId([1; 16]);
        assert_eq!(granting.probe(at(0), &peer(), PresencePolicy::Anyone, blocked, true, id), Probed::Silence);
        let stranger = PeerFacts::default();
        assert_eq!(granting.probe(at(0), &peer(), PresencePolicy::Mutual, stranger, true, id), Probed::Silence);
        assert_eq!(granting.probe(at(0), &peer(), PresencePolicy::Nobody, stranger, true, id), Probed::Silence);
        assert_eq!(granting.probe(at(0), &peer(), PresencePolicy::Anyone, stranger, false, id), Probed::Silence);
    }

    #[test]
    fn probes_of_one_peer_and_of_all_are_answered_at_a_bounded_rate() {
        let mut granting = Granting::default();
        let mut granted = |at_ms: u64| {
            let texting = |_: &u64| {
                granting.texted(&peer());
                matches!(ask(&mut granting, at(at_ms), 1), Probed::Grant { .. })
            };
            (0..50_u64).filter(texting).count()
        };
        assert_eq!((granted(1_000_000), granted(1_029_999), granted(1_030_000)), (10, 0, 1));
        let mut granting = Granting::default();
        let answered = (0..500_u64).filter(|n| {
            let peer = PhoneNumber::from_e164(&format!("+49151{n:08}")).unwrap();
            let asked = granting.probe(
                at(1_000_000),
                &peer,
                PresencePolicy::Anyone,
                PeerFacts::default(),
                true,
                LeaseId([1; 16]),
            );
            matches!(asked, Probed::Grant { .. })
        });
        assert_eq!(answered.count(), 120);
    }

    #[test]
    fn whoever_is_blocked_holds_nothing_any_more() {
        let mut granting = Granting::default();
        assert!(!granting.block(&peer()));
        let _ = ask(&mut granting, at(0), 1);
        assert!(granting.block(&peer()), "it is to see this phone leave");
        assert!(!granting.owes(Instant(1), &peer()) && !granting.block(&peer()));
    }

    #[test]
    fn strangers_cost_bounded_memory() {
        let mut granting = Granting::default();
        for n in 0..3000 {
            let peer = PhoneNumber::from_e164(&format!("+49151{:08}", n)).unwrap();
            let id = LeaseId([1; 16]);
            let _ = granting.probe(at(n), &peer, PresencePolicy::Anyone, PeerFacts::default(), true, id);
        }
        assert!(granting.holders.len() <= PEERS);
    }
}

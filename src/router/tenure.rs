//! Whether the account's number is still this phone's, and when that is to be proven anew (protocol.md §4):
//! certificates last 30 days at most; a fresh SMS proof is needed where the SIM was absent or changed, and every
//! 90 days in any case; leases are granted only if that SIM was registered in the last 24 hours.

use crate::model::{SimState, Timestamp};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = HOUR.saturating_mul(24);
/// A SIM that was not registered for so long may have been given away.
const REGISTERED: Duration = DAY;
/// A proof by SMS is good for so long.
const PROOF: Duration = DAY.saturating_mul(90);
/// How soon again what costs somebody an SMS is tried.
const SMS_AGAIN: Duration = DAY;
/// The proof is made anew so long before: a phone may be off for a week.
const PROOF_EARLY: Duration = DAY.saturating_mul(7);
/// A certificate is renewed once so much of its life is left, or a third where it is shorter.
const RENEW_EARLY: Duration = DAY.saturating_mul(10);
/// A renewal that failed is tried again after so long.
const RENEW_AGAIN: Duration = HOUR;

/// What is known of the account's own line. Kept across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tenure {
    /// When the number was proven by SMS last.
    pub proven: Timestamp,
    /// When the account's SIM was last seen registered.
    pub registered: Timestamp,
    /// Since the proof the SIM was absent, or another one was in its place.
    pub doubtful: bool,
    /// When a renewal or proof was last tried.
    pub tried: Timestamp,
    /// When an account in a newer epoch was last tried to get.
    pub moving: Timestamp,
}

/// The account's SIM, as the modem shows it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sim {
    /// The modem service is not there, or says nothing: no sign either way.
    #[default]
    Unknown,
    /// A modem is there and shows none, but may not have read it yet.
    Unread,
    /// No SIM, or another one.
    Gone,
    /// There, in this state.
    Here(SimState),
}

/// What the certificate needs now.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing.
    None,
    /// A new certificate, which the identity key signs for.
    Plain,
    /// A new certificate, with a code by SMS.
    Proof,
    /// An account in the current epoch, with a code by SMS.
    Move,
}

impl Tenure {
    /// A number that was proven just now.
    #[must_use]
    pub fn proven(now: Timestamp) -> Self {
        Self { proven: now, registered: now, doubtful: false, tried: Timestamp(0), moving: Timestamp(0) }
    }

    /// Takes what the modem shows; whether that is worth keeping. The time of registration is kept to the hour.
    #[must_use]
    pub fn seen(&mut self, now: Timestamp, sim: Sim) -> bool {
        match sim {
            Sim::Unknown | Sim::Unread => false,
            Sim::Gone => !std::mem::replace(&mut self.doubtful, true),
            Sim::Here(SimState::Home | SimState::Roaming) => {
                let due = now >= self.registered.plus(HOUR) || now < self.registered;
                if due {
                    self.registered = now;
                }
                due
            }
            Sim::Here(_) => false,
        }
    }

    /// Whether a lease may be granted: others may believe that this phone has the number.
    #[must_use]
    pub fn may_grant(&self, now: Timestamp, sim: Sim) -> bool {
        !self.doubtful && !matches!(sim, Sim::Gone | Sim::Unread) && now < self.registered.plus(REGISTERED)
    }

    /// That is tried now.
    pub fn tries(&mut self, now: Timestamp, renewal: Renewal) {
        if renewal == Renewal::Move { self.moving = now } else { self.tried = now }
    }

    /// What a certificate that was issued and expires so needs now; `newer`: there is an epoch after its own. An
    /// account moves when its certificate or proof is to be renewed in any case: so not all do on one day.
    pub fn renewal(&self, now: Timestamp, sim: Sim, (issued, expires): (Timestamp, Timestamp), newer: bool) -> Renewal {
        let tried = |at: Timestamp, pause| now < at.plus(pause) && now >= at;
        let proof = self.doubtful || now >= self.proven.plus(PROOF.saturating_sub(PROOF_EARLY));
        let life = Duration::from_millis(u64::try_from(expires.0.saturating_sub(issued.0)).unwrap_or(0));
        let due = proof || now >= expires.minus(RENEW_EARLY.min(life / 3));
        // Only a SIM that is registered can get the code.
        let reachable = matches!(sim, Sim::Here(SimState::Home | SimState::Roaming));
        if due && newer && reachable && !tried(self.moving, SMS_AGAIN) {
            return Renewal::Move;
        }
        match proof {
            true if reachable && !tried(self.tried, SMS_AGAIN) => Renewal::Proof,
            false if due && !tried(self.tried, RENEW_AGAIN) => Renewal::Plain,
            _ => Renewal::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);
    const HERE: Sim = Sim::Here(SimState::Home);

    /// A phone, hour by hour.
    struct Phone {
        now: Timestamp,
        tenure: Tenure,
        issued: Timestamp,
        renewed: Vec<(u64, Renewal)>,
        newer: bool,
    }

    impl Phone {
        fn new() -> Self {
            Self { now: START, tenure: Tenure::proven(START), issued: START, renewed: Vec::new(), newer: false }
        }

        fn expires(&self) -> Timestamp {
            self.issued.plus(DAY * 30)
        }

        fn hours(&self) -> u64 {
            u64::try_from(self.now.0 - START.0).unwrap() / 3_600_000
        }

        /// So many hours with the SIM like that; the directory answers or does not.
        fn live(&mut self, hours: u64, sim: Sim, directory: bool) {
            for _ in 0..hours {
                self.now = self.now.plus(HOUR);
                let _keep = self.tenure.seen(self.now, sim);
                let renewal = self.tenure.renewal(self.now, sim, (self.issued, self.expires()), self.newer);
                if renewal == Renewal::None {
                    continue;
                }
                self.renewed.push((self.hours(), renewal));
                self.tenure.tries(self.now, renewal);
                if directory {
                    self.issued = self.now;
                    self.newer &= renewal != Renewal::Move;
                    if renewal != Renewal::Plain {
                        self.tenure = Tenure::proven(self.now);
                    }
                }
            }
        }

        fn grants(&self, sim: Sim) -> bool {
            self.tenure.may_grant(self.now, sim)
        }
    }

    #[test]
    fn a_year_in_use_renews_in_time_and_proves_the_number_each_quarter() {
        let mut phone = Phone::new();
        for _ in 0..365 {
            phone.live(24, HERE, true);
            assert!(phone.now < phone.expires() && phone.grants(HERE));
            assert!(phone.now < phone.tenure.proven.plus(PROOF));
        }
        let days: Vec<_> = phone.renewed.iter().map(|(hours, renewal)| (hours / 24, *renewal)).collect();
        let expected = [20, 40, 60, 80].map(|day| (day, Renewal::Plain));
        assert_eq!(days[..4], expected);
        assert_eq!(days[4], (83, Renewal::Proof));
        assert_eq!(days.iter().filter(|(_, renewal)| *renewal == Renewal::Proof).count(), 4);
    }

    #[test]
    fn a_drawer_phone_grants_nothing_after_a_day_and_its_certificate_runs_out() {
        let mut phone = Phone::new();
        phone.live(23, Sim::Here(SimState::Searching), true);
        assert!(phone.grants(Sim::Here(SimState::Searching)));
        phone.live(1, Sim::Here(SimState::Searching), true);
        assert!(!phone.grants(Sim::Here(SimState::Searching)));
        // Its certificate is renewed as long as the last proof is good, and not beyond.
        phone.live(24 * 200, Sim::Here(SimState::Searching), true);
        assert!(phone.now > phone.expires());
        assert!(phone.renewed.iter().all(|(_, renewal)| *renewal == Renewal::Plain));
    }

    #[test]
    fn a_sim_that_was_out_is_proven_by_sms_when_it_is_back() {
        let mut phone = Phone::new();
        phone.live(48, HERE, true);
        phone.live(1, Sim::Gone, true);
        assert!(!phone.grants(Sim::Gone), "no SIM counts as changed, at once");
        assert!(phone.renewed.is_empty(), "nobody could get the code");
        phone.live(1, Sim::Here(SimState::Searching), true);
        assert!(!phone.grants(Sim::Here(SimState::Searching)) && phone.renewed.is_empty());
        phone.live(1, HERE, true);
        assert_eq!(phone.renewed, [(51, Renewal::Proof)]);
        assert!(phone.grants(HERE));
    }

    #[test]
    fn a_proof_that_fails_is_tried_once_a_day_and_a_renewal_once_an_hour() {
        let mut phone = Phone::new();
        phone.live(1, Sim::Gone, false);
        phone.live(72, HERE, false);
        assert_eq!(phone.renewed.iter().map(|(hours, _)| *hours).collect::<Vec<_>>(), [2, 26, 50]);
        let mut phone = Phone::new();
        phone.live(24 * 20 + 5, HERE, false);
        assert_eq!(phone.renewed.len(), 6);
        assert!(phone.renewed.iter().all(|(_, renewal)| *renewal == Renewal::Plain));
    }

    #[test]
    fn an_account_moves_to_a_newer_epoch_when_its_certificate_is_due_and_once() {
        let mut phone = Phone::new();
        phone.live(24 * 5, HERE, true);
        phone.newer = true;
        phone.live(24 * 95, HERE, true);
        let days: Vec<_> = phone.renewed.iter().map(|(hours, renewal)| (hours / 24, *renewal)).collect();
        let plain = [40, 60, 80, 100].map(|day| (day, Renewal::Plain));
        assert_eq!(days, [&[(20, Renewal::Move)], &plain[..]].concat(), "and the number is proven by it");
    }

    #[test]
    fn an_account_that_can_not_move_lives_on_in_its_own_epoch() {
        // The directory does not serve the new one yet, or nobody could get the code.
        let mut phone = Phone::new();
        phone.newer = true;
        phone.live(24 * 20 + 50, HERE, false);
        let count = |phone: &Phone, wanted| phone.renewed.iter().filter(|(_, renewal)| *renewal == wanted).count();
        assert_eq!((count(&phone, Renewal::Move), count(&phone, Renewal::Plain)), (3, 48), "{:?}", phone.renewed);
        let mut phone = Phone::new();
        phone.newer = true;
        phone.live(24 * 50, Sim::Here(SimState::Searching), true);
        assert_eq!((count(&phone, Renewal::Move), count(&phone, Renewal::Plain)), (0, 2));
        assert!(phone.now < phone.expires());
        // A SIM that was out: its number is proven in the one epoch or the other, each tried once a day.
        let mut phone = Phone::new();
        phone.newer = true;
        phone.live(1, Sim::Gone, false);
        phone.live(48, HERE, false);
        assert_eq!((count(&phone, Renewal::Move), count(&phone, Renewal::Proof)), (2, 2), "{:?}", phone.renewed);
    }

    #[test]
    fn a_modem_service_that_is_away_proves_nothing_either_way() {
        let mut phone = Phone::new();
        phone.live(12, Sim::Unknown, true);
        assert!(phone.grants(Sim::Unknown) && !phone.tenure.doubtful);
        phone.live(12, Sim::Unknown, true);
        assert!(!phone.grants(Sim::Unknown));
        phone.live(1, HERE, true);
        assert!(phone.grants(HERE) && phone.renewed.is_empty());
    }

    #[test]
    fn a_modem_that_has_not_read_its_sim_yet_grants_nothing_and_casts_no_doubt() {
        let mut phone = Phone::new();
        phone.live(1, Sim::Unread, true);
        assert!(!phone.grants(Sim::Unread) && !phone.tenure.doubtful);
        phone.live(1, HERE, true);
        assert!(phone.grants(HERE) && phone.renewed.is_empty());
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_stop_renewal_for_ever() {
        let mut tenure = Tenure::proven(START);
        tenure.tried = START.plus(DAY * 400);
        let expires = START.plus(DAY * 30);
        assert_eq!(tenure.renewal(START.plus(DAY * 25), HERE, (START, expires), false), Renewal::Plain);
    }
}

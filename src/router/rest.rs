//! Sleep and waking (protocol.md §3): a sleeping phone must not look online.
//!
//! Before sleep the leases end and the server is asked to have heard it; after waking nothing is
//! granted until the server has answered once more, or a new connection stands.

use crate::model::Instant;
use std::time::Duration;

/// How long sleep is held up for the server's word that it has heard us leave: well within the five
/// seconds that logind waits for delay inhibitors by default.
const LEAVING: Duration = Duration::from_secs(2);

/// Whether the phone is awake, as far as others may rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// It is.
    #[default]
    Awake,
    /// It will sleep; the leases' ends are on their way.
    Leaving {
        /// When it may sleep whatever the server says.
        until: Instant,
    },
    /// It may sleep at any moment, or does.
    Asleep,
    /// It woke, and whether the link outlived the sleep is not known yet.
    Waking,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestInput {
    /// The system is about to sleep. `linked`: the uplink is bound to the server.
    Sleeps {
        /// Whether there is anybody to tell.
        linked: bool,
    },
    /// The system woke, or did not sleep after all.
    Wakes {
        /// Whether there is a link to be checked.
        linked: bool,
    },
    /// The server answered, or a new connection stands.
    Answered,
    /// The link is gone: there is nobody to tell and nothing to check.
    LinkLost,
    /// A deadline passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestStep {
    /// End every lease, tell the holders, then have the server confirm with a ping.
    Leave,
    /// Ping the server.
    Check,
    /// Let the system sleep.
    LetSleep,
}

impl Rest {
    /// Takes one input.
    #[must_use]
    pub fn handle(&mut self, now: Instant, input: RestInput) -> Option<RestStep> {
        let (next, step) = match (*self, input) {
            (Self::Leaving { .. }, RestInput::Sleeps { .. }) => return None,
            (_, RestInput::Sleeps { linked: true }) => {
                (Self::Leaving { until: now.plus(LEAVING) }, Some(RestStep::Leave))
            }
            (_, RestInput::Sleeps { linked: false }) => (Self::Asleep, Some(RestStep::LetSleep)),
            (Self::Leaving { .. }, RestInput::Answered | RestInput::LinkLost) => {
                (Self::Asleep, Some(RestStep::LetSleep))
            }
            (Self::Leaving { until }, RestInput::Tick) if until <= now => (Self::Asleep, Some(RestStep::LetSleep)),
            (Self::Awake, RestInput::Wakes { .. }) => return None,
            (_, RestInput::Wakes { linked: true }) => (Self::Waking, Some(RestStep::Check)),
            (_, RestInput::Wakes { linked: false }) => (Self::Awake, None),
            (Self::Waking, RestInput::Answered | RestInput::LinkLost) => (Self::Awake, None),
            _ => return None,
        };
        *self = next;
        step
    }

    /// Whether a lease may be granted.
    #[must_use]
    pub fn may_grant(self) -> bool {
        self == Self::Awake
    }

    /// When [`RestInput::Tick`] is due.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Leaving { until } => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input() -> impl Strategy<Value = RestInput> {
        prop_oneof![
            any::<bool>().prop_map(|linked| RestInput::Sleeps { linked }),
            any::<bool>().prop_map(|linked| RestInput::Wakes { linked }),
            Just(RestInput::Answered),
            Just(RestInput::LinkLost),
            Just(RestInput::Tick),
        ]
    }

    proptest! {
        /// Between the system's word that it sleeps and the answer that follows its word that it woke,
        /// nothing is granted; and sleep is held up for no longer than promised.
        #[test]
        fn nothing_is_granted_from_sleep_until_the_link_is_checked(inputs in prop::collection::vec((input(), 0..3000u64), 0..40)) {
            let (mut rest, mut now) = (Rest::default(), 0);
            let (mut slept, mut unchecked, mut held_since) = (false, false, None);
            for (input, later) in inputs {
                now += later;
                if rest.deadline().is_some_and(|due| due <= Instant(now)) {
                    prop_assert_eq!(rest.handle(Instant(now), RestInput::Tick), Some(RestStep::LetSleep));
                    held_since = None;
                }
                let step = rest.handle(Instant(now), input);
                match input {
                    RestInput::Sleeps { .. } => {
                        (slept, unchecked) = (true, false);
                        held_since.get_or_insert(now);
                    }
                    RestInput::Wakes { linked } => {
                        unchecked = (slept || unchecked) && linked;
                        (slept, held_since) = (false, None);
                    }
                    RestInput::Answered | RestInput::LinkLost => unchecked = false,
                    RestInput::Tick => {}
                }
                if step == Some(RestStep::LetSleep) {
                    held_since = None;
                }
                prop_assert_eq!(rest.may_grant(), !slept && !unchecked, "{:?} after {:?}", rest, input);
                prop_assert!(held_since.is_none_or(|since| now < since + 2000 || rest.deadline().is_some() || !slept || rest == Rest::Asleep));
            }
        }
    }

    #[test]
    fn the_holders_are_told_before_sleep_is_let_go_and_silence_holds_it_two_seconds() {
        let mut rest = Rest::default();
        assert_eq!(rest.handle(Instant(0), RestInput::Sleeps { linked: true }), Some(RestStep::Leave));
        assert_eq!(rest.handle(Instant(1999), RestInput::Tick), None);
        assert_eq!(rest.handle(Instant(2000), RestInput::Tick), Some(RestStep::LetSleep));
        assert_eq!(rest.handle(Instant(9000), RestInput::Wakes { linked: true }), Some(RestStep::Check));
        assert!(!rest.may_grant());
        assert_eq!(rest.handle(Instant(9001), RestInput::Answered), None);
        assert!(rest.may_grant());
    }
}

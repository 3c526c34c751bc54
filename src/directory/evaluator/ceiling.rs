//! At most so many in an hour, all together: a floor, or a share of the registrations if that is more.

use std::sync::{Mutex, PoisonError};

const HOUR: i64 = 3_600;

/// No more in this hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// Seconds until the next one.
    pub(super) wait: u32,
    /// The first time in this hour: worth an alarm.
    pub(super) first: bool,
}

#[derive(Debug, Default)]
struct Hour {
    hour: i64,
    counted: u64,
    told: bool,
}

/// One counter of one process, in memory.
#[derive(Debug)]
pub(super) struct Ceiling {
    /// Its name in log and alarm.
    pub(super) name: &'static str,
    floor: u64,
    /// One more for each so many registrations.
    one_for: Option<u64>,
    now: Mutex<Hour>,
}

impl Ceiling {
    pub(super) fn new(name: &'static str, floor: u32, one_for: Option<u64>) -> Self {
        Self { name, floor: floor.into(), one_for, now: Mutex::default() }
    }

    /// Whether there is room for so many. Counts nothing yet: what is refused otherwise must not use it up.
    pub(super) fn check(&self, wanted: usize, registered: u64, now: i64) -> Result<(), Reached> {
        let share = self.one_for.and_then(|one_for| registered.checked_div(one_for)).unwrap_or(0);
        let mut hour = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        hour.turn(now);
        if hour.counted.saturating_add(wanted as u64) <= self.floor.max(share) {
            return Ok(());
        }
        let first = !std::mem::replace(&mut hour.told, true);
        let wait = HOUR - now.rem_euclid(HOUR);
        Err(Reached { wait: u32::try_from(wait).unwrap_or(1), first })
    }

    pub(super) fn count(&self, done: usize, now: i64) {
        let mut hour = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        hour.turn(now);
        hour.counted = hour.counted.saturating_add(done as u64);
    }
}

impl Hour {
    fn turn(&mut self, now: i64) {
        let hour = now.div_euclid(HOUR);
        if self.hour != hour {
            *self = Self { hour, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn an_hour_has_an_end_and_the_alarm_rings_once_in_it() {
        let ceiling = Ceiling::new("c", 3, None);
        ceiling.check(3, 1_000_000, NOW).unwrap();
        ceiling.count(3, NOW);
        let wait = (3_600 - NOW % 3_600) as u32;
        assert_eq!(ceiling.check(1, 1_000_000, NOW), Err(Reached { wait, first: true }));
        assert_eq!(ceiling.check(1, 1_000_000, NOW), Err(Reached { wait, first: false }));
        assert_eq!(ceiling.check(3, 0, NOW + HOUR), Ok(()));
        assert!(ceiling.check(4, 0, NOW + HOUR).unwrap_err().first, "more than there ever is, in a new hour");
    }

    #[test]
    fn more_registrations_raise_it_and_what_is_refused_counts_nothing() {
        let ceiling = Ceiling::new("c", 10, Some(100));
        assert!(ceiling.check(11, 1_000, NOW).is_err());
        assert_eq!(ceiling.check(10, 1_000, NOW), Ok(()));
        assert_eq!(ceiling.check(50, 5_000, NOW), Ok(()));
        ceiling.count(50, NOW);
        assert!(ceiling.check(1, 5_000, NOW).is_err());
        assert_eq!(ceiling.check(1, 5_100, NOW), Ok(()));
    }
}

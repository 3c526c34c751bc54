//! How many numbers a device may look up: a bucket that refills, so that nobody can try a country.

use std::time::Duration;

/// Evaluations in a full bucket: a new phone's address book.
pub const CAPACITY: u32 = 1_000;

/// One evaluation flows back in this time: 4 an hour.
pub const REFILL: Duration = Duration::from_secs(900);

/// One account's bucket. The level is kept in seconds of refill, so that it is exact: an
/// evaluation costs [`REFILL`], and each second that passes gives one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Seconds of refill in the bucket at `at`; `CAPACITY * REFILL` is full.
    pub level: i64,
    /// When the level was true: seconds since 1970.
    pub at: i64,
}

/// More was asked for than is left; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdrawn {
    /// Seconds until as much as was asked for will be there.
    pub wait: u32,
}

/// Instances' clocks differ by less, in seconds. What is dated further ahead was dated by a wrong clock.
const SKEW: i64 = 3_600;

const COST: i64 = REFILL.as_secs() as i64;
const FULL: i64 = CAPACITY as i64 * COST;

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(now: i64) -> Self {
        Self { level: FULL, at: now }
    }

    /// The bucket at `now`. A clock that was set back gives nothing, nor do two that differ.
    #[must_use]
    pub fn refilled(self, now: i64) -> Self {
        let gained = now.saturating_sub(self.at).max(0);
        let at = if self.at.saturating_sub(now) > SKEW { now } else { self.at.max(now) };
        Self { level: self.level.clamp(0, FULL).saturating_add(gained).min(FULL), at }
    }

    /// Evaluations that are left now.
    #[must_use]
    pub fn left(self, now: i64) -> u32 {
        u32::try_from(self.refilled(now).level / COST).unwrap_or(0)
    }

    /// Takes `points` evaluations, all or none. More than [`CAPACITY`] at once is never granted.
    pub fn charge(self, points: usize, now: i64) -> Result<Self, Overdrawn> {
        let cost = i64::try_from(points).unwrap_or(i64::MAX).saturating_mul(COST);
        let bucket = self.refilled(now);
        match cost - bucket.level {
            missing if missing > 0 => Err(Overdrawn { wait: u32::try_from(missing).unwrap_or(u32::MAX) }),
            _ => Ok(Self { level: bucket.level - cost, ..bucket }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_new_device_may_look_up_a_thousand_numbers_and_not_one_more() {
        let empty = Bucket::full(NOW).charge(1_000, NOW).unwrap();
        assert_eq!(empty.left(NOW), 0);
        assert_eq!(empty.charge(1, NOW), Err(Overdrawn { wait: 900 }));
    }

    #[test]
    fn four_an_hour_flow_back() {
        let empty = Bucket::full(NOW).charge(1_000, NOW).unwrap();
        assert_eq!(empty.left(NOW + 899), 0);
        assert_eq!(empty.left(NOW + 900), 1);
        assert_eq!(empty.left(NOW + 3_600), 4);
        assert_eq!(empty.left(NOW + 86_400), 96);
    }

    #[test]
    fn the_wait_is_exactly_until_the_whole_request_fits() {
        let bucket = Bucket::full(NOW).charge(950, NOW).unwrap();
        let Overdrawn { wait } = bucket.charge(60, NOW + 100).unwrap_err();
        assert_eq!(wait, 10 * 900 - 100);
        let then = NOW + 100 + i64::from(wait);
        assert!(bucket.charge(60, then - 1).is_err());
        assert!(bucket.charge(60, then).is_ok());
    }

    #[test]
    fn a_full_bucket_does_not_overflow_with_the_years() {
        assert_eq!(Bucket::full(0).left(i64::MAX), 1_000);
    }

    #[test]
    fn a_clock_set_back_gives_nothing() {
        let empty = Bucket::full(NOW).charge(1_000, NOW).unwrap();
        assert_eq!(empty.left(NOW - 1_000_000), 0);
    }

    #[test]
    fn two_instances_whose_clocks_differ_give_no_more_than_one() {
        let mut bucket = Bucket::full(NOW).charge(1_000, NOW).unwrap();
        for second in 0..900 {
            assert_eq!(bucket.left(NOW + second), 0);
            bucket = bucket.refilled(NOW + second).refilled(NOW + second - 5);
        }
        assert_eq!(bucket.left(NOW + 900), 1);
        let ahead = Bucket::full(NOW + 1_000_000).charge(1_000, NOW + 1_000_000).unwrap();
        assert_eq!(ahead.refilled(NOW).left(NOW + 900), 1, "a clock that was days ahead stops nothing for days");
    }

    #[test]
    fn a_level_that_cannot_be_is_bounded() {
        assert_eq!(Bucket { level: i64::MAX, at: NOW }.left(NOW), 1_000);
        assert_eq!(Bucket { level: i64::MIN, at: NOW }.left(NOW), 0);
    }

    proptest! {
        #[test]
        fn no_sequence_of_requests_gets_more_than_a_bucket_and_its_refill(
            requests in prop::collection::vec((1usize..=100, 0i64..4_000), 1..200),
        ) {
            let mut bucket = Bucket::full(NOW);
            let (mut now, mut granted) = (NOW, 0u64);
            for (points, pause) in requests {
                now += pause;
                if let Ok(left) = bucket.charge(points, now) {
                    bucket = left;
                    granted += points as u64;
                }
            }
            let refilled = u64::try_from(now - NOW).unwrap() / 900;
            prop_assert!(granted <= 1_000 + refilled);
        }
    }
}

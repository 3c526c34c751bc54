//! When to try again: doubling, jittered, with an end where one is wanted.

use std::time::Duration;

/// Doubling pauses between a least and a greatest, each drawn from its upper half, so that many
/// phones that lost one server do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub const fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, failures: 0 }
    }

    /// The pause after one more failure. `random` is uniform over `u32`.
    #[must_use]
    pub fn next(&mut self, random: u32) -> Duration {
        let full = self.least.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// It worked: start from the least again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_keep_their_upper_half() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        let longest: Vec<u64> = (0..7).map(|_| backoff.next(u32::MAX).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_secs(1));
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut backoff = Backoff { least: Duration::MAX / 2, most: Duration::MAX / 2, failures: u32::MAX };
        assert!(backoff.next(1) <= Duration::MAX / 2);
    }
}

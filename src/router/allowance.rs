//! What somebody may make this phone do: some at once, and some an hour.

use crate::model::Instant;
use std::time::Duration;

/// A token bucket; full at first.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    left: u32,
    most: u32,
    every: Duration,
    since: Instant,
}

impl Allowance {
    /// `most` at once, and one more `every` so long.
    #[must_use]
    pub const fn new(most: u32, every: Duration) -> Self {
        Self { left: most, most, every, since: Instant(0) }
    }

    /// Takes one, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }

    /// Whether it is full again: then there is nothing to remember.
    #[must_use]
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left == self.most
    }

    fn refill(&mut self, now: Instant) {
        let every = self.every.as_millis().max(1);
        let more = u32::try_from(now.since(self.since).as_millis() / every).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(self.most);
        // What is left of the current span counts, unless there is no more room anyway.
        self.since = if self.left == self.most { now } else { self.since.plus(self.every.saturating_mul(more)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn some_at_once_and_then_one_for_each_span() {
        let mut allowance = Allowance::new(3, Duration::from_secs(60));
        let mut taken = |at| (0..10).filter(|_| allowance.take(Instant(at))).count();
        assert_eq!(taken(MINUTE), 3);
        assert_eq!(taken(MINUTE + 59_999), 0);
        assert_eq!(taken(2 * MINUTE), 1, "the span began when it was last full");
        assert_eq!(taken(4 * MINUTE + 30_000), 2);
        assert_eq!(taken(5 * MINUTE), 1, "half a span was kept");
        assert_eq!(taken(1000 * MINUTE), 3, "never more than at first");
        assert!(!allowance.is_full(Instant(1002 * MINUTE)) && allowance.is_full(Instant(1003 * MINUTE)));
    }
}

//! Time as an argument: the driver reads the clocks once per input, decisions only compare.

use std::time::Duration;

/// A point on the device's own clock that runs through suspend (`CLOCK_BOOTTIME`), in ms.
/// It starts anew at each boot; never stored, never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

/// Wall-clock time, ms since 1970-01-01 UTC. May be wrong or jump; leases never depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines and leases.
    pub mono: Instant,
    /// For records and certificates.
    pub wall: Timestamp,
}

impl Instant {
    /// This point, `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to this point; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Timestamp {
    /// A clock before this (2026-01-01) was never set: certificates can't be judged by it.
    pub const PLAUSIBLE: Self = Self(1_767_225_600_000);

    /// This time, `by` earlier; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time, `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// When this time's day began, in UTC.
    #[must_use]
    pub fn day(self) -> Self {
        const DAY: i64 = 86_400_000;
        Self(self.0.div_euclid(DAY).saturating_mul(DAY))
    }

    /// Whole seconds since 1970, as certificates carry them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

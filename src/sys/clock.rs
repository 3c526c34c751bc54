//! Both clocks, read together.

use crate::model::{Instant, Now, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The time now: `CLOCK_BOOTTIME`, which runs through suspend, and the wall clock.
#[must_use]
pub fn now() -> Now {
    let mono = millis(clock_gettime(ClockId::Boottime));
    Now { mono: Instant(u64::try_from(mono).unwrap_or(0)), wall: Timestamp(millis(clock_gettime(ClockId::Realtime))) }
}

fn millis(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_run_on_and_agree_with_std() {
        let first = now();
        let std = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let second = now();
        assert!(first.mono <= second.mono);
        assert!(first.wall.0 <= i64::try_from(std).unwrap() && i64::try_from(std).unwrap() <= second.wall.0);
    }

    #[test]
    fn a_time_before_1970_rounds_down() {
        assert_eq!(millis(Timespec { tv_sec: -1, tv_nsec: 1_500_000 }), -999);
    }
}

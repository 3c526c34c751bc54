//! The Gregorian calendar in UTC. Its year is counted from 1 March, so that the leap day is the last, and its days in
//! eras of 400 years (after Howard Hinnant).

use super::Timestamp;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
/// Days in an era.
const ERA: i64 = 146_097;

/// A date and a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, 0 being the one before 1.
    pub year: i64,
    /// Month, from 1.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Hour, to 23.
    pub hour: i64,
    /// Minute, to 59.
    pub minute: i64,
    /// Second, to 59; what comes in may have a leap second.
    pub second: i64,
}

impl From<Timestamp> for Civil {
    fn from(at: Timestamp) -> Self {
        let seconds = at.seconds();
        let (day, second) = (seconds.div_euclid(86_400) + EPOCH, seconds.rem_euclid(86_400));
        let (era, day) = (day.div_euclid(ERA), day.rem_euclid(ERA));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + carry;
        Self { year, month, day, hour: second / 3600, minute: second / 60 % 60, second: second % 60 }
    }
}

impl Civil {
    /// Seconds since 1970. The year has at most four digits, and no part is negative.
    #[must_use]
    pub fn seconds(self) -> i64 {
        let Self { year, month, day, hour, minute, second } = self;
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - EPOCH;
        ((days * 24 + hour) * 60 + minute) * 60 + second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_gregorian_calendar() {
        let known = [
            (0, (1970, 1, 1, 0, 0, 0)),
            (951_782_399_999, (2000, 2, 28, 23, 59, 59)),
            (951_782_400_000, (2000, 2, 29, 0, 0, 0)),
            (1_709_294_400_000, (2024, 3, 1, 12, 0, 0)),
            (1_767_225_600_000, (2026, 1, 1, 0, 0, 0)),
            (1_798_761_599_999, (2026, 12, 31, 23, 59, 59)),
            (4_107_542_400_000, (2100, 3, 1, 0, 0, 0)),
            (-1, (1969, 12, 31, 23, 59, 59)),
        ];
        for (ms, (year, month, day, hour, minute, second)) in known {
            let civil = Civil { year, month, day, hour, minute, second };
            assert_eq!(Civil::from(Timestamp(ms)), civil);
            assert_eq!(civil.seconds(), Timestamp(ms).seconds());
        }
    }

    #[test]
    fn each_day_of_ten_thousand_years_follows_the_one_before_and_is_found_again() {
        const DAY: i64 = 86_400_000;
        let first = Civil { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 }.seconds() * 1000;
        let mut before = Civil::from(Timestamp(first - DAY));
        for day in 0..3_652_425 {
            let civil = Civil::from(Timestamp(first + day * DAY));
            assert_eq!(civil.seconds() * 1000, first + day * DAY);
            let of = |civil: Civil| (civil.year, civil.month, civil.day);
            assert!(of(before) < of(civil) && (civil.day == 1 || civil.day == before.day + 1), "{before:?} {civil:?}");
            before = civil;
        }
        assert_eq!((before.year, before.month, before.day), (9999, 12, 31));
    }
}

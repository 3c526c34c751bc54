//! Limits against SMS pumping: how many code SMS are sent, to whom and for whom.
//!
//! What is counted is known by an HMAC under a random key that lives a day and only in memory: the
//! counters tell nobody a number or an address.

use super::config::SmsLimits;
use super::keys::{self, KeyError};
use ring::hmac;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Limit {
    /// SMS to one number in a day.
    Number,
    /// SMS asked for from one IPv4 /24 or IPv6 /48 in an hour.
    Block,
    /// SMS to one country in an hour.
    Country,
    /// SMS in an hour.
    Global,
}

impl Limit {
    /// Its name in log and alarm.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Block => "block",
            Self::Country => "country",
            Self::Global => "global",
        }
    }

    fn window(self) -> i64 {
        if self == Self::Number { DAY } else { HOUR }
    }

    fn most(self, limits: &SmsLimits) -> u32 {
        match self {
            Self::Number => limits.number_per_day,
            Self::Block => limits.block_per_hour,
            Self::Country => limits.country_per_hour,
            Self::Global => limits.global_per_hour,
        }
    }
}

/// No SMS now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limited {
    pub(super) limit: Limit,
    /// Seconds until the window ends.
    pub(super) wait: u32,
    /// The first of its window: worth an alarm.
    pub(super) first: bool,
}

/// What an SMS is counted under.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) number: &'a str,
    pub(super) country: &'a str,
    pub(super) client: IpAddr,
}

type Tag = [u8; 16];

struct Count {
    window: i64,
    sent: u32,
    refused: bool,
}

struct Today {
    day: i64,
    hour: i64,
    key: hmac::Key,
    counts: HashMap<Tag, Count>,
}

/// The counters of one process.
pub(super) struct Limits {
    limits: SmsLimits,
    today: Mutex<Today>,
}

impl Limits {
    pub(super) fn new(limits: SmsLimits, now: i64) -> Result<Self, KeyError> {
        Ok(Self { limits, today: Mutex::new(Today::new(now)?) })
    }

    /// Counts one SMS, if no limit is reached; else nothing is counted.
    pub(super) fn charge(&self, asked: Asked<'_>, now: i64) -> Result<Result<(), Limited>, KeyError> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.turn(now)?;
        let block = block(asked.client);
        let under: [(Limit, &[u8]); 4] = [
            (Limit::Global, b""),
            (Limit::Country, asked.country.as_bytes()),
            (Limit::Block, &block),
            (Limit::Number, asked.number.as_bytes()),
        ];
        let tagged = under.map(|(limit, value)| (limit, today.tag(limit, value)));
        for (limit, tag) in tagged {
            let most = limit.most(&self.limits);
            let count = today.count(limit, tag, now);
            if count.sent >= most {
                let first = !std::mem::replace(&mut count.refused, true);
                let left = (count.window + 1) * limit.window() - now;
                return Ok(Err(Limited { limit, wait: u32::try_from(left).unwrap_or(1).max(1), first }));
            }
        }
        for (limit, tag) in tagged {
            today.count(limit, tag, now).sent += 1;
        }
        Ok(Ok(()))
    }
}

impl Today {
    fn new(now: i64) -> Result<Self, KeyError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, keys::random()?.as_slice());
        Ok(Self { day: now.div_euclid(DAY), hour: now.div_euclid(HOUR), key, counts: HashMap::new() })
    }

    /// A new day has a new key; a new hour forgets what was counted by the hour.
    fn turn(&mut self, now: i64) -> Result<(), KeyError> {
        if self.day != now.div_euclid(DAY) {
            *self = Self::new(now)?;
        } else if self.hour != now.div_euclid(HOUR) {
            self.hour = now.div_euclid(HOUR);
            let (day, hour) = (self.day, self.hour);
            self.counts.retain(|_, count| count.window == day || count.window == hour);
        }
        Ok(())
    }

    fn tag(&self, limit: Limit, value: &[u8]) -> Tag {
        let tag = hmac::sign(&self.key, &[limit.token().as_bytes(), b"\0", value].concat());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn count(&mut self, limit: Limit, tag: Tag, now: i64) -> &mut Count {
        let window = now.div_euclid(limit.window());
        let fresh = || Count { window, sent: 0, refused: false };
        let count = self.counts.entry(tag).or_insert_with(fresh);
        if count.window != window {
            *count = fresh();
        }
        count
    }
}

fn block(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.octets().into_iter().take(3).collect(),
        IpAddr::V6(v6) => v6.octets().into_iter().take(6).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn limits() -> Limits {
        let limits = SmsLimits { number_per_day: 2, block_per_hour: 3, country_per_hour: 5, global_per_hour: 6 };
        Limits::new(limits, NOW).unwrap()
    }

    fn ask(limits: &Limits, number: &str, country: &str, client: &str, now: i64) -> Result<(), Limited> {
        limits.charge(Asked { number, country, client: client.parse().unwrap() }, now).unwrap()
    }

    #[test]
    fn each_limit_holds_alone_and_tells_how_long() {
        let limits = limits();
        for client in ["192.0.2.1", "198.51.100.1"] {
            ask(&limits, "a", "DE", client, NOW).unwrap();
        }
        let limited = ask(&limits, "a", "DE", "203.0.113.1", NOW).unwrap_err();
        assert_eq!((limited.limit, limited.wait), (Limit::Number, (86_400 - NOW % 86_400) as u32));

        ask(&limits, "b", "DE", "192.0.2.200", NOW).unwrap();
        ask(&limits, "c", "DE", "::ffff:192.0.2.9", NOW).unwrap();
        let limited = ask(&limits, "d", "DE", "192.0.2.3", NOW).unwrap_err();
        assert_eq!((limited.limit, limited.wait), (Limit::Block, (3_600 - NOW % 3_600) as u32));

        ask(&limits, "d", "DE", "2001:db8:1::1", NOW).unwrap();
        assert_eq!(ask(&limits, "e", "DE", "2001:db8:2::1", NOW).unwrap_err().limit, Limit::Country);
        ask(&limits, "e", "FR", "2001:db8:1:ffff::1", NOW).unwrap();
        assert_eq!(ask(&limits, "f", "IT", "2001:db8:3::1", NOW).unwrap_err().limit, Limit::Global);
    }

    #[test]
    fn what_is_refused_is_not_counted_and_the_first_refusal_is_marked() {
        let limits = limits();
        for number in ["a", "b", "c"] {
            ask(&limits, number, "DE", "192.0.2.1", NOW).unwrap();
        }
        assert!(ask(&limits, "d", "DE", "192.0.2.1", NOW).unwrap_err().first);
        for _ in 0..100 {
            assert!(!ask(&limits, "d", "DE", "192.0.2.1", NOW).unwrap_err().first);
        }
        ask(&limits, "d", "DE", "198.51.100.1", NOW).unwrap();
    }

    #[test]
    fn an_hour_or_a_day_later_it_begins_anew_and_nothing_is_left_of_the_old() {
        let limits = limits();
        for (number, client) in [("a", "192.0.2.1"), ("a", "198.51.100.1"), ("b", "192.0.2.1"), ("c", "192.0.2.1")] {
            ask(&limits, number, "DE", client, NOW).unwrap();
        }
        let later = NOW + HOUR;
        ask(&limits, "d", "DE", "192.0.2.1", later).unwrap();
        assert_eq!(ask(&limits, "a", "DE", "192.0.2.1", later).unwrap_err().limit, Limit::Number);
        ask(&limits, "a", "DE", "192.0.2.1", NOW + DAY).unwrap();
        assert_eq!(limits.today.lock().unwrap().counts.len(), 4);
    }

    #[test]
    fn nothing_counted_can_be_told_by_another_days_key() {
        let limits = limits();
        ask(&limits, "a", "DE", "192.0.2.1", NOW).unwrap();
        let tag = |limits: &Limits| limits.today.lock().unwrap().tag(Limit::Number, b"a");
        let before = tag(&limits);
        ask(&limits, "b", "DE", "192.0.2.1", NOW + DAY).unwrap();
        assert_ne!(tag(&limits), before);
    }
}

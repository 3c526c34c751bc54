//! Limits against SMS pumping: how many code SMS are sent, to whom and for whom, by all instances together.
//!
//! What is counted is known by an HMAC under a key that lives a day: half of it follows from the epoch's
//! enrolment key, which the instances hold in a file, half is random, in the database, and deleted when
//! the day is over. So neither a copy of the database tells a number or an address, nor a later one
//! together with the key. A number goes through the slow hash before: who holds both in the same day has as
//! much work with it as with a pseudonym.

use super::api::Refusal;
use super::config::SmsLimits;
use super::database::{Database, DatabaseError, values};
use super::evaluate::unavailable;
use super::keys;
use ring::hmac;
use std::net::IpAddr;
use zeroize::Zeroizing;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A renewal is tried once a day, and the code SMS of one may be lost.
const RENEWALS: u32 = 2;

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
    /// SMS in a day to the number of an account, by its own phone, when another limit is reached.
    Renewal,
}

impl Limit {
    /// Its name in log and alarm.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Block => "block",
            Self::Country => "country",
            Self::Global => "global",
            Self::Renewal => "renewal",
        }
    }

    /// When the hour or day of `now` ends.
    fn ends(self, now: i64) -> i64 {
        let window = if matches!(self, Self::Number | Self::Renewal) { DAY } else { HOUR };
        (now.div_euclid(window) + 1) * window
    }

    fn most(self, limits: &SmsLimits) -> u32 {
        match self {
            Self::Number => limits.number_per_day,
            Self::Block => limits.block_per_hour,
            Self::Country => limits.country_per_hour,
            Self::Global => limits.global_per_hour,
            Self::Renewal => RENEWALS,
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
    pub(super) country: &'a str,
    pub(super) client: IpAddr,
}

type Tag = [u8; 16];

/// A day's key, and the random half of it.
struct Day {
    key: hmac::Key,
    salt: Vec<u8>,
}

impl Day {
    fn tag(&self, limit: Limit, value: &[u8]) -> Tag {
        let tag = hmac::sign(&self.key, &[limit.token().as_bytes(), b"\0", value].concat());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The counters of all instances. Times are seconds since 1970.
pub(super) struct Limits {
    limits: SmsLimits,
    database: Database,
    key: hmac::Key,
}

impl Limits {
    /// `key`: the same at all instances, in no database.
    pub(super) fn new(limits: SmsLimits, database: Database, key: &[u8; 32]) -> Self {
        Self { limits, database, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// Counts one SMS, if no limit is reached; else nothing is counted, but for the block whose number
    /// had to be hashed: `slow` is the slow hash of the number with a salt.
    pub(super) async fn charge(
        &self,
        asked: Asked<'_>,
        now: i64,
        slow: impl AsyncFnOnce(Vec<u8>) -> Result<Zeroizing<[u8; 32]>, Refusal>,
    ) -> Result<Result<(), Limited>, Refusal> {
        let day = self.day(now).await?;
        let block = day.tag(Limit::Block, &block(asked.client));
        if let Err(limited) = self.count(Limit::Block, &block, now).await? {
            return Ok(Err(limited));
        }
        let shared = [
            (Limit::Country, day.tag(Limit::Country, asked.country.as_bytes())),
            (Limit::Global, day.tag(Limit::Global, b"")),
        ];
        if let Err(limited) = self.count_all(&shared, now).await? {
            self.uncount(&[(Limit::Block, block)], now).await?;
            return Ok(Err(limited));
        }
        let number = day.tag(Limit::Number, slow(day.salt.clone()).await?.as_slice());
        let counted = self.count(Limit::Number, &number, now).await?;
        if counted.is_err() {
            self.uncount(&shared, now).await?;
        }
        Ok(counted)
    }

    /// Counts one SMS of those that nobody but this account's own phone can use up. Whether there was one left.
    pub(super) async fn charge_renewal(&self, pseudonym: &str, now: i64) -> Result<bool, Refusal> {
        let tag = self.day(now).await?.tag(Limit::Renewal, pseudonym.as_bytes());
        Ok(self.count(Limit::Renewal, &tag, now).await?.is_ok())
    }

    /// Whether nobody was told in this hour that this limit was reached, for whomever.
    pub(super) async fn is_news(&self, limit: Limit, now: i64) -> Result<bool, Refusal> {
        // Longer than any address block, shorter than any number's hash.
        let tag = self.day(now).await?.tag(limit, b"whomever");
        let told = self.database.execute(
            "INSERT INTO sms (tag, ends, sent, refused) VALUES ($1, $2, 0, 1) ON CONFLICT (tag, ends) DO NOTHING",
            values![&tag, (now.div_euclid(HOUR) + 1) * HOUR],
        );
        Ok(told.await.map_err(unavailable)? > 0)
    }

    /// All of them, or none.
    async fn count_all(&self, counters: &[(Limit, Tag)], now: i64) -> Result<Result<(), Limited>, Refusal> {
        for (index, (limit, tag)) in counters.iter().enumerate() {
            if let Err(limited) = self.count(*limit, tag, now).await? {
                self.uncount(counters.get(..index).unwrap_or_default(), now).await?;
                return Ok(Err(limited));
            }
        }
        Ok(Ok(()))
    }

    async fn count(&self, limit: Limit, tag: &Tag, now: i64) -> Result<Result<(), Limited>, Refusal> {
        let (most, ends) = (i64::from(limit.most(&self.limits)), limit.ends(now));
        let counted = self.database.execute(
            "INSERT INTO sms (tag, ends, sent, refused) VALUES ($1, $2, 1, 0)
             ON CONFLICT (tag, ends) DO UPDATE SET sent = sms.sent + 1 WHERE sms.sent < $3",
            values![tag, ends, most],
        );
        if counted.await.map_err(unavailable)? > 0 {
            return Ok(Ok(()));
        }
        let first = self
            .database
            .execute("UPDATE sms SET refused = 1 WHERE tag = $1 AND ends = $2 AND refused = 0", values![tag, ends]);
        let first = first.await.map_err(unavailable)? > 0;
        Ok(Err(Limited { limit, wait: u32::try_from(ends - now).unwrap_or(1).max(1), first }))
    }

    async fn uncount(&self, counters: &[(Limit, Tag)], now: i64) -> Result<(), Refusal> {
        for (limit, tag) in counters {
            let uncounted = self.database.execute(
                "UPDATE sms SET sent = sent - 1 WHERE tag = $1 AND ends = $2 AND sent > 0",
                values![tag, limit.ends(now)],
            );
            uncounted.await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn day(&self, now: i64) -> Result<Day, Refusal> {
        let day = now.div_euclid(DAY);
        let salt = async || {
            let found = self.database.one("SELECT salt FROM day WHERE day = $1", values![day]).await?;
            found.map(|mut found| found.take::<Vec<u8>>()).transpose()
        };
        let salt = match salt().await.map_err(unavailable)? {
            Some(salt) => salt,
            None => {
                let fresh = keys::random().map_err(|error| {
                    log::error!("{error}");
                    Refusal::Unavailable
                })?;
                let made = self.database.execute(
                    "INSERT INTO day (day, salt) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING",
                    values![day, &*fresh],
                );
                made.await.map_err(unavailable)?;
                // Another instance may have been faster.
                salt().await.map_err(unavailable)?.ok_or(Refusal::Unavailable)?
            }
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.key, &salt).as_ref());
        Ok(Day { key, salt })
    }

    /// Deletes what was counted in hours and days that are over, and their keys.
    pub(super) async fn forget(&self, now: i64) -> Result<(), DatabaseError> {
        self.database.execute("DELETE FROM sms WHERE ends <= $1", values![now]).await?;
        self.database.execute("DELETE FROM day WHERE day < $1", values![now.div_euclid(DAY)]).await.map(drop)
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
    use crate::directory::config::Location;
    use ring::digest::{SHA256, digest};
    use tempfile::TempDir;

    const NOW: i64 = 1_800_000_000;

    async fn limits() -> (Limits, TempDir) {
        let dir = TempDir::new().unwrap();
        let database = Database::open(&Location::File(dir.path().join("directory.db"))).await.unwrap();
        let limits = SmsLimits { number_per_day: 2, block_per_hour: 3, country_per_hour: 5, global_per_hour: 6 };
        (Limits::new(limits, database, &[1; 32]), dir)
    }

    /// The slow hash is not what is tried here.
    async fn ask(limits: &Limits, number: &str, country: &str, client: &str, now: i64) -> Result<(), Limited> {
        let slow = async |salt: Vec<u8>| {
            let mut hash = Zeroizing::new([0; 32]);
            hash.copy_from_slice(digest(&SHA256, &[number.as_bytes(), &salt].concat()).as_ref());
            Ok(hash)
        };
        limits.charge(Asked { country, client: client.parse().unwrap() }, now, slow).await.unwrap()
    }

    async fn rows(limits: &Limits, table: &'static str) -> i64 {
        limits.database.one(table, values![]).await.unwrap().unwrap().take().unwrap()
    }

    #[tokio::test]
    async fn each_limit_holds_alone_and_tells_how_long() {
        let (limits, _dir) = limits().await;
        for client in ["192.0.2.1", "198.51.100.1"] {
            ask(&limits, "a", "DE", client, NOW).await.unwrap();
        }
        let limited = ask(&limits, "a", "DE", "203.0.113.1", NOW).await.unwrap_err();
        assert_eq!((limited.limit, limited.wait), (Limit::Number, (86_400 - NOW % 86_400) as u32));

        ask(&limits, "b", "DE", "192.0.2.200", NOW).await.unwrap();
        ask(&limits, "c", "DE", "::ffff:192.0.2.9", NOW).await.unwrap();
        let limited = ask(&limits, "d", "DE", "192.0.2.3", NOW).await.unwrap_err();
        assert_eq!((limited.limit, limited.wait), (Limit::Block, (3_600 - NOW % 3_600) as u32));

        ask(&limits, "d", "DE", "2001:db8:1::1", NOW).await.unwrap();
        assert_eq!(ask(&limits, "e", "DE", "2001:db8:2::1", NOW).await.unwrap_err().limit, Limit::Country);
        ask(&limits, "e", "FR", "2001:db8:1:ffff::1", NOW).await.unwrap();
        assert_eq!(ask(&limits, "f", "IT", "2001:db8:3::1", NOW).await.unwrap_err().limit, Limit::Global);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_counted_and_the_first_refusal_is_marked() {
        let (limits, _dir) = limits().await;
        for number in ["a", "b", "c"] {
            ask(&limits, number, "DE", "192.0.2.1", NOW).await.unwrap();
        }
        assert!(ask(&limits, "d", "DE", "192.0.2.1", NOW).await.unwrap_err().first);
        for _ in 0..100 {
            assert!(!ask(&limits, "d", "DE", "192.0.2.1", NOW).await.unwrap_err().first);
        }
        ask(&limits, "d", "DE", "198.51.100.1", NOW).await.unwrap();
    }

    #[tokio::test]
    async fn an_hour_or_a_day_later_it_begins_anew_and_nothing_is_left_of_the_old() {
        let (limits, _dir) = limits().await;
        for (number, client) in [("a", "192.0.2.1"), ("a", "198.51.100.1"), ("b", "192.0.2.1"), ("c", "192.0.2.1")] {
            ask(&limits, number, "DE", client, NOW).await.unwrap();
        }
        let later = NOW + HOUR;
        ask(&limits, "d", "DE", "192.0.2.1", later).await.unwrap();
        assert_eq!(ask(&limits, "a", "DE", "192.0.2.1", later).await.unwrap_err().limit, Limit::Number);
        ask(&limits, "a", "DE", "192.0.2.1", NOW + DAY).await.unwrap();
        limits.forget(NOW + DAY).await.unwrap();
        assert_eq!(rows(&limits, "SELECT count(*) FROM sms").await, 4);
        assert_eq!(rows(&limits, "SELECT count(*) FROM day").await, 1);
    }

    #[tokio::test]
    async fn nothing_counted_can_be_told_by_another_days_key_or_another_directory() {
        let (limits, _dir) = limits().await;
        let tag = async |limits: &Limits, now| limits.day(now).await.unwrap().tag(Limit::Country, b"DE");
        let today = tag(&limits, NOW).await;
        assert_eq!(tag(&limits, NOW + HOUR).await, today);
        assert_ne!(tag(&limits, NOW + DAY).await, today);
        let other = Limits::new(limits.limits, limits.database.clone(), &[2; 32]);
        assert_ne!(tag(&other, NOW).await, today);
        limits.forget(NOW + DAY).await.unwrap();
        assert_ne!(tag(&limits, NOW).await, today, "the day's key is gone");
    }

    #[tokio::test]
    async fn who_asks_for_one_number_again_and_again_is_stopped_before_the_slow_hash() {
        let (limits, _dir) = limits().await;
        for client in ["192.0.2.1", "198.51.100.1"] {
            ask(&limits, "a", "DE", client, NOW).await.unwrap();
        }
        for limit in [Limit::Number, Limit::Number, Limit::Number, Limit::Block] {
            assert_eq!(ask(&limits, "a", "DE", "203.0.113.1", NOW).await.unwrap_err().limit, limit);
        }
        for (number, client) in [("b", "2001:db8:1::1"), ("b", "2001:db8:2::1"), ("c", "2001:db8:3::1")] {
            ask(&limits, number, "DE", client, NOW).await.expect("nothing else was counted for it");
        }
    }
}

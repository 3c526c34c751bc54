//! The accounts in the database (see there).

use super::budget::{Bucket, Overdrawn};
use super::config::Location;
use super::database::{Database, DatabaseError, values};
use crate::seal::Certificate;
use std::time::Duration;

/// SHA-256 of a bearer token.
pub type TokenHash = [u8; 32];

/// What a number's look-ups are counted under: the same for all its accounts, one after the other and in every
/// epoch. A keyed digest, so that it tells nothing once its account is gone.
pub type Budget = [u8; 32];

/// An account as an enrolment makes it.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The localpart.
    pub pseudonym: &'a str,
    /// SHA-256 of its bearer token.
    pub token: &'a TokenHash,
    /// Its number's budget.
    pub budget: &'a Budget,
    /// Its certificate, encoded.
    pub certificate: &'a [u8],
}

/// What an account's device may need to know.
pub(super) struct Known {
    /// The last day on which the number was proven by SMS.
    pub(super) proven: i64,
    /// The last certificate.
    pub(super) certificate: Certificate,
}

/// The accounts, shared with other processes.
#[derive(Debug, Clone)]
pub struct Accounts(Database);

/// How often full budgets are deleted.
const SWEEP: Duration = Duration::from_secs(3_600);

/// Days since 1970, of seconds since then.
fn day(now: i64) -> i64 {
    now.div_euclid(86_400)
}

impl Accounts {
    /// Opens the database.
    pub async fn open(location: &Location) -> Result<Self, DatabaseError> {
        Database::open(location).await.map(Self)
    }

    /// What they are kept in.
    pub(super) fn database(&self) -> &Database {
        &self.0
    }

    /// Whether this token is an account's.
    pub async fn knows_token(&self, token: &TokenHash) -> Result<bool, DatabaseError> {
        Ok(self.0.one("SELECT seen FROM account WHERE token = $1", values![token]).await?.is_some())
    }

    /// Takes `points` evaluations from the bucket of this token's account, all or none.
    /// `None`: there is no such account any more.
    pub async fn charge(
        &self,
        token: &TokenHash,
        points: usize,
        now: i64,
    ) -> Result<Option<Result<Bucket, Overdrawn>>, DatabaseError> {
        let full = Bucket::full(now);
        loop {
            let found = self.0.one(
                "SELECT account.budget, account.seen, coalesce(spent.level, $1), coalesce(spent.at, $2)
                 FROM account LEFT JOIN spent ON spent.budget = account.budget WHERE account.token = $3",
                values![full.level, full.at, token],
            );
            let Some(mut found) = found.await? else { return Ok(None) };
            let (budget, seen): (Budget, i64) = (found.take()?, found.take()?);
            let bucket = Bucket { level: found.take()?, at: found.take()? };
            if seen != day(now) {
                let seen = "UPDATE account SET seen = $1 WHERE token = $2";
                self.0.execute(seen, values![day(now), token]).await?;
            }
            let charged = bucket.charge(points, now);
            let kept = charged.unwrap_or_else(|_| bucket.refilled(now));
            let changed = self.0.execute(
                "INSERT INTO spent (budget, level, at) VALUES ($1, $2, $3)
                 ON CONFLICT (budget) DO UPDATE SET level = excluded.level, at = excluded.at
                 WHERE spent.level = $4 AND spent.at = $5",
                values![&budget, kept.level, kept.at, bucket.level, bucket.at],
            );
            // Another request under the same budget came between: that one was charged.
            if changed.await? > 0 || charged.is_err() {
                return Ok(Some(charged));
            }
        }
    }

    /// Makes the account, or gives an existing one its new token and certificate. On disk when it returns.
    pub async fn put(&self, account: &Account<'_>, now: i64) -> Result<(), DatabaseError> {
        let made = self.0.keep(
            "INSERT INTO account (pseudonym, token, budget, created, seen, proven, certificate)
             VALUES ($1, $2, $3, $4, $4, $4, $5)
             ON CONFLICT (pseudonym) DO UPDATE SET
                 token = excluded.token, seen = excluded.seen, proven = excluded.proven,
                 certificate = excluded.certificate",
            values![account.pseudonym, account.token, account.budget, day(now), account.certificate],
        );
        made.await.map(drop)
    }

    /// The account that this token is of.
    pub(super) async fn known(&self, token: &TokenHash) -> Result<Option<Known>, DatabaseError> {
        let found = self.0.one("SELECT proven, certificate FROM account WHERE token = $1", values![token]).await?;
        let Some(mut found) = found else { return Ok(None) };
        let (proven, certificate) = (found.take()?, found.take::<Vec<u8>>()?);
        let certificate = Certificate::decode(&certificate).map_err(|_| DatabaseError::Malformed)?;
        Ok(Some(Known { proven, certificate }))
    }

    /// The certificate of this pseudonym's account, as it was last issued.
    pub(super) async fn certificate(&self, pseudonym: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let found = self.0.one("SELECT certificate FROM account WHERE pseudonym = $1", values![pseudonym]).await?;
        found.map(|mut record| record.take()).transpose()
    }

    /// Counts this account's look-ups under that budget.
    pub(super) async fn count_under(&self, pseudonym: &str, budget: &Budget) -> Result<(), DatabaseError> {
        let counted = self.0.keep("UPDATE account SET budget = $1 WHERE pseudonym = $2", values![budget, pseudonym]);
        counted.await.map(drop)
    }

    /// The other accounts of this one's number, in other epochs.
    pub(super) async fn beside(&self, pseudonym: &str) -> Result<Vec<String>, DatabaseError> {
        let found = self.0.query(
            "SELECT other.pseudonym FROM account JOIN account AS other ON other.budget = account.budget
             WHERE account.pseudonym = $1 AND other.pseudonym <> account.pseudonym",
            values![pseudonym],
        );
        found.await?.into_iter().map(|mut record| record.take()).collect()
    }

    /// Keeps a certificate as the last one issued. Whether the account is still this token's, here and below.
    pub(super) async fn certify(&self, token: &TokenHash, certificate: &[u8], now: i64) -> Result<bool, DatabaseError> {
        let changed = self.0.execute(
            "UPDATE account SET certificate = $1, seen = $2 WHERE token = $3",
            values![certificate, day(now), token],
        );
        Ok(changed.await? > 0)
    }

    /// The number was proven anew.
    pub(super) async fn prove(&self, token: &TokenHash, now: i64) -> Result<bool, DatabaseError> {
        let changed = self.0.execute("UPDATE account SET proven = $1 WHERE token = $2", values![day(now), token]);
        Ok(changed.await? > 0)
    }

    /// From now on the account is another token's.
    pub(super) async fn set_token(&self, token: &TokenHash, new: &TokenHash) -> Result<bool, DatabaseError> {
        let changed = self.0.keep("UPDATE account SET token = $1 WHERE token = $2", values![new, token]);
        Ok(changed.await? > 0)
    }

    /// The accounts that nothing was seen of for so many days.
    pub(super) async fn unseen(&self, days: i64, now: i64) -> Result<Vec<String>, DatabaseError> {
        let found = self.0.query("SELECT pseudonym FROM account WHERE seen <= $1", values![day(now) - days]).await?;
        found.into_iter().map(|mut record| record.take()).collect()
    }

    /// Whether nothing was seen of this account for so many days.
    pub(super) async fn is_unseen(&self, pseudonym: &str, days: i64, now: i64) -> Result<bool, DatabaseError> {
        let found = self
            .0
            .one("SELECT seen FROM account WHERE pseudonym = $1 AND seen <= $2", values![pseudonym, day(now) - days]);
        Ok(found.await?.is_some())
    }

    /// Deletes what tells nothing any more: the budgets that are full again, the claims that ran out.
    pub async fn forget_full(&self, now: i64) -> Result<(), DatabaseError> {
        let full = Bucket::full(now).level;
        self.0.execute("DELETE FROM spent WHERE level + ($1 - at) >= $2", values![now, full]).await?;
        self.0.execute("DELETE FROM claim WHERE until <= $1", values![now]).await?;
        self.0.scrub().await
    }

    /// Does so for as long as the service runs.
    pub(super) async fn keep_forgetting(self) {
        loop {
            if let Err(error) = self.forget_full(super::service::now()).await {
                log::error!("what is over could not be deleted, in an hour again: {error}");
            }
            tokio::time::sleep(SWEEP).await;
        }
    }

    /// Deletes the account, and not what its number has spent. Whether there was one.
    pub async fn remove(&self, pseudonym: &str) -> Result<bool, DatabaseError> {
        let gone = self.0.keep("DELETE FROM account WHERE pseudonym = $1", values![pseudonym]).await? > 0;
        self.0.scrub().await?;
        Ok(gone)
    }

    /// How many accounts there are.
    pub async fn count(&self) -> Result<u64, DatabaseError> {
        let counted = self.0.one("SELECT count(*) FROM account", values![]).await?;
        Ok(counted.ok_or(DatabaseError::Malformed)?.take::<i64>()?.unsigned_abs())
    }
}

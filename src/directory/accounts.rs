//! The accounts in the database (see there).

use super::budget::{Bucket, Overdrawn};
use super::config::Location;
use super::database::{Database, DatabaseError, values};
use crate::seal::Certificate;

/// SHA-256 of a bearer token.
pub type TokenHash = [u8; 32];

/// An account as an enrolment makes it.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The localpart.
    pub pseudonym: &'a str,
    /// SHA-256 of its bearer token.
    pub token: &'a TokenHash,
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
        Ok(self.0.one("SELECT at FROM account WHERE token = $1", values![token]).await?.is_some())
    }

    /// Takes `points` evaluations from the bucket of this token's account, all or none.
    /// `None`: there is no such account any more.
    pub async fn charge(
        &self,
        token: &TokenHash,
        points: usize,
        now: i64,
    ) -> Result<Option<Result<Bucket, Overdrawn>>, DatabaseError> {
        loop {
            let found = self.0.one("SELECT level, at FROM account WHERE token = $1", values![token]).await?;
            let Some(mut found) = found else { return Ok(None) };
            let bucket = Bucket { level: found.take()?, at: found.take()? };
            let charged = bucket.charge(points, now);
            let kept = charged.unwrap_or_else(|_| bucket.refilled(now));
            let changed = self.0.execute(
                "UPDATE account SET level = $1, at = $2, seen = $3 WHERE token = $4 AND level = $5 AND at = $6",
                values![kept.level, kept.at, day(now), token, bucket.level, bucket.at],
            );
            // Another request of the same account came between: that one was charged.
            if changed.await? > 0 || charged.is_err() {
                return Ok(Some(charged));
            }
        }
    }

    /// Makes the account, or gives an existing one its new token and certificate. On disk when it returns.
    pub async fn put(&self, account: &Account<'_>, now: i64) -> Result<(), DatabaseError> {
        let Bucket { level, at } = Bucket::full(now);
        let made = self.0.keep(
            "INSERT INTO account (pseudonym, token, level, at, created, seen, proven, certificate)
             VALUES ($1, $2, $3, $4, $5, $5, $5, $6)
             ON CONFLICT (pseudonym) DO UPDATE SET
                 token = excluded.token, seen = excluded.seen, proven = excluded.proven,
                 certificate = excluded.certificate",
            values![account.pseudonym, account.token, level, at, day(now), account.certificate],
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

    /// Whether there is an account of this pseudonym.
    pub(super) async fn knows(&self, pseudonym: &str) -> Result<bool, DatabaseError> {
        Ok(self.0.one("SELECT at FROM account WHERE pseudonym = $1", values![pseudonym]).await?.is_some())
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

    /// Deletes the account. Whether there was one.
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

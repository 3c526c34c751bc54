//! The directory's database. It has one table:
//!
//! `account`: one row per enrolled number, made by an enrolment, deleted by a withdrawal.
//! - `pseudonym`: the account's localpart at the XMPP server; what the row is found by.
//! - `token`: SHA-256 of the device's bearer token (256 random bits: a plain hash suffices). A
//!   re-enrolment replaces it, so the old phone is unknown from then on.
//! - `level`, `at`: its look-up budget (see `budget`). Survives a re-enrolment: enrolling again is
//!   no way to a full bucket.
//! - `created`, `seen`: days since 1970; `seen` is what an unused account is found by. Days, since
//!   more is nobody's business.
//! - `proven`: the day on which the number was last proven by SMS: a renewal needs that every 90 days.
//! - `certificate`: the last one issued.
//!
//! There is no number, no secret and no address in it, and nothing about who looked up whom.

mod sqlite;
#[cfg(test)]
mod tests;

use super::budget::{Bucket, Overdrawn};
use crate::seal::Certificate;
use sqlite::Sqlite;
use std::path::{Path, PathBuf};

/// SHA-256 of a bearer token.
pub type TokenHash = [u8; 32];

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file can't be made or opened.
    #[error("the database {path} can't be opened: check its directory and owner ({source})")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Made by a newer version.
    #[error("the database has schema {found}, this version knows {known}: install the newer version again")]
    Newer {
        /// What the file says.
        found: usize,
        /// The newest known here.
        known: usize,
    },
    /// Others hold it, or have been waiting for it for long.
    #[error("the database is busy: try again")]
    Busy,
    /// Cut off by the service's end.
    #[error("the service is ending: try again")]
    Ending,
    /// A row that this version can't read.
    #[error("a certificate in the database can't be read: its phone must enrol again")]
    Certificate,
    /// SQLite says no.
    #[error("the database refused: {0}")]
    Sqlite(rusqlite::Error),
}

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

/// The accounts, shared with other processes. Nothing in here blocks the caller's thread.
#[derive(Debug)]
pub struct Accounts(Backend);

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
}

/// Names an account's row for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(i64);

/// What an account's device may need to know.
pub(super) struct Known {
    pub(super) row: Row,
    /// The last day on which the number was proven by SMS.
    pub(super) proven: i64,
    /// The last certificate.
    pub(super) certificate: Certificate,
}

/// Days since 1970, of seconds since then.
fn day(now: i64) -> i64 {
    now.div_euclid(86_400)
}

/// The same call at whichever backend there is.
macro_rules! at {
    ($accounts:ident, $db:ident => $call:expr) => {
        match &$accounts.0 {
            Backend::Sqlite($db) => $call.await,
        }
    };
}

impl Accounts {
    /// Opens or makes the file (0600) and upgrades its schema. Blocks.
    pub fn open(path: &Path) -> Result<Self, AccountsError> {
        Sqlite::open(path).map(Backend::Sqlite).map(Self)
    }

    /// Whose token this is.
    pub async fn find(&self, token: &TokenHash) -> Result<Option<Row>, AccountsError> {
        at!(self, db => db.find(*token))
    }

    /// Takes `points` evaluations from the account's bucket, all or none, in one transaction.
    /// `None`: there is no such account any more.
    pub async fn charge(
        &self,
        account: Row,
        points: usize,
        now: i64,
    ) -> Result<Option<Result<Bucket, Overdrawn>>, AccountsError> {
        at!(self, db => db.charge(account, points, now))
    }

    /// Makes the account, or gives an existing one its new token and certificate. On disk when it returns.
    pub async fn put(&self, account: &Account<'_>, now: i64) -> Result<(), AccountsError> {
        at!(self, db => db.put(account, now))
    }

    /// The account that this token is of.
    pub(super) async fn known(&self, token: &TokenHash) -> Result<Option<Known>, AccountsError> {
        let Some((row, proven, certificate)) = at!(self, db => db.known(*token))? else { return Ok(None) };
        let certificate = Certificate::decode(&certificate).map_err(|_| AccountsError::Certificate)?;
        Ok(Some(Known { row, proven, certificate }))
    }

    /// Whether there is an account of this pseudonym.
    pub(super) async fn knows(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        at!(self, db => db.knows(pseudonym))
    }

    /// Keeps a certificate as the last one issued; `proven`: the number was proven for it.
    pub(super) async fn certify(
        &self,
        row: Row,
        certificate: &[u8],
        proven: bool,
        now: i64,
    ) -> Result<(), AccountsError> {
        at!(self, db => db.certify(row, certificate, proven, now))
    }

    /// From now on the account is another token's.
    pub(super) async fn set_token(&self, row: Row, token: &TokenHash) -> Result<(), AccountsError> {
        at!(self, db => db.set_token(row, *token))
    }

    /// The accounts that nothing was seen of for so many days.
    pub(super) async fn unseen(&self, days: i64, now: i64) -> Result<Vec<String>, AccountsError> {
        at!(self, db => db.unseen(day(now) - days))
    }

    /// Deletes the account. Whether there was one.
    pub async fn remove(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        at!(self, db => db.remove(pseudonym))
    }

    /// How many accounts there are.
    pub async fn count(&self) -> Result<u64, AccountsError> {
        at!(self, db => db.count())
    }
}

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

use super::budget::{Bucket, Overdrawn};
use super::files;
use crate::seal::Certificate;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// SHA-256 of a bearer token.
pub type TokenHash = [u8; 32];

/// How long a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(2);

const SECONDS_A_DAY: i64 = 86_400;

/// Brings the schema from each version to the next; the version is `PRAGMA user_version`.
const UPGRADERS: &[fn(&Transaction<'_>) -> rusqlite::Result<()>] = &[|tx| {
    tx.execute_batch(
        "CREATE TABLE account (
             id INTEGER PRIMARY KEY,
             pseudonym TEXT NOT NULL UNIQUE,
             token BLOB NOT NULL UNIQUE,
             level INTEGER NOT NULL,
             at INTEGER NOT NULL,
             created INTEGER NOT NULL,
             seen INTEGER NOT NULL,
             proven INTEGER NOT NULL,
             certificate BLOB NOT NULL
         ) STRICT;",
    )
}];

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
    /// Another process holds it.
    #[error("the database is busy: try again")]
    Busy,
    /// A row that this version can't read.
    #[error("a certificate in the database can't be read: its phone must enrol again")]
    Certificate,
    /// SQLite says no.
    #[error("the database refused: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for AccountsError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
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

/// The accounts. One connection, one writer; other processes may hold the file open beside it.
#[derive(Debug)]
pub struct Accounts {
    db: Mutex<Connection>,
}

/// Names an account's row within one process's life.
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

impl Accounts {
    /// Opens or makes the file (0600) and upgrades its schema.
    pub fn open(path: &Path) -> Result<Self, AccountsError> {
        let failed = |source| AccountsError::Open { path: path.into(), source };
        files::ensure_private(path).map_err(failed)?;
        Self::prepare(Connection::open(path)?)
    }

    fn prepare(mut db: Connection) -> Result<Self, AccountsError> {
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A look-up's charge may be lost with the power; an account's making may not (see `put`).
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "secure_delete", true)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let found = found as usize;
        let known = UPGRADERS.len();
        let pending = UPGRADERS.get(found..).ok_or(AccountsError::Newer { found, known })?;
        for upgrade in pending {
            upgrade(&tx)?;
        }
        if !pending.is_empty() {
            tx.pragma_update(None, "user_version", known as i64)?;
        }
        tx.commit()?;
        Ok(Self { db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A statement that panicked left no transaction open: the guard of one rolls it back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose token this is.
    pub fn find(&self, token: &TokenHash) -> Result<Option<Row>, AccountsError> {
        let db = self.db();
        let mut find = db.prepare_cached("SELECT id FROM account WHERE token = ?1")?;
        Ok(find.query_row([token], |row| Ok(Row(row.get(0)?))).optional()?)
    }

    /// Takes `points` evaluations from the account's bucket, all or none, in one transaction.
    /// `None`: there is no such account any more.
    pub fn charge(
        &self,
        account: Row,
        points: usize,
        now: i64,
    ) -> Result<Option<Result<Bucket, Overdrawn>>, AccountsError> {
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let bucket = tx
            .prepare_cached("SELECT level, at FROM account WHERE id = ?1")?
            .query_row([account.0], |row| Ok(Bucket { level: row.get(0)?, at: row.get(1)? }))
            .optional()?;
        let Some(bucket) = bucket else { return Ok(None) };
        let charged = bucket.charge(points, now);
        let kept = charged.unwrap_or_else(|_| bucket.refilled(now));
        let day = now.div_euclid(SECONDS_A_DAY);
        tx.prepare_cached("UPDATE account SET level = ?2, at = ?3, seen = ?4 WHERE id = ?1")?
            .execute(params![account.0, kept.level, kept.at, day])?;
        tx.commit()?;
        Ok(Some(charged))
    }

    /// Makes the account, or gives an existing one its new token and certificate. On disk when it returns.
    pub fn put(&self, account: &Account<'_>, now: i64) -> Result<(), AccountsError> {
        let db = self.db();
        let Bucket { level, at } = Bucket::full(now);
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute(
            "INSERT INTO account (pseudonym, token, level, at, created, seen, proven, certificate)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5, ?6)
             ON CONFLICT (pseudonym) DO UPDATE SET
                 token = excluded.token, seen = excluded.seen, proven = excluded.proven,
                 certificate = excluded.certificate",
            params![account.pseudonym, account.token, level, at, now.div_euclid(SECONDS_A_DAY), account.certificate],
        )?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(())
    }

    /// The account that this token is of.
    pub(super) fn known(&self, token: &TokenHash) -> Result<Option<Known>, AccountsError> {
        let db = self.db();
        let mut find = db.prepare_cached("SELECT id, proven, certificate FROM account WHERE token = ?1")?;
        let found =
            find.query_row([token], |row| Ok((Row(row.get(0)?), row.get(1)?, row.get::<_, Vec<u8>>(2)?))).optional()?;
        let Some((row, proven, certificate)) = found else { return Ok(None) };
        let certificate = Certificate::decode(&certificate).map_err(|_| AccountsError::Certificate)?;
        Ok(Some(Known { row, proven, certificate }))
    }

    /// Whether there is an account of this pseudonym.
    pub(super) fn knows(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        let db = self.db();
        let mut find = db.prepare_cached("SELECT 1 FROM account WHERE pseudonym = ?1")?;
        Ok(find.exists([pseudonym])?)
    }

    /// Keeps a certificate as the last one issued; `proven`: the number was proven for it.
    pub(super) fn certify(&self, row: Row, certificate: &[u8], proven: bool, now: i64) -> Result<(), AccountsError> {
        self.db().execute(
            "UPDATE account SET certificate = ?2, seen = ?3, proven = iif(?4, ?3, proven) WHERE id = ?1",
            params![row.0, certificate, now.div_euclid(SECONDS_A_DAY), proven],
        )?;
        Ok(())
    }

    /// From now on the account is another token's.
    pub(super) fn set_token(&self, row: Row, token: &TokenHash) -> Result<(), AccountsError> {
        self.db().execute("UPDATE account SET token = ?2 WHERE id = ?1", params![row.0, token])?;
        Ok(())
    }

    /// The accounts that nothing was seen of for so many days.
    pub(super) fn unseen(&self, days: i64, now: i64) -> Result<Vec<String>, AccountsError> {
        let db = self.db();
        let mut find = db.prepare_cached("SELECT pseudonym FROM account WHERE seen <= ?1")?;
        let before = now.div_euclid(SECONDS_A_DAY) - days;
        Ok(find.query_map([before], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Deletes the account. Whether there was one.
    pub fn remove(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        let db = self.db();
        let gone = db.execute("DELETE FROM account WHERE pseudonym = ?1", [pseudonym])? > 0;
        // The log would keep the row's bytes until it is used again.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(gone)
    }

    /// How many accounts there are.
    pub fn count(&self) -> Result<u64, AccountsError> {
        let count: i64 = self.db().query_row("SELECT count(*) FROM account", [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tempfile::TempDir;

    const NOW: i64 = 1_800_000_000;
    const TOKEN: TokenHash = [7; 32];

    fn account<'a>(token: &'a TokenHash) -> Account<'a> {
        Account { pseudonym: "aexample", token, certificate: b"certificate" }
    }

    fn open(dir: &TempDir) -> Accounts {
        Accounts::open(&dir.path().join("directory.db")).unwrap()
    }

    #[test]
    fn an_unknown_token_finds_nobody() {
        let dir = TempDir::new().unwrap();
        assert_eq!(open(&dir).find(&TOKEN).unwrap(), None);
    }

    #[test]
    fn a_restart_keeps_the_budget() {
        let dir = TempDir::new().unwrap();
        let accounts = open(&dir);
        accounts.put(&account(&TOKEN), NOW).unwrap();
        let row = accounts.find(&TOKEN).unwrap().unwrap();
        accounts.charge(row, 1_000, NOW).unwrap().unwrap().unwrap();
        drop(accounts);
        let accounts = open(&dir);
        let row = accounts.find(&TOKEN).unwrap().unwrap();
        assert_eq!(accounts.charge(row, 2, NOW + 900).unwrap(), Some(Err(Overdrawn { wait: 900 })));
    }

    #[test]
    fn enrolling_again_ends_the_old_token_and_refills_nothing() {
        let dir = TempDir::new().unwrap();
        let accounts = open(&dir);
        accounts.put(&account(&TOKEN), NOW).unwrap();
        let row = accounts.find(&TOKEN).unwrap().unwrap();
        accounts.charge(row, 990, NOW).unwrap().unwrap().unwrap();
        accounts.put(&account(&[8; 32]), NOW).unwrap();
        assert_eq!(accounts.find(&TOKEN).unwrap(), None);
        let row = accounts.find(&[8; 32]).unwrap().unwrap();
        assert_eq!(accounts.charge(row, 10, NOW).unwrap().unwrap().unwrap().left(NOW), 0);
        assert_eq!(accounts.count().unwrap(), 1);
    }

    #[test]
    fn two_processes_never_overspend_together() {
        let dir = TempDir::new().unwrap();
        let accounts = open(&dir);
        accounts.put(&account(&TOKEN), NOW).unwrap();
        let row = accounts.find(&TOKEN).unwrap().unwrap();
        let both = [Arc::new(accounts), Arc::new(open(&dir))];
        let spenders: Vec<_> = both
            .into_iter()
            .flat_map(|accounts| [Arc::clone(&accounts), accounts])
            .map(|accounts| {
                std::thread::spawn(move || {
                    (0..40).filter(|_| accounts.charge(row, 10, NOW).unwrap().unwrap().is_ok()).count()
                })
            })
            .collect();
        let granted: usize = spenders.into_iter().map(|spender| spender.join().unwrap()).sum();
        assert_eq!(granted, 100);
    }

    #[test]
    fn a_removed_account_is_gone_from_the_file_too() {
        let dir = TempDir::new().unwrap();
        let accounts = open(&dir);
        accounts.put(&account(&TOKEN), NOW).unwrap();
        assert!(accounts.remove("aexample").unwrap());
        assert!(!accounts.remove("aexample").unwrap());
        assert_eq!(accounts.count().unwrap(), 0);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"aexample"));
        }
    }

    #[test]
    fn a_newer_schema_is_left_alone() {
        let dir = TempDir::new().unwrap();
        drop(open(&dir));
        let path = dir.path().join("directory.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Accounts::open(&path), Err(AccountsError::Newer { found: 99, known: 1 })));
    }

    #[test]
    fn nobody_else_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new().unwrap();
        open(&dir).put(&account(&TOKEN), NOW).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

//! The accounts in a file: SQLite, on the runtime's threads for blocking work, one call after another.

use super::{Account, AccountsError, Row, TokenHash, day};
use crate::directory::budget::{Bucket, Overdrawn};
use crate::directory::files;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(2);

/// How long a call waits for those before it.
const QUEUE: Duration = Duration::from_secs(10);

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

impl From<rusqlite::Error> for AccountsError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}

/// One connection; other processes may hold the file open beside it.
#[derive(Debug)]
pub(super) struct Sqlite(Arc<Mutex<Connection>>);

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, AccountsError> {
        let failed = |source| AccountsError::Open { path: path.into(), source };
        files::ensure_private(path).map_err(failed)?;
        prepare(Connection::open(path)?).map(|db| Self(Arc::new(Mutex::new(db))))
    }

    /// Runs to its end, also when nobody waits for it any more. What panics is rolled back.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, AccountsError> + Send + 'static,
    ) -> Result<T, AccountsError> {
        let held = timeout(QUEUE, Arc::clone(&self.0).lock_owned()).await;
        let mut db = held.map_err(|_| AccountsError::Busy)?;
        tokio::task::spawn_blocking(move || work(&mut db)).await.map_err(|_| AccountsError::Ending)?
    }

    pub(super) async fn find(&self, token: TokenHash) -> Result<Option<Row>, AccountsError> {
        self.run(move |db| {
            let mut find = db.prepare_cached("SELECT id FROM account WHERE token = ?1")?;
            Ok(find.query_row([token], |row| Ok(Row(row.get(0)?))).optional()?)
        })
        .await
    }

    pub(super) async fn charge(
        &self,
        account: Row,
        points: usize,
        now: i64,
    ) -> Result<Option<Result<Bucket, Overdrawn>>, AccountsError> {
        self.run(move |db| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let bucket = tx
                .prepare_cached("SELECT level, at FROM account WHERE id = ?1")?
                .query_row([account.0], |row| Ok(Bucket { level: row.get(0)?, at: row.get(1)? }))
                .optional()?;
            let Some(bucket) = bucket else { return Ok(None) };
            let charged = bucket.charge(points, now);
            let kept = charged.unwrap_or_else(|_| bucket.refilled(now));
            tx.prepare_cached("UPDATE account SET level = ?2, at = ?3, seen = ?4 WHERE id = ?1")?.execute(params![
                account.0,
                kept.level,
                kept.at,
                day(now)
            ])?;
            tx.commit()?;
            Ok(Some(charged))
        })
        .await
    }

    pub(super) async fn put(&self, account: &Account<'_>, now: i64) -> Result<(), AccountsError> {
        let Account { pseudonym, token, certificate } = *account;
        let (pseudonym, token, certificate) = (pseudonym.to_owned(), *token, certificate.to_owned());
        let Bucket { level, at } = Bucket::full(now);
        self.run(move |db| {
            db.pragma_update(None, "synchronous", "FULL")?;
            db.execute(
                "INSERT INTO account (pseudonym, token, level, at, created, seen, proven, certificate)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5, ?6)
                 ON CONFLICT (pseudonym) DO UPDATE SET
                     token = excluded.token, seen = excluded.seen, proven = excluded.proven,
                     certificate = excluded.certificate",
                params![pseudonym, token, level, at, day(now), certificate],
            )?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(())
        })
        .await
    }

    /// Row, day of the last proof, certificate.
    pub(super) async fn known(&self, token: TokenHash) -> Result<Option<(Row, i64, Vec<u8>)>, AccountsError> {
        self.run(move |db| {
            let mut find = db.prepare_cached("SELECT id, proven, certificate FROM account WHERE token = ?1")?;
            Ok(find.query_row([token], |row| Ok((Row(row.get(0)?), row.get(1)?, row.get(2)?))).optional()?)
        })
        .await
    }

    pub(super) async fn knows(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        let pseudonym = pseudonym.to_owned();
        self.run(move |db| Ok(db.prepare_cached("SELECT 1 FROM account WHERE pseudonym = ?1")?.exists([pseudonym])?))
            .await
    }

    pub(super) async fn certify(
        &self,
        row: Row,
        certificate: &[u8],
        proven: bool,
        now: i64,
    ) -> Result<(), AccountsError> {
        let certificate = certificate.to_owned();
        self.run(move |db| {
            db.execute(
                "UPDATE account SET certificate = ?2, seen = ?3, proven = iif(?4, ?3, proven) WHERE id = ?1",
                params![row.0, certificate, day(now), proven],
            )?;
            Ok(())
        })
        .await
    }

    pub(super) async fn set_token(&self, row: Row, token: TokenHash) -> Result<(), AccountsError> {
        self.run(move |db| {
            db.execute("UPDATE account SET token = ?2 WHERE id = ?1", params![row.0, token])?;
            Ok(())
        })
        .await
    }

    pub(super) async fn unseen(&self, since: i64) -> Result<Vec<String>, AccountsError> {
        self.run(move |db| {
            let mut find = db.prepare_cached("SELECT pseudonym FROM account WHERE seen <= ?1")?;
            Ok(find.query_map([since], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(super) async fn remove(&self, pseudonym: &str) -> Result<bool, AccountsError> {
        let pseudonym = pseudonym.to_owned();
        self.run(move |db| {
            let gone = db.execute("DELETE FROM account WHERE pseudonym = ?1", [pseudonym])? > 0;
            // The log would keep the row's bytes until it is used again.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(gone)
        })
        .await
    }

    pub(super) async fn count(&self) -> Result<u64, AccountsError> {
        self.run(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM account", [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}

fn prepare(mut db: Connection) -> Result<Connection, AccountsError> {
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
    Ok(db)
}

//! A file: SQLite, on the runtime's threads for blocking work, one call after another.

use super::{DatabaseError, Record, UPGRADES, Value};
use crate::directory::files;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, TransactionBehavior, params_from_iter};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(2);

/// How long a call waits for those before it.
const QUEUE: Duration = Duration::from_secs(10);

/// Statements that are kept prepared: more than there are.
const PREPARED: usize = 64;

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Int(value) => value.to_sql(),
            Self::Bytes(value) => value.to_sql(),
            Self::Text(value) => value.to_sql(),
        }
    }
}

/// One connection; other processes may hold the file open beside it.
#[derive(Debug, Clone)]
pub(super) struct Sqlite(Arc<Mutex<Connection>>);

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Open { path: path.into(), source };
        files::ensure_private(path).map_err(failed)?;
        prepare(Connection::open(path)?).map(|db| Self(Arc::new(Mutex::new(db))))
    }

    /// Runs to its end, also when nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let held = timeout(QUEUE, Arc::clone(&self.0).lock_owned()).await;
        let db = held.map_err(|_| DatabaseError::Busy)?;
        tokio::task::spawn_blocking(move || work(&db)).await.map_err(|_| DatabaseError::Ending)?
    }

    pub(super) async fn query(
        &self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Record>, DatabaseError> {
        self.run(move |db| {
            let mut statement = db.prepare_cached(statement)?;
            let columns = statement.column_count();
            let mut rows = statement.query(params_from_iter(values))?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let record: Result<_, DatabaseError> = (0..columns).map(|column| read(row.get_ref(column)?)).collect();
                records.push(Record::new(record?));
            }
            Ok(records)
        })
        .await
    }

    pub(super) async fn execute(
        &self,
        statement: &'static str,
        values: Vec<Value>,
        durably: bool,
    ) -> Result<u64, DatabaseError> {
        self.run(move |db| {
            db.pragma_update(None, "synchronous", if durably { "FULL" } else { "NORMAL" })?;
            Ok(db.prepare_cached(statement)?.execute(params_from_iter(values))? as u64)
        })
        .await
    }

    pub(super) async fn scrub(&self) -> Result<(), DatabaseError> {
        self.run(|db| Ok(db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)).await
    }
}

fn read(value: ValueRef<'_>) -> Result<Value, DatabaseError> {
    match value {
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Blob(value) => Ok(Value::Bytes(value.to_owned())),
        ValueRef::Text(value) => std::str::from_utf8(value).map(Value::from).map_err(|_| DatabaseError::Malformed),
        ValueRef::Null | ValueRef::Real(_) => Err(DatabaseError::Malformed),
    }
}

/// The schema's version is `PRAGMA user_version`.
fn prepare(mut db: Connection) -> Result<Connection, DatabaseError> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(PREPARED);
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "secure_delete", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = found as usize;
    let known = UPGRADES.len();
    for upgrade in UPGRADES.get(found..).ok_or(DatabaseError::Newer { found, known })? {
        tx.execute_batch(upgrade)?;
    }
    tx.pragma_update(None, "user_version", known as i64)?;
    tx.commit()?;
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_newer_schema_is_left_alone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("directory.db");
        drop(Sqlite::open(&path).unwrap());
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Sqlite::open(&path), Err(DatabaseError::Newer { found: 99, known: 1 })));
    }

    #[test]
    fn nobody_else_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new().unwrap();
        let _open = Sqlite::open(&dir.path().join("directory.db")).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

//! A PostgreSQL server, which several instances share: a few connections, made again when they break.

use super::{DatabaseError, Record, UPGRADES, Value, tables};
use crate::directory::config::Server;
use crate::directory::files;
use crate::directory::tls::pinned;
use deadpool_postgres::{Client, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Config, NoTls, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections of one instance: its statements take a millisecond each.
const CONNECTIONS: usize = 8;

/// For a connection, and for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// For rewriting a table, in seconds: less than others wait for it.
const REWRITE: u64 = PATIENCE.as_secs() - 2;

/// ANALYZE samples no column that holds more than a time or a count: what it samples would outlive its row.
const NO_STATISTICS: &str = "DO $$ DECLARE cell record; BEGIN
    FOR cell IN SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND data_type IN ('bytea', 'text') LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET STATISTICS 0', cell.table_name, cell.column_name);
    END LOOP; END $$";

/// Names the lock under which one instance at a time upgrades the schema: "shunt" in ASCII.
const LOCK: i64 = 0x73_6875_6e74;

#[derive(Debug, Clone)]
pub(super) struct Postgres(Pool);

impl From<PoolError> for DatabaseError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Self::Unreachable("no connection in time".into()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // Class 08, and of 57 (PostgreSQL, appendix A) what the operator does: starting, stopping, or cut off.
            Some(told) if ["08", "57P"].iter().any(|class| told.code().code().starts_with(class)) => {
                Self::Unreachable(told.message().into())
            }
            // Not the detail, which may show values.
            Some(told) => Self::Postgres { code: told.code().code().into(), message: told.message().into() },
            None => Self::Unreachable(match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }),
        }
    }
}

impl Postgres {
    pub(super) async fn open(server: &Server) -> Result<Self, DatabaseError> {
        let wrong = |why: &dyn std::fmt::Display| DatabaseError::Configuration(why.to_string());
        let mut config: Config = server.url.parse().map_err(|error: tokio_postgres::Error| match error.source() {
            Some(source) => wrong(source),
            None => wrong(&error),
        })?;
        config.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE).application_name("shunt-directory");
        if let Some(path) = &server.password {
            let named = |error: &dyn std::fmt::Display| wrong(&format_args!("{}: {error}", path.display()));
            config.password(files::read_private(path).map_err(|error| named(&error))?.trim_ascii());
        }
        let postgres = match &server.ca {
            Some(path) => {
                let named = |error| wrong(&format_args!("{}: {error}", path.display()));
                let tls = std::fs::read(path).and_then(|ca| pinned(&ca)).map_err(named)?;
                pool(config.ssl_mode(SslMode::Require).clone(), MakeRustlsConnect::new(tls))
            }
            None if config.get_ssl_mode() == SslMode::Require => {
                return Err(wrong(&"sslmode=require needs postgresql.ca"));
            }
            None => pool(config.ssl_mode(SslMode::Disable).clone(), NoTls),
        };
        let postgres = postgres.map_err(|error| wrong(&error))?;
        timeout(PATIENCE, postgres.upgrade()).await.map_err(|_| mute())??;
        Ok(postgres)
    }

    /// Under a lock: instances may start together.
    async fn upgrade(&self) -> Result<(), DatabaseError> {
        let mut client = self.0.get().await?;
        let tx = client.transaction().await?;
        tx.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        tx.batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY NOT NULL)").await?;
        let found: i64 = tx.query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[]).await?.try_get(0)?;
        let (found, known) = (usize::try_from(found).unwrap_or(usize::MAX), UPGRADES.len());
        let pending = UPGRADES.get(found..).ok_or(DatabaseError::Newer { found, known })?;
        for upgrade in pending {
            tx.batch_execute(&in_its_words(upgrade)).await?;
        }
        if !pending.is_empty() {
            tx.batch_execute(NO_STATISTICS).await?;
            tx.execute("INSERT INTO schema_version VALUES ($1)", &[&(known as i64)]).await?;
        }
        Ok(tx.commit().await?)
    }

    /// One table after the other, each locked meanwhile: where that takes longer than others wait it is left as it
    /// was, and told. Vacuum alone would leave the bytes in the pages.
    pub(super) async fn rewrite(&self) -> Result<(), DatabaseError> {
        // Out of the pool: what is set ends with this connection.
        let client = Object::take(self.client().await?);
        client.batch_execute(&format!("SET lock_timeout = '1s'; SET statement_timeout = '{REWRITE}s'")).await?;
        let mut done = Ok(());
        for table in tables() {
            if let Err(error) = client.batch_execute(&format!("VACUUM (FULL) {table}")).await {
                done = Err(error.into());
            }
        }
        done
    }

    async fn client(&self) -> Result<Client, DatabaseError> {
        Ok(self.0.get().await?)
    }

    pub(super) async fn query(&self, statement: &str, values: Vec<Value>) -> Result<Vec<Record>, DatabaseError> {
        let rows = async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statement).await?;
            Ok::<_, DatabaseError>(client.query(&statement, &parameters(&values)).await?)
        };
        timeout(PATIENCE, rows).await.map_err(|_| mute())??.iter().map(record).collect()
    }

    pub(super) async fn execute(&self, statement: &str, values: Vec<Value>) -> Result<u64, DatabaseError> {
        let changed = async {
            let client = self.client().await?;
            let statement = client.prepare_cached(statement).await?;
            Ok(client.execute(&statement, &parameters(&values)).await?)
        };
        timeout(PATIENCE, changed).await.map_err(|_| mute())?
    }
}

fn mute() -> DatabaseError {
    DatabaseError::Unreachable("it does not answer".into())
}

fn pool<T>(config: Config, tls: T) -> Result<Postgres, deadpool_postgres::BuildError>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(deadpool_postgres::Timeouts::wait_millis(PATIENCE.as_millis() as u64))
        .build()
        .map(Postgres)
}

/// PostgreSQL's names of SQLite's types.
fn in_its_words(schema: &str) -> String {
    schema.replace(" INTEGER", " BIGINT").replace(" BLOB", " BYTEA").replace(") STRICT", ")")
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

fn record(row: &Row) -> Result<Record, DatabaseError> {
    let read = |(index, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::INT8 => Value::Int(row.try_get(index)?),
            Type::BYTEA => Value::Bytes(row.try_get(index)?),
            Type::TEXT => Value::Text(row.try_get(index)?),
            _ => return Err(DatabaseError::Malformed),
        })
    };
    row.columns().iter().enumerate().map(read).collect::<Result<_, _>>().map(Record::new)
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // Each kind for its own type alone: `accepts` is not asked about the value.
        match (self, ty) {
            (Self::Int(value), &Type::INT8) => value.to_sql(ty, out),
            (Self::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            (Self::Text(value), &Type::TEXT) => value.to_sql(ty, out),
            _ => Err("a value of another type than its column".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::BYTEA | Type::TEXT)
    }

    to_sql_checked!();
}

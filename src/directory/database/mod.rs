//! The directory's database: a SQLite file, or a PostgreSQL server that several instances share.
//!
//! `account`: one row per enrolled number, and another while its phone moves to a new epoch; made by an enrolment,
//! deleted by a withdrawal.
//! - `pseudonym`: the account's localpart at the XMPP server; what the row is found by.
//! - `token`: SHA-256 of the device's bearer token (256 random bits: a plain hash suffices). A
//!   re-enrolment replaces it, so the old phone is unknown from then on.
//! - `budget`: keyed digest of the number's pseudonym in the epoch of the first name: what its look-ups are
//!   counted under, in every epoch, and by which its accounts in others are found.
//! - `created`, `seen`: days since 1970; `seen` is what an unused account is found by. Days, since
//!   more is nobody's business.
//! - `proven`: the day on which the number was last proven by SMS: a renewal needs that every 90 days.
//! - `certificate`: the last one issued.
//!
//! `spent`: what a budget's look-ups have taken (see `budget`); deleted when it is full again, ten days and ten hours
//! later at most. Outlives the account: neither enrolling again nor withdrawing before is a way to a full bucket.
//! - `level`, `at`: seconds of refill in it, and when that was true.
//!
//! `claim`: who works on an account just now (see `claims`); deleted when that is done, within two hours where its
//! holder died.
//! - `pseudonym`: the account's, which may not be there yet. `owner`: random. `until`: seconds since 1970.
//!
//! `enrolment`: one row per enrolment under way, emptied when it is over (ten minutes at most), deleted
//! after two days. It holds neither number nor code: both come with the confirmation, and the code is
//! made anew from them (see `sessions`).
//! - `id`: SHA-256 of the session's id, which the phone drew at random.
//! - `request`, `phone`: SHA-256 of the start's bytes; of the phone's identity key and epoch.
//! - `number`: keyed digest of the number and the session's id, which is in no row.
//! - `salt`: random; the code depends on it.
//! - `tries`: wrong codes that are still allowed. `ends`: seconds since 1970. `busy`: until when an
//!   instance works on the right code, 0 for none.
//! - `answered`, `answer`: SHA-256 of the confirmation's bytes, and what it was answered, sealed to the phone.
//!
//! `sms`: code SMS counted for a limit in an hour or a day (see `limits`); deleted when that is over.
//! - `tag`: keyed digest of number, country, address block or pseudonym.
//! - `ends`: when its hour or day is over. `sent`: how many. `refused`: 1 once the limit was reached.
//!
//! `day`: the random half of the day's key for those digests; deleted when the day is over.
//!
//! There is no number, no secret and no address in it, and nothing about who looked up whom.
//!
//! Each call is one statement, and what it is for stands in one text for both backends: what must be
//! decided between reading and writing is written only if nothing has changed meanwhile.

mod postgres;
mod sqlite;
mod value;

use super::config::Location;
use postgres::Postgres;
use sqlite::Sqlite;
use std::path::PathBuf;
pub(super) use value::{Record, Value, values};

/// The schema's versions in SQLite's words: what brings each to the next.
const UPGRADES: &[&str] = &["
    CREATE TABLE account (
        pseudonym TEXT PRIMARY KEY NOT NULL,
        token BLOB NOT NULL UNIQUE,
        budget BLOB NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        proven INTEGER NOT NULL,
        certificate BLOB NOT NULL
    ) STRICT;
    CREATE INDEX account_budget ON account (budget);
    CREATE TABLE spent (
        budget BLOB PRIMARY KEY NOT NULL,
        level INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE claim (
        pseudonym TEXT PRIMARY KEY NOT NULL,
        owner BLOB NOT NULL,
        until INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE enrolment (
        id BLOB PRIMARY KEY NOT NULL,
        request BLOB NOT NULL,
        phone BLOB NOT NULL,
        number BLOB NOT NULL,
        salt BLOB NOT NULL,
        tries INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        busy INTEGER NOT NULL,
        answered BLOB NOT NULL,
        answer BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sms (
        tag BLOB NOT NULL,
        ends INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        PRIMARY KEY (tag, ends)
    ) STRICT;
    CREATE TABLE day (
        day INTEGER PRIMARY KEY NOT NULL,
        salt BLOB NOT NULL
    ) STRICT;
"];

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
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
        /// What the database says.
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
    #[error("a row of the database can't be read; if it is a certificate, its phone must enrol again")]
    Malformed,
    /// SQLite says no.
    #[error("the database refused: {0}")]
    Sqlite(rusqlite::Error),
    /// PostgreSQL's address, password or CA can't be used.
    #[error("the PostgreSQL database's configuration is wrong: {0}")]
    Configuration(String),
    /// There is no PostgreSQL, or it went away.
    #[error("PostgreSQL can't be reached: is it running, and the configuration right? ({0})")]
    Unreachable(String),
    /// PostgreSQL says no, with its code (SQLSTATE).
    #[error("PostgreSQL refused: {message} ({code})")]
    Postgres {
        /// Five characters.
        code: String,
        /// Its words; none of our values are in them.
        message: String,
    },
}

/// The database, shared with other processes. Nothing in here blocks the caller's thread, but
/// opening a file.
#[derive(Debug, Clone)]
pub struct Database(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Database {
    /// Opens it, and upgrades its schema. A file that is not there is made (0600).
    pub async fn open(location: &Location) -> Result<Self, DatabaseError> {
        Ok(Self(match location {
            Location::File(path) => Backend::Sqlite(Sqlite::open(path)?),
            Location::Server(server) => Backend::Postgres(Postgres::open(server).await?),
        }))
    }

    /// The rows that a statement gives back. Its values are `$1`, `$2` and so on, which must first
    /// appear in this order.
    pub(super) async fn query(
        &self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Record>, DatabaseError> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.query(statement, values).await,
            Backend::Postgres(postgres) => postgres.query(statement, values).await,
        }
    }

    /// The first of the rows.
    pub(super) async fn one(
        &self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<Record>, DatabaseError> {
        Ok(self.query(statement, values).await?.into_iter().next())
    }

    /// How many rows a statement has changed. With the power's loss SQLite may lose the last ones.
    pub(super) async fn execute(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, DatabaseError> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.execute(statement, values, false).await,
            Backend::Postgres(postgres) => postgres.execute(statement, values).await,
        }
    }

    /// The same, and the change is on disk when it returns.
    pub(super) async fn keep(&self, statement: &'static str, values: Vec<Value>) -> Result<u64, DatabaseError> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.execute(statement, values, true).await,
            Backend::Postgres(postgres) => postgres.execute(statement, values).await,
        }
    }

    /// What was deleted is in SQLite's log no longer. For PostgreSQL's files see [`Self::rewrite`].
    pub(super) async fn scrub(&self) -> Result<(), DatabaseError> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.scrub().await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Rewrites PostgreSQL's tables: what was deleted or replaced stays in their files until then. Its log (WAL),
    /// replicas and backups are the operator's. SQLite overwrites at once (`secure_delete`).
    pub(super) async fn rewrite(&self) -> Result<(), DatabaseError> {
        match &self.0 {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(postgres) => postgres.rewrite().await,
        }
    }
}

/// The schema's tables.
fn tables() -> impl Iterator<Item = &'static str> {
    let lines = UPGRADES.iter().flat_map(|upgrade| upgrade.lines());
    lines.filter_map(|line| line.trim_start().strip_prefix("CREATE TABLE ")?.split(' ').next())
}

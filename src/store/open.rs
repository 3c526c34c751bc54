//! Opening, and the one way to change anything: a transaction.

use super::error::{Damage, StoreError, Unusable};
use super::key::StoreKey;
use super::schema;
use super::tx::Tx;
use super::witness::{Witness, Word};
use crate::model::{Arrived, PhoneNumber, WordingKey};
use crate::seal::{ColumnCipher, ColumnError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The database's name in its directory.
const DATABASE: &str = "store.db";
/// What SQLite keeps for a database, in the order in which it may be moved: a log without its
/// database is harmless, a database without its log has lost its latest commits.
const FILES: [&str; 3] = [DATABASE, "store.db-wal", "store.db-shm"];
/// Sealed under the key; only the right key opens it.
const KEY_CHECK: &[u8] = b"shunt store";

/// The open store: one connection, exclusive, never shared between threads at once.
pub struct Store {
    pub(super) db: Connection,
    pub(super) cipher: ColumnCipher,
    /// A store in memory has none.
    witness: Option<Witness>,
    /// Nor this.
    pub(super) dir: Option<PathBuf>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}

/// Whether there is a store, or was one: then no key may be made for it.
#[must_use]
pub fn exists(dir: &Path, generation: &Path) -> bool {
    fs::metadata(dir.join(DATABASE)).is_ok_and(|meta| meta.len() > 0) || Witness::new(generation).exists()
}

/// Moves an unusable store into `dir/aside-N` and its generation file beside itself, so that the next opening
/// begins a new store, switched off and with a new identity. Nothing is deleted. Gives the directory.
pub fn set_aside(dir: &Path, generation: &Path) -> Result<PathBuf, Unusable> {
    let mut number = 1_u32;
    let aside = loop {
        let aside = dir.join(format!("aside-{number}"));
        match fs::create_dir(&aside) {
            Ok(()) => break aside,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < u32::MAX => number += 1,
            Err(error) => return Err(Unusable::from_io(error)),
        }
    };
    // The database goes last: a crash before leaves an old copy that the generation file refuses.
    for name in FILES.iter().rev() {
        match fs::rename(dir.join(name), aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Unusable::from_io(error)),
            _ => {}
        }
    }
    let finish = || {
        super::sync_directory(&aside.join(DATABASE))?;
        super::sync_directory(&dir.join(DATABASE))?;
        Witness::new(generation).set_aside(number)
    };
    finish().map_err(Unusable::from_io)?;
    Ok(aside)
}

impl Store {
    /// Opens the store in `dir`, or begins one where there is none. `generation` is a directory that no backup
    /// takes. In every error nothing was overwritten.
    pub fn open(dir: &Path, generation: &Path, key: &StoreKey) -> Result<Self, Unusable> {
        let witness = Witness::new(generation);
        let path = dir.join(DATABASE);
        let found = match fs::metadata(&path) {
            Ok(meta) => meta.len() > 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Unusable::from_io(error)),
        };
        if !found && witness.exists() {
            return Err(Unusable::Corrupt(Damage::Gone));
        }
        private_directory(dir)?;
        let mut db = connect(&path)?;
        let cipher = ColumnCipher::new(key.bytes()).map_err(unsealed)?;
        let version = judge(&db, &cipher, &witness)?;

        // From here on the store is ours: it may be written.
        configure(&db)?;
        private_directory(generation)?;
        let word = witness.draw()?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening)?;
        schema::upgrade(&tx, version, schema::newest()).map_err(opening)?;
        let check = cipher.seal("meta", b"key", "value", 1, KEY_CHECK).map_err(unsealed)?;
        let mut put =
            tx.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)").map_err(opening)?;
        if version == 0 {
            put.execute(("key", check)).map_err(opening)?;
        }
        put.execute(("generation", word)).map_err(opening)?;
        drop(put);
        tx.commit().map_err(opening)?;
        witness.take_place()?;
        // The file's own header must tell an older version of us the schema, without its log.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(opening)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(opening)?;
        Ok(Self { db, cipher, witness: Some(witness), dir: Some(dir.to_owned()) })
    }

    /// A store in memory, under a random key, for a daemon whose own can't be used (protocol.md §7).
    pub fn volatile() -> Result<Self, Unusable> {
        let mut db = Connection::open_in_memory().map_err(opening)?;
        let mut key = [0; 32];
        rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| Unusable::Io(error.into()))?;
        let cipher = ColumnCipher::new(key).map_err(unsealed)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening)?;
        schema::upgrade(&tx, 0, schema::newest()).map_err(opening)?;
        tx.commit().map_err(opening)?;
        Ok(Self { db, cipher, witness: None, dir: None })
    }

    /// Runs `work` in one transaction: all of it is on disk when this returns, or none of it happened.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.try_transaction(work)
    }

    /// The same for work with errors of its own; any error undoes all of it.
    pub fn try_transaction<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let sql = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let result = work(&Tx { sql: &sql, cipher: &self.cipher })?;
        sql.commit().map_err(StoreError::from)?;
        Ok(result)
    }

    /// Takes the texts of a store in memory, which stood in while this one could not be used: the outgoing ones, and
    /// the SMS that were shown meanwhile, each with what it is told by, so that the next start does not show it
    /// again. A token that was used again meanwhile stays with the text that had it first.
    pub fn take_over(&mut self, from: &mut Self, shown: &[(Vec<u8>, Arrived)]) -> Result<(), StoreError> {
        let (mut texts, arrived) = from.transaction(|tx| {
            let kept = shown.iter().filter_map(|(_, sms)| tx.arrived(sms.id).transpose());
            Ok((tx.list_texts(None, u32::MAX)?, kept.collect::<Result<Vec<_>, _>>()?))
        })?;
        texts.reverse();
        self.transaction(|tx| {
            for (told_by, sms) in shown {
                tx.put_sms_shown(tx.digest("sms", told_by), sms.id, sms.at)?;
            }
            // An app may have deleted one.
            arrived.iter().try_for_each(|sms| tx.put_arrived(sms))?;
            for (_, mut text) in texts {
                if let Some(token) = &text.token
                    && tx.text_by_token(token)?.is_some_and(|other| other.id != text.id)
                {
                    text.token = None;
                }
                tx.put_text(&text)?;
            }
            Ok(())
        })
    }

    /// The wording's key towards a peer (protocol.md §2).
    #[must_use]
    pub fn wording(&self, peer: &PhoneNumber, text: &str) -> WordingKey {
        self.cipher.wording(peer, text)
    }

    /// Draws a new generation word, so that copies made until now can't come back. Opening does so too. After an
    /// error the store still matches its witness.
    pub fn rotate_generation(&mut self) -> Result<(), Unusable> {
        let Some(witness) = &self.witness else { return Ok(()) };
        // Where the last word could not take its place, it must do so before a next one is written over it.
        witness.check(&generation(&self.db)?)?;
        let word = witness.draw()?;
        self.transaction(|tx| tx.run("UPDATE meta SET value = ?1 WHERE name = 'generation'", [word]))?;
        self.witness.as_ref().map_or(Ok(()), Witness::take_place)
    }
}

/// Reads, and never writes: may this store be used by us? Gives its schema; 0 is an empty one.
fn judge(db: &Connection, cipher: &ColumnCipher, witness: &Witness) -> Result<i64, Unusable> {
    let version = schema::version(db).map_err(opening)?;
    if version > schema::newest() {
        return Err(Unusable::NewerSchema { found: version, known: schema::newest() });
    }
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(opening);
    let (application, tables) = (count("PRAGMA application_id")?, count("SELECT count(*) FROM sqlite_schema")?);
    if version == 0 && application == 0 && tables == 0 {
        // Nothing was ever committed. Beside a witnessed word that is a store that lost its content.
        return if witness.exists() { Err(Unusable::Corrupt(Damage::Gone)) } else { Ok(0) };
    }
    if version < 1 || application != schema::APPLICATION {
        return Err(Unusable::Corrupt(Damage::Foreign));
    }
    match cipher.open("meta", b"key", "value", 1, &meta(db, "key")?) {
        Ok(check) if *check == KEY_CHECK => {}
        _ => return Err(Unusable::KeyWrong),
    }
    witness.check(&generation(db)?)?;
    Ok(version)
}

const UNDESCRIBED: Unusable = Unusable::Corrupt(Damage::Content("its own description"));

fn meta(db: &Connection, name: &str) -> Result<Vec<u8>, Unusable> {
    db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(opening)?
        .ok_or(UNDESCRIBED)
}

fn generation(db: &Connection) -> Result<Word, Unusable> {
    Word::try_from(meta(db, "generation")?.as_slice()).map_err(|_| UNDESCRIBED)
}

fn connect(path: &Path) -> Result<Connection, Unusable> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| refused(path, error))?;
    // SQLite falls back to reading without a word.
    if db.is_readonly("main").map_err(opening)? {
        return Err(Unusable::ReadOnly);
    }
    // A store that is not ours to judge is left with its log as it was.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(opening)?;
    db.busy_timeout(std::time::Duration::ZERO).map_err(opening)?;
    // Exclusive: no second core, and no shared-memory file mapped into us.
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA cache_size = -256;")
        .map_err(opening)?;
    Ok(db)
}

fn configure(db: &Connection) -> Result<(), Unusable> {
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(opening)?;
    if mode != "wal" {
        return Err(Unusable::Io(io::Error::other("the file system can't hold a write-ahead log")));
    }
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = 256;
        PRAGMA journal_size_limit = 1048576;",
    )
    .map_err(opening)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// SQLite says "unable to open" for all that the file system refuses: ask it again for the reason.
fn refused(path: &Path, error: rusqlite::Error) -> Unusable {
    if error.sqlite_error_code() != Some(rusqlite::ErrorCode::CannotOpen) {
        return opening(error);
    }
    match fs::OpenOptions::new().write(true).create(true).truncate(false).open(path) {
        Err(error) => Unusable::from_io(error),
        Ok(_) => opening(error),
    }
}

fn unsealed(error: ColumnError) -> Unusable {
    Unusable::Io(io::Error::other(error))
}

fn opening(error: rusqlite::Error) -> Unusable {
    match StoreError::from(error) {
        StoreError::Corrupt("the database") => Unusable::Corrupt(Damage::Database),
        other => other.into(),
    }
}

/// Makes the directory where it is missing; it is the daemon's alone.
fn private_directory(dir: &Path) -> Result<(), Unusable> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Unusable::from_io)
}

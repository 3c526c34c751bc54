//! Forgetting everything, the files' content too.

use super::error::{StoreError, Unusable};
use super::open::Store;
use super::tx::Tx;
use crate::model::TextId;
use crate::model::Timestamp;
use std::io;
use std::time::SystemTime;

/// The texts that a wipe deletes, damaged ones included. Those that no app has taken stay, and those under way.
const TEXTS: &[&str] =
    &["DELETE FROM texts WHERE live <> 1 RETURNING id", "DELETE FROM arrived WHERE acknowledged <> 0 RETURNING id"];

/// What it deletes besides, then. The keyed digests by which nothing is shown twice stay, until they go by their age.
const WIPE: &[&str] = &[
    "DELETE FROM blobs",
    "DELETE FROM ordinals",
    "DELETE FROM envelopes WHERE NOT EXISTS (SELECT 1 FROM texts WHERE texts.id = envelopes.id AND live = 1)",
    "DELETE FROM peers",
    "DELETE FROM sessions",
    "DELETE FROM switches",
    "DELETE FROM ledger",
    "DELETE FROM ledger_totals",
];

impl Tx<'_> {
    /// Deletes all that a withdrawal forgets; [`Store::compact`] then takes it off the disk. The texts that went.
    pub fn wipe(&self) -> Result<Vec<TextId>, StoreError> {
        let mut gone = Vec::new();
        for statement in TEXTS {
            gone.extend(self.rows(statement, [], |row| row.get(0).map(TextId))?);
        }
        for statement in WIPE {
            self.run(statement, [])?;
        }
        Ok(gone)
    }
}

impl Store {
    /// Writes the files anew, so that nothing deleted is left in them; removes stores that were set aside.
    pub fn compact(&mut self) -> Result<(), Unusable> {
        self.db.flush_prepared_statement_cache();
        let checkpoint = |db: &rusqlite::Connection| {
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(StoreError::from)
        };
        checkpoint(&self.db)?;
        self.db.execute_batch("VACUUM").map_err(StoreError::from)?;
        if checkpoint(&self.db)? != 0 {
            return Err(Unusable::Io(io::Error::other("the log could not be emptied")));
        }
        self.remove_aside(|_| true).map_err(Unusable::from_io)
    }

    /// Removes the stores that were set aside at such times.
    pub(super) fn remove_aside(&self, such: impl Fn(Timestamp) -> bool) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        for entry in std::fs::read_dir(dir)?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with("aside-") {
                continue;
            }
            // Nothing is written there afterwards.
            let at = entry.metadata()?.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            if such(Timestamp(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

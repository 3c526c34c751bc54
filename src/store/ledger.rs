//! The ledger: every frame that left the core towards the cloud.

use super::error::StoreError;
use super::texts::Cursor;
use super::tx::{Tx, UNREADABLE};
use crate::model::Timestamp;
use rusqlite::params;

/// The most frames that are kept one by one; totals count on.
pub const LEDGER_ROWS: i64 = 100_000;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When it was handed over.
    pub at: Timestamp,
    /// What kind of frame: a token of the program.
    pub kind: Box<str>,
    /// Whom it went to, or empty.
    pub pseudonym: Box<str>,
    /// Bytes.
    pub size: u32,
}

/// What was sent of one kind since the ledger began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTotal {
    /// The kind.
    pub kind: Box<str>,
    /// Frames.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tx<'_> {
    /// Enters frames; beyond [`LEDGER_ROWS`] the oldest go.
    pub fn ledger_append(&self, entries: &[LedgerEntry]) -> Result<(), StoreError> {
        let last = self.first("SELECT max(seq) FROM ledger", [], |row| row.get::<_, Option<i64>>(0))?;
        let mut seq = last.flatten().unwrap_or(0);
        for entry in entries {
            seq += 1;
            let pseudonym = self.seal(("ledger", &seq.to_be_bytes(), "pseudonym"), entry.pseudonym.as_bytes())?;
            self.run(
                "INSERT INTO ledger (seq, at, kind, size, pseudonym) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![seq, entry.at.0, entry.kind, entry.size, pseudonym],
            )?;
            self.run(
                "INSERT INTO ledger_totals (kind, frames, bytes) VALUES (?1, 1, ?2)
                ON CONFLICT DO UPDATE SET frames = frames + 1, bytes = bytes + excluded.bytes",
                params![entry.kind, entry.size],
            )?;
        }
        self.run("DELETE FROM ledger WHERE seq <= ?1", params![seq - LEDGER_ROWS])?;
        Ok(())
    }

    /// At most `limit` frames since then, oldest first.
    pub fn ledger_since(&self, since: Timestamp, limit: u32) -> Result<Vec<LedgerEntry>, StoreError> {
        let rows = self.ledger(
            "SELECT seq, at, kind, size, pseudonym FROM ledger WHERE at >= ?1 ORDER BY at, seq LIMIT ?2",
            params![since.0, limit],
        )?;
        Ok(rows.into_iter().map(|(_, entry)| entry).collect())
    }

    /// A page of at most `limit` frames, newest first, older than `before`.
    pub fn list_ledger(&self, before: Option<Cursor>, limit: u32) -> Result<Vec<(Cursor, LedgerEntry)>, StoreError> {
        self.ledger(
            "SELECT seq, at, kind, size, pseudonym FROM ledger WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            params![before.map_or(i64::MAX, |cursor| cursor.0), limit],
        )
    }

    fn ledger(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<(Cursor, LedgerEntry)>, StoreError> {
        let rows = self.rows(sql, params, |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, Vec<u8>>(4)?))
        })?;
        rows.into_iter()
            .map(|(seq, at, kind, size, pseudonym)| {
                let pseudonym = self.open(("ledger", &seq.to_be_bytes(), "pseudonym"), &pseudonym)?;
                let pseudonym = std::str::from_utf8(&pseudonym).map_err(|_| UNREADABLE)?.into();
                Ok((Cursor(seq), LedgerEntry { at: Timestamp(at), kind, pseudonym, size }))
            })
            .collect()
    }

    /// All that was ever entered, by kind.
    pub fn ledger_totals(&self) -> Result<Vec<LedgerTotal>, StoreError> {
        self.rows("SELECT kind, frames, bytes FROM ledger_totals ORDER BY kind", [], |row| {
            let count = |index| row.get::<_, i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
            Ok(LedgerTotal { kind: row.get(0)?, frames: count(1)?, bytes: count(2)? })
        })
    }
}

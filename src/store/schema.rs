//! The schema and its upgraders. An upgrader is history: it uses nothing that may change later.

use rusqlite::{Connection, Transaction};

/// `PRAGMA application_id`: "SHNT".
pub(super) const APPLICATION: i64 = 0x5348_4e54;

/// Each takes the schema from its index to the next version, inside one transaction.
pub(super) const UPGRADERS: &[fn(&Transaction<'_>) -> rusqlite::Result<()>] = &[first];

/// The newest schema that this version knows.
pub(super) fn newest() -> i64 {
    i64::try_from(UPGRADERS.len()).unwrap_or(i64::MAX)
}

pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a store of schema `from` to `to`, both counted in upgraders.
pub(super) fn upgrade(tx: &Transaction<'_>, from: i64, to: i64) -> rusqlite::Result<()> {
    let steps = UPGRADERS.iter().zip(1_i64..).filter(|(_, reached)| (from + 1..=to).contains(reached));
    for (step, reached) in steps {
        step(tx)?;
        tx.execute_batch(&format!("PRAGMA user_version = {reached}"))?;
    }
    Ok(())
}

fn first(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute_batch(
        "PRAGMA application_id = 1397247572;
        CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE blobs (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

        CREATE TABLE texts (
            seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, live INTEGER NOT NULL,
            peer BLOB NOT NULL, token BLOB, owner BLOB, body BLOB NOT NULL, record BLOB NOT NULL);
        CREATE INDEX texts_live ON texts (seq) WHERE live = 1;
        CREATE INDEX texts_at ON texts (at, id);
        CREATE INDEX texts_peer ON texts (peer, at, id);
        CREATE UNIQUE INDEX texts_token ON texts (token) WHERE token IS NOT NULL;
        CREATE INDEX texts_owner ON texts (owner, seq) WHERE owner IS NOT NULL;
        CREATE TABLE released (token BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX released_at ON released (at);
        CREATE TABLE sms_references (
            peer BLOB NOT NULL, reference INTEGER NOT NULL, seq INTEGER NOT NULL REFERENCES texts ON DELETE CASCADE,
            PRIMARY KEY (peer, reference, seq)) WITHOUT ROWID;
        CREATE INDEX sms_references_seq ON sms_references (seq);
        CREATE TABLE ordinals (
            wording BLOB NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (wording, n)) WITHOUT ROWID;
        CREATE INDEX ordinals_at ON ordinals (at);
        CREATE TABLE envelopes (id BLOB PRIMARY KEY, envelope BLOB NOT NULL) WITHOUT ROWID;

        CREATE TABLE arrived (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, im INTEGER NOT NULL,
            acknowledged INTEGER NOT NULL, peer BLOB NOT NULL, record BLOB NOT NULL);
        CREATE INDEX arrived_im ON arrived (seq) WHERE im = 1;
        CREATE INDEX arrived_waiting ON arrived (at, id) WHERE acknowledged = 0;
        CREATE INDEX arrived_taken ON arrived (at) WHERE acknowledged <> 0;
        CREATE INDEX arrived_at ON arrived (at, id);
        CREATE INDEX arrived_peer ON arrived (peer, at, id);
        CREATE TABLE shown (
            wording BLOB NOT NULL, n INTEGER NOT NULL, id BLOB NOT NULL, bearer INTEGER NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (wording, n)) WITHOUT ROWID;
        CREATE INDEX shown_at ON shown (at);
        CREATE TABLE im_seen (id BLOB PRIMARY KEY, fate INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX im_seen_at ON im_seen (at);
        CREATE TABLE sms_seen (digest BLOB PRIMARY KEY, at INTEGER NOT NULL, id BLOB) WITHOUT ROWID;
        CREATE INDEX sms_seen_at ON sms_seen (at);

        CREATE TABLE peers (number BLOB PRIMARY KEY, touched INTEGER, said BLOB, record BLOB NOT NULL) WITHOUT ROWID;
        CREATE INDEX peers_touched ON peers (touched) WHERE touched IS NOT NULL;
        CREATE TABLE sessions (
            number BLOB NOT NULL, place INTEGER NOT NULL, pickle BLOB NOT NULL, PRIMARY KEY (number, place));

        CREATE TABLE switches (seq INTEGER PRIMARY KEY, record BLOB NOT NULL);

        CREATE TABLE ledger (
            seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
            pseudonym BLOB NOT NULL);
        CREATE INDEX ledger_at ON ledger (at);
        CREATE TABLE ledger_totals (
            kind TEXT PRIMARY KEY, frames INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;",
    )
}

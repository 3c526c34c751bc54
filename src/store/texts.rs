//! Outgoing texts, what finds them, and their envelopes.

use super::error::StoreError;
use super::record::TextRecord;
use super::tx::{Cell, Tx, UNREADABLE};
use crate::model::{Address, Text, TextId, Timestamp, WordingKey};
use rusqlite::{Row, params};

/// Where a page of a list begins: just before this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(super) i64);

/// Where a text stands in a list of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was handed over, or came.
    pub at: Timestamp,
    /// Which it is, among those of that millisecond.
    pub id: TextId,
}

pub(super) fn found(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place { at: Timestamp(row.get(0)?), id: TextId(row.get(1)?) })
}

/// A row of `texts` as it is read, still sealed.
struct Sealed {
    seq: i64,
    id: [u8; 16],
    body: Cell,
    record: Cell,
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed { seq: row.get(0)?, id: row.get(1)?, body: row.get(2)?, record: row.get(3)? })
}

impl Tx<'_> {
    /// Adds the text, or brings its record up to date. Its body never changes: the first one stays. The number's
    /// wording and ordinal are remembered for 14 days, whatever becomes of the text.
    ///
    /// `Duplicate` where another text has its token.
    pub fn put_text(&self, text: &Text) -> Result<(), StoreError> {
        let id = text.id.0;
        let record = self.seal_record(("texts", &id, "record"), &TextRecord::from(text))?;
        let live = !text.state.is_final();
        let changed = self.run("UPDATE texts SET live = ?2, record = ?3 WHERE id = ?1", params![id, live, record])?;
        if changed == 0 {
            let token = text.token.as_ref().map(|token| self.lookup("token", token.as_bytes()));
            let owner = text.diverted.as_ref().map(|diverted| self.lookup("owner", diverted.owner.as_bytes()));
            let body = self.seal(("texts", &id, "body"), text.body.0.as_bytes())?;
            self.run(
                "INSERT INTO texts (id, at, live, peer, token, owner, body, record)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![id, text.at.0, live, self.recipient_key(text), token, owner, body, record],
            )?;
        }
        if text.peer.is_some() {
            self.run(
                "INSERT INTO ordinals (wording, n, at) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at > at",
                params![text.wording.0, text.ordinal, text.at.0],
            )?;
        }
        // A report that it did not ask for is about an SMS of somebody else: references are a byte.
        if let Some(sms) = text.sms.as_ref().filter(|sms| text.report && !sms.references.is_empty()) {
            let peer = self.recipient_key(text);
            for reference in &sms.references {
                self.run(
                    "INSERT OR IGNORE INTO sms_references (peer, reference, seq)
                    SELECT ?1, ?2, seq FROM texts WHERE id = ?3",
                    params![peer, reference, id],
                )?;
            }
        }
        Ok(())
    }

    /// The text with that id.
    pub fn text(&self, id: TextId) -> Result<Option<Text>, StoreError> {
        self.one_text("SELECT seq, id, body, record FROM texts WHERE id = ?1", params![id.0])
    }

    /// All that is not final, in the order in which it was handed over.
    pub fn live_texts(&self) -> Result<Vec<Text>, StoreError> {
        let rows = self.rows("SELECT seq, id, body, record FROM texts WHERE live = 1 ORDER BY seq", [], sealed)?;
        rows.into_iter().filter_map(|row| self.sound_text(row).transpose()).collect()
    }

    /// The text with that idempotency token.
    pub fn text_by_token(&self, token: &str) -> Result<Option<Text>, StoreError> {
        let token = self.lookup("token", token.as_bytes());
        self.one_text("SELECT seq, id, body, record FROM texts WHERE token = ?1", params![token])
    }

    /// The newest text to that recipient, handed over since then, one of whose SMS has that message reference
    /// (3GPP TS 23.040 §9.2.3.6: eight bits, so they come round). `to` is E.164 where the text has a peer, else as
    /// the caller wrote it.
    pub fn text_by_sms_reference(
        &self,
        to: &Address,
        reference: u8,
        since: Timestamp,
    ) -> Result<Option<Text>, StoreError> {
        let peer = self.lookup("recipient", to.0.as_bytes());
        self.one_text(
            "SELECT texts.seq, id, body, record FROM sms_references JOIN texts USING (seq)
            WHERE sms_references.peer = ?1 AND reference = ?2 AND at >= ?3 ORDER BY sms_references.seq DESC LIMIT 1",
            params![peer, reference, since.0],
        )
    }

    /// The newest texts, `limit` at most, that apps had written to objects of that owner (the modem service's unique
    /// bus name) and that were diverted.
    pub fn diverted_texts(&self, owner: &str, limit: u32) -> Result<Vec<Text>, StoreError> {
        let rows = self.rows(
            "SELECT seq, id, body, record FROM texts WHERE owner = ?1 ORDER BY seq DESC LIMIT ?2",
            params![self.lookup("owner", owner.as_bytes()), limit],
            sealed,
        )?;
        rows.into_iter().filter_map(|row| self.sound_text(row).transpose()).collect()
    }

    /// Forgets a diverted text that its app's side sends now, all but its token.
    pub fn release(&self, text: &Text, at: Timestamp) -> Result<(), StoreError> {
        self.delete_text(text.id)?;
        if let Some(token) = &text.token {
            let token = self.lookup("token", token.as_bytes());
            self.run("INSERT OR REPLACE INTO released (token, at) VALUES (?1, ?2)", params![token, at.0])?;
        }
        Ok(())
    }

    /// Whether the diverted text with that token was let go of in the last day, or since the last purge.
    pub fn was_released(&self, token: &str) -> Result<bool, StoreError> {
        self.any("SELECT 1 FROM released WHERE token = ?1", params![self.lookup("token", token.as_bytes())])
    }

    /// A page of at most `limit` texts, newest first, older than `before`.
    pub fn list_texts(&self, before: Option<Cursor>, limit: u32) -> Result<Vec<(Cursor, Text)>, StoreError> {
        let rows = self.rows(
            "SELECT seq, id, body, record FROM texts WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            params![before.map_or(i64::MAX, |cursor| cursor.0), limit],
            sealed,
        )?;
        let page = rows.into_iter().filter_map(|row| {
            let cursor = Cursor(row.seq);
            self.sound_text(row).transpose().map(|text| text.map(|text| (cursor, text)))
        });
        page.collect()
    }

    /// Ids of at most `limit` texts, oldest first, after that place; only those to `to`, where one is named (E.164
    /// where it is one, else as the caller wrote it).
    pub fn texts_after(&self, place: Place, to: Option<&Address>, limit: u32) -> Result<Vec<Place>, StoreError> {
        match to {
            None => self.rows(
                "SELECT at, id FROM texts WHERE (at, id) > (?1, ?2) ORDER BY at, id LIMIT ?3",
                params![place.at.0, place.id.0, limit],
                found,
            ),
            Some(to) => self.rows(
                "SELECT at, id FROM texts WHERE peer = ?1 AND (at, id) > (?2, ?3) ORDER BY at, id LIMIT ?4",
                params![self.lookup("recipient", to.0.as_bytes()), place.at.0, place.id.0, limit],
                found,
            ),
        }
    }

    /// Where a text stands in a list, whichever way it went.
    pub fn place(&self, id: TextId) -> Result<Option<Place>, StoreError> {
        self.first(
            "SELECT at, id FROM texts WHERE id = ?1 UNION ALL SELECT at, id FROM arrived WHERE id = ?1 LIMIT 1",
            params![id.0],
            found,
        )
    }

    /// Forgets the text and its envelope; its ordinal stays in use. Whether there was one.
    pub fn delete_text(&self, id: TextId) -> Result<bool, StoreError> {
        self.drop_envelope(id)?;
        Ok(self.run("DELETE FROM texts WHERE id = ?1", params![id.0])? > 0)
    }

    /// The lowest ordinal that no text of that wording (which includes the peer) handed over since then has,
    /// deleted ones included.
    pub fn ordinal(&self, wording: WordingKey, since: Timestamp) -> Result<u16, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT n FROM ordinals WHERE wording = ?1 AND at >= ?2 ORDER BY n")?;
        let mut used = statement.query(params![wording.0, since.0])?;
        let mut free = 0_u16;
        while let Some(row) = used.next()? {
            if row.get::<_, u16>(0)? != free {
                break;
            }
            free = free.checked_add(1).ok_or(StoreError::TooMany)?;
        }
        Ok(free)
    }

    /// Keeps an envelope, to be resent byte for byte. Purged once its text is final or gone.
    pub fn put_envelope(&self, id: TextId, envelope: &[u8]) -> Result<(), StoreError> {
        let envelope = self.seal(("envelopes", &id.0, "envelope"), envelope)?;
        self.run("INSERT OR REPLACE INTO envelopes (id, envelope) VALUES (?1, ?2)", params![id.0, envelope])?;
        Ok(())
    }

    /// The envelope kept for that text.
    pub fn envelope(&self, id: TextId) -> Result<Option<Vec<u8>>, StoreError> {
        self.first("SELECT envelope FROM envelopes WHERE id = ?1", params![id.0], |row| row.get::<_, Vec<u8>>(0))?
            .map(|envelope| Ok(self.open(("envelopes", &id.0, "envelope"), &envelope)?.to_vec()))
            .transpose()
    }

    /// Forgets it.
    pub fn drop_envelope(&self, id: TextId) -> Result<(), StoreError> {
        self.run("DELETE FROM envelopes WHERE id = ?1", params![id.0])?;
        Ok(())
    }

    fn one_text(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<Text>, StoreError> {
        Ok(self.first(sql, params, sealed)?.map(|row| self.sound_text(row)).transpose()?.flatten())
    }

    /// The text in that row. A damaged one is set aside, so that it stands in no other's way: it stays on disk
    /// for as long as a final one, and is found no more.
    fn sound_text(&self, row: Sealed) -> Result<Option<Text>, StoreError> {
        let id = TextId(row.id);
        match self.open_text(row) {
            Err(StoreError::Corrupt(what)) => {
                log::error!("text {} is damaged ({what}): it is set aside, and neither sent nor shown", id.to_hex());
                self.run("UPDATE texts SET live = 2, token = NULL, owner = NULL WHERE id = ?1", params![id.0])?;
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    fn open_text(&self, row: Sealed) -> Result<Text, StoreError> {
        let body = self.open(("texts", &row.id, "body"), &row.body.0)?;
        let body = std::str::from_utf8(&body).map_err(|_| UNREADABLE)?;
        self.open_record::<TextRecord>(("texts", &row.id, "record"), &row.record.0)?
            .into_text(TextId(row.id), body.into())
    }

    fn recipient_key(&self, text: &Text) -> [u8; 32] {
        let to = text.peer.as_ref().map_or(&*text.to.0, |peer| peer.as_e164());
        self.lookup("recipient", to.as_bytes())
    }
}

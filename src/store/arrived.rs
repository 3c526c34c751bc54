//! Incoming texts, and what is remembered of them so that nothing is shown twice.

use super::error::StoreError;
use super::record::{ArrivedRecord, bearer, bearer_code};
use super::texts::{Cursor, Place, found};
use super::tx::{Cell, Tx};
use crate::model::{Address, Arrived, Bearer, Shown, TextId, Timestamp, WordingKey};
use rusqlite::{Row, params};

/// What became of an IM's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImFate {
    /// Shown, as itself or as its twin: a revoke is answered `shown`.
    Shown,
    /// Revoked before it was shown: it never will be.
    Revoked,
}

/// A page of instant messages that came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inbox {
    /// Each with its number.
    pub texts: Vec<(u32, Arrived)>,
    /// There are others, with higher numbers.
    pub more: bool,
}

/// A row of `arrived` as it is read, still sealed.
struct Sealed {
    seq: i64,
    id: [u8; 16],
    acknowledged: bool,
    record: Cell,
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed { seq: row.get(0)?, id: row.get(1)?, acknowledged: row.get(2)?, record: row.get(3)? })
}

impl Tx<'_> {
    /// Adds an incoming text. One that came by IM counts as shown from here on.
    ///
    /// `Duplicate` where that id is there already: nobody overwrites what somebody else sent.
    pub fn put_arrived(&self, arrived: &Arrived) -> Result<(), StoreError> {
        let id = arrived.id.0;
        let record = self.seal_record(("arrived", &id, "record"), &ArrivedRecord::from(arrived))?;
        self.run(
            "INSERT INTO arrived (id, at, im, acknowledged, peer, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                id,
                arrived.at.0,
                arrived.bearer == Bearer::Im,
                arrived.acknowledged,
                self.sender_key(&arrived.from),
                record
            ],
        )?;
        if arrived.bearer == Bearer::Im { self.put_im_shown(arrived.id, arrived.at) } else { Ok(()) }
    }

    /// The incoming text with that id.
    pub fn arrived(&self, id: TextId) -> Result<Option<Arrived>, StoreError> {
        let row =
            self.first("SELECT seq, id, acknowledged, record FROM arrived WHERE id = ?1", params![id.0], sealed)?;
        Ok(row.map(|row| self.sound_arrived(row)).transpose()?.flatten())
    }

    /// Ids of at most `limit` incoming texts, oldest first, after that place; only those from `from`, where one is
    /// named; only those that no app has taken yet, where `waiting`.
    pub fn arrived_after(
        &self,
        place: Place,
        from: Option<&Address>,
        waiting: bool,
        limit: u32,
    ) -> Result<Vec<Place>, StoreError> {
        match from {
            None if waiting => self.rows(
                "SELECT at, id FROM arrived WHERE acknowledged = 0 AND (at, id) > (?1, ?2) ORDER BY at, id LIMIT ?3",
                params![place.at.0, place.id.0, limit],
                found,
            ),
            None => self.rows(
                "SELECT at, id FROM arrived WHERE (at, id) > (?1, ?2) ORDER BY at, id LIMIT ?3",
                params![place.at.0, place.id.0, limit],
                found,
            ),
            Some(from) => self.rows(
                "SELECT at, id FROM arrived WHERE peer = ?1 AND (at, id) > (?2, ?3) AND (NOT ?5 OR acknowledged = 0)
                ORDER BY at, id LIMIT ?4",
                params![self.sender_key(from), place.at.0, place.id.0, limit, waiting],
                found,
            ),
        }
    }

    /// A page of at most `limit` incoming texts, taken ones included, newest first, older than `before`.
    pub fn list_arrived(&self, before: Option<Cursor>, limit: u32) -> Result<Vec<(Cursor, Arrived)>, StoreError> {
        let rows = self.rows(
            "SELECT seq, id, acknowledged, record FROM arrived WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            params![before.map_or(i64::MAX, |cursor| cursor.0), limit],
            sealed,
        )?;
        let page = rows.into_iter().filter_map(|row| {
            let cursor = Cursor(row.seq);
            self.sound_arrived(row).transpose().map(|text| text.map(|text| (cursor, text)))
        });
        page.collect()
    }

    /// A page of instant messages, oldest first, each with its number, which is the same for ever and no other's:
    /// those with a number above `after`. The page ends when it has so many or so many bytes of text.
    pub fn inbox(&self, after: u32, (limit, bytes): (usize, usize)) -> Result<Inbox, StoreError> {
        let mut statement = self.sql.prepare_cached(
            "SELECT seq, id, acknowledged, record FROM arrived WHERE im = 1 AND seq > ?1 ORDER BY seq",
        )?;
        let mut rows = statement.query(params![after])?;
        let (mut page, mut size) = (Inbox::default(), 0);
        while let Some(row) = rows.next()? {
            if page.texts.len() >= limit || size >= bytes {
                page.more = true;
                break;
            }
            let row = sealed(row)?;
            let number = u32::try_from(row.seq).map_err(|_| StoreError::TooMany)?;
            if let Some(text) = self.sound_arrived(row)? {
                size += text.body.0.len();
                page.texts.push((number, text));
            }
        }
        Ok(page)
    }

    /// An app took it. Whether there is such a text.
    pub fn acknowledge(&self, id: TextId) -> Result<bool, StoreError> {
        Ok(self.run("UPDATE arrived SET acknowledged = 1 WHERE id = ?1", params![id.0])? > 0)
    }

    /// Forgets it; that it was shown is remembered. Whether there was one.
    pub fn delete_arrived(&self, id: TextId) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM arrived WHERE id = ?1", params![id.0])? > 0)
    }

    /// Remembers what was shown for a wording (which includes the peer) and ordinal, for 7 days.
    pub fn put_shown(&self, wording: WordingKey, n: u16, shown: &Shown) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO shown (wording, n, id, bearer, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![wording.0, n, shown.id.0, bearer_code(shown.bearer), shown.at.0],
        )?;
        Ok(())
    }

    /// What was shown for it in the last 7 days, or since the last purge.
    pub fn shown(&self, wording: WordingKey, n: u16) -> Result<Option<Shown>, StoreError> {
        let row = self.first(
            "SELECT id, bearer, at FROM shown WHERE wording = ?1 AND n = ?2",
            params![wording.0, n],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        row.map(|(id, code, at)| Ok(Shown { id: TextId(id), bearer: bearer(code)?, at: Timestamp(at) })).transpose()
    }

    /// What became of an IM with that id, if one was seen in the last 90 days.
    pub fn im_fate(&self, id: TextId) -> Result<Option<ImFate>, StoreError> {
        let fate = self.first("SELECT fate FROM im_seen WHERE id = ?1", params![id.0], |row| row.get::<_, u8>(0))?;
        Ok(fate.map(|fate| if fate == 1 { ImFate::Shown } else { ImFate::Revoked }))
    }

    /// Whether an IM with that id was shown or revoked: it is not to be shown (again).
    pub fn im_seen(&self, id: TextId) -> Result<bool, StoreError> {
        Ok(self.im_fate(id)?.is_some())
    }

    /// Whether it was shown.
    pub fn im_shown(&self, id: TextId) -> Result<bool, StoreError> {
        Ok(self.im_fate(id)? == Some(ImFate::Shown))
    }

    /// Whether it was revoked before it was shown.
    pub fn is_revoked(&self, id: TextId) -> Result<bool, StoreError> {
        Ok(self.im_fate(id)? == Some(ImFate::Revoked))
    }

    /// The IM counts as shown: [`Self::put_arrived`] says so by itself; an IM suppressed as a twin of an SMS needs this.
    pub fn put_im_shown(&self, id: TextId, at: Timestamp) -> Result<(), StoreError> {
        self.put_fate(id, 1, at)
    }

    /// The IM was revoked unshown. What was shown stays shown.
    pub fn put_revoked(&self, id: TextId, at: Timestamp) -> Result<(), StoreError> {
        self.put_fate(id, 2, at)
    }

    fn put_fate(&self, id: TextId, fate: u8, at: Timestamp) -> Result<(), StoreError> {
        // The first word given about an id is the one its sender was told; a repetition moves its time on.
        self.run(
            "INSERT INTO im_seen (id, fate, at) VALUES (?1, ?2, ?3)
            ON CONFLICT (id) DO UPDATE SET at = max(at, excluded.at)",
            params![id.0, fate, at.0],
        )?;
        Ok(())
    }

    /// Remembers an incoming SMS by the digest of sender, SMSC time stamp and PDU or text, or moves its time on.
    pub fn put_sms_seen(&self, digest: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO sms_seen (digest, at) VALUES (?1, ?2)", params![digest, at.0])?;
        Ok(())
    }

    /// The same of one that became a text of ours.
    pub fn put_sms_shown(&self, digest: [u8; 32], id: TextId, at: Timestamp) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO sms_seen (digest, at, id) VALUES (?1, ?2, ?3)", params![digest, at.0, id.0])?;
        Ok(())
    }

    /// The text that such an SMS became, which may be gone.
    pub fn sms_text(&self, digest: [u8; 32]) -> Result<Option<TextId>, StoreError> {
        let id = self.first("SELECT id FROM sms_seen WHERE digest = ?1", params![digest], |row| row.get(0))?;
        Ok(id.flatten().map(TextId))
    }

    /// Whether that SMS was committed since then (`router::SMS_SEEN_FOR`).
    pub fn sms_seen(&self, digest: [u8; 32], since: Timestamp) -> Result<bool, StoreError> {
        self.any("SELECT 1 FROM sms_seen WHERE digest = ?1 AND at >= ?2", params![digest, since.0])
    }

    /// Moves the time of a remembered SMS on, because it was repeated; nothing where it is not remembered.
    pub fn touch_sms_seen(&self, digest: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.run("UPDATE sms_seen SET at = max(at, ?2) WHERE digest = ?1", params![digest, at.0])?;
        Ok(())
    }

    fn sender_key(&self, from: &Address) -> [u8; 32] {
        self.lookup("sender", from.0.as_bytes())
    }

    /// As with outgoing ones: a damaged text is set aside.
    fn sound_arrived(&self, row: Sealed) -> Result<Option<Arrived>, StoreError> {
        let id = TextId(row.id);
        match self.open_arrived(row) {
            Err(StoreError::Corrupt(what)) => {
                log::error!("incoming text {} is damaged ({what}): it is set aside, and not shown", id.to_hex());
                self.run("UPDATE arrived SET acknowledged = 2 WHERE id = ?1", params![id.0])?;
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    fn open_arrived(&self, row: Sealed) -> Result<Arrived, StoreError> {
        self.open_record::<ArrivedRecord>(("arrived", &row.id, "record"), &row.record.0)?
            .into_arrived(TextId(row.id), row.acknowledged)
    }
}

//! What became of the switch over time, with the user's consent.

use super::blobs::Switch;
use super::error::StoreError;
use super::record::SwitchRecord;
use super::tx::Tx;
use rusqlite::params;

/// Turns of the switch that are kept.
pub(super) const SWITCHES: i64 = 100;

impl Tx<'_> {
    /// Adds a turn of the switch; beyond [`SWITCHES`] the oldest go.
    pub fn log_switch(&self, switch: &Switch) -> Result<(), StoreError> {
        let last = self.first("SELECT max(seq) FROM switches", [], |row| row.get::<_, Option<i64>>(0))?;
        let seq = last.flatten().unwrap_or(0) + 1;
        let record = self.seal_record(("switches", &seq.to_be_bytes(), "record"), &SwitchRecord::from(switch))?;
        self.run("INSERT INTO switches (seq, record) VALUES (?1, ?2)", params![seq, record])?;
        self.run("DELETE FROM switches WHERE seq <= ?1", params![seq - SWITCHES])?;
        Ok(())
    }

    /// How many rows the tables hold that know nothing but keyed digests and times, sessions or ciphertext.
    pub fn counted(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let count = |name: &str, sql: &str| {
            let count = self.first(sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0);
            Ok::<_, StoreError>((name.to_owned(), u64::try_from(count).unwrap_or(0)))
        };
        Ok(vec![
            count("ordinals", "SELECT count(*) FROM ordinals")?,
            count("shown", "SELECT count(*) FROM shown")?,
            count("im-seen", "SELECT count(*) FROM im_seen")?,
            count("sms-seen", "SELECT count(*) FROM sms_seen")?,
            count("sms-references", "SELECT count(*) FROM sms_references")?,
            count("released", "SELECT count(*) FROM released")?,
            count("envelopes", "SELECT count(*) FROM envelopes")?,
            count("sessions", "SELECT count(*) FROM sessions")?,
        ])
    }

    /// All turns that are kept, oldest first.
    pub fn switches(&self) -> Result<Vec<Switch>, StoreError> {
        let rows = self.rows("SELECT seq, record FROM switches ORDER BY seq", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let open = |(seq, record): (i64, Vec<u8>)| {
            let record = self.open_record::<SwitchRecord>(("switches", &seq.to_be_bytes(), "record"), &record)?;
            Ok(record.into_switch())
        };
        rows.into_iter().map(open).collect()
    }
}

//! A transaction: what the topics' methods are written on.

use super::error::StoreError;
use crate::model::{PhoneNumber, WordingKey};
use crate::seal::{ColumnCipher, encode_wiped};
use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{OptionalExtension, Params, Row, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The version of sealed records; part of what their seal binds. An upgrader re-seals when it changes.
const VERSION: u8 = 1;

/// One transaction. Its methods are grouped by topic, one file each.
pub struct Tx<'t> {
    pub(super) sql: &'t Transaction<'t>,
    pub(super) cipher: &'t ColumnCipher,
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx(..)")
    }
}

/// A sealed value as it is read. Damage may have made something else than bytes of it: that opens as little as other bytes.
#[derive(Default)]
pub(super) struct Cell(pub(super) Vec<u8>);

impl FromSql for Cell {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(value.as_blob().map(|bytes| Self(bytes.to_owned())).unwrap_or_default())
    }
}

/// Where a sealed value stands: table, row, column.
pub(super) type Place<'p> = (&'static str, &'p [u8], &'static str);

impl Tx<'_> {
    /// Runs a statement that gives no rows; gives how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.sql.prepare_cached(sql)?.execute(params)?)
    }

    /// The first row, if any.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.sql.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// All rows.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        Ok(self.sql.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<_, _>>()?)
    }

    /// Whether there is such a row.
    pub(super) fn any(&self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        Ok(self.first(sql, params, |_| Ok(()))?.is_some())
    }

    /// The wording's key towards a peer (protocol.md §2).
    #[must_use]
    pub fn wording(&self, peer: &PhoneNumber, text: &str) -> WordingKey {
        self.cipher.wording(peer, text)
    }

    pub(super) fn seal(&self, (table, row, column): Place<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.cipher.seal(table, row, column, VERSION, plain).map_err(|error| StoreError::Io(error.to_string()))
    }

    pub(super) fn open(
        &self,
        (table, row, column): Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.cipher.open(table, row, column, VERSION, sealed).map_err(|_| StoreError::Corrupt("a sealed column"))
    }

    pub(super) fn seal_record(&self, place: Place<'_>, record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
        let plain = encode_wiped(record).map_err(|error| StoreError::Io(error.to_string()))?;
        self.seal(place, &plain)
    }

    pub(super) fn open_record<T: DeserializeOwned>(&self, place: Place<'_>, sealed: &[u8]) -> Result<T, StoreError> {
        let plain = self.open(place, sealed)?;
        let (record, rest) = postcard::take_from_bytes(&plain).map_err(|_| UNREADABLE)?;
        if rest.is_empty() { Ok(record) } else { Err(UNREADABLE) }
    }

    /// A keyed digest of the caller's own, for a purpose that `domain` names: nothing that the store
    /// finds its rows by.
    #[must_use]
    pub fn digest(&self, domain: &'static str, value: &[u8]) -> [u8; 32] {
        self.lookup("caller", &[domain.as_bytes(), b"\0", value].concat())
    }

    /// What stands for a value in an index: its keyed digest.
    pub(super) fn lookup(&self, domain: &'static str, value: &[u8]) -> [u8; 32] {
        self.cipher.lookup(domain, value)
    }
}

/// A record that opens but does not decode.
pub(super) const UNREADABLE: StoreError = StoreError::Corrupt("a record");

//! The store on real files.

mod about;
mod came;
mod crash;
mod forgetting;
mod kept;
mod plans;
mod raw;
mod unusable;
mod wiped;

use super::*;
use crate::model::{
    Address, Arrived, Bearer, Body, Encoding, LineId, PhoneNumber, Reason, State, Text, TextId, Timestamp, WordingKey,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// 2026-11-01, in ms.
const NOW: Timestamp = Timestamp(1_793_491_200_000);

/// A store's directories, gone with the test.
struct Home {
    root: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn database(&self) -> PathBuf {
        self.state().join("store.db")
    }

    fn witness(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    fn open(&self) -> Result<Store, Unusable> {
        self.open_with(7)
    }

    fn open_with(&self, key: u8) -> Result<Store, Unusable> {
        Store::open(&self.state(), &self.witness(), &StoreKey::new([key; 32]))
    }
}

fn number(n: u64) -> PhoneNumber {
    PhoneNumber::from_e164(&format!("+49171{n:07}")).unwrap()
}

fn id(n: u64) -> TextId {
    let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
    TextId::new(NOW, [0, 0, a, b, c, d, e, f, g, h])
}

fn text(n: u64) -> Text {
    Text {
        id: id(n),
        line: LineId("line-1".into()),
        to: Address("0171 0000001".into()),
        peer: Some(number(1)),
        body: Body("the quick brown fox".into()),
        at: NOW,
        state: State::Queued,
        reason: Reason::Online,
        only: None,
        wording: WordingKey([1; 32]),
        ordinal: u16::try_from(n).unwrap_or(0),
        im: None,
        sms: None,
        retries: 0,
        encoding: Encoding::Gsm7,
        token: None,
        report: false,
        cancelled: false,
        diverted: None,
    }
}

fn arrived(n: u64) -> Arrived {
    Arrived {
        id: id(n),
        line: LineId("line-1".into()),
        from: Address("+491710000009".into()),
        body: Body("jumps over the lazy dog".into()),
        bearer: Bearer::Im,
        sent: NOW,
        at: NOW,
        acknowledged: false,
    }
}

impl Tx<'_> {
    /// Each place of the schema, as `table.column`.
    pub fn columns(&self) -> Result<Vec<String>, StoreError> {
        let places = "SELECT tables.name || '.' || columns.name
            FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
            WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'";
        self.rows(places, [], |row| row.get(0))
    }
}

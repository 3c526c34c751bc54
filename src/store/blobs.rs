//! The switch, the settings, and secrets kept whole: the identity, the account.

use super::error::StoreError;
use super::record::{SettingsRecord, SwitchRecord};
use super::tx::Tx;
use crate::model::{Settings, Switched};
use rusqlite::params;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blob {
    /// The switch.
    Switch,
    /// The settings that the user made.
    Settings,
    /// What the uplinks counted.
    Network,
    /// The pickled identity.
    Identity,
    /// The account file.
    Account,
    /// The line that has the account's number, and those that had it.
    AccountLines,
    /// Since when the account's number is known to be this phone's.
    OwnLine,
    /// A secret that is wanted and not confirmed.
    NewSecret,
    /// An enrolment under way.
    Enrolment,
    /// Why there is no account any more.
    Ended,
    /// A withdrawal under way.
    Withdrawal,
    /// The numbers that the contacts app handed over.
    Contacts,
}

impl Blob {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 12] = [
        Self::Switch,
        Self::Settings,
        Self::Network,
        Self::Identity,
        Self::Account,
        Self::AccountLines,
        Self::OwnLine,
        Self::NewSecret,
        Self::Enrolment,
        Self::Ended,
        Self::Withdrawal,
        Self::Contacts,
    ];

    /// Its row.
    fn name(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Settings => "settings",
            Self::Network => "network",
            Self::Identity => "identity",
            Self::Account => "account",
            Self::AccountLines => "account-lines",
            Self::OwnLine => "own-line",
            Self::NewSecret => "new-secret",
            Self::Enrolment => "enrolment",
            Self::Ended => "ended",
            Self::Withdrawal => "withdrawal",
            Self::Contacts => "contacts",
        }
    }
}

/// The switch. The default is off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switch {
    /// Whether it is on.
    pub on: bool,
    /// Who turned it last.
    pub switched: Option<Switched>,
}

/// What passed through the uplink's sockets since the ledger began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkTotals {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Connections opened.
    pub connections: u64,
}

impl Tx<'_> {
    /// What is kept of it.
    pub fn blob(&self, blob: Blob) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let name = blob.name();
        self.first("SELECT value FROM blobs WHERE name = ?1", params![name], |row| row.get::<_, Vec<u8>>(0))?
            .map(|value| self.open(("blobs", name.as_bytes(), "value"), &value))
            .transpose()
    }

    /// Keeps it.
    pub fn put_blob(&self, blob: Blob, value: &[u8]) -> Result<(), StoreError> {
        let name = blob.name();
        let value = self.seal(("blobs", name.as_bytes(), "value"), value)?;
        self.run("INSERT OR REPLACE INTO blobs (name, value) VALUES (?1, ?2)", params![name, value])?;
        Ok(())
    }

    /// Forgets it.
    pub fn drop_blob(&self, blob: Blob) -> Result<(), StoreError> {
        self.run("DELETE FROM blobs WHERE name = ?1", params![blob.name()])?;
        Ok(())
    }

    /// The switch. A missing or unreadable one is off; a failing disk is an error.
    pub fn switch(&self) -> Result<Switch, StoreError> {
        let record = self.readable::<SwitchRecord>(Blob::Switch)?;
        Ok(record.map(SwitchRecord::into_switch).unwrap_or_default())
    }

    /// Keeps the switch.
    pub fn put_switch(&self, switch: &Switch) -> Result<(), StoreError> {
        self.put_readable(Blob::Switch, &SwitchRecord::from(switch))
    }

    /// The settings that the user made. `None` where there are none, or unreadable ones: the configured defaults apply.
    pub fn settings(&self) -> Result<Option<Settings>, StoreError> {
        match self.readable::<SettingsRecord>(Blob::Settings)?.map(SettingsRecord::into_settings) {
            Some(Ok(settings)) => Ok(Some(settings)),
            Some(Err(_)) | None => Ok(None),
        }
    }

    /// Keeps the settings.
    pub fn put_settings(&self, settings: &Settings) -> Result<(), StoreError> {
        self.put_readable(Blob::Settings, &SettingsRecord::from(settings))
    }

    /// What the uplinks counted so far.
    pub fn network_totals(&self) -> Result<NetworkTotals, StoreError> {
        Ok(self.readable(Blob::Network)?.unwrap_or_default())
    }

    /// Keeps that.
    pub fn put_network_totals(&self, totals: &NetworkTotals) -> Result<(), StoreError> {
        self.put_readable(Blob::Network, totals)
    }

    /// A value that may be lost without harm: unreadable counts as missing.
    fn readable<T: DeserializeOwned>(&self, blob: Blob) -> Result<Option<T>, StoreError> {
        let name = blob.name();
        let found = self
            .first("SELECT value FROM blobs WHERE name = ?1", params![name], |row| row.get::<_, Vec<u8>>(0))
            .and_then(|value| value.map(|v| self.open_record(("blobs", name.as_bytes(), "value"), &v)).transpose());
        match found {
            Err(StoreError::Corrupt(_)) => {
                log::error!("the stored value of {name} is unreadable: the default applies");
                Ok(None)
            }
            other => other,
        }
    }

    fn put_readable(&self, blob: Blob, record: &impl Serialize) -> Result<(), StoreError> {
        let name = blob.name();
        let value = self.seal_record(("blobs", name.as_bytes(), "value"), record)?;
        self.run("INSERT OR REPLACE INTO blobs (name, value) VALUES (?1, ?2)", params![name, value])?;
        Ok(())
    }
}

//! Why a store can't be opened, and why a transaction did not happen.

use rusqlite::ErrorCode;
use std::io;

/// Why there is no store (protocol.md §7). In each of these cases nothing was overwritten, SMS
/// passes unchanged both ways, and the switch counts as off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// A newer Shunt wrote it (an A/B rollback).
    #[error("the store has schema {found}, this version knows {known}: update shuntd, or set the store aside")]
    NewerSchema {
        /// The store's.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// The user's storage or the key store is locked: try again after the first unlock.
    #[error("the store is locked until the device is first unlocked")]
    Locked,
    /// Another process has the store open.
    #[error("another process uses the store: only one shuntd-core may run on it")]
    InUse,
    /// There is no key to read it with.
    #[error("the store's key is missing: {0}")]
    KeyMissing(KeyFault),
    /// The key is not the one the store was sealed with.
    #[error("the key is not this store's: bring back its key, or set the store aside")]
    KeyWrong,
    /// The file system does not let us write.
    #[error("the store's file system is read-only, or its permissions forbid writing")]
    ReadOnly,
    /// No space is left.
    #[error("no space is left for the store")]
    Full,
    /// It can't be trusted.
    #[error("the store is damaged ({0}): set it aside to begin a new one, switched off")]
    Corrupt(Damage),
    /// The file system failed otherwise.
    #[error("the store can't be read: {0}")]
    Io(#[source] io::Error),
}

impl Unusable {
    /// The reason as testers read it in `StateReason`.
    #[must_use]
    pub fn token(&self) -> &'static str {
        match self {
            Self::NewerSchema { .. } => "store-newer-schema",
            Self::Locked => "store-locked",
            Self::InUse => "store-in-use",
            Self::KeyMissing(_) => "store-key-missing",
            Self::KeyWrong => "store-key-wrong",
            Self::ReadOnly => "store-read-only",
            Self::Full => "store-full",
            Self::Corrupt(_) => "store-corrupt",
            Self::Io(_) => "store-io",
        }
    }

    /// Whether waiting may help: storage is unlocked, mounted, emptied or released without us.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::NewerSchema { .. } | Self::KeyWrong | Self::Corrupt(_))
    }

    /// By what the file system says.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            // File-based encryption whose key is not loaded yet (fscrypt).
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOKEY.raw_os_error()) => Self::Locked,
            _ => Self::Io(error),
        }
    }
}

impl From<StoreError> for Unusable {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::ReadOnly => Self::ReadOnly,
            StoreError::Busy => Self::InUse,
            StoreError::Corrupt(what) => Self::Corrupt(Damage::Content(what)),
            StoreError::Io(detail) => Self::Io(io::Error::other(detail)),
            StoreError::Duplicate | StoreError::TooMany => Self::Corrupt(Damage::Content("a row")),
        }
    }
}

/// What is wrong with the key's source.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The store exists, its key does not.
    #[error("there is none where the configuration says; a new one would not open the store")]
    Absent,
    /// Others may read it.
    #[error("others than its owner may read it: set its mode to 0600, owned by the daemon's user")]
    Exposed,
    /// Not 32 bytes.
    #[error("it must be 32 bytes, or 64 hex digits")]
    Malformed,
    /// The credential was not passed.
    #[error("the service manager passed no such credential")]
    NoCredential,
    /// The key store's command failed.
    #[error("the key store's command failed: {0}")]
    Command(String),
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// What makes a store untrustworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// SQLite finds it malformed.
    #[error("not a sound database")]
    Database,
    /// A row does not open or does not decode.
    #[error("unreadable content: {0}")]
    Content(&'static str),
    /// It is another Shunt database, or none.
    #[error("not a Shunt store")]
    Foreign,
    /// The witness does not match: an old copy.
    #[error("an older copy than the one in use last")]
    RolledBack,
    /// The witness is missing: a copy from elsewhere.
    #[error("a copy from another system, or its generation file was lost")]
    NoWitness,
    /// The witness is here, the store is not.
    #[error("the store is gone, its generation file is not")]
    Gone,
}

/// Why a transaction did not happen. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space is left.
    #[error("no space is left for the store")]
    Full,
    /// The file system became read-only.
    #[error("the store became read-only")]
    ReadOnly,
    /// Another process holds it.
    #[error("another process uses the store")]
    Busy,
    /// It can't be trusted any more: what was being read.
    #[error("the store is damaged: {0}")]
    Corrupt(&'static str),
    /// A row with that id or token is there already.
    #[error("the store has a row of that name already")]
    Duplicate,
    /// All 65,536 ordinals of one wording are in use.
    #[error("the same text went to the same number too often in 14 days")]
    TooMany,
    /// Anything else from SQLite or the file system.
    #[error("the store failed: {0}")]
    Io(String),
}

impl StoreError {
    /// The reason as testers read it in `StateReason`.
    #[must_use]
    pub fn token(&self) -> &'static str {
        match self {
            Self::Full => "store-full",
            Self::ReadOnly => "store-read-only",
            Self::Busy => "store-in-use",
            Self::Corrupt(_) | Self::Duplicate | Self::TooMany => "store-corrupt",
            Self::Io(_) => "store-io",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt("the database"),
            Some(ErrorCode::ConstraintViolation) => Self::Duplicate,
            Some(_) => Self::Io(error.to_string()),
            None => Self::Corrupt("a column"),
        }
    }
}

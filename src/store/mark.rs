//! The file without which the switch counts as off, whatever the store says.
//!
//! Off must last even where the store can't be written: to take a file away needs no free space. It stands beside
//! the generation word, outside every backup, so a restored store is off too.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The mark. On needs it and the store's word; either one missing is off.
#[derive(Debug, Clone)]
pub struct OnMark(PathBuf);

impl OnMark {
    /// In the directory of the generation word.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self(directory.join("on"))
    }

    /// Whether the switch may be on.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.0.exists()
    }

    /// Before the store is told On.
    ///
    /// # Errors
    /// The file system's; then the switch stays off.
    pub fn set(&self) -> io::Result<()> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.0)?;
        super::sync_directory(&self.0)
    }

    /// Before the store is told Off.
    ///
    /// # Errors
    /// The file system's; then Off lasts only as far as the store is told.
    pub fn take(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => super::sync_directory(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_from_set_to_take_and_both_may_be_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let mark = OnMark::in_directory(directory.path());
        assert!(!mark.stands());
        for _ in 0..2 {
            mark.set().unwrap();
            assert!(mark.stands());
        }
        for _ in 0..2 {
            mark.take().unwrap();
            assert!(!mark.stands());
        }
        assert!(OnMark::in_directory(&directory.path().join("nowhere")).set().is_err());
    }
}

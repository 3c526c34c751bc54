//! The generation file: a random word outside every backup that must match the store.
//!
//! An old copy of the store would reuse ratchet states and ordinals, and might say On. So each
//! opening draws a new word: it is written beside the old one, committed into the store, and then
//! takes the old one's place. A copy made before that opening no longer matches.

use super::error::{Damage, Unusable};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A random word.
pub(super) type Word = [u8; 32];

/// The generation file's directory.
#[derive(Debug)]
pub(super) struct Witness {
    current: PathBuf,
    next: PathBuf,
}

impl Witness {
    pub(super) fn new(directory: &Path) -> Self {
        Self { current: directory.join("generation"), next: directory.join("generation.next") }
    }

    pub(super) fn exists(&self) -> bool {
        self.current.exists()
    }

    /// Whether the store's word is the one last witnessed.
    pub(super) fn check(&self, stored: &Word) -> Result<(), Unusable> {
        let current = read(&self.current)?;
        if current.as_ref() == Some(stored) {
            return Ok(());
        }
        // A crash between commit and rename leaves the committed word under the next one's name.
        if read(&self.next)?.as_ref() == Some(stored) {
            return self.take_place();
        }
        Err(Unusable::Corrupt(if current.is_some() { Damage::RolledBack } else { Damage::NoWitness }))
    }

    /// Writes the next word; valid only once the store commits it.
    pub(super) fn draw(&self) -> Result<Word, Unusable> {
        let mut word = [0; 32];
        SystemRandom::new().fill(&mut word).map_err(|_| Unusable::Io(io::Error::other("no random source")))?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.next)?;
            file.write_all(&word)?;
            file.sync_all()?;
            super::sync_directory(&self.next)
        };
        write().map_err(Unusable::from_io)?;
        Ok(word)
    }

    /// The store has committed the next word.
    pub(super) fn take_place(&self) -> Result<(), Unusable> {
        fs::rename(&self.next, &self.current)
            .and_then(|()| super::sync_directory(&self.current))
            .map_err(Unusable::from_io)
    }

    /// Renames both words out of the way.
    pub(super) fn set_aside(&self, number: u32) -> io::Result<()> {
        for path in [&self.current, &self.next] {
            match fs::rename(path, path.with_extension(format!("aside-{number}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        super::sync_directory(&self.current)
    }
}

/// The word in a file; a file of any other length is no word.
fn read(path: &Path) -> Result<Option<Word>, Unusable> {
    match fs::read(path) {
        Ok(bytes) => Ok(Word::try_from(bytes.as_slice()).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unusable::from_io(error)),
    }
}

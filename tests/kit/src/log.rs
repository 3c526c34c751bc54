//! Files that are waited for, by inotify(7): a log that grows, a file that somebody makes.

use anyhow::{Context, Result};
use rustix::fs::inotify::{self, WatchFlags};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// A log file.
pub struct Log {
    path: PathBuf,
    changes: Changes,
}

/// Waits until there is a file with that path.
///
/// # Errors
/// Its directory can't be watched.
pub async fn made(path: &Path) -> Result<()> {
    let changes = Changes::of(path.parent().context("no directory")?, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
    while !path.exists() {
        changes.next().await?;
    }
    Ok(())
}

struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    fn of(path: &Path, which: WatchFlags) -> Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, path, which).with_context(|| path.display().to_string())?;
        // SAFETY: the descriptor is owned by the AsyncFd and stays open while registered.
        Ok(Self(unsafe { AsyncFd::register(watch) }?))
    }

    async fn next(&self) -> Result<()> {
        let mut ready = self.0.readable().await?;
        // What exactly changed is of no matter: all is looked at anew.
        if rustix::io::read(self.0.get_ref(), &mut [0; 4096]) == Err(rustix::io::Errno::AGAIN) {
            ready.clear_ready();
        }
        Ok(())
    }
}

impl Log {
    /// Watches a file that exists.
    ///
    /// # Errors
    /// It can't be watched.
    pub fn watch(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), changes: Changes::of(path, WatchFlags::MODIFY)? })
    }

    /// Waits until `find` finds something in all that was written so far.
    ///
    /// # Errors
    /// It can't be read.
    pub async fn until<T>(&self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        loop {
            if let Some(found) = find(&String::from_utf8_lossy(&std::fs::read(&self.path)?)) {
                return Ok(found);
            }
            self.changes.next().await?;
        }
    }
}

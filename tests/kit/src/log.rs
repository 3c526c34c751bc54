//! A log file that is read as it grows.

use anyhow::{Context, Result};
use rustix::fs::inotify;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// A log file, watched by inotify(7).
pub struct Log {
    path: PathBuf,
    changes: AsyncFd<OwnedFd>,
}

impl Log {
    /// Watches a file that exists.
    ///
    /// # Errors
    /// It can't be watched.
    pub fn watch(path: &Path) -> Result<Self> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY).with_context(|| path.display().to_string())?;
        // SAFETY: the descriptor is owned by the AsyncFd and stays open while registered.
        let changes = unsafe { AsyncFd::register(watch) }?;
        Ok(Self { path: path.to_owned(), changes })
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
            let mut ready = self.changes.readable().await?;
            // What exactly changed is of no matter: all is read anew.
            if rustix::io::read(self.changes.get_ref(), &mut [0; 4096]) == Err(rustix::io::Errno::AGAIN) {
                ready.clear_ready();
            }
        }
    }
}

//! The end of a session that systemd does not end: XDG_RUNTIME_DIR goes with it, and the socket in it.

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use std::{io, os::unix::fs::MetadataExt, path::Path};
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver};

/// Waits until the socket that lies there lies there no more: whoever comes then does not reach it.
///
/// # Errors
/// The kernel's: it can't be told.
pub async fn gone(socket: &Path) -> io::Result<()> {
    let inode = || std::fs::symlink_metadata(socket).map(|meta| (meta.dev(), meta.ino())).ok();
    let own = inode();
    let directory = socket.parent().filter(|parent| !parent.as_os_str().is_empty());
    let changes = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    add_watch(&changes, directory.unwrap_or(Path::new(".")), WatchFlags::DELETE | WatchFlags::MOVED_FROM)?;
    // No pipe, but waited for and read as one.
    let mut changes = Receiver::from_owned_fd_unchecked(changes)?;
    while own.is_some() && inode() == own {
        // What went is of no interest.
        if changes.read(&mut [0; 4096]).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

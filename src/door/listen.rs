//! The socket that apps connect to.

use rustix::{fs::Mode, process::umask};
use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another door answers there.
    #[error("{0:?} is in use: another door runs for this user")]
    InUse(PathBuf),
    /// The kernel's.
    #[error("can't listen at {0:?}: it should lie in XDG_RUNTIME_DIR")]
    Io(PathBuf, #[source] io::Error),
}

/// Listens at a path, for this user alone (0600). A socket that nobody answers at, left by a door that
/// was killed, is replaced. Call it before any thread is started: the umask is the process's.
///
/// # Errors
/// As above.
pub fn listen(path: &Path) -> Result<UnixListener, ListenError> {
    let failed = |error| ListenError::Io(path.to_owned(), error);
    match UnixStream::connect(path) {
        Ok(_) => return Err(ListenError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Err(_) => {}
    }
    let before = umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    umask(before);
    listener.map_err(|error| match error.kind() {
        // Another came first, just now.
        io::ErrorKind::AddrInUse => ListenError::InUse(path.to_owned()),
        _ => failed(error),
    })
}

//! The one descriptor that a program gets from whoever starts it: the warden, or systemd.

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{
        AddressFamily, SocketType, getsockname,
        sockopt::{socket_acceptconn, socket_type},
    },
};
use std::{
    io,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::atomic::{AtomicBool, Ordering},
};

/// The number of the descriptor in the child.
pub(super) const CHANNEL: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// In the uplink: its end of the wall. Once.
///
/// # Errors
/// This process was not started by the warden.
pub fn inherited_wall() -> io::Result<UnixStream> {
    inherited(SocketType::STREAM).map(UnixStream::from)
}

/// In the core: its channel to the warden. Once.
///
/// # Errors
/// This process was not started by the warden.
pub fn inherited_control() -> io::Result<OwnedFd> {
    inherited(SocketType::SEQPACKET)
}

/// In a socket-activated program: its listening socket (sd_listen_fds(3)), where it has one. Once.
///
/// # Errors
/// What was passed is no single Unix stream socket that listens.
pub fn inherited_listener() -> io::Result<Option<UnixListener>> {
    let said = |name| std::env::var(name).ok();
    if said("LISTEN_PID") != Some(std::process::id().to_string()) {
        return Ok(None);
    }
    let foreign = || io::Error::new(io::ErrorKind::InvalidInput, "not exactly one listening Unix socket was passed");
    if said("LISTEN_FDS").as_deref() != Some("1") {
        return Err(foreign());
    }
    let socket = inherited(SocketType::STREAM).map_err(|_| foreign())?;
    if socket_acceptconn(&socket)? { Ok(Some(socket.into())) } else { Err(foreign()) }
}

#[allow(unsafe_code)]
fn inherited(kind: SocketType) -> io::Result<OwnedFd> {
    let foreign =
        || io::Error::new(io::ErrorKind::NotConnected, "descriptor 3 is no channel: shuntd starts this program");
    // SAFETY: borrowed only for the check below; a closed number gives EBADF there, nothing is read.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL) };
    let unix = getsockname(borrowed).is_ok_and(|name| name.address_family() == AddressFamily::UNIX);
    if !unix || socket_type(borrowed).ok() != Some(kind) || TAKEN.swap(true, Ordering::SeqCst) {
        return Err(foreign());
    }
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: the number is open (checked above), was opened by the parent, and TAKEN lets exactly
    // one caller own it; nothing else in this process knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(CHANNEL) })
}

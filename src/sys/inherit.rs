//! The one descriptor that a child gets from the warden.

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketType, getsockname, sockopt::socket_type},
};
use std::{
    io,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
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

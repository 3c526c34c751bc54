//! The descriptors that a program gets from whoever starts it: the warden, systemd, or Android's init.

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{
        AddressFamily, SocketType, getsockname, listen,
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

/// The number of the channel in the child.
pub(super) const CHANNEL: RawFd = 3;
/// The number of the agents' socket in the core.
pub(super) const AGENTS: RawFd = 4;

/// Android's init names a service's `socket` so, and in it the descriptor's number; the warden does as init does.
pub(super) const AGENTS_VARIABLE: &str = "ANDROID_SOCKET_shuntd";

/// Connections that may wait for the core.
const BACKLOG: i32 = 16;

static TAKEN: AtomicBool = AtomicBool::new(false);
static AGENTS_TAKEN: AtomicBool = AtomicBool::new(false);

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

/// In warden and core: the agents' socket that Android's init made, where it made one; it listens from here on. Once.
///
/// # Errors
/// What the variable names is no Unix stream socket that could listen.
pub fn inherited_agents() -> io::Result<Option<UnixListener>> {
    let Some(value) = std::env::var_os(AGENTS_VARIABLE) else { return Ok(None) };
    let number = value.to_str().and_then(|value| value.parse().ok()).filter(|number| *number >= CHANNEL);
    let socket = number.and_then(|number| take(number, SocketType::STREAM, &AGENTS_TAKEN));
    // A socket that is connected, or has no address, can't listen.
    match socket.filter(|socket| listen(socket, BACKLOG).is_ok()) {
        Some(socket) => Ok(Some(socket.into())),
        None => {
            let why = format!("{AGENTS_VARIABLE}={value:?} is no Unix stream socket to listen at");
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
    }
}

fn inherited(kind: SocketType) -> io::Result<OwnedFd> {
    let foreign =
        || io::Error::new(io::ErrorKind::NotConnected, "descriptor 3 is no channel: shuntd starts this program");
    take(CHANNEL, kind, &TAKEN).ok_or_else(foreign)
}

/// A Unix socket of that kind, which nothing that this process starts inherits.
#[allow(unsafe_code)]
fn take(number: RawFd, kind: SocketType, taken: &AtomicBool) -> Option<OwnedFd> {
    // SAFETY: borrowed only for the checks below; a closed number gives EBADF there, nothing is read.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let unix = getsockname(borrowed).is_ok_and(|name| name.address_family() == AddressFamily::UNIX);
    if !unix
        || socket_type(borrowed).ok() != Some(kind)
        || fcntl_setfd(borrowed, FdFlags::CLOEXEC).is_err()
        || taken.swap(true, Ordering::SeqCst)
    {
        return None;
    }
    // SAFETY: the number is open (checked above), was opened by the parent, and `taken` lets exactly
    // one caller own it; nothing else in this process knows it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

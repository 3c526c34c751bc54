//! What core and warden say to each other over descriptor 3 of the core: one packet each, so that
//! nothing needs framing, and no parser that could be fooled.

use rustix::{
    fd::AsFd,
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

/// From the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The core is up: tell init.
    Ready,
    /// Start the uplink.
    Start,
    /// See it dead; the core closes its end of the wall.
    Stop,
}

/// From the warden.
#[derive(Debug)]
pub enum Reply {
    /// The uplink runs; this is the core's end of the wall.
    Started(OwnedFd),
    /// It could not be started: the kernel's error number.
    StartFailed(i32),
    /// It died unasked.
    Died(Status),
    /// It is dead: waited for, no socket of its is left.
    Stopped,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signal(i32),
}

/// Why the channel can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The other side is gone.
    #[error("the other side of the control channel is gone")]
    Gone,
    /// A packet that is none of ours.
    #[error("a malformed packet on the control channel: are both programs of one release?")]
    Malformed,
    /// Nothing to read, or no room to write, just now.
    #[error("the control channel would block")]
    WouldBlock,
    /// The kernel's error.
    #[error("the control channel failed")]
    Io(#[source] io::Error),
}

impl From<Errno> for ControlError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::AGAIN => Self::WouldBlock,
            Errno::PIPE | Errno::CONNRESET => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}

/// A kind and a number, both ways.
const SIZE: usize = 5;

/// A channel: the warden's end (not blocking) and the core's.
///
/// # Errors
/// The kernel's.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A wall: the core's end and the uplink's.
///
/// # Errors
/// The kernel's.
pub fn wall() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Says something to the warden.
///
/// # Errors
/// `WouldBlock` when it has many packets unread.
pub fn ask(channel: impl AsFd, request: Request) -> Result<(), ControlError> {
    let kind = match request {
        Request::Ready => 1,
        Request::Start => 2,
        Request::Stop => 3,
    };
    put(channel.as_fd(), kind, 0, None)
}

/// Says something to the core.
///
/// # Errors
/// `WouldBlock` when it has many packets unread.
pub fn reply(channel: impl AsFd, reply: &Reply) -> Result<(), ControlError> {
    let (kind, number, wall) = match reply {
        Reply::Started(wall) => (1, 0, Some(wall.as_fd())),
        Reply::StartFailed(error) => (2, *error, None),
        Reply::Died(Status::Exited(code)) => (3, *code, None),
        Reply::Died(Status::Signal(signal)) => (4, *signal, None),
        Reply::Stopped => (5, 0, None),
    };
    put(channel.as_fd(), kind, number, wall)
}

/// What the core said.
///
/// # Errors
/// `Gone` at its end.
pub fn asked(channel: impl AsFd) -> Result<Request, ControlError> {
    match get(channel.as_fd())? {
        (1, 0, None) => Ok(Request::Ready),
        (2, 0, None) => Ok(Request::Start),
        (3, 0, None) => Ok(Request::Stop),
        _ => Err(ControlError::Malformed),
    }
}

/// What the warden said.
///
/// # Errors
/// `Gone` at its end.
pub fn replied(channel: impl AsFd) -> Result<Reply, ControlError> {
    match get(channel.as_fd())? {
        (1, 0, Some(wall)) => Ok(Reply::Started(wall)),
        (2, error, None) => Ok(Reply::StartFailed(error)),
        (3, code, None) => Ok(Reply::Died(Status::Exited(code))),
        (4, signal, None) => Ok(Reply::Died(Status::Signal(signal))),
        (5, 0, None) => Ok(Reply::Stopped),
        _ => Err(ControlError::Malformed),
    }
}

fn put(channel: BorrowedFd<'_>, kind: u8, number: i32, fd: Option<BorrowedFd<'_>>) -> Result<(), ControlError> {
    let [a, b, c, d] = number.to_be_bytes();
    let packet = [kind, a, b, c, d];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(ControlError::Malformed);
    }
    // A packet goes whole or not at all.
    retried(|| sendmsg(channel, &[IoSlice::new(&packet)], &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

fn get(channel: BorrowedFd<'_>) -> Result<(u8, i32, Option<OwnedFd>), ControlError> {
    // One byte more than a packet has: a longer one shows.
    let mut packet = [0; SIZE + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let read = retried(|| {
        let mut into = [IoSliceMut::new(&mut packet)];
        recvmsg(channel, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC).map(|message| message.bytes)
    })?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    match packet {
        _ if read == 0 => Err(ControlError::Gone),
        [kind, a, b, c, d, _] if read == SIZE && fds.len() <= 1 => {
            Ok((kind, i32::from_be_bytes([a, b, c, d]), fds.pop()))
        }
        _ => Err(ControlError::Malformed),
    }
}

fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::send;

    #[test]
    fn requests_and_replies_pass_whole() {
        let (warden, core) = pair().unwrap();
        for request in [Request::Ready, Request::Start, Request::Stop] {
            ask(&core, request).unwrap();
            assert_eq!(asked(&warden).unwrap(), request);
        }
        for status in [Status::Exited(7), Status::Signal(9), Status::Exited(-1)] {
            reply(&warden, &Reply::Died(status)).unwrap();
            assert!(matches!(replied(&core), Ok(Reply::Died(got)) if got == status));
        }
        reply(&warden, &Reply::StartFailed(2)).unwrap();
        assert!(matches!(replied(&core), Ok(Reply::StartFailed(2))));
        reply(&warden, &Reply::Stopped).unwrap();
        assert!(matches!(replied(&core), Ok(Reply::Stopped)));
    }

    #[test]
    fn the_wall_is_handed_over() {
        let (warden, core) = pair().unwrap();
        let (ours, theirs) = wall().unwrap();
        reply(&warden, &Reply::Started(ours)).unwrap();
        let Ok(Reply::Started(got)) = replied(&core) else { panic!("no wall") };
        send(&theirs, b"x", SendFlags::empty()).unwrap();
        let mut byte = [0];
        assert_eq!(rustix::io::read(&got, &mut byte).unwrap(), 1);
    }

    #[test]
    fn silence_and_the_end_are_told_apart() {
        let (warden, core) = pair().unwrap();
        assert!(matches!(asked(&warden), Err(ControlError::WouldBlock)));
        drop(core);
        assert!(matches!(asked(&warden), Err(ControlError::Gone)));
        assert!(matches!(reply(&warden, &Reply::Stopped), Err(ControlError::Gone)));
    }

    #[test]
    fn any_other_packet_is_malformed() {
        let (warden, core) = pair().unwrap();
        for bytes in [&b"\x02"[..], b"\x02\0\0\0\x01", b"\x09\0\0\0\0", b"\x02\0\0\0\0\0", &[7; 300]] {
            send(&core, bytes, SendFlags::empty()).unwrap();
            assert!(matches!(asked(&warden), Err(ControlError::Malformed)), "{bytes:?}");
        }
        // A start without its descriptor.
        send(&warden, b"\x01\0\0\0\0", SendFlags::empty()).unwrap();
        assert!(matches!(replied(&core), Err(ControlError::Malformed)));
    }

    #[test]
    fn an_unasked_descriptor_is_refused_and_closed() {
        let (warden, core) = pair().unwrap();
        let (kept, passed) = wall().unwrap();
        put(core.as_fd(), 2, 0, Some(passed.as_fd())).unwrap();
        drop(passed);
        assert!(matches!(asked(&warden), Err(ControlError::Malformed)));
        assert_eq!(rustix::io::read(&kept, &mut [0; 1]).unwrap(), 0, "closed");
    }
}

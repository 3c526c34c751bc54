//! Reads, writes and waits for the connections. One thread, one task for each connection.

use super::{Addresses, Outbox, Relay, Side};
use crate::model::Now;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::{
    cell::RefCell,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::pin,
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

/// Bytes read at once, into one buffer for all connections.
const CHUNK: usize = 64 * 1024;
/// The kernel's limit on descriptors in one message (SCM_MAX_FD).
const FDS: usize = 253;
/// After a failed accept (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(200);

/// How long an app's connection to the bus outlives the app at most: for the core's word on a text that it was given,
/// and the modem service's on one that it was not.
const LINGER: Duration = Duration::from_secs(60);

/// What the door is given by the system.
#[derive(Clone, Copy)]
pub struct Host {
    /// Both clocks.
    pub now: fn() -> Now,
    /// Whether the other end of a socket has read all that was written to it.
    pub all_read: fn(BorrowedFd<'_>) -> bool,
    /// Random bytes: connections are named after them, and diverted texts after their connection.
    pub seed: [u8; 16],
}

/// Serves apps until none can come any more, by `closing`, and each that came has gone. Run it on a current-thread
/// runtime, inside a `LocalSet`.
pub async fn serve(listener: UnixListener, bus: Addresses, host: Host, closing: impl Future<Output = ()>) {
    let seed: String = host.seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let (mut count, mut refused) = (0u64, false);
    let own = rustix::process::geteuid().as_raw();
    let chunk: Chunk = Rc::new(RefCell::new(vec![0; CHUNK].into_boxed_slice()));
    let mut connections = JoinSet::new();
    let mut closing = pin!(closing);
    loop {
        let came = tokio::select! {
            came = listener.accept() => came,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = &mut closing => break,
        };
        let app = match came {
            Ok((app, _)) => app,
            Err(error) => {
                log::warn!("an app's connection can't be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Mode 0600 says it already; this also holds where the socket was passed in or lies elsewhere.
        if !app.peer_cred().is_ok_and(|peer| peer.uid() == own) {
            // Once: others must not fill this user's journal.
            if !std::mem::replace(&mut refused, true) {
                log::warn!("connections of other users are refused");
            }
            continue;
        }
        count = count.wrapping_add(1);
        let relay = Relay::new(format!("{seed}-{count}"));
        match bus.connect().and_then(UnixStream::from_std) {
            Ok(bus) => drop(connections.spawn_local(connection(app, bus, relay, host, Rc::clone(&chunk)))),
            Err(error) => log::warn!("the bus can't be reached: {error}"),
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

type Chunk = Rc<RefCell<Box<[u8]>>>;

async fn connection(app: UnixStream, bus: UnixStream, mut relay: Relay, host: Host, chunk: Chunk) {
    if let Err(error) = talk(&app, &bus, &mut relay, host, &chunk).await {
        return log::debug!("a connection ended: {error}");
    }
    // Hanging up is all that a D-Bus connection's end is; what the bus said before still arrives.
    while !relay.outbox(Side::App).is_empty() {
        if app.writable().await.and_then(|()| write(&app, relay.outbox(Side::App))).is_err() {
            return;
        }
    }
}

/// Until the bus hangs up; or the app did, and what it said has come to its end.
async fn talk(app: &UnixStream, bus: &UnixStream, relay: &mut Relay, host: Host, chunk: &Chunk) -> io::Result<()> {
    let now = host.now;
    let mut linger_until = None;
    while linger_until.is_none() || !relay.done() {
        let (to_app, to_bus) = (!relay.outbox(Side::App).is_empty(), !relay.outbox(Side::Bus).is_empty());
        let from_app = linger_until.is_none() && relay.reads(Side::App);
        let rest = relay.deadline().map(|at| Duration::from_millis(at.0.saturating_sub(now().mono.0)));
        let over = async {
            match linger_until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let left = tokio::select! {
            _ = app.readable(), if from_app => read(app, Side::App, relay, now(), chunk)?.map(|how| (Side::App, how)),
            _ = bus.readable(), if relay.reads(Side::Bus) => {
                read(bus, Side::Bus, relay, now(), chunk)?.map(|how| (Side::Bus, how))
            }
            _ = app.writable(), if to_app => None,
            _ = bus.writable(), if to_bus => None,
            () = tokio::time::sleep(rest.unwrap_or_default()), if rest.is_some() => {
                relay.elapsed(now(), (host.all_read)(app.as_fd())).map_err(io::Error::other)?;
                None
            }
            () = over => return Ok(()),
        };
        match left {
            Some((Side::Bus, _)) => return Ok(()),
            Some((Side::App, how)) => {
                relay.app_left(how == Left::HavingRead);
                linger_until = Some(tokio::time::Instant::now() + LINGER);
            }
            None => {}
        }
        if write(app, relay.outbox(Side::App)).is_err() {
            // It hung up. What it said before is still there to be read.
            relay.app_deaf();
        }
        if write(bus, relay.outbox(Side::Bus)).is_err() {
            return Ok(());
        }
        relay.wrote(now()).map_err(io::Error::other)?;
    }
    Ok(())
}

/// How a side hung up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    HavingRead,
    /// With something unread, which it will never read.
    Unread,
}

/// Reads once; whether the side hung up, and how.
fn read(socket: &UnixStream, side: Side, relay: &mut Relay, now: Now, chunk: &Chunk) -> io::Result<Option<Left>> {
    let mut chunk = chunk.borrow_mut();
    match socket.try_io(Interest::READABLE, || receive(socket.as_fd(), &mut chunk)) {
        Ok((0, _)) => Ok(Some(Left::HavingRead)),
        Ok((count, fds)) => {
            let bytes = chunk.get(..count).unwrap_or_default();
            relay.read(side, bytes, fds, now).map_err(io::Error::other)?;
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        // Linux says so once all that was said before is read (unix(7)).
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Some(Left::Unread)),
        Err(error) => Err(error),
    }
}

fn receive(socket: BorrowedFd<'_>, chunk: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(chunk)];
    let message = rustix::io::retry_on_intr(|| recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC))?;
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: is the limit on open files reached?"));
    }
    let mut fds = Vec::new();
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = ancillary {
            fds.extend(rights);
        }
    }
    Ok((message.bytes, fds))
}

/// Writes what the socket takes.
fn write(socket: &UnixStream, outbox: &mut Outbox) -> io::Result<()> {
    while let Some((bytes, fds)) = outbox.next() {
        match socket.try_io(Interest::WRITABLE, || send(socket.as_fd(), bytes, fds)) {
            Ok(count) => outbox.wrote(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("more descriptors than one message carries"));
    }
    let bytes = [IoSlice::new(bytes)];
    Ok(rustix::io::retry_on_intr(|| sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL))?)
}

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
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
    task::spawn_local,
};

/// Bytes read at once, into one buffer for all connections.
const CHUNK: usize = 64 * 1024;
/// The kernel's limit on descriptors in one message (SCM_MAX_FD).
const FDS: usize = 253;
/// After a failed accept (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(200);

/// What the door is given by the system.
#[derive(Clone, Copy)]
pub struct Host {
    /// Both clocks.
    pub now: fn() -> Now,
    /// Random bytes: connections are named after them, and diverted texts after their connection.
    pub seed: [u8; 16],
}

/// Serves apps until the process ends. Run it on a current-thread runtime, inside a `LocalSet`.
pub async fn serve(listener: UnixListener, bus: Addresses, host: Host) {
    let seed: String = host.seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut count = 0u64;
    let own = rustix::process::geteuid().as_raw();
    let chunk: Chunk = Rc::new(RefCell::new(vec![0; CHUNK].into_boxed_slice()));
    loop {
        let app = match listener.accept().await {
            Ok((app, _)) => app,
            Err(error) => {
                log::warn!("an app's connection can't be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Mode 0600 says it already; this also holds where the socket was passed in or lies elsewhere.
        if !app.peer_cred().is_ok_and(|peer| peer.uid() == own) {
            log::warn!("refused a connection of another user");
            continue;
        }
        count = count.wrapping_add(1);
        let relay = Relay::new(format!("{seed}-{count}"));
        match bus.connect().and_then(UnixStream::from_std) {
            Ok(bus) => drop(spawn_local(connection(app, bus, relay, host.now, Rc::clone(&chunk)))),
            Err(error) => log::warn!("the bus can't be reached: {error}"),
        }
    }
}

type Chunk = Rc<RefCell<Box<[u8]>>>;

async fn connection(app: UnixStream, bus: UnixStream, mut relay: Relay, now: fn() -> Now, chunk: Chunk) {
    // Hanging up is all that a D-Bus connection's end is; what was said before still arrives.
    let left = match talk(&app, &bus, &mut relay, now, &chunk).await {
        Ok(Side::App) => {
            relay.app_left();
            Side::Bus
        }
        Ok(Side::Bus) => Side::App,
        Err(error) => return log::debug!("a connection ended: {error}"),
    };
    let socket = match left {
        Side::App => app,
        Side::Bus => bus,
    };
    while !relay.outbox(left).is_empty() {
        if socket.writable().await.and_then(|()| write(&socket, relay.outbox(left))).is_err() {
            return;
        }
    }
}

/// Until one side hangs up: which.
async fn talk(
    app: &UnixStream,
    bus: &UnixStream,
    relay: &mut Relay,
    now: fn() -> Now,
    chunk: &Chunk,
) -> io::Result<Side> {
    loop {
        let (to_app, to_bus) = (!relay.outbox(Side::App).is_empty(), !relay.outbox(Side::Bus).is_empty());
        let rest = relay.deadline().map(|at| Duration::from_millis(at.0.saturating_sub(now().mono.0)));
        let ended = tokio::select! {
            ready = app.readable(), if relay.reads(Side::App) => { ready?; read(app, Side::App, relay, now(), chunk)? }
            ready = bus.readable(), if relay.reads(Side::Bus) => { ready?; read(bus, Side::Bus, relay, now(), chunk)? }
            ready = app.writable(), if to_app => { ready?; None }
            ready = bus.writable(), if to_bus => { ready?; None }
            () = tokio::time::sleep(rest.unwrap_or_default()), if rest.is_some() => {
                relay.elapsed(now()).map_err(io::Error::other)?;
                None
            }
        };
        if ended.is_some() {
            return ended.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        write(app, relay.outbox(Side::App))?;
        write(bus, relay.outbox(Side::Bus))?;
    }
}

/// Reads once; the side, if it hung up.
fn read(socket: &UnixStream, side: Side, relay: &mut Relay, now: Now, chunk: &Chunk) -> io::Result<Option<Side>> {
    let mut chunk = chunk.borrow_mut();
    match socket.try_io(Interest::READABLE, || receive(socket.as_fd(), &mut chunk)) {
        Ok((0, _)) => Ok(Some(side)),
        Ok((count, fds)) => {
            let bytes = chunk.get(..count).unwrap_or_default();
            relay.read(side, bytes, fds, now).map_err(io::Error::other)?;
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
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

//! A TCP proxy on loopback whose network can be made to fail in each of the ways that networks do.

use anyhow::Result;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the network does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Everything is lost both ways; connections stay open, new ones are accepted into the hole. Those that were in
    /// it are reset when it ends: a stream with bytes missing cannot go on.
    BlackHole,
    /// What clients send is lost, what the server sends arrives; as after `BlackHole`, its end resets.
    LoseUp,
    /// What the server says is lost once the client speaks under its TLS keys: it has its handshake by then, and gets
    /// no answer. The server gets everything. As after `BlackHole`, its end resets.
    LoseAnswers,
    /// Nothing moves, and nothing is lost: it arrives when the network passes again, as TCP's resends would.
    Stall,
    /// Nobody listens: new connections are refused. Open ones go on.
    Refuse,
}

/// A proxy in front of one address, for as long as it lives.
pub struct Proxy {
    addr: SocketAddr,
    /// Keeps the port ours while nobody listens on it.
    _reserved: TcpSocket,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    counts: Arc<Counts>,
    target: SocketAddr,
    accepting: Option<JoinHandle<()>>,
    /// Connections outlive the listener that took them.
    connections: Arc<std::sync::Mutex<JoinSet<()>>>,
}

#[derive(Default)]
struct Counts {
    up: watch::Sender<u64>,
    connections: AtomicU64,
    open: watch::Sender<u64>,
}

impl Proxy {
    /// Listens on a free loopback port and passes everything to `target`.
    ///
    /// # Errors
    /// No port could be had.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let reserved = bound((Ipv4Addr::LOCALHOST, 0).into())?;
        let addr = reserved.local_addr()?;
        let mut proxy = Self {
            addr,
            _reserved: reserved,
            mode: watch::Sender::new(Mode::Pass),
            cuts: watch::Sender::new(0),
            counts: Arc::default(),
            target,
            accepting: None,
            connections: Arc::default(),
        };
        proxy.listen()?;
        Ok(proxy)
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the network, at once and for all connections.
    ///
    /// # Errors
    /// The port could not be listened on again.
    pub async fn set(&mut self, mode: Mode) -> Result<()> {
        self.mode.send_replace(mode);
        if mode == Mode::Refuse {
            if let Some(accepting) = self.accepting.take() {
                accepting.abort();
                // The socket is closed when the task is gone.
                let _ = accepting.await;
            }
        } else if self.accepting.is_none() {
            self.listen()?;
        }
        Ok(())
    }

    /// Resets (RST) every open connection; the network stays as it is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Connections open now, whatever the network does with them.
    #[must_use]
    pub fn open(&self) -> u64 {
        *self.counts.open.borrow()
    }

    /// Waits until so many connections are open.
    pub async fn until_open(&self, count: u64) {
        let _ = self.counts.open.subscribe().wait_for(|open| *open == count).await;
    }

    /// Bytes that came from clients, also those lost.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        *self.counts.up.borrow()
    }

    /// Waits until so many bytes came from clients.
    pub async fn until_bytes_up(&self, count: u64) {
        let _ = self.counts.up.subscribe().wait_for(|up| *up >= count).await;
    }

    fn listen(&mut self) -> Result<()> {
        let listener = bound(self.addr)?.listen(128)?;
        let (mode, cuts) = (self.mode.subscribe(), self.cuts.subscribe());
        let (counts, target, connections) = (self.counts.clone(), self.target, self.connections.clone());
        self.accepting = Some(tokio::spawn(accept(listener, target, mode, cuts, counts, connections)));
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        if let Ok(mut connections) = self.connections.lock() {
            connections.abort_all();
        }
    }
}

fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    cuts: watch::Receiver<u64>,
    counts: Arc<Counts>,
    connections: Arc<std::sync::Mutex<JoinSet<()>>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::SeqCst);
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        let connection = connection(client, target, mode.clone(), cuts, counts.clone());
        if let Ok(mut connections) = connections.lock() {
            while connections.try_join_next().is_some() {}
            connections.spawn(connection);
        }
    }
}

/// One connection until both sides closed, one broke, or the network resets it.
async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    mut cuts: watch::Receiver<u64>,
    counts: Arc<Counts>,
) {
    counts.open.send_modify(|open| *open += 1);
    let mut server = None;
    let ended = tokio::select! {
        ended = relay(&mut client, &mut server, target, &mut mode, &counts) => ended,
        _ = cuts.changed() => Err(io::ErrorKind::ConnectionReset.into()),
    };
    if ended.is_err() {
        for stream in [Some(client), server].into_iter().flatten() {
            let _ = stream.set_zero_linger();
        }
    }
    counts.open.send_modify(|open| *open -= 1);
}

async fn relay(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    target: SocketAddr,
    mode: &mut watch::Receiver<Mode>,
    counts: &Counts,
) -> io::Result<()> {
    mode.wait_for(|mode| *mode != Mode::Stall).await.map_err(io::Error::other)?;
    if *mode.borrow() == Mode::BlackHole {
        let up = |bytes: &[u8]| counts.up.send_modify(|up| *up += bytes.len() as u64);
        return one_way(client, tokio::io::sink(), mode.clone(), lost_up, up).await;
    }
    let server = server.insert(TcpStream::connect(target).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let (keyed, mut records) = (AtomicBool::new(false), Records::default());
    let lost_down = |mode| mode == Mode::BlackHole || (mode == Mode::LoseAnswers && keyed.load(Ordering::SeqCst));
    let up = |bytes: &[u8]| {
        keyed.fetch_or(records.application_data(bytes), Ordering::SeqCst);
        counts.up.send_modify(|up| *up += bytes.len() as u64);
    };
    tokio::try_join!(
        one_way(client_read, server_write, mode.clone(), lost_up, up),
        one_way(server_read, client_write, mode.clone(), lost_down, |_| ()),
    )?;
    Ok(())
}

/// The records of a TLS stream, however it is cut into reads (RFC 8446 §5.1).
#[derive(Default)]
struct Records {
    head: Vec<u8>,
    /// Bytes of the record at hand that are still to come.
    left: usize,
}

impl Records {
    /// Whether a record of application data begins in the stream's next bytes; in TLS 1.3 all is such that is encrypted,
    /// from the client's Finished on.
    fn application_data(&mut self, bytes: &[u8]) -> bool {
        let mut found = false;
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.head.push(*byte);
            if let [kind, _, _, high, low] = self.head[..] {
                found |= kind == 23;
                self.left = u16::from_be_bytes([high, low]).into();
                self.head.clear();
            }
        }
        found
    }
}

fn lost_up(mode: Mode) -> bool {
    matches!(mode, Mode::BlackHole | Mode::LoseUp)
}

/// Moves bytes as the network lets them, until the reader's end.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    lost: impl Fn(Mode) -> bool,
    mut heard: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut was_in_hole = false;
    let mut open = true;
    loop {
        let now = *mode.borrow_and_update();
        was_in_hole |= lost(now);
        if was_in_hole && !lost(now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        tokio::select! {
            changed = mode.changed() => changed.map_err(io::Error::other)?,
            read = from.read(&mut buffer), if open && now != Mode::Stall => match read? {
                // In the hole the other side does not hear of the end either.
                0 if was_in_hole => open = false,
                0 => return to.shutdown().await,
                n => {
                    heard(&buffer[..n]);
                    was_in_hole |= lost(now);
                    if !was_in_hole {
                        to.write_all(&buffer[..n]).await?;
                    }
                }
            },
        }
    }
}

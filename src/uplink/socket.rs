//! TCP as the uplink wants it, counted.

use crate::wall::Counters;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// How long sent bytes may stay unacknowledged before the kernel gives the connection up, in milliseconds.
const USER_TIMEOUT: u32 = 30_000;

/// What has passed over all sockets of this process.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
    connections: AtomicU32,
}

impl Meter {
    /// For the core.
    pub(crate) fn read(&self) -> Counters {
        Counters {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }
}

/// A counted connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl Socket {
    /// Connects to `host:port`, each of the host's addresses in turn.
    pub(crate) async fn connect(host_and_port: &str, meter: &Arc<Meter>) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for addr in timeout(CONNECT, lookup_host(host_and_port)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
            match Self::connect_to(addr, meter).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(addr: SocketAddr, meter: &Arc<Meter>) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // With this a process that is killed leaves nothing behind that the kernel would still send
        // (protocol.md §6). `off` must mean off.
        socket.set_zero_linger()?;
        socket.set_nodelay(true)?;
        set_tcp_user_timeout(&socket, USER_TIMEOUT)?;
        meter.connections.fetch_add(1, Ordering::Relaxed);
        let stream = timeout(CONNECT, socket.connect(addr)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Self { stream, meter: meter.clone() })
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before);
        self.meter.received.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.meter.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

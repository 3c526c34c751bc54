//! The XML stream after authentication: text out, frames in. Everything is polled in one place, so
//! that a peer that takes nothing never keeps us from hearing the core.

use super::frames::{Frame, Framer, NoStream};
use super::socket::Socket;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncWrite, BufReader};
use tokio_rustls::client::TlsStream;

/// What an XMPP stream runs over.
pub(crate) type Io = BufReader<TlsStream<Socket>>;

/// The stream broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection.
    #[error("the connection to the XMPP server broke: {0}")]
    Io(#[from] io::Error),
    /// What came over it.
    #[error(transparent)]
    NoStream(#[from] NoStream),
}

/// An authenticated stream.
pub(crate) struct Stream {
    io: Io,
    framer: Framer,
    out: Vec<u8>,
    unflushed: bool,
}

impl Stream {
    /// Goes on where the features ended.
    pub(crate) fn new(io: Io) -> Self {
        Self { io, framer: Framer::new(), out: Vec::new(), unflushed: false }
    }

    /// Puts text in line; [`Stream::next`] writes it.
    pub(crate) fn say(&mut self, xml: &str) {
        self.out.extend_from_slice(xml.as_bytes());
    }

    /// Bytes still in line.
    pub(crate) fn unsaid(&self) -> usize {
        self.out.len()
    }

    /// Writes what is in line and waits for the next frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Frame, Broken> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Broken>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(error.into()));
        }
        loop {
            if let Some(frame) = self.framer.next() {
                return Poll::Ready(Ok(frame));
            }
            let bytes = ready!(Pin::new(&mut self.io).poll_fill_buf(cx))?;
            let length = bytes.len();
            if length == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            self.framer.push(bytes)?;
            Pin::new(&mut self.io).consume(length);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..written);
            self.unflushed = true;
        }
        if self.out.capacity() > 16 * 1024 {
            self.out = Vec::new();
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

//! The wall's two ends. Typed both ways: swapped ends don't compile.
//!
//! Two sides that both write and never read would wait for each other for ever. So each side reads
//! in a task of its own (`split`), reads on while its own writing waits, and gives up on a peer
//! that takes nothing for [`STUCK_AFTER`].

use super::frame::{Decoder, WallError, encode};
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use zeroize::Zeroizing;

/// How long a peer may take nothing at all before it counts as hung. Stands still in suspend, as
/// the peer does.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Both halves: sends `Tx`, receives `Rx`.
pub struct Channel<Tx, Rx> {
    sender: Sender<Tx>,
    receiver: Receiver<Rx>,
}

impl<Tx: Serialize, Rx: DeserializeOwned> Channel<Tx, Rx> {
    /// One end of a connected stream socket.
    #[must_use]
    pub fn from_stream(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self { sender: Sender::new(write), receiver: Receiver::new(read) }
    }

    /// See [`Sender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&mut self, message: &Tx) -> Result<(), WallError> {
        self.sender.send(message).await
    }

    /// See [`Receiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Result<Option<Rx>, WallError> {
        self.receiver.recv().await
    }

    /// Both halves, for two tasks. Dropping the sender tells the peer that nothing more comes.
    #[must_use]
    pub fn split(self) -> (Sender<Tx>, Receiver<Rx>) {
        (self.sender, self.receiver)
    }
}

/// The half that sends.
pub struct Sender<Tx> {
    half: OwnedWriteHalf,
    /// A frame whose writing was interrupted, and how much of it is written.
    pending: Zeroizing<Vec<u8>>,
    written: usize,
    stuck_after: Duration,
    sends: PhantomData<fn(Tx)>,
}

impl<Tx: Serialize> Sender<Tx> {
    fn new(half: OwnedWriteHalf) -> Self {
        Self { half, pending: Zeroizing::default(), written: 0, stuck_after: STUCK_AFTER, sends: PhantomData }
    }

    /// Writes one message, whole. Where the future is dropped half-way, the rest of the frame goes
    /// out before the next one: the stream never breaks inside a frame.
    ///
    /// # Errors
    /// `TooLong` leaves the channel usable; `Stuck` and `Io` end it.
    pub async fn send(&mut self, message: &Tx) -> Result<(), WallError> {
        let frame = encode(message)?;
        self.flush().await?;
        self.pending = frame;
        self.flush().await
    }

    /// Writes what an interrupted `send` left; nothing otherwise.
    ///
    /// # Errors
    /// `Stuck` and `Io`, which end the channel.
    pub async fn flush(&mut self) -> Result<(), WallError> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = timeout(self.stuck_after, self.half.write(rest)).await.map_err(|_| WallError::Stuck)??;
            if written == 0 {
                return Err(WallError::Io(std::io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(written);
        }
        (self.pending, self.written) = (Zeroizing::default(), 0);
        Ok(())
    }

    /// Changes how long a peer may take nothing.
    pub fn set_stuck_after(&mut self, limit: Duration) {
        self.stuck_after = limit;
    }
}

/// The half that receives.
pub struct Receiver<Rx> {
    half: OwnedReadHalf,
    decoder: Decoder,
    receives: PhantomData<fn() -> Rx>,
}

impl<Rx: DeserializeOwned> Receiver<Rx> {
    fn new(half: OwnedReadHalf) -> Self {
        Self { half, decoder: Decoder::new(), receives: PhantomData }
    }

    /// The next message; `None` when the peer went away after a whole frame. Cancel-safe: a dropped
    /// future loses nothing. A peer that floods waits in its own `write`: one frame is held here.
    ///
    /// # Errors
    /// `Truncated` when the peer went away inside a frame; the others as [`Decoder::take`].
    pub async fn recv(&mut self) -> Result<Option<Rx>, WallError> {
        loop {
            if let Some(message) = self.decoder.take()? {
                return Ok(Some(message));
            }
            let room = self.decoder.room()?;
            let read = match self.half.read_buf(room).await {
                // A killed peer that left our own bytes unread.
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => 0,
                other => other?,
            };
            if read == 0 {
                return if self.decoder.at_boundary() { Ok(None) } else { Err(WallError::Truncated) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::{FromUplink, Opaque, RequestId, ToUplink};

    type Core = Channel<ToUplink, FromUplink>;
    type Uplink = Channel<FromUplink, ToUplink>;

    fn pair() -> (Core, Uplink) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::from_stream(ours), Channel::from_stream(theirs))
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    fn big(fill: u8) -> FromUplink {
        FromUplink::Received { from: "1abc".into(), sealed: Opaque(vec![fill; 60_000]) }
    }

    #[test]
    fn messages_pass_both_ways() {
        run(async {
            let (mut core, mut uplink) = pair();
            core.send(&ToUplink::Ping { request: RequestId(1) }).await.unwrap();
            assert_eq!(uplink.recv().await.unwrap(), Some(ToUplink::Ping { request: RequestId(1) }));
            uplink.send(&FromUplink::Pong { request: RequestId(1) }).await.unwrap();
            assert_eq!(core.recv().await.unwrap(), Some(FromUplink::Pong { request: RequestId(1) }));
        });
    }

    #[test]
    fn a_peer_that_ends_after_a_frame_ends_the_stream() {
        run(async {
            let (mut core, mut uplink) = pair();
            uplink.send(&FromUplink::Pong { request: RequestId(1) }).await.unwrap();
            drop(uplink);
            assert!(core.recv().await.unwrap().is_some());
            assert!(core.recv().await.unwrap().is_none());
        });
    }

    #[test]
    fn a_peer_that_ends_inside_a_frame_is_an_error() {
        run(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut core = Core::from_stream(ours);
            let frame = encode(&big(1)).unwrap();
            theirs.write_all(&frame[..100]).await.unwrap();
            drop(theirs);
            assert!(matches!(core.recv().await, Err(WallError::Truncated)));
        });
    }

    #[test]
    fn a_peer_that_ends_with_our_frames_unread_ends_the_stream() {
        run(async {
            let (mut core, uplink) = pair();
            core.send(&ToUplink::Retry).await.unwrap();
            drop(uplink);
            assert!(core.recv().await.unwrap().is_none());
        });
    }

    #[test]
    fn a_dropped_recv_loses_nothing() {
        run(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut core = Core::from_stream(ours);
            let frame = encode(&big(2)).unwrap();
            for part in frame.chunks(7_000) {
                theirs.write_all(part).await.unwrap();
                // Polled once and dropped, as a `select!` does.
                if let Ok(message) = timeout(Duration::ZERO, core.recv()).await {
                    assert_eq!(message.unwrap(), Some(big(2)));
                    return;
                }
            }
            assert_eq!(core.recv().await.unwrap(), Some(big(2)));
        });
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up() {
        run(async {
            let (_core, mut uplink) = pair();
            uplink.sender.set_stuck_after(Duration::ZERO);
            let stuck = async {
                loop {
                    if let Err(e) = uplink.send(&big(3)).await {
                        return e;
                    }
                }
            };
            assert!(matches!(stuck.await, WallError::Stuck));
        });
    }

    #[test]
    fn an_interrupted_send_never_breaks_a_frame() {
        run(async {
            let (mut core, mut uplink) = pair();
            let mut sent = 0_u8;
            // Until the socket's buffer is full and one send is cut off in the middle.
            while timeout(Duration::ZERO, uplink.send(&big(sent))).await.is_ok() {
                sent += 1;
            }
            let reader = async {
                for expected in 0..=sent {
                    assert_eq!(core.recv().await.unwrap(), Some(big(expected)));
                }
                assert_eq!(core.recv().await.unwrap(), Some(FromUplink::Pong { request: RequestId(9) }));
            };
            let writer = async { uplink.send(&FromUplink::Pong { request: RequestId(9) }).await.unwrap() };
            tokio::join!(reader, writer);
        });
    }

    #[test]
    fn both_sides_may_write_more_than_the_socket_holds() {
        run(async {
            let (core, uplink) = pair();
            let (mut core_tx, mut core_rx) = core.split();
            let (mut up_tx, mut up_rx) = uplink.split();
            let down = async {
                for n in 0..50_000 {
                    core_tx.send(&ToUplink::Ping { request: RequestId(n) }).await.unwrap();
                }
            };
            let up = async {
                for n in 0..200 {
                    up_tx.send(&big(n)).await.unwrap();
                }
            };
            let core_reads = async {
                for n in 0..200 {
                    assert_eq!(core_rx.recv().await.unwrap(), Some(big(n)));
                }
            };
            let uplink_reads = async {
                for n in 0..50_000 {
                    assert_eq!(up_rx.recv().await.unwrap(), Some(ToUplink::Ping { request: RequestId(n) }));
                }
            };
            tokio::join!(down, up, core_reads, uplink_reads);
        });
    }
}

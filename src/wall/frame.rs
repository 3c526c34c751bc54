//! One frame: a u32 big-endian length of at most 64 KiB, then one message in postcard. The length
//! is judged before a byte is reserved for it, and bytes left over after the message are an error.

use postcard::ser_flavors::Size;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::{Zeroize, Zeroizing};

/// The longest body of a frame, in bytes; the four bytes of length are not counted.
pub const MAX_BODY: usize = 64 * 1024;

/// Bytes of length before each body.
pub const HEADER: usize = 4;

/// Why a frame, and with it the other side, can't be used. After any of these but `TooLong` from
/// [`encode`] the channel is to be closed and the uplink killed: what follows can't be trusted.
#[derive(Debug, thiserror::Error)]
pub enum WallError {
    /// The length is over [`MAX_BODY`].
    #[error("a frame of {0} bytes is over the limit of {MAX_BODY}: end the other side")]
    TooLong(usize),
    /// The body is no message of the expected type.
    #[error("a frame is no known message: end the other side; are both binaries of one release?")]
    Malformed,
    /// Bytes were left over after the message.
    #[error("a frame has {0} bytes after its message: end the other side")]
    Trailing(usize),
    /// The other side went away in the middle of a frame.
    #[error("the other side went away in the middle of a frame")]
    Truncated,
    /// A message that can't be encoded; a fault of ours.
    #[error("a message can't be encoded: report it")]
    Unencodable,
    /// The other side takes nothing any more.
    #[error("the other side does not read: end it")]
    Stuck,
    /// The socket failed.
    #[error("the wall's socket failed; start the uplink anew")]
    Io(#[from] std::io::Error),
}

/// The frame of a message, length included; wiped on drop, and made in one allocation: one that grew would leave
/// copies behind.
///
/// # Errors
/// `TooLong` where the message is over the limit, so that the other side never sees one.
pub fn encode<T: Serialize>(message: &T) -> Result<Zeroizing<Vec<u8>>, WallError> {
    let body = postcard::serialize_with_flavor(message, Size::default()).map_err(|_| WallError::Unencodable)?;
    let length = u32::try_from(body).ok().filter(|_| body <= MAX_BODY).ok_or(WallError::TooLong(body))?;
    let mut frame = Vec::with_capacity(HEADER.saturating_add(body));
    frame.extend_from_slice(&length.to_be_bytes());
    postcard::to_extend(message, frame).map(Zeroizing::new).map_err(|_| WallError::Unencodable)
}

/// Takes bytes as they come and gives messages. Holds no more than one frame and what came with it, and wipes what
/// it held: the first frame carries the account's secret.
#[derive(Default)]
pub struct Decoder {
    unread: Zeroizing<Vec<u8>>,
}

impl Decoder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes from the other side. The caller bounds them: take all messages by
    /// [`take`](Self::take) before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.unread.extend_from_slice(bytes);
    }

    /// The next message, or `None` until more bytes have come.
    ///
    /// # Errors
    /// The frame is too long, malformed or has bytes left over. The decoder is of no use afterwards.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WallError> {
        let Some(body) = self.body_length()? else { return Ok(None) };
        let end = HEADER.saturating_add(body);
        let Some(bytes) = self.unread.get(HEADER..end) else { return Ok(None) };
        let taken = match postcard::take_from_bytes::<T>(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(WallError::Trailing(rest.len())),
            Err(_) => Err(WallError::Malformed),
        };
        self.unread.drain(..end);
        // What stood here, and what moved down from here.
        if let Some(stale) = self.unread.spare_capacity_mut().get_mut(..end) {
            stale.zeroize();
        }
        taken.map(Some)
    }

    /// Whether the stream may end here: not in the middle of a frame.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.unread.is_empty()
    }

    /// The buffer to read into, with room for the rest of the frame, or for a usual one.
    pub(super) fn room(&mut self) -> Result<&mut Vec<u8>, WallError> {
        const USUAL: usize = 4096;
        let missing = match self.body_length()? {
            Some(body) => HEADER.saturating_add(body).saturating_sub(self.unread.len()),
            None => 0,
        };
        self.reserve(missing.max(USUAL));
        Ok(&mut self.unread)
    }

    /// Makes room for so many more bytes, and wipes the place that became too small.
    fn reserve(&mut self, more: usize) {
        let needed = self.unread.len().saturating_add(more);
        if needed > self.unread.capacity() {
            let mut roomier = Zeroizing::new(Vec::with_capacity(needed));
            roomier.extend_from_slice(&self.unread);
            self.unread = roomier;
        }
    }

    fn body_length(&self) -> Result<Option<usize>, WallError> {
        let Some(header) = self.unread.first_chunk::<HEADER>() else { return Ok(None) };
        let body = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if body > MAX_BODY { Err(WallError::TooLong(body)) } else { Ok(Some(body)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::{FromUplink, LinkState, Opaque, RequestId};
    use proptest::prelude::*;

    fn received(length: usize) -> FromUplink {
        FromUplink::Received { from: "1abc".into(), sealed: Opaque(vec![7; length]) }
    }

    #[test]
    fn a_message_comes_back_byte_by_byte() {
        let sent = received(300);
        let frame = encode(&sent).unwrap();
        let mut decoder = Decoder::new();
        let (last, head) = frame.split_last().unwrap();
        for byte in head {
            decoder.feed(&[*byte]);
            assert!(decoder.take::<FromUplink>().unwrap().is_none());
        }
        assert!(!decoder.at_boundary());
        decoder.feed(&[*last]);
        assert_eq!(decoder.take::<FromUplink>().unwrap(), Some(sent));
        assert!(decoder.at_boundary());
    }

    #[test]
    fn a_frame_is_made_in_one_allocation() {
        let frame = encode(&received(300)).unwrap();
        assert!(frame.len() > HEADER + 300);
        assert_eq!(frame.capacity(), frame.len(), "it never grew");
    }

    #[test]
    fn several_messages_in_one_read_come_in_order() {
        let messages = [received(0), FromUplink::Link(LinkState::Connecting), received(1000)];
        let mut decoder = Decoder::new();
        for message in &messages {
            decoder.feed(&encode(message).unwrap());
        }
        for message in messages {
            assert_eq!(decoder.take::<FromUplink>().unwrap(), Some(message));
        }
        assert!(decoder.take::<FromUplink>().unwrap().is_none());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_any_room_is_made() {
        let mut decoder = Decoder::new();
        decoder.feed(&u32::MAX.to_be_bytes());
        let before = decoder.unread.capacity();
        assert!(matches!(decoder.take::<FromUplink>(), Err(WallError::TooLong(_))));
        assert!(matches!(decoder.room(), Err(WallError::TooLong(_))));
        assert_eq!(decoder.unread.capacity(), before);
    }

    #[test]
    fn the_longest_frame_passes_and_one_byte_more_is_refused() {
        let overhead = encode(&received(MAX_BODY / 2)).unwrap().len() - HEADER - MAX_BODY / 2;
        let longest = received(MAX_BODY - overhead);
        let frame = encode(&longest).unwrap();
        assert_eq!(frame.len(), HEADER + MAX_BODY);
        let mut decoder = Decoder::new();
        decoder.feed(&frame);
        assert_eq!(decoder.take::<FromUplink>().unwrap(), Some(longest));
        assert!(matches!(encode(&received(MAX_BODY - overhead + 1)), Err(WallError::TooLong(_))));
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        let mut frame = encode(&FromUplink::Pong { request: RequestId(1) }).unwrap();
        frame.push(0);
        frame[3] += 1;
        let mut decoder = Decoder::new();
        decoder.feed(&frame);
        assert!(matches!(decoder.take::<FromUplink>(), Err(WallError::Trailing(1))));
    }

    #[test]
    fn an_empty_body_and_an_unknown_variant_are_malformed() {
        for body in [&[][..], &[200][..]] {
            let mut decoder = Decoder::new();
            decoder.feed(&u32::try_from(body.len()).unwrap().to_be_bytes());
            decoder.feed(body);
            assert!(matches!(decoder.take::<FromUplink>(), Err(WallError::Malformed)), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_or_hoard(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..40)) {
            let mut decoder = Decoder::new();
            'stream: for chunk in chunks {
                decoder.feed(&chunk);
                loop {
                    match decoder.take::<FromUplink>() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
                prop_assert!(decoder.unread.len() <= HEADER + MAX_BODY + 600);
            }
        }

        #[test]
        fn a_body_of_any_bytes_is_a_message_or_a_named_error(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::new();
            decoder.feed(&u32::try_from(body.len()).unwrap().to_be_bytes());
            decoder.feed(&body);
            match decoder.take::<crate::wall::ToUplink>() {
                Ok(Some(_)) => prop_assert!(decoder.at_boundary()),
                Ok(None) => prop_assert!(false, "a whole frame was there"),
                Err(e) => prop_assert!(matches!(e, WallError::Malformed | WallError::Trailing(_))),
            }
        }
    }
}

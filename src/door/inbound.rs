//! What one side says, cut into pieces: handshake lines first, messages then. Messages that nobody
//! wants to look at pass in pieces as they come, so that 128 MiB need no 128 MiB of memory.

use super::{
    desk::Look,
    header::{FIXED, Head, Malformed, sizes},
};
use std::{collections::VecDeque, os::fd::OwnedFd};

/// The longest handshake line; libdbus has the same limit.
const MAX_LINE: usize = 16 * 1024;
/// A longer header is passed unread: what we look for is far shorter.
const MAX_HEAD: usize = 16 * 1024;
/// More descriptors than any bus lets wait for their message.
const MAX_FDS: usize = 1024;

/// Which end of the conversation speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The SMS app.
    App,
    /// The message bus.
    Bus,
}

enum At {
    /// In the handshake, at a line's start.
    Line,
    /// At a message's start.
    Message,
    /// Inside a message that is passed unread: the bytes and the descriptors still to come.
    Inside { left: usize, owed: usize },
}

/// What was cut off: how many bytes, how many descriptors, and whether it is a message to be seen.
struct Cut {
    length: usize,
    fds: usize,
    whole: bool,
}

/// A piece.
pub(super) enum Piece<'a> {
    /// To be passed on as it is.
    Pass(&'a [u8], Vec<OwnedFd>),
    /// A whole message that somebody wanted to see; it has no descriptors.
    Message(&'a [u8]),
}

/// One side's bytes and descriptors that are not yet worked on.
pub(super) struct Inbound {
    side: Side,
    at: At,
    buffer: Vec<u8>,
    /// How much of the buffer is done with.
    done: usize,
    fds: VecDeque<OwnedFd>,
}

impl Inbound {
    pub(super) fn new(side: Side) -> Self {
        Self { side, at: At::Line, buffer: Vec::new(), done: 0, fds: VecDeque::new() }
    }

    /// Takes what was read.
    pub(super) fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), Malformed> {
        self.buffer.drain(..self.done);
        self.done = 0;
        self.buffer.extend_from_slice(bytes);
        self.fds.extend(fds);
        if self.fds.len() > MAX_FDS { Err(Malformed) } else { Ok(()) }
    }

    /// The next piece, or `None` until more is read, or a message need not wait. `looks` says what becomes of a
    /// message, by its header and its length. The bus's side leaves the handshake only after the app's (`begun`).
    pub(super) fn next(
        &mut self,
        begun: bool,
        looks: impl FnOnce(&Head<'_>, usize) -> Look,
    ) -> Result<Option<Piece<'_>>, Malformed> {
        if matches!(self.at, At::Line) && self.turned_binary(begun) {
            self.at = At::Message;
        }
        let cut = match self.at {
            At::Line => self.line()?,
            At::Message => self.message(looks)?,
            At::Inside { left, owed } => self.inside(left, owed),
        };
        let Some(cut) = cut else {
            self.tidy();
            return Ok(None);
        };
        let start = self.done;
        self.done += cut.length;
        let fds = self.fds.drain(..cut.fds.min(self.fds.len())).collect();
        let bytes = self.buffer.get(start..self.done).unwrap_or_default();
        Ok(Some(if cut.whole { Piece::Message(bytes) } else { Piece::Pass(bytes, fds) }))
    }

    /// No line of the bus begins with a byte order: `OK`, `REJECTED`, `DATA`, `ERROR`, `AGREE_UNIX_FD`.
    fn turned_binary(&self, begun: bool) -> bool {
        self.side == Side::Bus && begun && matches!(self.rest().first(), Some(b'l' | b'B'))
    }

    /// A handshake line. The app's side ends with `BEGIN`: accepted by the bus, or hung up on.
    fn line(&mut self) -> Result<Option<Cut>, Malformed> {
        let rest = self.rest();
        let Some(end) = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if rest.len() < MAX_LINE { Ok(None) } else { Err(Malformed) };
        };
        let line = rest.get(..=end).unwrap_or_default();
        let begin = line.strip_prefix(b"BEGIN").and_then(<[u8]>::first).is_some_and(u8::is_ascii_whitespace);
        if begin && self.side == Side::App {
            self.at = At::Message;
        }
        Ok(Some(Cut { length: end + 1, fds: 0, whole: false }))
    }

    fn message(&mut self, looks: impl FnOnce(&Head<'_>, usize) -> Look) -> Result<Option<Cut>, Malformed> {
        let rest = self.rest();
        let Some(fixed) = rest.first_chunk::<FIXED>() else { return Ok(None) };
        let sizes = sizes(fixed)?;
        let head = if sizes.head > MAX_HEAD {
            None
        } else {
            match rest.get(..sizes.head) {
                Some(head) => Head::read(head),
                None => return Ok(None),
            }
        };
        // Of an unreadable header nobody knows how many descriptors it claims: all that are there.
        let owed = head.as_ref().map_or(MAX_FDS, |head| head.fds);
        match head.as_ref().map_or(Look::Pass, |head| looks(head, sizes.total)) {
            Look::Wait => Ok(None),
            Look::Whole => {
                let whole = rest.len() >= sizes.total;
                Ok(whole.then_some(Cut { length: sizes.total, fds: 0, whole: true }))
            }
            Look::Pass => Ok(self.inside(sizes.total, owed)),
        }
    }

    fn inside(&mut self, left: usize, owed: usize) -> Option<Cut> {
        let length = left.min(self.rest().len());
        let fds = owed.min(self.fds.len());
        self.at = if length == left { At::Message } else { At::Inside { left: left - length, owed: owed - fds } };
        (length > 0).then_some(Cut { length, fds, whole: false })
    }

    /// Whether the handshake is over.
    pub(super) fn begun(&self) -> bool {
        !matches!(self.at, At::Line)
    }

    /// Whether a message ended just now, so that another may be put in.
    pub(super) fn between(&self) -> bool {
        matches!(self.at, At::Message)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.done..).unwrap_or_default()
    }

    /// Thousands of quiet connections must not keep the room that one long message took.
    fn tidy(&mut self) {
        self.buffer.drain(..self.done);
        self.done = 0;
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

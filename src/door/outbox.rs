//! What one side is still to be told: bytes in order, and the descriptors that leave with them.

use std::{collections::VecDeque, os::fd::OwnedFd};

/// Pieces are joined up to this size, so that many small messages leave in one call.
const JOINED: usize = 64 * 1024;

struct Segment {
    bytes: Vec<u8>,
    /// Sent with the first byte.
    fds: Vec<OwnedFd>,
}

/// Bytes to be written.
#[derive(Default)]
pub struct Outbox {
    segments: VecDeque<Segment>,
    /// How much of the first segment is written.
    written: usize,
    length: usize,
}

impl Outbox {
    /// Appends. Descriptors begin a segment, so that they arrive with their message's first byte: a
    /// reader that counts them by message (GLib) takes them for another's otherwise.
    pub(super) fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len();
        match self.segments.back_mut() {
            Some(last) if fds.is_empty() && last.bytes.len() + bytes.len() <= JOINED => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => self.segments.push_back(Segment { bytes: bytes.to_vec(), fds }),
        }
    }

    /// What is to be written next; descriptors only with a segment's first byte.
    #[must_use]
    pub fn next(&self) -> Option<(&[u8], &[OwnedFd])> {
        let first = self.segments.front()?;
        let fds: &[OwnedFd] = if self.written == 0 { &first.fds } else { &[] };
        Some((first.bytes.get(self.written..)?, fds))
    }

    /// So many bytes of [`Self::next`] were written.
    pub fn wrote(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
        self.written += count;
        if self.segments.front().is_some_and(|first| first.bytes.len() <= self.written) {
            self.segments.pop_front();
            self.written = 0;
        }
    }

    /// Bytes to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether all is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

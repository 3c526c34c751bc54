//! Where one stanza ends and the next begins, found byte by byte before anything is parsed.
//!
//! An XML parser that runs over the whole stream takes the connection down with the first stanza it
//! dislikes (a long attribute, an undeclared prefix), and strangers write stanzas. Cut apart first, a
//! bad one is one bad stanza.

use std::collections::VecDeque;

/// The most bytes of one stanza that are kept: a full envelope in base64 with room for its wrapping.
/// What is longer is counted and passed over.
pub(crate) const MAX_STANZA: usize = 80 * 1024;

/// What came off the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole child of the stream, as text.
    Element(Vec<u8>),
    /// One that was longer than [`MAX_STANZA`]; its beginning.
    Oversized(Vec<u8>),
    /// The peer closed the stream.
    Footer,
}

/// The bytes are no XML stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sends something that is no XMPP stream: check its address")]
pub(crate) struct NoStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Text, or the whitespace between stanzas.
    Content,
    /// After `<`.
    TagStart,
    /// In a tag; its kind, whether the last byte was `/`.
    Tag { closing: bool, slash: bool },
    /// In an attribute's value, until this byte.
    Quote(u8),
    /// In `<![CDATA[…]]>`: how many `]` came last.
    Cdata(u8),
    /// After the footer.
    End,
}

/// Takes bytes as they come and gives frames.
#[derive(Debug)]
pub(crate) struct Framer {
    state: State,
    depth: u32,
    current: Vec<u8>,
    oversized: bool,
    frames: VecDeque<Frame>,
}

impl Framer {
    /// Begins behind the stream's features.
    pub(crate) fn new() -> Self {
        Self { state: State::Content, depth: 0, current: Vec::new(), oversized: false, frames: VecDeque::new() }
    }

    /// The next whole frame, if there is one.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// Takes bytes. The caller bounds a piece, and takes all frames before the next.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), NoStream> {
        bytes.iter().try_for_each(|byte| self.step(*byte))
    }

    fn step(&mut self, byte: u8) -> Result<(), NoStream> {
        let outside = self.depth == 0 && self.state == State::Content;
        if outside && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Ok(());
        }
        if outside && byte != b'<' {
            return Err(NoStream);
        }
        self.keep(byte);
        self.state = match self.state {
            State::Content if byte == b'<' => State::TagStart,
            State::Content => State::Content,
            State::TagStart => match byte {
                b'/' => State::Tag { closing: true, slash: false },
                b'!' if self.depth > 0 => State::Cdata(0),
                b'!' | b'?' | b'<' | b'>' => return Err(NoStream),
                _ => State::Tag { closing: false, slash: false },
            },
            State::Tag { closing, slash } => match byte {
                b'\'' | b'"' if !closing => State::Quote(byte),
                b'>' => return self.tag_ended(closing, slash),
                b'<' => return Err(NoStream),
                _ => State::Tag { closing, slash: byte == b'/' },
            },
            State::Quote(end) if byte == end => State::Tag { closing: false, slash: false },
            State::Quote(end) => State::Quote(end),
            State::Cdata(brackets) => match byte {
                b']' => State::Cdata(brackets.saturating_add(1).min(2)),
                b'>' if brackets == 2 => State::Content,
                _ => State::Cdata(0),
            },
            State::End => return Err(NoStream),
        };
        Ok(())
    }

    fn tag_ended(&mut self, closing: bool, empty: bool) -> Result<(), NoStream> {
        self.state = State::Content;
        match (closing, self.depth) {
            (true, 0) => {
                self.state = State::End;
                self.current = Vec::new();
                self.frames.push_back(Frame::Footer);
                return Ok(());
            }
            (true, _) => self.depth -= 1,
            (false, _) if empty => {}
            (false, _) => self.depth = self.depth.checked_add(1).ok_or(NoStream)?,
        }
        if self.depth == 0 {
            let bytes = std::mem::take(&mut self.current);
            let oversized = std::mem::take(&mut self.oversized);
            self.frames.push_back(if oversized { Frame::Oversized(bytes) } else { Frame::Element(bytes) });
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.current.len() < MAX_STANZA {
            self.current.push(byte);
        } else if !self.oversized {
            self.oversized = true;
            self.current.truncate(64);
            self.current.shrink_to_fit();
        }
        if self.oversized {
            self.current.truncate(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8]) -> Result<Vec<String>, NoStream> {
        let mut framer = Framer::new();
        framer.push(bytes)?;
        let text = |frame| match frame {
            Frame::Element(bytes) => String::from_utf8(bytes).unwrap(),
            Frame::Oversized(start) => format!("oversized {}", String::from_utf8(start).unwrap()),
            Frame::Footer => "footer".to_owned(),
        };
        Ok(std::iter::from_fn(|| framer.next()).map(text).collect())
    }

    #[test]
    fn stanzas_are_cut_apart_wherever_the_network_broke_them() {
        let stream = b" <a h='1'/>\n<message a=\"x>'y\"><b><c/>text &lt;</b ></message><iq><![CDATA[</iq>]]]></iq></stream:stream>";
        let expected = [
            "<a h='1'/>",
            "<message a=\"x>'y\"><b><c/>text &lt;</b ></message>",
            "<iq><![CDATA[</iq>]]]></iq>",
            "footer",
        ];
        assert_eq!(frames(stream).unwrap(), expected);
        let mut framer = Framer::new();
        let mut found = 0;
        for byte in stream {
            framer.push(&[*byte]).unwrap();
            found += usize::from(framer.next().is_some());
        }
        assert_eq!(found, expected.len());
    }

    #[test]
    fn a_slash_in_a_value_closes_nothing() {
        assert_eq!(frames(b"<a b='/'><c/></a>").unwrap(), ["<a b='/'><c/></a>"]);
        assert_eq!(frames(b"<a b=x/ ><c/></a>").unwrap(), ["<a b=x/ ><c/></a>"]);
    }

    #[test]
    fn an_oversized_stanza_is_passed_over_and_the_next_one_is_whole() {
        let mut stream = b"<message><x>".to_vec();
        stream.resize(1_000_000, b'y');
        stream.extend_from_slice(b"</x></message><iq/>");
        let found = frames(&stream).unwrap();
        assert!(found[0].starts_with("oversized <message><x>y") && found[0].len() < 100);
        assert_eq!(found[1], "<iq/>");
    }

    #[test]
    fn any_depth_is_only_a_number() {
        let stream = [b"<x>".repeat(100_000), b"</x>".repeat(100_000), b"<iq/>".to_vec()].concat();
        assert_eq!(frames(&stream).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        for bytes in [&b"HTTP/1.1 400"[..], b"<?xml?>", b"<!DOCTYPE x>", b"<<", b"</stream:stream><iq/>", b"<>"] {
            assert_eq!(frames(bytes), Err(NoStream), "{}", String::from_utf8_lossy(bytes));
        }
    }
}

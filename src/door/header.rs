//! A message's header, read from its bytes (D-Bus Specification, "Message Format").

use zbus::wire::Endian;

/// Bytes before the header fields.
pub(super) const FIXED: usize = 16;
/// The specification's limit on a message: 128 MiB.
const MAX_MESSAGE: usize = 1 << 27;
/// Its limit on an array, which the header fields are: 64 MiB.
const MAX_FIELDS: usize = 1 << 26;

/// Bytes that no message begins with. The bus would hang up, and so do we.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed D-Bus stream")]
pub struct Malformed;

/// How long a message is, from its first sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Up to the body, padding included.
    pub(super) head: usize,
    /// All of it.
    pub(super) total: usize,
}

/// Reads the sizes.
///
/// # Errors
/// Neither byte order, another protocol version, type 0, serial 0, or over the limits.
pub(super) fn sizes(fixed: &[u8; FIXED]) -> Result<Sizes, Malformed> {
    let [order, kind, _flags, version, rest @ ..] = *fixed;
    let endian = endian(order).ok_or(Malformed)?;
    let [b0, b1, b2, b3, s0, s1, s2, s3, f0, f1, f2, f3] = rest;
    let word = |bytes| u32_of(endian, bytes);
    let body = usize::try_from(word([b0, b1, b2, b3])).map_err(|_| Malformed)?;
    let fields = usize::try_from(word([f0, f1, f2, f3])).map_err(|_| Malformed)?;
    if version != 1 || kind == 0 || word([s0, s1, s2, s3]) == 0 || fields > MAX_FIELDS || body > MAX_MESSAGE {
        return Err(Malformed);
    }
    let head = FIXED + fields.next_multiple_of(8);
    let total = head + body;
    if total > MAX_MESSAGE { Err(Malformed) } else { Ok(Sizes { head, total }) }
}

fn endian(order: u8) -> Option<Endian> {
    match order {
        b'l' => Some(Endian::Little),
        b'B' => Some(Endian::Big),
        _ => None,
    }
}

fn u32_of(endian: Endian, bytes: [u8; 4]) -> u32 {
    match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Return,
    Error,
    Signal,
    /// To be ignored, says the specification.
    Other,
}

/// A header, borrowed from the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) endian: Endian,
    pub(super) kind: Kind,
    pub(super) serial: u32,
    pub(super) no_reply: bool,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) error: &'a str,
    pub(super) reply_serial: u32,
    pub(super) destination: &'a str,
    pub(super) sender: &'a str,
    pub(super) signature: &'a str,
    /// How many descriptors travel with it.
    pub(super) fds: usize,
}

impl<'a> Head<'a> {
    /// Without any field.
    pub(super) fn blank(kind: Kind) -> Self {
        Self {
            endian: Endian::Little,
            kind,
            serial: 0,
            no_reply: false,
            path: "",
            interface: "",
            member: "",
            error: "",
            reply_serial: 0,
            destination: "",
            sender: "",
            signature: "",
            fds: 0,
        }
    }

    /// Reads the head of a message; absent fields are empty or 0. `None`: a field is malformed or of
    /// an unknown kind, which the other side may understand.
    pub(super) fn read(head: &'a [u8]) -> Option<Self> {
        let fixed: &[u8; FIXED] = head.first_chunk()?;
        let mut reader = Reader { endian: endian(fixed[0])?, bytes: head, at: 8 };
        let kind = match fixed[1] {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut found =
            Self { endian: reader.endian, serial: reader.number()?, no_reply: fixed[2] & 1 != 0, ..Self::blank(kind) };
        let end = FIXED.checked_add(usize::try_from(reader.number()?).ok()?)?;
        while reader.at < end {
            found.field(&mut reader)?;
        }
        (reader.at == end).then_some(found)
    }

    fn field(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.signature()?) {
            (1, "o") => self.path = reader.string()?,
            (2, "s") => self.interface = reader.string()?,
            (3, "s") => self.member = reader.string()?,
            (4, "s") => self.error = reader.string()?,
            (5, "u") => self.reply_serial = reader.number()?,
            (6, "s") => self.destination = reader.string()?,
            (7, "s") => self.sender = reader.string()?,
            (8, "g") => self.signature = reader.signature()?,
            (9, "u") => self.fds = usize::try_from(reader.number()?).ok()?,
            _ => return None,
        }
        Some(())
    }
}

/// Reads a header's values; positions count from the message's first byte.
struct Reader<'a> {
    endian: Endian,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, to: usize) -> Option<()> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(drop)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        Some(u32_of(self.endian, *self.take(4)?.first_chunk()?))
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        self.terminated(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        self.terminated(length.into())
    }

    fn terminated(&mut self, length: usize) -> Option<&'a str> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }
}

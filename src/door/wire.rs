//! Whole messages: read where we look into one, written where we make one.

use super::header::{FIXED, Head, Kind, sizes};
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    ObjectPath, Type,
    names::BusName,
    wire::{
        Endian,
        serialized::{Context, Data},
        to_bytes,
    },
};

/// A whole message.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) head: Head<'a>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let sizes = sizes(bytes.first_chunk()?).ok()?;
        Some(Self { head: Head::read(bytes.get(..sizes.head)?)?, bytes })
    }

    /// The body, if it has that type: a tuple of its arguments. Of an error, whose body is what a person may read,
    /// there is none.
    pub(super) fn body<T: DeserializeOwned + Type>(&self) -> Option<T> {
        if self.head.kind == Kind::Error { None } else { self.arguments() }
    }

    /// What an error says.
    pub(super) fn said(&self) -> Option<String> {
        self.arguments().map(|(said,): (String,)| said)
    }

    fn arguments<T: DeserializeOwned + Type>(&self) -> Option<T> {
        if self.head.signature != T::SIGNATURE.to_string_no_parens() {
            return None;
        }
        let sizes = sizes(self.bytes.first_chunk()?).ok()?;
        let data = Data::new(self.bytes.get(sizes.head..)?, Context::new(self.head.endian, 0));
        data.deserialize().ok().map(|(body, _)| body)
    }
}

/// Writes a message in little-endian, its body a tuple of its arguments. `None` where a value can't
/// be written; nothing malformed is ever written.
pub(super) fn write<B: Serialize + Type>(head: &Head<'_>, body: &B) -> Option<Vec<u8>> {
    let named = |name: &str| name.is_empty() || BusName::try_from(name).is_ok();
    let placed = head.path.is_empty() || ObjectPath::try_from(head.path).is_ok();
    if !placed || !named(head.destination) || !named(head.sender) {
        return None;
    }
    let body = to_bytes(Context::new(Endian::Little, 0), body).ok()?;
    let signature = B::SIGNATURE.to_string_no_parens();
    let mut fields = Fields(Vec::new());
    fields.text(1, b'o', head.path)?;
    fields.text(2, b's', head.interface)?;
    fields.text(3, b's', head.member)?;
    fields.text(4, b's', head.error)?;
    if head.reply_serial != 0 {
        fields.start(5, b'u');
        fields.0.extend(head.reply_serial.to_le_bytes());
    }
    fields.text(6, b's', head.destination)?;
    fields.text(7, b's', head.sender)?;
    if !signature.is_empty() {
        fields.start(8, b'g');
        fields.0.push(u8::try_from(signature.len()).ok()?);
        fields.0.extend(signature.as_bytes());
        fields.0.push(0);
    }
    let kind = match head.kind {
        Kind::Call => 1,
        Kind::Return => 2,
        Kind::Error => 3,
        Kind::Signal => 4,
        Kind::Other => return None,
    };
    // NO_REPLY_EXPECTED; and nobody is started for the sake of our own calls (NO_AUTO_START).
    let flags = u8::from(head.no_reply) | if head.kind == Kind::Call { 2 } else { 0 };
    let mut bytes = Vec::with_capacity(FIXED + fields.0.len() + 8 + body.bytes().len());
    bytes.extend([b'l', kind, flags, 1]);
    bytes.extend(u32::try_from(body.bytes().len()).ok()?.to_le_bytes());
    bytes.extend(head.serial.to_le_bytes());
    bytes.extend(u32::try_from(fields.0.len()).ok()?.to_le_bytes());
    bytes.extend(fields.0);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body.bytes());
    Some(bytes)
}

/// The array of header fields; it begins at a multiple of eight.
struct Fields(Vec<u8>);

impl Fields {
    fn start(&mut self, code: u8, signature: u8) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.extend([code, 1, signature, 0]);
    }

    /// A text, unless it is empty.
    fn text(&mut self, code: u8, signature: u8, text: &str) -> Option<()> {
        if !text.is_empty() {
            self.start(code, signature);
            self.0.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
            self.0.extend(text.as_bytes());
            self.0.push(0);
        }
        Some(())
    }
}

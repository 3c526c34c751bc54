//! How long a text is as SMS: encoding and number of segments (3GPP TS 23.038, TS 23.040 §9.2.3.24.1).

/// The character set a text needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 7-bit default alphabet with its extension table (TS 23.038 §6.2.1).
    Gsm7,
    /// UCS2: UTF-16 in practice, a surrogate pair never split.
    Ucs2,
}

/// A text's size as SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// The encoding it needs.
    pub encoding: Encoding,
    /// How many SMS it takes; one more than 255 is too long for a multipart SMS.
    pub count: u16,
}

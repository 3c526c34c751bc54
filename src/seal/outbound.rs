//! The two things that may leave the core: their fields are private to `seal`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A sealed envelope, ready for the wire. The core can only get one from a session; the uplink, a
/// process without any key, takes it off the wall as opaque bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub(in crate::seal) Vec<u8>);

impl Sealed {
    /// The envelope's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Sealed {
    /// An envelope that a session made earlier and the store kept, for a resend byte for byte.
    ///
    /// # Errors
    /// The bytes are no envelope.
    pub fn again(stored: Vec<u8>) -> Result<Self, super::EnvelopeError> {
        super::Envelope::decode(&stored).map(|_| Self(stored))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// What stands for a number outside the phone: the localpart of its JID.
/// Epoch character, then 32 characters of base32 (protocol.md §4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pseudonym(pub(in crate::seal) Box<str>);

impl Pseudonym {
    /// The localpart.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! The one way bytes are made of a format and read back: a version byte, then postcard, bounded,
//! canonical and with nothing left over. What has two encodings could be replayed as two things.

use serde::{Deserialize, Serialize};

/// Why bytes are none of our formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Nothing there.
    #[error("empty")]
    Empty,
    /// A version that this build does not speak.
    #[error("version {0} is not known here: update the software on this phone")]
    Version(u8),
    /// Longer than the format allows.
    #[error("longer than the format allows")]
    TooLong,
    /// Not the format.
    #[error("malformed")]
    Malformed,
    /// Bytes left over, or not the shortest encoding.
    #[error("not the canonical encoding")]
    NotCanonical,
}

/// `version`, then `value`.
pub(in crate::seal) fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, CodecError> {
    postcard::to_extend(value, vec![version]).map_err(|_| CodecError::Malformed)
}

/// The inverse of [`encode`], for at most `max` bytes.
pub(in crate::seal) fn decode<'a, T>(version: u8, bytes: &'a [u8], max: usize) -> Result<T, CodecError>
where
    T: Serialize + Deserialize<'a>,
{
    if bytes.len() > max {
        return Err(CodecError::TooLong);
    }
    let (first, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *first != version {
        return Err(CodecError::Version(*first));
    }
    let (value, left) = postcard::take_from_bytes::<T>(rest).map_err(|_| CodecError::Malformed)?;
    let again = encode(version, &value)?;
    let canonical = left.is_empty() && again == bytes;
    drop(zeroize::Zeroizing::new(again));
    if canonical { Ok(value) } else { Err(CodecError::NotCanonical) }
}

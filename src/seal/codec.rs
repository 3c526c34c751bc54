//! The one way bytes are made of a format and read back: a version byte, then postcard, bounded,
//! canonical and with nothing left over. What has two encodings could be replayed as two things.

use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

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

/// How many bytes a value takes, without a version.
pub(in crate::seal) fn size<T: Serialize>(value: &T) -> Result<usize, CodecError> {
    postcard::serialize_with_flavor(value, Size::default()).map_err(|_| CodecError::Malformed)
}

/// `head`, then `value`, in one allocation: one that grew would leave copies behind, which nobody wipes.
fn after<T: Serialize>(head: &[u8], value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(head.len().saturating_add(size(value)?));
    bytes.extend_from_slice(head);
    postcard::to_extend(value, bytes).map_err(|_| CodecError::Malformed)
}

/// `version`, then `value`.
pub(in crate::seal) fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, CodecError> {
    after(&[version], value)
}

/// A value that stays on this phone, in bytes that are wiped.
pub fn encode_wiped<T: Serialize + ?Sized>(value: &T) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    after(&[], &value).map(Zeroizing::new)
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
    drop(Zeroizing::new(again));
    if canonical { Ok(value) } else { Err(CodecError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_made_in_one_allocation() {
        let value = ("+4915112345601", vec![[7_u8; 32]; 9], "x".repeat(1000), -5_i64);
        let (encoded, wiped) = (encode(1, &value).unwrap(), encode_wiped(&value).unwrap());
        assert_eq!(encoded.split_first(), Some((&1, wiped.as_slice())));
        assert_eq!((encoded.capacity(), wiped.capacity()), (encoded.len(), wiped.len()), "none of them grew");
    }
}

//! What is inside the seal, filled up to one length: nothing shows how long a number is, or what is asked.

use super::EnrolmentError;
use crate::seal::CodecError;
use zeroize::Zeroizing;

/// Every request's length.
pub(super) const REQUEST: usize = 96;
/// Every answer's.
pub(super) const ANSWER: usize = 1024;

const LENGTH: usize = 2;

/// What is said inside the seal.
pub(super) trait Filled: Sized {
    /// Its length, filled up.
    const SIZE: usize;

    /// As it is written, not filled up.
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError>;

    /// The inverse of [`Self::encode`]; whoever holds the key may have written it.
    fn decode(bytes: &[u8]) -> Result<Self, EnrolmentError>;

    /// Filled up.
    fn fill(&self) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
        pad(&self.encode()?, Self::SIZE)
    }

    /// The inverse of [`Self::fill`].
    fn read(filled: &[u8]) -> Result<Self, EnrolmentError> {
        Self::decode(unpad(filled)?)
    }
}

/// Length, bytes, zeros.
fn pad(bytes: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>, EnrolmentError> {
    if bytes.len() + LENGTH > size {
        return Err(CodecError::TooLong.into());
    }
    let length = u16::try_from(bytes.len()).map_err(|_| CodecError::TooLong)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(size));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(bytes);
    padded.resize(size, 0);
    Ok(padded)
}

/// The inverse of [`pad`]: nothing hides behind.
fn unpad(padded: &[u8]) -> Result<&[u8], EnrolmentError> {
    let (length, rest) = padded.split_first_chunk().ok_or(CodecError::Malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (bytes, filling) = rest.split_at_checked(length).ok_or(CodecError::Malformed)?;
    if filling.iter().any(|byte| *byte != 0) {
        return Err(CodecError::NotCanonical.into());
    }
    Ok(bytes)
}

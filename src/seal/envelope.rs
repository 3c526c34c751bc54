//! What a stanza carries (protocol.md §5): version, suite, Olm message type, ciphertext, filled up
//! to one of a few sizes.
//!
//! Two fillings hide two things. The letter is padded inside the seal, so that the ciphertext's
//! length says only which bucket; zeros after the ciphertext make first messages (about 110 bytes
//! more) and later ones, low and high message counters, exactly equal on the wire.

use zeroize::Zeroizing;

/// Olm with Curve25519, AES-256-CBC and truncated HMAC-SHA256, as vodozemac's session version 1.
pub const SUITE_OLM_V1: u8 = 1;

/// Every envelope has one of these sizes, in bytes. The largest, in base64, stays under the
/// server's stanza limit (64 KiB) and the wall's frame.
pub const BUCKETS: [usize; 7] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768];

const VERSION: u8 = 1;

/// Version, suite, type, length of the Olm message.
const HEADER: usize = 5;

/// Header, and the most that Olm adds to its AES-CBC ciphertext: 165 bytes in a first message with
/// the longest counter. A multiple of 16, the cipher's block.
const OVERHEAD: usize = 176;

/// Bytes of a letter's length inside the padding.
const LENGTH: usize = 2;

/// Why bytes are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// None of the sizes.
    #[error("the envelope has none of the sizes that envelopes have")]
    Size,
    /// A version from the future.
    #[error("envelope version {0} is not known here")]
    Version(u8),
    /// A suite from the future.
    #[error("envelope suite {0} is not known here")]
    Suite(u8),
    /// No Olm message type.
    #[error("no Olm message type")]
    Kind,
    /// Length or filling wrong.
    #[error("the envelope's length or filling is wrong")]
    Filling,
    /// Nothing that an envelope could hold.
    #[error("too long for an envelope")]
    TooLong,
}

/// Olm's two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlmKind {
    /// Makes a session (until the first answer).
    PreKey,
    /// Within one.
    Normal,
}

/// An envelope's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// How it is sealed; only [`SUITE_OLM_V1`] so far.
    pub suite: u8,
    /// Which Olm message.
    pub kind: OlmKind,
    /// The Olm message.
    pub message: Vec<u8>,
}

impl Envelope {
    /// The wire form, of a size in [`BUCKETS`].
    pub fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let needed = self.message.len().saturating_add(HEADER);
        let size = BUCKETS.into_iter().find(|size| *size >= needed).ok_or(EnvelopeError::TooLong)?;
        let length = u16::try_from(self.message.len()).map_err(|_| EnvelopeError::TooLong)?;
        let kind = match self.kind {
            OlmKind::PreKey => 0,
            OlmKind::Normal => 1,
        };
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&[VERSION, self.suite, kind]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.message);
        bytes.resize(size, 0);
        Ok(bytes)
    }

    /// The inverse of [`Self::encode`]: strict.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if !BUCKETS.contains(&bytes.len()) {
            return Err(EnvelopeError::Size);
        }
        let ([version, suite, kind, high, low], rest) =
            bytes.split_first_chunk::<HEADER>().ok_or(EnvelopeError::Size)?;
        if *version != VERSION {
            return Err(EnvelopeError::Version(*version));
        }
        if *suite != SUITE_OLM_V1 {
            return Err(EnvelopeError::Suite(*suite));
        }
        let kind = match kind {
            0 => OlmKind::PreKey,
            1 => OlmKind::Normal,
            _ => return Err(EnvelopeError::Kind),
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (message, filling) = rest.split_at_checked(length).ok_or(EnvelopeError::Filling)?;
        // The smallest size that holds it, and nothing hidden behind.
        let needed = length.saturating_add(HEADER);
        let smallest = BUCKETS.into_iter().find(|size| *size >= needed) == Some(bytes.len());
        if !smallest || filling.iter().any(|byte| *byte != 0) {
            return Err(EnvelopeError::Filling);
        }
        Ok(Self { suite: *suite, kind, message: message.to_vec() })
    }
}

/// A letter with its length before and zeros behind, such that its envelope fills a bucket that a
/// letter of `weight` bytes needs.
pub(in crate::seal) fn pad(letter: &[u8], weight: usize) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let needed = weight.max(letter.len()).saturating_add(LENGTH);
    let size = BUCKETS
        .into_iter()
        // CBC padding takes at least one byte of the last block.
        .map(|size| size.saturating_sub(OVERHEAD + 1))
        .find(|size| *size >= needed)
        .ok_or(EnvelopeError::TooLong)?;
    let length = u16::try_from(letter.len()).map_err(|_| EnvelopeError::TooLong)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(size));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(letter);
    padded.resize(size, 0);
    Ok(padded)
}

/// The inverse of [`pad`]: strict.
pub(in crate::seal) fn unpad(padded: &[u8]) -> Result<&[u8], EnvelopeError> {
    if !BUCKETS.contains(&padded.len().saturating_add(OVERHEAD + 1)) {
        return Err(EnvelopeError::Size);
    }
    let (length, rest) = padded.split_first_chunk::<LENGTH>().ok_or(EnvelopeError::Size)?;
    let (letter, filling) =
        rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(EnvelopeError::Filling)?;
    if filling.iter().any(|byte| *byte != 0) { Err(EnvelopeError::Filling) } else { Ok(letter) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope() -> impl Strategy<Value = Envelope> {
        (any::<bool>(), prop_oneof![0..2000_usize, 0..=32_763_usize], any::<u8>()).prop_map(|(first, length, byte)| {
            Envelope {
                suite: SUITE_OLM_V1,
                kind: if first { OlmKind::PreKey } else { OlmKind::Normal },
                message: vec![byte; length],
            }
        })
    }

    proptest! {
        #[test]
        fn every_envelope_reads_back_and_has_one_of_the_sizes(envelope in envelope()) {
            let bytes = envelope.encode().unwrap();
            prop_assert!(BUCKETS.contains(&bytes.len()));
            prop_assert_eq!(Envelope::decode(&bytes).unwrap(), envelope);
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(envelope in envelope(), at: prop::sample::Index, bits: u8) {
            let mut bytes = envelope.encode().unwrap();
            let index = at.index(bytes.len());
            bytes[index] ^= bits;
            if let Ok(read) = Envelope::decode(&bytes) {
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn every_letter_comes_out_of_its_padding(letter in prop::collection::vec(any::<u8>(), 0..3000), more in 0_usize..30) {
            let padded = pad(&letter, letter.len() + more).unwrap();
            prop_assert!(BUCKETS.contains(&(padded.len() + OVERHEAD + 1)));
            prop_assert_eq!(unpad(&padded).unwrap(), letter.as_slice());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, bucket in 0..BUCKETS.len()) {
            let mut bytes = bytes;
            let _ = (Envelope::decode(&bytes), unpad(&bytes).map(<[u8]>::len));
            bytes.resize(BUCKETS[bucket], 0);
            let _ = Envelope::decode(&bytes);
            bytes.truncate(BUCKETS[bucket] - OVERHEAD - 1);
            let _ = unpad(&bytes);
        }
    }

    #[test]
    fn each_fault_has_its_name() {
        let good = Envelope { suite: SUITE_OLM_V1, kind: OlmKind::Normal, message: vec![1; 100] }.encode().unwrap();
        let with = |index: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[index] = byte;
            Envelope::decode(&bytes)
        };
        assert_eq!(Envelope::decode(&good[1..]), Err(EnvelopeError::Size));
        assert_eq!(with(0, 2), Err(EnvelopeError::Version(2)));
        assert_eq!(with(1, 0), Err(EnvelopeError::Suite(0)));
        assert_eq!(with(2, 2), Err(EnvelopeError::Kind));
        assert_eq!(with(3, 2), Err(EnvelopeError::Filling), "a length beyond the envelope");
        assert_eq!(with(511, 1), Err(EnvelopeError::Filling), "something hidden behind");
        let mut roomy = good;
        roomy.resize(1024, 0);
        assert_eq!(Envelope::decode(&roomy), Err(EnvelopeError::Filling), "a larger size than needed");
        let long = Envelope { suite: SUITE_OLM_V1, kind: OlmKind::Normal, message: vec![0; 32_764] };
        assert_eq!(long.encode(), Err(EnvelopeError::TooLong));
        assert_eq!(pad(&[0; 32_600], 0).err(), Some(EnvelopeError::TooLong));
    }
}

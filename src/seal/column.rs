//! Columns at rest (design.md, "At rest"): sealed by ChaCha20-Poly1305 and bound to their place;
//! found again by keyed digests. The store decides what is sealed.

use super::skeleton;
use crate::model::{PhoneNumber, WordingKey};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

/// Why a column was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// The key cannot be used.
    #[error("the store's key cannot be used: 32 bytes are needed")]
    Key,
    /// No randomness.
    #[error("the system gives no randomness")]
    Random,
    /// Other key, other place, or damaged.
    #[error("a stored value does not open: another key, or the store is damaged")]
    Tampered,
}

/// Seals, opens and digests under one store key. Three subkeys are derived, one a purpose.
pub struct ColumnCipher {
    columns: LessSafeKey,
    lookups: hmac::Key,
    wordings: hmac::Key,
    random: SystemRandom,
}

impl std::fmt::Debug for ColumnCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ColumnCipher(..)")
    }
}

struct Thirty2;

impl KeyType for Thirty2 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256's Expand (RFC 5869 §2.3), 32 bytes.
pub(in crate::seal) fn expand(prk: &Prk, info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    prk.expand(&[info], Thirty2).and_then(|okm| okm.fill(&mut *key)).ok()?;
    Some(key)
}

impl ColumnCipher {
    /// From the store's key: 32 uniformly random bytes.
    pub fn new(mut key: [u8; 32]) -> Result<Self, ColumnError> {
        let prk = Prk::new_less_safe(HKDF_SHA256, &key);
        key.zeroize();
        let sub = |info: &[u8]| expand(&prk, info).ok_or(ColumnError::Key);
        let columns = UnboundKey::new(&CHACHA20_POLY1305, &*sub(b"shunt columns 1")?).map_err(|_| ColumnError::Key)?;
        Ok(Self {
            columns: LessSafeKey::new(columns),
            lookups: hmac::Key::new(hmac::HMAC_SHA256, &*sub(b"shunt lookups 1")?),
            wordings: hmac::Key::new(hmac::HMAC_SHA256, &*sub(b"shunt wordings 1")?),
            random: SystemRandom::new(),
        })
    }

    /// Nonce ‖ ciphertext ‖ tag: 28 bytes longer than `plain`. It opens only at the same table, row,
    /// column and version. Random nonces: sound up to 2^32 values under one key.
    pub fn seal(
        &self,
        table: &str,
        row: &[u8],
        column: &str,
        version: u8,
        plain: &[u8],
    ) -> Result<Vec<u8>, ColumnError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| ColumnError::Random)?;
        // Room for the tag from the start: a grown buffer would leave clear text behind.
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + CHACHA20_POLY1305.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let aad = Aad::from(place(table, row, column, version));
        let tag = self
            .columns
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, text)
            .map_err(|_| ColumnError::Key)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The inverse of [`Self::seal`].
    pub fn open(
        &self,
        table: &str,
        row: &[u8],
        column: &str,
        version: u8,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ColumnError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(ColumnError::Tampered)?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(place(table, row, column, version));
        let length = self
            .columns
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut text)
            .map_err(|_| ColumnError::Tampered)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    /// What a sealed value is found by. `domain` keeps the digests of two columns apart.
    #[must_use]
    pub fn lookup(&self, domain: &str, bytes: &[u8]) -> [u8; 32] {
        digest(&self.lookups, &[domain.as_bytes(), bytes])
    }

    /// The wording's key towards a peer (protocol.md §2).
    #[must_use]
    pub fn wording(&self, peer: &PhoneNumber, text: &str) -> WordingKey {
        let skeleton = Zeroizing::new(skeleton(text));
        WordingKey(digest(&self.wordings, &[peer.as_e164().as_bytes(), skeleton.as_bytes()]))
    }
}

fn digest(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&length(part));
        context.update(part);
    }
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    digest
}

/// Lengths before each part: no two places read alike.
fn place(table: &str, row: &[u8], column: &str, version: u8) -> Vec<u8> {
    let mut place = Vec::with_capacity(table.len() + row.len() + column.len() + 25);
    for part in [table.as_bytes(), row, column.as_bytes()] {
        place.extend_from_slice(&length(part));
        place.extend_from_slice(part);
    }
    place.push(version);
    place
}

fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

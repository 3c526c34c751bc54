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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cipher() -> ColumnCipher {
        ColumnCipher::new([5; 32]).unwrap()
    }

    proptest! {
        #[test]
        fn a_value_opens_where_it_was_sealed(plain: Vec<u8>, table: String, row: Vec<u8>, column: String, version: u8) {
            let sealed = cipher().seal(&table, &row, &column, version, &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + 28);
            prop_assert_eq!(&*cipher().open(&table, &row, &column, version, &sealed).unwrap(), &plain);
        }

        #[test]
        fn a_changed_bit_opens_nothing(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let mut sealed = cipher().seal("t", b"r", "c", 1, &plain).unwrap();
            let index = at.index(sealed.len());
            sealed[index] ^= 1 << bit;
            prop_assert_eq!(cipher().open("t", b"r", "c", 1, &sealed).err(), Some(ColumnError::Tampered));
        }
    }

    #[test]
    fn a_value_moved_elsewhere_does_not_open() {
        let sealed = cipher().seal("peers", b"row1", "number", 1, b"value").unwrap();
        let open = |cipher: &ColumnCipher, table: &str, row: &[u8], column: &str, version| {
            cipher.open(table, row, column, version, &sealed).map(|plain| plain.to_vec())
        };
        assert_eq!(open(&cipher(), "peers", b"row1", "number", 1), Ok(b"value".to_vec()));
        for (table, row, column, version) in [
            ("texts", b"row1".as_slice(), "number", 1),
            ("peers", b"row2", "number", 1),
            ("peers", b"row1", "name", 1),
            ("peers", b"row1", "number", 2),
            ("peersr", b"ow1", "number", 1),
            ("peers", b"row1n", "umber", 1),
        ] {
            assert_eq!(open(&cipher(), table, row, column, version), Err(ColumnError::Tampered));
        }
        let other = ColumnCipher::new([6; 32]).unwrap();
        assert_eq!(open(&other, "peers", b"row1", "number", 1), Err(ColumnError::Tampered));
        assert_eq!(cipher().open("peers", b"row1", "number", 1, b"short").err(), Some(ColumnError::Tampered));
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let seal = || cipher().seal("t", b"r", "c", 1, b"value").unwrap();
        assert_ne!(seal(), seal());
        assert!(!seal().windows(5).any(|window| window == b"value"));
    }

    #[test]
    fn lookups_find_the_same_and_nothing_else() {
        let number = b"+491701234567";
        assert_eq!(cipher().lookup("peer", number), cipher().lookup("peer", number));
        assert_ne!(cipher().lookup("peer", number), cipher().lookup("line", number));
        assert_ne!(cipher().lookup("peer", number), cipher().lookup("pee", b"r+491701234567"));
        assert_ne!(cipher().lookup("peer", number), ColumnCipher::new([6; 32]).unwrap().lookup("peer", number));
        let plain = ring::digest::digest(&ring::digest::SHA256, number);
        assert_ne!(cipher().lookup("peer", number).as_slice(), plain.as_ref());
    }

    #[test]
    fn a_wording_is_the_same_for_what_sms_made_of_it_and_another_for_another_peer() {
        let (alice, bob) = ("+491701234567", "+491707654321");
        let (alice, bob) = (PhoneNumber::from_e164(alice).unwrap(), PhoneNumber::from_e164(bob).unwrap());
        let wording = |peer, text| cipher().wording(peer, text);
        assert_eq!(wording(&alice, "It’s 8 o’clock…"), wording(&alice, "It's 8 o'clock..."));
        assert_ne!(wording(&alice, "yes"), wording(&alice, "no"));
        assert_ne!(wording(&alice, "yes"), wording(&bob, "yes"));
        assert_ne!(wording(&alice, "yes").0, cipher().lookup(alice.as_e164(), b"yes"), "keys are apart");
    }
}

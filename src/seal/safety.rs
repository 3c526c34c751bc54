//! Safety numbers: what two people read out to each other to know that nobody sits between them.

use super::IdentityKey;
use crate::model::PhoneNumber;
use ring::digest::{SHA512, digest};

const CONTEXT: &[u8] = b"shunt safety number 1\0";
/// Makes trying keys for a look-alike 2^12 times dearer.
const ROUNDS: usize = 5200;
/// Five digits from five bytes each.
const GROUPS: usize = 6;

/// Sixty digits, the same on both phones, which differ if either number or either key does.
///
/// Each side's half, 30 digits: h = SHA-512("shunt safety number 1" ‖ 0 ‖ Ed25519 key ‖ Curve25519 key ‖ E.164
/// number with its `+`), then 5,200 times h = SHA-512(h ‖ Ed25519 key ‖ Curve25519 key). From each of the first
/// six groups of five bytes of h, as a big-endian number modulo 100,000, five digits. The smaller half comes first.
#[must_use]
pub fn safety_number(one: (&PhoneNumber, &IdentityKey), other: (&PhoneNumber, &IdentityKey)) -> String {
    let (a, b) = (half(one.0, one.1), half(other.0, other.1));
    if a <= b { a + &b } else { b + &a }
}

fn half(number: &PhoneNumber, key: &IdentityKey) -> String {
    let key = [*key.ed25519(), *key.curve25519()].concat();
    let mut hash = digest(&SHA512, &[CONTEXT, &key, number.as_e164().as_bytes()].concat());
    for _ in 0..ROUNDS {
        hash = digest(&SHA512, &[hash.as_ref(), &key].concat());
    }
    let group = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)) % 100_000;
    hash.as_ref().chunks_exact(5).take(GROUPS).map(|bytes| format!("{:05}", group(bytes))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ALICE, BOB, NOW};
    use super::super::{Identity, IdentityKey};
    use super::*;

    fn number(e164: &str) -> PhoneNumber {
        PhoneNumber::from_e164(e164).unwrap()
    }

    /// The base point of Ed25519, and any 32 bytes.
    fn fixed(curve25519: u8) -> IdentityKey {
        let mut point = [0x66; 32];
        point[0] = 0x58;
        IdentityKey::from_bytes(point, [curve25519; 32]).unwrap()
    }

    #[test]
    fn both_phones_show_the_same_sixty_digits() {
        let (alice, bob) = (Identity::new(NOW).key(), Identity::new(NOW).key());
        let (a, b) = (number(ALICE), number(BOB));
        let shown = safety_number((&a, &alice), (&b, &bob));
        assert_eq!(shown, safety_number((&b, &bob), (&a, &alice)));
        assert!(shown.len() == 60 && shown.bytes().all(|digit| digit.is_ascii_digit()), "{shown}");
    }

    #[test]
    fn each_number_and_each_key_counts() {
        let (alice, bob, mallory) = (Identity::new(NOW).key(), Identity::new(NOW).key(), Identity::new(NOW).key());
        let (a, b, m) = (number(ALICE), number(BOB), number("+491709999999"));
        let half_other = IdentityKey::from_bytes(*bob.ed25519(), *mallory.curve25519()).unwrap();
        let honest = safety_number((&a, &alice), (&b, &bob));
        for other in [
            safety_number((&a, &alice), (&b, &mallory)),
            safety_number((&a, &mallory), (&b, &bob)),
            safety_number((&a, &alice), (&b, &half_other)),
            safety_number((&m, &alice), (&b, &bob)),
            safety_number((&a, &bob), (&b, &alice)),
        ] {
            assert_ne!(honest, other);
        }
    }

    #[test]
    fn the_digits_are_those_of_the_specification() {
        // Computed by the Python of the standard library (hashlib) from the description above.
        let shown = safety_number((&number(ALICE), &fixed(1)), (&number(BOB), &fixed(2)));
        assert_eq!(shown, "132075729607441898554480212703579466917479248203086231177880");
    }
}

//! Addresses outside the phone: `pseudonym@domain`, never with a resource.

use super::Pseudonym;
use data_encoding::{BASE32_NOPAD, Encoding};
use std::fmt;

/// Bytes of the digest in a pseudonym; exactly 32 characters of base32.
const DIGEST: usize = 20;

/// Longest XMPP domain (RFC 1035 §2.3.4, in its text form).
const DOMAIN_MAX: usize = 253;

/// Not an address of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJid {
    /// Not a pseudonym: an epoch letter and 32 lower-case base32 characters.
    #[error("not a pseudonym: an epoch letter and 32 characters a-z, 2-7 are expected")]
    Pseudonym,
    /// Not a lower-case host name.
    #[error("not a domain: lower-case letters, digits, hyphens and dots are expected")]
    Domain,
    /// No `@`.
    #[error("not an address: pseudonym@domain is expected")]
    Form,
}

/// A bare JID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jid {
    pseudonym: Pseudonym,
    domain: Box<str>,
}

impl Jid {
    /// Joins both parts; `domain` must be a lower-case host name (an A-label for others).
    pub fn new(pseudonym: Pseudonym, domain: &str) -> Result<Self, BadJid> {
        if is_domain(domain) { Ok(Self { pseudonym, domain: domain.into() }) } else { Err(BadJid::Domain) }
    }

    /// Takes `pseudonym@domain` in exactly the form that `Display` writes.
    pub fn parse(text: &str) -> Result<Self, BadJid> {
        let (local, domain) = text.split_once('@').ok_or(BadJid::Form)?;
        Self::new(Pseudonym::from_wire(local)?, domain)
    }

    /// The localpart.
    #[must_use]
    pub fn pseudonym(&self) -> &Pseudonym {
        &self.pseudonym
    }

    /// The XMPP domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The epoch whose directory keys vouch for this address.
    #[must_use]
    pub fn epoch(&self) -> char {
        self.pseudonym.epoch()
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pseudonym, self.domain)
    }
}

/// Whether `domain` is a host name in the one form we compare by bytes.
pub(in crate::seal) fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    domain.len() <= DOMAIN_MAX && domain.split('.').all(label)
}

fn base32(bytes: &[u8]) -> String {
    let encoding: &Encoding = &BASE32_NOPAD;
    encoding.encode(bytes).to_ascii_lowercase()
}

impl Pseudonym {
    /// Takes a localpart that came from outside, if it has the form of a pseudonym. That it is
    /// anybody's is proven by a certificate or transcript, never by its form.
    pub fn from_wire(text: &str) -> Result<Self, BadJid> {
        let mut bytes = text.bytes();
        let epoch = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let digits = bytes.len() == DIGEST * 8 / 5 && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        if epoch && digits { Ok(Self(text.into())) } else { Err(BadJid::Pseudonym) }
    }

    /// The epoch character.
    #[must_use]
    pub fn epoch(&self) -> char {
        self.as_str().chars().next().unwrap_or('a')
    }

    /// From its epoch and digest.
    pub(in crate::seal) fn from_digest(epoch: char, digest: [u8; DIGEST]) -> Result<Self, BadJid> {
        Self::from_wire(&format!("{epoch}{}", base32(&digest)))
    }

    /// Epoch byte and digest, as the formats carry it.
    pub(in crate::seal) fn to_wire(&self) -> Result<[u8; DIGEST + 1], BadJid> {
        let (epoch, digits) = self.as_str().split_at_checked(1).ok_or(BadJid::Pseudonym)?;
        let digest = BASE32_NOPAD.decode(digits.to_ascii_uppercase().as_bytes()).map_err(|_| BadJid::Pseudonym)?;
        let mut wire = [0; DIGEST + 1];
        let (first, rest) = wire.split_at_mut(1);
        first.copy_from_slice(epoch.as_bytes());
        if digest.len() != rest.len() {
            return Err(BadJid::Pseudonym);
        }
        rest.copy_from_slice(&digest);
        Ok(wire)
    }

    /// The inverse of [`Self::to_wire`].
    pub(in crate::seal) fn from_packed(wire: &[u8; DIGEST + 1]) -> Result<Self, BadJid> {
        let [epoch, digest @ ..] = *wire;
        Self::from_digest(char::from(epoch), digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOCAL: &str = "aabcdefghijklmnopqrstuvwxyz234567";

    #[test]
    fn an_address_reads_back_as_written() {
        let jid = Jid::parse(&format!("{LOCAL}@im.example.org")).unwrap();
        assert_eq!(jid.to_string(), format!("{LOCAL}@im.example.org"));
        assert_eq!((jid.epoch(), jid.domain(), jid.pseudonym().as_str()), ('a', "im.example.org", LOCAL));
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for (text, error) in [
            (LOCAL.to_string(), BadJid::Form),
            (format!("{LOCAL}@"), BadJid::Domain),
            (format!("{LOCAL}@im.example.org/phone"), BadJid::Domain),
            (format!("{LOCAL}@IM.example.org"), BadJid::Domain),
            (format!("{LOCAL}@a..b"), BadJid::Domain),
            (format!("{LOCAL}@-a"), BadJid::Domain),
            (format!("{LOCAL}@{}", "a.".repeat(130)), BadJid::Domain),
            (format!("{}@a", LOCAL.to_uppercase()), BadJid::Pseudonym),
            (format!("{}1@a", &LOCAL[..32]), BadJid::Pseudonym),
            (format!("{LOCAL}a@a"), BadJid::Pseudonym),
            (format!("1{}@a", &LOCAL[1..]), BadJid::Pseudonym),
            ("@a".to_string(), BadJid::Pseudonym),
            (format!("ä{}@a", &LOCAL[2..]), BadJid::Pseudonym),
        ] {
            assert_eq!(Jid::parse(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pseudonym_survives_packing(epoch in proptest::char::range('a', 'z'), digest: [u8; 20]) {
            let pseudonym = Pseudonym::from_digest(epoch, digest).unwrap();
            prop_assert_eq!(Pseudonym::from_packed(&pseudonym.to_wire().unwrap()).unwrap(), pseudonym.clone());
            prop_assert_eq!(Pseudonym::from_wire(pseudonym.as_str()).unwrap(), pseudonym);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text: String) {
            let _ = Jid::parse(&text);
            let _ = Pseudonym::from_wire(&text);
        }
    }
}

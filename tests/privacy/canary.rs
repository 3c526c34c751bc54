//! What must never be seen on a wire, and every form in which it is looked for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// Something that the phone knows and the cloud must not.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    /// As the table names it.
    pub(crate) name: &'static str,
    /// Each way in which somebody would write it.
    spellings: Vec<String>,
    /// Digits that are meant even where separators stand between them.
    digits: Option<String>,
}

/// One form of a canary, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) how: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Too short to be told from chance inside other letters and digits: it counts standing alone.
    pub(crate) alone: bool,
}

impl Canary {
    /// A word or a text.
    pub(crate) fn text(name: &'static str, text: &str) -> Self {
        Self { name, spellings: vec![text.to_owned()], digits: None }
    }

    /// A telephone number: E.164 with country code 49, and all that becomes of it.
    pub(crate) fn number(name: &'static str, e164: &str) -> Self {
        let digits = e164.trim_start_matches('+');
        let national = digits.trim_start_matches("49");
        let spellings = [e164.to_owned(), digits.to_owned(), format!("0{national}"), format!("00{digits}")];
        let spellings = spellings.into_iter().chain([format!("tel:{e164}"), national.to_owned()]).collect();
        Self { name, spellings, digits: Some(national.to_owned()) }
    }

    /// Digits that are no telephone number: an IMEI, a network's code.
    pub(crate) fn digits(name: &'static str, digits: &str) -> Self {
        let long = digits.len() >= 9;
        Self { name, spellings: vec![digits.to_owned()], digits: long.then(|| digits.to_owned()) }
    }

    /// The digits to be looked for in data whose separators were taken out.
    pub(crate) fn squeezed(&self) -> Option<&str> {
        self.digits.as_deref()
    }

    /// Every form, without repeats.
    pub(crate) fn forms(&self) -> Vec<Form> {
        let mut forms: BTreeMap<Vec<u8>, &'static str> = BTreeMap::new();
        for spelling in &self.spellings {
            for (how, bytes) in forms_of(spelling) {
                forms.entry(bytes).or_insert(how);
            }
        }
        // A network's code is three octets in BCD: any ciphertext has those by chance.
        forms.retain(|bytes, _| bytes.len() >= 5);
        let short = |how, bytes: &[u8]| how == "raw" && bytes.len() < 6;
        forms.into_iter().map(|(bytes, how)| Form { alone: short(how, &bytes), how, bytes }).collect()
    }
}

fn forms_of(spelling: &str) -> Vec<(&'static str, Vec<u8>)> {
    let plain = spelling.as_bytes();
    let mut forms = vec![
        ("raw", plain.to_vec()),
        ("utf-16", spelling.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("utf-16", spelling.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("url", escaped(plain, |byte| byte.is_ascii_alphanumeric())),
        ("url", escaped(plain, |_| false)),
    ];
    forms.extend(written("hex", "base64", plain));
    if plain.iter().all(u8::is_ascii_digit) {
        forms.extend([("bcd-swapped", bcd(plain, true)), ("bcd", bcd(plain, false))]);
        forms.extend(written("bcd-swapped", "bcd-swapped", &bcd(plain, true)));
    }
    let hashes = [
        ("md5", Md5::digest(plain).to_vec()),
        ("sha-1", ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, plain).as_ref().to_vec()),
        ("sha-256", ring::digest::digest(&ring::digest::SHA256, plain).as_ref().to_vec()),
    ];
    for (how, hash) in hashes {
        forms.extend(written(how, how, &hash));
        forms.push((how, hash));
    }
    forms
}

/// Bytes as hex and as base64 in all three alignments, both alphabets.
fn written(hex: &'static str, base64: &'static str, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let upper: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let mut forms = vec![(hex, upper.to_lowercase().into_bytes()), (hex, upper.into_bytes())];
    for skip in 0..3 {
        for alphabet in [&STANDARD, &URL_SAFE] {
            let padded = [&[0; 2][..skip], bytes].concat();
            let encoded = alphabet.encode(padded).trim_end_matches('=').to_owned();
            // The first and last characters hold bits of the neighbours too.
            let from = (skip * 8).div_ceil(6);
            let until = (skip + bytes.len()) * 8 / 6;
            forms.push((base64, encoded.as_bytes()[from..until].to_vec()));
        }
    }
    forms
}

fn escaped(bytes: &[u8], plain: impl Fn(u8) -> bool) -> Vec<u8> {
    let each = |byte: &u8| if plain(*byte) { vec![*byte] } else { format!("%{byte:02X}").into_bytes() };
    bytes.iter().flat_map(each).collect()
}

/// Semi-octets as SMS PDUs and SIM files have them (TS 23.040 §9.1.2.3), filled with F.
fn bcd(digits: &[u8], swapped: bool) -> Vec<u8> {
    let pair = |pair: &[u8]| {
        let (one, two) = (pair[0] - b'0', pair.get(1).map_or(0xF, |two| two - b'0'));
        if swapped { two << 4 | one } else { one << 4 | two }
    };
    digits.chunks(2).map(pair).collect()
}

//! Looks for canaries in captured bytes: as they are, between separators, in base64, and unpacked.

use crate::canary::{Canary, Form};
use aho_corasick::AhoCorasick;
use base64::Engine;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Data inside data inside data is looked at so deep.
const DEPTH: usize = 3;
/// What one unpacked stream may grow to.
const UNPACKED: u64 = 1 << 20;
/// Base64 shorter than this holds no more than the alignments already find.
const BASE64: usize = 24;

/// A canary that was seen, and how it was written.
pub(crate) type Sighting = (&'static str, String);

/// Finds any of some canaries.
pub(crate) struct Search {
    canaries: Vec<Canary>,
    forms: Vec<(&'static str, Form)>,
    all: AhoCorasick,
    /// Those long enough to mean something in bytes that look like chance.
    long: AhoCorasick,
    long_forms: Vec<(&'static str, Form)>,
}

impl Search {
    pub(crate) fn new(canaries: &[Canary]) -> Self {
        let forms: Vec<_> =
            canaries.iter().flat_map(|canary| canary.forms().into_iter().map(|form| (canary.name, form))).collect();
        let long_forms: Vec<_> = forms.iter().filter(|(_, form)| form.bytes.len() >= 6).cloned().collect();
        let engine = |forms: &[(&str, Form)]| AhoCorasick::new(forms.iter().map(|(_, form)| &form.bytes)).unwrap();
        let (all, long) = (engine(&forms), engine(&long_forms));
        Self { canaries: canaries.to_vec(), forms, all, long, long_forms }
    }

    /// How many forms each canary is looked for in.
    pub(crate) fn forms(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (name, _) in &self.forms {
            *counts.entry(*name).or_default() += 1;
        }
        counts
    }

    /// Looks through bytes whose meaning is known: an opened TLS stream, a datagram.
    pub(crate) fn opened(&self, data: &[u8]) -> BTreeSet<Sighting> {
        let mut seen = BTreeSet::new();
        self.deep(data, "", DEPTH, &mut seen);
        seen
    }

    /// Looks through bytes as they were on the wire, most of them ciphertext.
    pub(crate) fn raw(&self, data: &[u8]) -> BTreeSet<Sighting> {
        let mut seen = BTreeSet::new();
        self.plain(&self.long, &self.long_forms, data, "", &mut seen);
        seen
    }

    fn deep(&self, data: &[u8], within: &str, depth: usize, seen: &mut BTreeSet<Sighting>) {
        self.plain(&self.all, &self.forms, data, within, seen);
        let squeezed = squeezed(data);
        for canary in &self.canaries {
            let Some(digits) = canary.squeezed() else { continue };
            if contains(&squeezed, digits.as_bytes()) && !contains(data, digits.as_bytes()) {
                seen.insert((canary.name, format!("{within}with separators")));
            }
        }
        if depth == 0 {
            return;
        }
        for inner in unpacked(data) {
            self.deep(&inner, &format!("{within}packed, "), depth - 1, seen);
        }
        for inner in decoded(data) {
            self.deep(&inner, &format!("{within}in base64, "), depth - 1, seen);
        }
    }

    fn plain(
        &self,
        engine: &AhoCorasick,
        forms: &[(&'static str, Form)],
        data: &[u8],
        within: &str,
        seen: &mut BTreeSet<Sighting>,
    ) {
        for found in engine.find_overlapping_iter(data) {
            let (name, form) = &forms[found.pattern().as_usize()];
            let beside = |at: Option<usize>| at.and_then(|at| data.get(at)).is_some_and(u8::is_ascii_alphanumeric);
            if form.alone && (beside(found.start().checked_sub(1)) || beside(Some(found.end()))) {
                continue;
            }
            seen.insert((name, format!("{within}{}", form.how)));
        }
    }
}

/// Without what people put between digits.
fn squeezed(data: &[u8]) -> Vec<u8> {
    data.iter().copied().filter(|byte| !b" -./()_\t".contains(byte)).collect()
}

fn contains(data: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(data, needle).is_some()
}

/// Every gzip (RFC 1952), zlib (RFC 1950) and bare deflate (RFC 1951) stream that begins somewhere in it.
fn unpacked(data: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (at, start) in data.windows(2).enumerate() {
        let rest = &data[at..];
        let inner = match start {
            [0x1f, 0x8b] => read(GzDecoder::new(rest)),
            // CM 8, and the header is a multiple of 31.
            [cmf, flg] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)).is_multiple_of(31) => {
                read(ZlibDecoder::new(rest))
            }
            _ => Vec::new(),
        };
        found.extend(Some(inner).filter(|inner| !inner.is_empty()));
    }
    // Deflate has no mark of its own: it is tried where the data begins.
    found.extend(Some(read(DeflateDecoder::new(data))).filter(|inner| inner.len() > data.len() / 2));
    found
}

/// What comes out before the end or the first error.
fn read(decoder: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    // A stream cut short still shows what it held until then.
    let _cut = decoder.take(UNPACKED).read_to_end(&mut out);
    out
}

/// What each run of base64 says.
fn decoded(data: &[u8]) -> Vec<Vec<u8>> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let runs = data.split(|byte| !is_base64(byte)).filter(|run| run.len() >= BASE64);
    let decode = |run: &[u8]| {
        let standard: Vec<u8> = run
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => *byte,
            })
            .collect();
        let whole = &standard[..standard.len() / 4 * 4];
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(whole).ok()
    };
    runs.filter_map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn canaries() -> Vec<Canary> {
        vec![
            Canary::number("number", "+4915112345601"),
            Canary::digits("imsi", "262010112345601"),
            Canary::digits("network", "26201"),
            Canary::text("body", "a quokka at dawn"),
        ]
    }

    fn seen(data: &[u8]) -> Vec<&'static str> {
        let found = Search::new(&canaries()).opened(data);
        let mut names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        names.dedup();
        names
    }

    #[test]
    fn each_way_to_write_a_canary_is_found() {
        let gzip = |data: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        };
        let zlib = |data: &[u8]| {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        };
        let base64 = |data: &[u8]| base64::engine::general_purpose::STANDARD.encode(data).into_bytes();
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let sha1 = |text: &str| {
            ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().to_vec()
        };
        let spellings = ["+4915112345601", "015112345601", "004915112345601", "0151/123 456-01", "(0151) 12345601"];
        for written in spellings {
            assert_eq!(seen(format!("x={written};").as_bytes()), ["number"], "{written}");
        }
        for written in [
            b"%2B4915112345601".to_vec(),
            utf16("015112345601"),
            // 94 51 11 32 54 06 F1: the number in an SMS PDU.
            [&b".."[..], &[0x94, 0x51, 0x11, 0x32, 0x54, 0x06, 0xF1]].concat(),
            b"pdu 945111325406f1".to_vec(),
            base64(b"x+4915112345601"),
            base64(b"xy015112345601 and more"),
            base64(&gzip(b"number: 015112345601")),
            [b"body ", &gzip(b"015112345601")[..]].concat(),
            [b"body ", &zlib(b"+49 151 12345601")[..]].concat(),
            sha1("+4915112345601"),
            base64(&[&sha1("015112345601")[..], b"tail"].concat()),
            ring::digest::digest(&ring::digest::SHA256, b"4915112345601").as_ref().to_vec(),
            // md5("015112345601"), by md5sum.
            b"h=9142fde1c5cc9b61a40b18e35d8b2989".to_vec(),
        ] {
            assert_eq!(seen(&written), ["number"], "{}", String::from_utf8_lossy(&written));
        }
        assert_eq!(seen(b"plmn 26201, lac 7"), ["network"]);
        assert_eq!(seen(b"IMSI262010112345601"), ["imsi"]);
        assert_eq!(seen(&base64(b"he said: a quokka at dawn.")), ["body"]);
    }

    #[test]
    fn other_data_is_not_taken_for_a_canary() {
        assert_eq!(seen(b"<iq id='126201fe' type='get'/>"), [] as [&str; 0]);
        let chance: Vec<u8> = (0..40_000_u32).flat_map(hash).collect();
        let search = Search::new(&canaries());
        assert!(search.raw(&chance).is_empty());
        let text = base64::engine::general_purpose::STANDARD.encode(&chance);
        assert!(search.opened(text.as_bytes()).is_empty());
    }

    fn hash(n: u32) -> Vec<u8> {
        ring::digest::digest(&ring::digest::SHA256, &n.to_be_bytes()).as_ref().to_vec()
    }
}

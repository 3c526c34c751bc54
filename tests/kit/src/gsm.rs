//! The GSM 7-bit default alphabet, its extension table and its packing (3GPP TS 23.038 §6).
//!
//! Written apart from the daemon's own tables, so that the two check one another.

/// Positions 0x00–0x7F of the default alphabet; 0x1B is the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

const ESCAPE: u8 = 0x1B;

const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// One character as one septet, two (escape and extension), or none where the alphabet lacks it.
pub fn septets_of(c: char) -> Option<Vec<u8>> {
    if c != '\u{1b}'
        && let Some(at) = BASIC.chars().position(|b| b == c)
    {
        return u8::try_from(at).ok().map(|s| vec![s]);
    }
    EXTENSION.iter().find(|(_, e)| *e == c).map(|(s, _)| vec![ESCAPE, *s])
}

/// A text as septets, or none where a character is outside the alphabet.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for c in text.chars() {
        out.extend(septets_of(c)?);
    }
    Some(out)
}

/// Septets as text. An unknown extension code is shown as the basic character (§6.2.1.1).
pub fn decode(septets: &[u8]) -> String {
    let basic: Vec<char> = BASIC.chars().collect();
    let mut out = String::new();
    let mut codes = septets.iter();
    while let Some(&code) = codes.next() {
        if code != ESCAPE {
            out.push(basic[usize::from(code & 0x7F)]);
            continue;
        }
        match codes.next() {
            Some(next) => {
                out.push(EXTENSION.iter().find(|(s, _)| s == next).map_or(basic[usize::from(next & 0x7F)], |(_, c)| *c))
            }
            None => out.push(' '),
        }
    }
    out
}

/// Packs septets into octets, after `skip` septets' worth of room that a header fills.
/// Returns the octets from the first that belongs to a septet of ours, header room included as zeros.
pub fn pack(septets: &[u8], skip: usize) -> Vec<u8> {
    let bits = (skip + septets.len()) * 7;
    let mut out = vec![0u8; bits.div_ceil(8)];
    for (i, septet) in septets.iter().enumerate() {
        for bit in 0..7 {
            if septet >> bit & 1 == 1 {
                let at = (skip + i) * 7 + bit;
                out[at / 8] |= 1 << (at % 8);
            }
        }
    }
    out
}

/// Unpacks `count` septets, the first `skip` of which are left out.
pub fn unpack(octets: &[u8], skip: usize, count: usize) -> Vec<u8> {
    (skip..count)
        .map(|i| {
            (0..7).fold(0u8, |septet, bit| {
                let at = i * 7 + bit;
                let set = octets.get(at / 8).is_some_and(|o| o >> (at % 8) & 1 == 1);
                septet | u8::from(set) << bit
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_128_positions_with_the_escape_in_its_place() {
        let chars: Vec<char> = BASIC.chars().collect();
        assert_eq!(chars.len(), 128);
        assert_eq!(chars[0x1B], '\u{1b}');
        assert_eq!((chars[0x20], chars[0x41], chars[0x61], chars[0x7F]), (' ', 'A', 'a', 'à'));
    }

    #[test]
    fn the_textbook_example_packs_as_printed() {
        let packed = pack(&encode("hellohello").unwrap(), 0);
        assert_eq!(packed, [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]);
        assert_eq!(decode(&unpack(&packed, 0, 10)), "hellohello");
    }

    #[test]
    fn extension_characters_cost_two_septets() {
        assert_eq!(encode("€").unwrap(), [0x1B, 0x65]);
        assert_eq!(decode(&[0x1B, 0x65, 0x41]), "€A");
        assert_eq!(encode("👍"), None);
    }
}

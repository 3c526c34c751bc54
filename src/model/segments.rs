//! How long a text is as SMS: encoding and number of segments (3GPP TS 23.038, TS 23.040 §9.2.3.24.1).

/// The character set a text needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 7-bit default alphabet with its extension table (TS 23.038 §6.2.1).
    Gsm7,
    /// UCS2: UTF-16 in practice, a surrogate pair never split.
    Ucs2,
}

impl Encoding {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }
}

/// A text's size as SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// The encoding it needs.
    pub encoding: Encoding,
    /// How many SMS it takes; one more than 255 is too long for a multipart SMS.
    pub count: u16,
}

impl Segments {
    /// The most parts that a multipart SMS can have (TS 23.040 §9.2.3.24.1: one octet).
    pub const MOST: u16 = 255;

    /// How a text goes. An empty one takes one SMS. An escape sequence of the extension table and a
    /// surrogate pair stay in one part. National language shift tables are not used: neither
    /// ModemManager nor oFono writes them by itself.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if let Some(count) = parts(text.chars().map(septets), 160, 153) {
            return Self { encoding: Encoding::Gsm7, count };
        }
        let count = parts(text.chars().map(|c| Some(c.len_utf16())), 70, 67).unwrap_or(u16::MAX);
        Self { encoding: Encoding::Ucs2, count }
    }

    /// Whether it is longer than an SMS can be.
    #[must_use]
    pub fn too_long(self) -> bool {
        self.count > Self::MOST
    }
}

/// Packs characters of the given widths into one SMS of `single` units, else parts of `part`; `None`
/// if a character has no width.
fn parts(widths: impl Iterator<Item = Option<usize>>, single: usize, part: usize) -> Option<u16> {
    let (mut total, mut count, mut used) = (0_usize, 1_u16, 0);
    for width in widths {
        let width = width?;
        total = total.saturating_add(width);
        used += width;
        if used > part {
            count = count.saturating_add(1);
            used = width;
        }
    }
    Some(if total <= single { 1 } else { count })
}

/// Septets of a character in the default alphabet (1) or its extension table (2).
fn septets(c: char) -> Option<usize> {
    match c {
        '\n' | '\r' | ' '..='_' | 'a'..='z' if !matches!(c, '[' | '\\' | ']' | '^' | '`') => Some(1),
        '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' | 'Δ' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π'
        | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' | 'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡' | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö'
        | 'ñ' | 'ü' | 'à' => Some(1),
        '\u{c}' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> (Encoding, u16) {
        let Segments { encoding, count } = Segments::of(text);
        (encoding, count)
    }

    #[test]
    fn the_default_alphabet_has_127_characters_and_its_extension_ten() {
        let all = || (0..=0xffff).filter_map(char::from_u32);
        // 128 positions, one of them the escape.
        assert_eq!(all().filter(|&c| septets(c) == Some(1)).count(), 127);
        assert_eq!(all().filter(|&c| septets(c) == Some(2)).count(), 10);
    }

    #[test]
    fn one_sms_holds_160_septets_or_70_units() {
        assert_eq!(of(""), (Encoding::Gsm7, 1));
        assert_eq!(of(&"a".repeat(160)), (Encoding::Gsm7, 1));
        assert_eq!(of(&"a".repeat(161)), (Encoding::Gsm7, 2));
        assert_eq!(of(&"€".repeat(80)), (Encoding::Gsm7, 1));
        assert_eq!(of(&"€".repeat(81)), (Encoding::Gsm7, 2));
        assert_eq!(of(&"ч".repeat(70)), (Encoding::Ucs2, 1));
        assert_eq!(of(&"ч".repeat(71)), (Encoding::Ucs2, 2));
        assert_eq!(of(&"👍".repeat(35)), (Encoding::Ucs2, 1));
        assert_eq!(of(&"👍".repeat(36)), (Encoding::Ucs2, 2));
    }

    #[test]
    fn a_part_holds_153_septets_or_67_units() {
        assert_eq!(of(&"a".repeat(306)), (Encoding::Gsm7, 2));
        assert_eq!(of(&"a".repeat(307)), (Encoding::Gsm7, 3));
        assert_eq!(of(&"ч".repeat(134)), (Encoding::Ucs2, 2));
        assert_eq!(of(&"ч".repeat(135)), (Encoding::Ucs2, 3));
    }

    #[test]
    fn escapes_and_surrogates_are_not_split() {
        // 76 two-septet characters fill 152 of 153 septets; the next begins a part.
        assert_eq!(of(&"€".repeat(152)), (Encoding::Gsm7, 2));
        assert_eq!(of(&"€".repeat(153)), (Encoding::Gsm7, 3));
        // 33 pairs fill 66 of 67 units.
        assert_eq!(of(&"👍".repeat(66)), (Encoding::Ucs2, 2));
        assert_eq!(of(&"👍".repeat(67)), (Encoding::Ucs2, 3));
    }

    #[test]
    fn one_character_decides_the_encoding() {
        for c in ['ç', '\t', '`', 'ё', '😀', '’', '\u{1b}'] {
            assert_eq!(of(&c.to_string()).0, Encoding::Ucs2, "{c:?}");
        }
        for c in ['@', '_', 'Ç', '\n', '\r', '\u{c}', '~'] {
            assert_eq!(of(&c.to_string()).0, Encoding::Gsm7, "{c:?}");
        }
    }

    #[test]
    fn more_than_255_parts_are_too_long() {
        assert!(!Segments::of(&"a".repeat(255 * 153)).too_long());
        assert!(Segments::of(&"a".repeat(255 * 153 + 1)).too_long());
        assert!(Segments::of(&"a".repeat(70_000 * 153)).too_long());
    }

    proptest! {
        #[test]
        fn a_text_fits_its_parts_and_not_fewer_than_its_size_needs(text in "[a-z€\\[~äч👍]{0,400}") {
            let Segments { encoding, count } = Segments::of(&text);
            let (units, single, part) = match encoding {
                Encoding::Gsm7 => (text.chars().map(|c| septets(c).unwrap()).sum::<usize>(), 160, 153),
                Encoding::Ucs2 => (text.encode_utf16().count(), 70, 67),
            };
            let least = if units <= single { 1 } else { units.div_ceil(part) };
            // Keeping pairs whole wastes at most one unit of a part.
            let most = if units <= single { 1 } else { units.div_ceil(part - 1) };
            prop_assert!((least..=most).contains(&usize::from(count)), "{units} units in {count}");
        }
    }
}

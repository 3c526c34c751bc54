//! The twin mark (protocol.md §2): a word of spaces and line feeds that spells a text's ordinal.
//!
//! Eight characters are seven bits of n, highest first, and a parity character; a line feed is 1.
//! The last word of a mark has an odd number of line feeds if it stands alone (n ≤ 127); two words
//! with an even number each spell a larger n, whose first word is never all spaces. So no mark is made of spaces
//! alone, and no ending is both.

use std::borrow::Cow;

/// The largest ordinal a mark can spell; texts beyond it are not sent by IM.
pub const MAX_ORDINAL: u16 = (1 << 14) - 1;

const WORD: usize = 8;

/// `body` with the mark for ordinal `n`. `n` over [`MAX_ORDINAL`] is never asked for.
#[must_use]
pub fn marked(body: &str, n: u16) -> String {
    let [high, low] = [(n >> 7) & 0x7f, n & 0x7f];
    let mut out = String::with_capacity(body.len() + 2 * WORD);
    out.push_str(body);
    if high == 0 {
        push_word(&mut out, low, 1);
    } else {
        push_word(&mut out, high, 0);
        push_word(&mut out, low, 0);
    }
    out
}

/// What goes over the air: the body, with the mark where it is wanted, and also where the body by
/// itself ends like one: else the recipient would strip the user's own characters.
#[must_use]
pub fn wire_body(body: &str, n: u16, twin_possible: bool) -> Cow<'_, str> {
    if twin_possible || split_mark(body).is_some() { Cow::Owned(marked(body, n)) } else { Cow::Borrowed(body) }
}

/// The text before a mark, and the ordinal it spells; `None` if the ending is no mark.
#[must_use]
pub fn split_mark(text: &str) -> Option<(&str, u16)> {
    let (rest, low, odd) = take_word(text)?;
    if odd {
        return Some((rest, low));
    }
    let (rest, high, odd) = take_word(rest)?;
    (!odd && high > 0).then_some((rest, (high << 7) | low))
}

fn push_word(out: &mut String, bits: u16, parity: u32) {
    let last = u16::from((bits.count_ones() & 1) != parity);
    let word = (bits << 1) | last;
    out.extend((0..WORD).rev().map(|at| if (word >> at) & 1 == 1 { '\n' } else { ' ' }));
}

/// The last word's seven bits, and whether its line feeds are odd in number.
fn take_word(text: &str) -> Option<(&str, u16, bool)> {
    let (rest, word) = text.split_at_checked(text.len().checked_sub(WORD)?)?;
    let mut bits = 0u16;
    for byte in word.bytes() {
        bits = (bits << 1)
            | match byte {
                b' ' => 0,
                b'\n' => 1,
                _ => return None,
            };
    }
    Some((rest, bits >> 1, bits.count_ones() & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spaces_alone_are_no_mark() {
        for n in 0..40 {
            assert_eq!(split_mark(&" ".repeat(n)), None);
            assert_eq!(split_mark(&format!("hello{}", " ".repeat(n))), None);
        }
    }

    #[test]
    fn small_ordinals_take_eight_characters_and_large_ones_sixteen() {
        assert_eq!(marked("a", 0), "a       \n");
        assert_eq!(marked("a", 127).len(), 1 + 8);
        assert_eq!(marked("a", 128).len(), 1 + 16);
    }

    #[test]
    fn a_cut_or_collapsed_mark_is_no_mark() {
        let text = marked("see you at eight", 300);
        assert_eq!(split_mark(text.trim_end()), None);
        assert_eq!(split_mark("see you at eight \n"), None);
        assert_eq!(split_mark(""), None);
        assert_eq!(split_mark("né\u{1F44D}"), None);
    }

    proptest! {
        #[test]
        fn every_ordinal_comes_back(body in ".{0,40}[ \n]{0,24}", n in 0..=MAX_ORDINAL) {
            let text = marked(&body, n);
            prop_assert_eq!(split_mark(&text), Some((body.as_str(), n)));
        }

        #[test]
        fn a_body_that_ends_like_a_mark_is_shown_as_written(body in ".{0,10}[ \n]{0,40}", n in 0..=MAX_ORDINAL) {
            let wire = wire_body(&body, n, false);
            let shown = split_mark(&wire).map_or(&*wire, |(text, _)| text);
            prop_assert_eq!(shown, body.as_str());
        }

        #[test]
        fn no_input_breaks_the_parser(text in ".*") {
            if let Some((rest, n)) = split_mark(&text) {
                prop_assert!(n <= MAX_ORDINAL);
                prop_assert_eq!(marked(rest, n), text);
            }
        }
    }
}

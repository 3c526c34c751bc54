//! The skeleton of a text: what an SMS on its way can't change (protocol.md §2).

use unicode_normalization::UnicodeNormalization;

/// Letters and digits of the text in NFKC, nothing else. Both phones compute it, one from the IM,
/// the other from the SMS; networks replace quotes, spaces, line ends and trailing marks, never the
/// case, so case stays. A text of emoji alone has an empty skeleton.
#[must_use]
pub fn skeleton(text: &str) -> String {
    text.nfkc().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::skeleton;
    use proptest::prelude::*;

    #[test]
    fn what_sms_may_mangle_makes_no_difference() {
        for (one, other) in [
            ("See you at 8!", "See you at 8 !  \n"),
            ("“Quoted” – it’s", "\"Quoted\" - it's"),
            ("e\u{301}te\u{301}", "été"),
            ("line\r\nbreak", "line break"),
            ("ﬁne ②", "fine 2"),
            ("10\u{a0}000", "10 000"),
            ("👍", "\u{f44d}"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} / {other}");
        }
    }

    #[test]
    fn what_was_meant_makes_a_difference() {
        for (one, other) in [("at 8", "at 9"), ("Yes", "yes"), ("été", "ete"), ("на 8", "на 9")] {
            assert_ne!(skeleton(one), skeleton(other), "{one} / {other}");
        }
        assert_eq!(skeleton("👍👍"), "");
    }

    proptest! {
        #[test]
        fn spaces_at_the_end_never_count(text: String, tail in "[ \n]{0,16}") {
            prop_assert_eq!(skeleton(&text), skeleton(&format!("{text}{tail}")));
        }
    }
}

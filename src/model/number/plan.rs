//! Numbering plans: what each country code of ITU-T E.164 (list in Operational Bulletin annex) says
//! about dialling there: prefixes, lengths, and leading digits where they settle the question
//! "mobile or not". Kept on the generous side: a plan that is too narrow costs an instant message
//! (the text goes by SMS), one that is too wide costs one lookup of a number nobody enrolled.

/// What stands before a national number when dialled at home (ITU-T E.164 §7.1, "prefix").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trunk {
    /// There is none: the national number is dialled as it is.
    None,
    /// A national number without it is somebody else's local number, or nothing.
    Needed(&'static str),
    /// Mobile users dial with or without it.
    Optional(&'static str),
}

/// One country code's plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The country code.
    pub(super) code: u16,
    /// International prefixes, blank-separated; empty where a carrier must be chosen too.
    pub(super) exit: &'static str,
    /// Trunk prefix; several are blank-separated.
    pub(super) trunk: Trunk,
    /// Fewest digits of a national (significant) number.
    pub(super) min: u8,
    /// Most digits.
    pub(super) max: u8,
    /// Blank-separated leading digits: a mobile has one of these (if any are given) and none of
    /// those with `-`.
    mobile: &'static str,
}

impl Plan {
    /// Whether a national number of this plan may be a mobile's: false only where that is certain.
    pub(super) fn plausible_mobile(&self, national: &str) -> bool {
        let (mut listed, mut leads) = (false, false);
        for entry in self.mobile.split(' ').filter(|entry| !entry.is_empty()) {
            match entry.strip_prefix('-') {
                Some(not) if national.starts_with(not) => return false,
                Some(_) => {}
                None => {
                    listed = true;
                    leads |= national.starts_with(entry);
                }
            }
        }
        leads || !listed
    }

    /// Whether a national number has a length that the plan knows.
    pub(super) fn fits(&self, national: &str) -> bool {
        (usize::from(self.min)..=usize::from(self.max)).contains(&national.len())
    }
}

/// The plan of a country code.
pub(super) fn plan(code: u16) -> Option<&'static Plan> {
    PLANS.binary_search_by_key(&code, |plan| plan.code).ok().and_then(|at| PLANS.get(at))
}

/// Splits digits that follow a `+` into country code and national number. Country codes are
/// prefix-free (ITU-T E.164 §6.2.1), so at most one fits.
pub(super) fn split(digits: &str) -> Option<(&'static Plan, &str)> {
    (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        if code.starts_with('0') {
            return None;
        }
        Some((plan(code.parse().ok()?)?, national))
    })
}

const fn p(code: u16, exit: &'static str, trunk: Trunk, min: u8, max: u8, mobile: &'static str) -> Plan {
    Plan { code, exit, trunk, min, max, mobile }
}

const NO: Trunk = Trunk::None;
const T0: Trunk = Trunk::Needed("0");
const O0: Trunk = Trunk::Optional("0");

/// Never a mobile: freephone, shared cost, premium rate, personal numbers.
const NEVER: &str = "-";

/// Sorted by code.
#[rustfmt::skip]
pub(super) static PLANS: &[Plan] = &[
    p(1, "011", Trunk::Optional("1"), 10, 10, "2 3 4 5 6 7 8 9 -800 -833 -844 -855 -866 -877 -888 -900"),
    p(7, "810", Trunk::Optional("8"), 10, 10, "7 9"),
    p(20, "00", T0, 8, 10, "1"),
    p(27, "00", T0, 9, 9, "6 7 8 -80 -86"),
    p(30, "00", NO, 10, 10, "6"),
    p(31, "00", T0, 9, 11, "6 97"),
    p(32, "00", T0, 8, 9, "4"),
    p(33, "00", T0, 9, 13, "6 7"),
    p(34, "00", NO, 9, 9, "6 7"),
    p(36, "00", Trunk::Needed("06"), 8, 9, "20 30 31 50 70"),
    p(39, "00", NO, 6, 11, "3"),
    p(40, "00", T0, 9, 9, "7"),
    p(41, "00", T0, 9, 9, "7"),
    p(43, "00", T0, 6, 13, "6"),
    p(44, "00", T0, 9, 10, "7 -70"),
    p(45, "00", NO, 8, 8, ""),
    p(46, "00", T0, 7, 13, "7"),
    p(47, "00", NO, 8, 12, "4 9 58 59"),
    p(48, "00", NO, 9, 9, ""),
    p(49, "00", T0, 7, 13, "15 16 17"),
    p(51, "00", O0, 8, 9, "9"),
    p(52, "00", NO, 10, 11, ""),
    p(53, "119", O0, 6, 8, ""),
    p(54, "00", O0, 10, 11, ""),
    p(55, "", O0, 10, 11, ""),
    p(56, "", NO, 9, 9, ""),
    p(57, "", NO, 10, 10, "3"),
    p(58, "00", T0, 10, 10, "4"),
    p(60, "00", T0, 8, 10, "1"),
    p(61, "0011", T0, 9, 12, "4 5 14"),
    p(62, "001 007 008 009", T0, 8, 12, "8"),
    p(63, "00", T0, 9, 10, "8 9"),
    p(64, "00", T0, 8, 10, "2"),
    p(65, "001 002 008", NO, 8, 8, "8 9"),
    p(66, "001 007 008 009", T0, 8, 9, "6 8 9"),
    p(81, "010", T0, 9, 10, "20 50 60 70 80 90"),
    p(82, "001 002 005 006 008", T0, 8, 11, "1"),
    p(84, "00", T0, 9, 10, "3 5 7 8 9"),
    p(86, "00", O0, 11, 13, "13 14 15 16 17 18 19"),
    p(90, "00", O0, 10, 10, "5"),
    p(91, "00", O0, 10, 10, "6 7 8 9"),
    p(92, "00", T0, 9, 10, "3"),
    p(93, "00", T0, 9, 9, "7"),
    p(94, "00", T0, 9, 9, "7"),
    p(95, "00", T0, 7, 11, "9"),
    p(98, "00", T0, 10, 10, "9"),
    p(211, "00", T0, 9, 9, ""),
    p(212, "00", T0, 9, 9, "6 7"),
    p(213, "00", T0, 8, 9, "5 6 7"),
    p(216, "00", NO, 8, 8, ""),
    p(218, "00", T0, 8, 10, ""),
    p(220, "00", NO, 7, 7, ""),
    p(221, "00", NO, 9, 9, ""),
    p(222, "00", NO, 8, 8, ""),
    p(223, "00", NO, 8, 8, ""),
    p(224, "00", NO, 8, 9, ""),
    p(225, "00", NO, 10, 10, ""),
    p(226, "00", NO, 8, 8, ""),
    p(227, "00", NO, 8, 8, ""),
    p(228, "00", NO, 8, 8, ""),
    p(229, "00", NO, 8, 10, ""),
    p(230, "020", NO, 7, 8, ""),
    p(231, "00", O0, 7, 9, ""),
    p(232, "00", T0, 8, 8, ""),
    p(233, "00", T0, 9, 9, ""),
    p(234, "009", T0, 7, 10, ""),
    p(235, "00", NO, 8, 8, ""),
    p(236, "00", NO, 8, 8, ""),
    p(237, "00", NO, 9, 9, ""),
    p(238, "00", NO, 7, 7, ""),
    p(239, "00", NO, 7, 7, ""),
    p(240, "00", NO, 9, 9, ""),
    p(241, "00", NO, 7, 9, ""),
    p(242, "00", NO, 9, 9, ""),
    p(243, "00", T0, 7, 9, ""),
    p(244, "00", NO, 9, 9, ""),
    p(245, "00", NO, 7, 9, ""),
    p(246, "00", NO, 7, 7, ""),
    p(247, "00", NO, 4, 6, ""),
    p(248, "00", NO, 7, 7, ""),
    p(249, "00", T0, 9, 9, ""),
    p(250, "00", T0, 9, 9, ""),
    p(251, "00", T0, 9, 9, ""),
    p(252, "00", O0, 7, 9, ""),
    p(253, "00", NO, 8, 8, ""),
    p(254, "000", T0, 9, 10, ""),
    p(255, "000", T0, 9, 9, ""),
    p(256, "000", T0, 9, 9, ""),
    p(257, "00", NO, 8, 8, ""),
    p(258, "00", NO, 8, 9, ""),
    p(260, "00", T0, 9, 9, ""),
    p(261, "00", T0, 9, 9, ""),
    p(262, "00", T0, 9, 9, "6 7"),
    p(263, "00", T0, 7, 10, ""),
    p(264, "00", T0, 7, 10, ""),
    p(265, "00", T0, 7, 9, ""),
    p(266, "00", NO, 8, 8, ""),
    p(267, "00", NO, 7, 8, ""),
    p(268, "00", NO, 8, 8, ""),
    p(269, "00", NO, 7, 7, ""),
    p(290, "00", NO, 4, 5, ""),
    p(291, "00", T0, 7, 7, ""),
    p(297, "00", NO, 7, 7, ""),
    p(298, "00", NO, 6, 6, ""),
    p(299, "00", NO, 6, 6, ""),
    p(350, "00", NO, 8, 8, ""),
    p(351, "00", NO, 9, 9, "9"),
    p(352, "00", NO, 6, 11, "6"),
    p(353, "00", T0, 8, 10, "8"),
    p(354, "00", NO, 7, 9, ""),
    p(355, "00", T0, 8, 9, "6"),
    p(356, "00", NO, 8, 8, "7 9"),
    p(357, "00", NO, 8, 8, "9"),
    p(358, "00 990 994 999", T0, 6, 12, "4 5"),
    p(359, "00", T0, 7, 9, ""),
    p(370, "00", Trunk::Needed("0 8"), 8, 8, "6"),
    p(371, "00", NO, 8, 8, "2"),
    p(372, "00", NO, 7, 12, "5 8"),
    p(373, "00", T0, 8, 8, "6 7"),
    p(374, "00", T0, 8, 8, ""),
    p(375, "810", Trunk::Needed("80"), 9, 9, "25 29 33 44"),
    p(376, "00", NO, 6, 9, ""),
    p(377, "00", NO, 8, 9, ""),
    p(378, "00", NO, 6, 10, ""),
    p(380, "00", T0, 9, 9, ""),
    p(381, "00", T0, 7, 10, "6"),
    p(382, "00", T0, 8, 8, "6"),
    p(383, "00", T0, 8, 9, "4"),
    p(385, "00", T0, 8, 9, "9"),
    p(386, "00", T0, 8, 8, ""),
    p(387, "00", T0, 8, 9, "6"),
    p(389, "00", T0, 8, 8, "7"),
    p(420, "00", NO, 9, 9, "6 7"),
    p(421, "00", T0, 9, 9, "9"),
    p(423, "00", NO, 7, 9, ""),
    p(500, "00", NO, 5, 5, ""),
    p(501, "00", NO, 7, 7, ""),
    p(502, "00", NO, 8, 8, ""),
    p(503, "00", NO, 8, 8, ""),
    p(504, "00", NO, 8, 8, ""),
    p(505, "00", NO, 8, 8, ""),
    p(506, "00", NO, 8, 8, ""),
    p(507, "00", NO, 7, 8, ""),
    p(508, "00", T0, 6, 9, ""),
    p(509, "00", NO, 8, 8, ""),
    p(590, "00", T0, 9, 9, "6 7"),
    p(591, "", O0, 8, 8, "6 7"),
    p(592, "001", NO, 7, 7, ""),
    p(593, "00", T0, 8, 9, "9"),
    p(594, "00", T0, 9, 9, "6 7"),
    p(595, "00", T0, 7, 9, "9"),
    p(596, "00", T0, 9, 9, "6 7"),
    p(597, "00", NO, 6, 7, ""),
    p(598, "00", T0, 7, 8, "9"),
    p(599, "00", NO, 7, 8, ""),
    p(670, "00", NO, 7, 8, ""),
    p(672, "00", NO, 5, 6, ""),
    p(673, "00", NO, 7, 7, ""),
    p(674, "00", NO, 7, 7, ""),
    p(675, "00", NO, 7, 8, ""),
    p(676, "00", NO, 5, 7, ""),
    p(677, "00", NO, 5, 7, ""),
    p(678, "00", NO, 5, 7, ""),
    p(679, "00", NO, 7, 7, ""),
    p(680, "011", NO, 7, 7, ""),
    p(681, "00", NO, 6, 6, ""),
    p(682, "00", NO, 5, 5, ""),
    p(683, "00", NO, 4, 7, ""),
    p(685, "00 0", NO, 5, 7, ""),
    p(686, "00", NO, 5, 8, ""),
    p(687, "00", NO, 6, 6, ""),
    p(688, "00", NO, 5, 7, ""),
    p(689, "00", NO, 6, 8, ""),
    p(690, "00", NO, 4, 7, ""),
    p(691, "011", NO, 7, 7, ""),
    p(692, "011", NO, 7, 7, ""),
    p(800, "", NO, 8, 8, NEVER),
    p(808, "", NO, 8, 8, NEVER),
    p(850, "00", T0, 7, 10, ""),
    p(852, "001", NO, 8, 8, ""),
    p(853, "00", NO, 8, 8, "6"),
    p(855, "00 001 007 008", T0, 8, 9, ""),
    p(856, "00", T0, 8, 10, ""),
    p(870, "", NO, 7, 12, ""),
    p(878, "", NO, 7, 12, NEVER),
    p(880, "00", T0, 8, 10, "1"),
    p(881, "", NO, 7, 12, ""),
    p(882, "", NO, 7, 12, ""),
    p(883, "", NO, 7, 12, ""),
    p(886, "002 005 006 007 009 012 016 019", T0, 8, 9, "9"),
    p(960, "00", NO, 7, 7, "7 9"),
    p(961, "00", O0, 7, 8, ""),
    p(962, "00", T0, 8, 9, "7"),
    p(963, "00", T0, 8, 9, "9"),
    p(964, "00", T0, 8, 10, "7"),
    p(965, "00", NO, 8, 8, ""),
    p(966, "00", T0, 8, 9, "5"),
    p(967, "00", O0, 7, 9, "7"),
    p(968, "00", NO, 8, 8, "7 9"),
    p(970, "00", T0, 8, 9, "5"),
    p(971, "00", T0, 8, 9, "5"),
    p(972, "00 012 013 014 015 016 017 018 019", T0, 8, 9, "5"),
    p(973, "00", NO, 8, 8, ""),
    p(974, "00", NO, 7, 8, ""),
    p(975, "00", NO, 7, 8, ""),
    p(976, "001 002", NO, 8, 8, ""),
    p(977, "00", O0, 8, 10, "9"),
    p(979, "", NO, 9, 9, NEVER),
    p(992, "00 810", Trunk::Optional("8"), 9, 9, ""),
    p(993, "810", Trunk::Needed("8"), 8, 8, "6 7"),
    p(994, "00", T0, 9, 9, ""),
    p(995, "00", O0, 9, 9, ""),
    p(996, "00", T0, 9, 9, ""),
    p(998, "00 810", Trunk::Optional("8"), 9, 9, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_codes_are_sorted_and_prefix_free() {
        for pair in PLANS.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for one in PLANS {
            for other in PLANS.iter().filter(|other| other.code != one.code) {
                assert!(!other.code.to_string().starts_with(&one.code.to_string()), "{} {}", one.code, other.code);
            }
        }
    }

    #[test]
    fn no_plan_exceeds_fifteen_digits_or_falls_below_seven() {
        for plan in PLANS {
            let code = plan.code.to_string().len();
            assert!(plan.min <= plan.max);
            assert!(code + usize::from(plan.max) <= 15, "{}", plan.code);
            assert!(code + usize::from(plan.min) >= 7, "{}", plan.code);
        }
    }
}

//! Emergency numbers: asked before anything else, so it needs no lock, no store and no line.

use super::{
    super::SimState,
    Address,
    written::{self, Written},
};

/// Emergency numbers with or without a SIM (3GPP TS 22.101 §10.1.1 a).
const ALWAYS: [&str; 2] = ["112", "911"];

/// Further ones while no SIM can be read (3GPP TS 22.101 §10.1.1 c).
const WITHOUT_SIM: [&str; 6] = ["000", "08", "110", "118", "119", "999"];

/// Whether texts to `to` are emergency texts: numbers of the standard, and `extra`, those that modem,
/// SIM, network and the ROM's config add. A locked SIM counts as none, so that the list is the longer one.
#[must_use]
pub fn is_emergency(to: &Address, extra: &[Box<str>], sim: SimState) -> bool {
    let Some(to) = digits(&to.0) else { return false };
    let listed = |numbers: &[&str]| numbers.contains(&to.as_str());
    listed(&ALWAYS)
        || (matches!(sim, SimState::Absent | SimState::Locked) && listed(&WITHOUT_SIM))
        || extra.iter().any(|extra| digits(extra).is_some_and(|extra| extra == to))
}

fn digits(address: &str) -> Option<String> {
    match written::read(address) {
        Written::Number { plus: false, digits, .. } => Some(digits),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(to: &str, extra: &[&str], sim: SimState) -> bool {
        let extra: Vec<Box<str>> = extra.iter().map(|&number| number.into()).collect();
        is_emergency(&Address(to.into()), &extra, sim)
    }

    #[test]
    fn one_one_two_and_nine_one_one_are_always_emergency_numbers() {
        for sim in [SimState::Absent, SimState::Locked, SimState::Searching, SimState::Home, SimState::Roaming] {
            for to in
                ["112", "911", " 1-1-2 ", "tel:112", "sms:911;phone-context=+1", "１１２", "١١٢", "\u{202d}112\u{202c}"]
            {
                assert!(asked(to, &[], sim), "{to}");
            }
        }
    }

    #[test]
    fn the_longer_list_holds_without_a_usable_sim_only() {
        for to in ["000", "08", "110", "118", "119", "999"] {
            assert!(asked(to, &[], SimState::Absent), "{to}");
            assert!(asked(to, &[], SimState::Locked), "{to}");
            assert!(!asked(to, &[], SimState::Home), "{to}");
            assert!(!asked(to, &[], SimState::Roaming), "{to}");
        }
    }

    #[test]
    fn numbers_of_modem_and_sim_are_added() {
        assert!(asked("110", &["110", "999"], SimState::Home));
        assert!(asked("1 1 0", &["110"], SimState::Home));
        assert!(!asked("111", &["110", "", "x"], SimState::Home));
    }

    #[test]
    fn longer_numbers_and_names_are_none() {
        for to in ["1121", "0112", "+112", "*112#", "112a", "", "+49112", "11"] {
            assert!(!asked(to, &[], SimState::Absent), "{to}");
        }
    }
}

//! The router in a simulated world: two phones, a server, an SMSC, and everything that can go wrong.
//!
//! A world is a list of events drawn at random. Each phone has the real router and the real judgements for
//! what comes in; its store is a plain model that survives crashes. The checker looks at every step and at
//! the quiet end. `PROPTEST_CASES` makes it longer.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod phone;
mod world;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use world::{Event, Flaw, World};

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..2usize, 0..3u8).prop_map(|(phone, wording)| Event::Write { phone, wording }),
        1 => (0..2usize).prop_map(|phone| Event::Emergency { phone }),
        14 => (0..8usize).prop_map(|pick| Event::Deliver { pick }),
        3 => (0..8usize).prop_map(|pick| Event::Drop { pick }),
        8 => (0..8usize, 0..5u8).prop_map(|(pick, how)| Event::Modem { pick, how }),
        8 => (0..8usize, any::<bool>()).prop_map(|(pick, twice)| Event::Sms { pick, twice }),
        5 => (1..20_000u64).prop_map(|ms| Event::Wait { ms }),
        3 => (0..2usize).prop_map(|phone| Event::Link { phone }),
        2 => (0..2usize).prop_map(|phone| Event::Switch { phone }),
        2 => (0..2usize).prop_map(|phone| Event::Crash { phone }),
        1 => (0..2usize, any::<prop::sample::Index>()).prop_map(|(phone, text)| Event::Cancel { phone, text }),
    ];
    prop::collection::vec(event, 1..120)
}

/// Runs the events, then lets the world go quiet. The first violation, if any.
fn violation(events: &[Event], flaw: Flaw) -> Option<String> {
    let mut world = World::new(flaw);
    for event in events {
        if let Err(found) = world.step(event) {
            return Some(found);
        }
    }
    world.quiet().err()
}

macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident: $word:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
            $($(#[$doc])* #[test]
            fn $name(events in events()) {
                let found = violation(&events, Flaw::None);
                let ours = found.as_deref().filter(|found| found.starts_with($word));
                prop_assert!(ours.is_none(), "{}", found.unwrap_or_default());
            })*
        }
    };
}

properties! {
    no_im_is_sent_while_the_switch_is_off: "off:";
    no_unmarked_sms_follows_an_im_of_unknown_outcome: "unmarked:";
    nothing_is_shown_twice: "twice:";
    no_text_that_was_sent_is_lost_and_no_honest_repeat_swallowed: "lost:";
    every_text_ends: "stuck:";
    no_text_whose_im_is_unknown_ends_failed: "failed:";
    an_emergency_never_waits: "emergency:";
    no_text_overtakes_an_unsettled_one: "order:";
    no_send_is_repeated_unless_provably_nothing_left: "resent:";
}

/// Whether some drawn world shows the violation.
fn is_found(flaw: Flaw, word: &str) -> bool {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..4000).any(|_| {
        let events = events().new_tree(&mut runner).unwrap().current();
        violation(&events, flaw).is_some_and(|found| found.starts_with(word))
    })
}

#[test]
fn the_checker_finds_a_receiver_that_ignores_marks() {
    assert!(is_found(Flaw::IgnoresMarks, "twice:"));
}

#[test]
fn the_checker_finds_a_fallback_without_a_mark() {
    assert!(is_found(Flaw::SendsUnmarked, "unmarked:"));
}

#[test]
fn the_checker_finds_a_receiver_that_forgets_what_it_showed() {
    assert!(is_found(Flaw::ForgetsShown, "twice:"));
}

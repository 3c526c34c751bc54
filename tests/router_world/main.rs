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

mod check;
mod door;
mod event;
mod phone;
mod world;

use event::Event;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use shunt::model::{Bearer, FallbackPolicy, PeerPolicy};
use world::{Flaw, World};

fn bearer() -> impl Strategy<Value = Bearer> {
    prop_oneof![Just(Bearer::Im), Just(Bearer::Sms)]
}

fn policy() -> impl Strategy<Value = PeerPolicy> {
    prop_oneof![2 => Just(PeerPolicy::Auto), 2 => Just(PeerPolicy::ImOnly), 1 => Just(PeerPolicy::SmsOnly)]
}

fn fallback() -> impl Strategy<Value = FallbackPolicy> {
    use FallbackPolicy::{Always, Ask, Never, NotRoaming};
    prop_oneof![Just(Always), Just(Ask), Just(Never), Just(NotRoaming)]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..2usize, 0..3u8).prop_map(|(phone, wording)| Event::Write { phone, wording }),
        4 => (0..2usize, 0..3u8).prop_map(|(phone, wording)| Event::Divert { phone, wording }),
        4 => (0..2usize).prop_map(|pick| Event::Answer { pick }),
        1 => (0..2usize).prop_map(|phone| Event::Leave { phone }),
        1 => (0..2usize).prop_map(|phone| Event::Emergency { phone }),
        14 => (0..8usize).prop_map(|pick| Event::Deliver { pick }),
        3 => (0..8usize).prop_map(|pick| Event::Drop { pick }),
        8 => (0..8usize, 0..6u8).prop_map(|(pick, how)| Event::Modem { pick, how }),
        8 => (0..8usize, any::<bool>()).prop_map(|(pick, twice)| Event::Sms { pick, twice }),
        5 => (1..20_000u64).prop_map(|ms| Event::Wait { ms }),
        3 => (0..2usize).prop_map(|phone| Event::Link { phone }),
        2 => (0..2usize).prop_map(|phone| Event::Switch { phone }),
        2 => (0..2usize, any::<bool>()).prop_map(|(phone, asks)| Event::Crash { phone, asks }),
        2 => (0..2usize, any::<Index>()).prop_map(|(phone, text)| Event::Cancel { phone, text }),
        2 => (0..2usize, any::<Index>(), bearer()).prop_map(|(phone, text, bearer)| Event::Resolve { phone, text, bearer }),
        2 => (0..2usize, policy()).prop_map(|(phone, policy)| Event::Policy { phone, policy }),
        1 => (0..2usize).prop_map(|phone| Event::Block { phone }),
        2 => (0..2usize, fallback()).prop_map(|(phone, policy)| Event::Fallback { phone, policy }),
        1 => (0..2usize).prop_map(|phone| Event::Roam { phone }),
        1 => (0..2usize).prop_map(|phone| Event::Sealing { phone }),
        2 => (0..8usize, any::<bool>()).prop_map(|(pick, lies)| Event::Bounce { pick, lies }),
        2 => (0..2usize, any::<Index>()).prop_map(|(phone, text)| Event::Accept { phone, text }),
        1 => (20_000..400_000u64).prop_map(|ms| Event::Wait { ms }),
    ];
    prop::collection::vec(event, 1..120)
}

/// Each choice of an event is seeded anew: with the default generator that is nearly all of a debug build's time.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 4000, rng_algorithm: RngAlgorithm::XorShift, ..ProptestConfig::default() }
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
            #![proptest_config(config())]
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
    an_im_only_text_goes_by_sms_only_when_the_user_says_so: "im-only:";
    no_fallback_goes_against_its_policy: "fallback:";
    only_a_leases_holder_is_answered: "lease:";
    no_text_that_was_taken_back_is_sent_by_sms: "cancelled:";
    no_im_goes_to_a_blocked_peer: "blocked:";
    no_text_is_left_to_its_door_after_an_im_that_may_be_shown: "released:";
    no_plain_sms_is_sent_by_us_while_its_door_waits: "theirs:";
    a_quiet_router_keeps_held_texts_and_nothing_else: "memory:";
}

/// Whether some drawn world shows the violation.
fn is_found(flaw: Flaw, word: &str) -> bool {
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &[7; 16]);
    let mut runner = TestRunner::new_with_rng(config(), rng);
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

#[test]
fn the_checker_finds_a_phone_that_answers_anybody() {
    assert!(is_found(Flaw::AnswersAnybody, "lease:"));
}

#[test]
fn the_checker_finds_a_door_that_sends_without_being_told_to() {
    assert!(is_found(Flaw::DoorGuesses, "resent:"));
    assert!(is_found(Flaw::DoorGuesses, "released:"));
}

#[test]
fn the_checker_finds_a_router_that_is_not_told_of_im_only() {
    assert!(is_found(Flaw::IgnoresPolicy, "im-only:"));
}

#[test]
fn the_checker_finds_a_router_that_is_not_told_of_the_fallback_policy() {
    assert!(is_found(Flaw::IgnoresFallback, "fallback:"));
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn a_network_that_strips_marks_costs_no_text(events in events()) {
        let found = violation(&events, Flaw::StripsMarks);
        let ours = found.as_deref().filter(|found| found.starts_with("lost:"));
        prop_assert!(ours.is_none(), "{}", found.unwrap_or_default());
    }
}

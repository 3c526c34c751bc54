//! F-Secure's test of August 2014 on a phone of ours: what leaves it, byte by byte, from the box to the reset.
//!
//! The phone's network is captured whole, and its TLS is opened with the test servers' keys. In no
//! phase may a number, a name or a text be seen in any form; with the switch off no packet may be
//! seen at all. A build that leaks on purpose shows that each would be found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod canary;
mod leaking;
mod search;
mod story;
mod wire;

use story::{Phase, Story};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_phone_is_seen_on_its_wire_from_the_box_to_the_reset() {
    let mut story = Story::begin().await;
    let phases = [
        story.factory_state().await,
        story.on_with_ims_and_a_fallback().await,
        story.off_again().await,
        story.withdrawn().await,
        story.off_after_that().await,
        story.factory_reset().await,
        story.enrolled_anew().await,
        story.reset_while_enrolled().await,
        story.enrolled_after_the_reset().await,
    ];
    println!("{}", story::table(&phases, story.search()));
    let text = |stream: &Vec<u8>| String::from_utf8_lossy(stream).contains("urn:shunt:1");
    assert!(phases[1].seen.opened.iter().any(text), "the streams were opened");
    for phase in &phases {
        let Phase { name, seen, sightings, silent, .. } = phase;
        assert_eq!(seen.stray(), [] as [&str; 0], "{name}: packets to others than the cloud and the name server");
        assert!(sightings.is_empty(), "{name}: {sightings:?}");
        assert_eq!(seen.packets.is_empty(), *silent, "{name}: {} packets", seen.packets.len());
    }
}

//! The seeds of the fuzz target `door` (`tests/fuzz/door_seeds.py`): each leads to what it is there for, with the door
//! as it is now. They answer the door's own calls by number, so that a change of what it asks makes them lead nowhere.

use shunt::door::{Relay, Side};
use shunt::model::{Instant, Now, Timestamp};
use std::path::Path;

/// What the door tells the app and the bus.
fn told(seed: &str) -> [Vec<u8>; 2] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/door").join(seed);
    let bytes = std::fs::read(file).unwrap();
    let (mut rest, mut now) = (&bytes[..], Now { mono: Instant(0), wall: Timestamp(0) });
    let (mut relay, mut told) = (Relay::new("seed".to_owned()), [Vec::new(), Vec::new()]);
    // As the target reads them: side and time in one byte, the length in two.
    while let [first, high, low, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(u16::from_be_bytes([*high, *low]).into());
        rest = tail;
        now.mono.0 += u64::from(first >> 1) * 100;
        relay.elapsed(now, true).unwrap();
        relay.read(if first & 1 == 0 { Side::App } else { Side::Bus }, piece, Vec::new(), now).unwrap();
        for (side, told) in [Side::App, Side::Bus].into_iter().zip(&mut told) {
            while let Some(bytes) = relay.outbox(side).next().map(|(bytes, _)| bytes.to_vec()) {
                relay.outbox(side).wrote(bytes.len());
                told.extend(bytes);
            }
        }
        relay.wrote(now).unwrap();
    }
    told
}

/// How often a text stands there as D-Bus spells it.
fn count(told: &[u8], text: &str) -> usize {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let spelled = [&length[..], text.as_bytes(), b"\0"].concat();
    told.windows(spelled.len()).filter(|window| *window == spelled).count()
}

#[test]
fn each_seed_of_the_doors_fuzzing_leads_to_what_it_is_there_for() {
    for (seed, app, bus) in [
        ("start", &[][..], &[("Inbox", 1), ("Lines", 1), ("Sent", 1), ("Twins", 1)][..]),
        ("reading", &[("Deleted", 2)], &[("Delete", 1), ("DeleteReport", 1)]),
        ("sent", &[("PropertiesChanged", 3), ("Added", 1)], &[("Ask", 1), ("Divert", 1), ("Send", 0)]),
        ("let-go", &[], &[("Divert", 1), ("Send", 1)]),
        ("uncertain", &[("org.shunt.Error.Uncertain", 1)], &[("Divert", 1), ("Send", 0)]),
        ("coming", &[("Added", 1)], &[("Inbox", 2)]),
        ("twin", &[("Added", 1)], &[("Twin", 2)]),
        // An instant message and three SMS; the fourth is a twin.
        ("ofono", &[("MessageAdded", 1), ("IncomingMessage", 4)], &[("Divert", 1), ("SendMessage", 0), ("Twin", 3)]),
    ] {
        let [to_app, to_bus] = told(seed);
        for (told, wanted) in [(&to_app, app), (&to_bus, bus)] {
            for (text, times) in wanted {
                assert_eq!(count(told, text), *times, "{seed}: {text}");
            }
        }
    }
}

//! Both sides of a connection through the door, saying anything in any pieces: handshake, framing, and what the desk
//! looks into. What comes out may be anything; it must come, and nothing may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::door::{Relay, Side};
use shunt::model::{Instant, Now, Timestamp};

fuzz_target!(|data: &[u8]| {
    let mut relay = Relay::new("fuzz".to_owned());
    let mut rest = data;
    let mut now = Now { mono: Instant(0), wall: Timestamp(0) };
    // Each piece: side and time in one byte, its length in two.
    while let [first, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (piece, tail) = tail.split_at(length);
        rest = tail;
        let side = if first & 1 == 0 { Side::App } else { Side::Bus };
        now.mono.0 += u64::from(first >> 1) * 100;
        if relay.elapsed(now).is_err() || relay.read(side, piece, Vec::new(), now).is_err() {
            return;
        }
        for side in [Side::App, Side::Bus] {
            let outbox = relay.outbox(side);
            while let Some(count) = outbox.next().map(|(bytes, _)| bytes.len()) {
                outbox.wrote(count);
            }
        }
    }
});

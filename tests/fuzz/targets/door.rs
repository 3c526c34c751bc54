//! Both sides of a connection through the door, saying anything in any pieces: handshake, framing, and what the desk
//! looks into. Nothing may panic; and what comes out is a conversation again: a second door behind the first one is
//! never told what it must hang up on, so that nothing of the door's own is put into the middle of a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::door::{Relay, Side};
use shunt::model::{Instant, Now, Timestamp};

fuzz_target!(|data: &[u8]| {
    let (mut relay, mut behind) = (Relay::new("fuzz".to_owned()), Relay::new("behind".to_owned()));
    let mut rest = data;
    let mut now = Now { mono: Instant(0), wall: Timestamp(0) };
    // Each piece: side and time in one byte, its length in two.
    while let [first, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (piece, tail) = tail.split_at(length);
        rest = tail;
        let side = if first & 1 == 0 { Side::App } else { Side::Bus };
        now.mono.0 += u64::from(first >> 1) * 100;
        let hangs_up = relay.elapsed(now, true).is_err() || relay.read(side, piece, Vec::new(), now).is_err();
        // What the app said first: the bus's side leaves the handshake after the app's.
        for (to, from) in [(Side::Bus, Side::App), (Side::App, Side::Bus)] {
            let outbox = relay.outbox(to);
            while let Some(bytes) = outbox.next().map(|(bytes, _)| bytes.to_vec()) {
                outbox.wrote(bytes.len());
                assert!(behind.read(from, &bytes, Vec::new(), now).is_ok() && behind.elapsed(now, true).is_ok());
            }
            let own = behind.outbox(to);
            while let Some(count) = own.next().map(|(bytes, _)| bytes.len()) {
                own.wrote(count);
            }
            assert!(behind.wrote(now).is_ok());
        }
        if hangs_up || relay.wrote(now).is_err() {
            return;
        }
    }
});

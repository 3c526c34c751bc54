//! The wall, from both ends: frames of a hostile uplink, and the core's as the uplink reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::wall::{Decoder, FromUplink, Permit, ToUplink, UplinkPermit, encode};

fuzz_target!(|bytes: &[u8]| {
    let Some((split, bytes)) = bytes.split_first() else { return };
    let (head, tail) = bytes.split_at(bytes.len().min(usize::from(*split)));
    let (mut decoder, mut permit) = (Decoder::new(), Permit::new());
    'core: for part in [head, tail] {
        decoder.feed(part);
        loop {
            match decoder.take::<FromUplink>() {
                Ok(Some(message)) => {
                    let _ = encode(&message);
                    if permit.check(&message).is_err() {
                        break 'core;
                    }
                }
                Ok(None) => break,
                Err(_) => break 'core,
            }
        }
    }
    let (mut decoder, mut permit) = (Decoder::new(), UplinkPermit::new());
    decoder.feed(bytes);
    while let Ok(Some(message)) = decoder.take::<ToUplink>() {
        let _ = encode(&message);
        if permit.check(&message).is_err() {
            break;
        }
    }
});

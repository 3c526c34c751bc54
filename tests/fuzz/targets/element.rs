//! One stanza as any stranger may write it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::uplink::fuzz::element;

fuzz_target!(|bytes: &[u8]| {
    let _well_formed = element(bytes);
});

//! The XMPP stream as a hostile server writes it: cut into stanzas, each read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::uplink::fuzz::stream;

fuzz_target!(|bytes: &[u8]| {
    if let Some((step, bytes)) = bytes.split_first() {
        stream(bytes, usize::from(*step));
    }
});

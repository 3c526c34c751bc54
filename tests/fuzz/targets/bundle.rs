//! A bundle as any server may hand it out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::{Bundle, DirectoryKeys, Session};
use shunt_fuzz::{ALICE_JID, NOW, bob, jid, keys};
use std::sync::LazyLock;

static KEYS: LazyLock<DirectoryKeys> = LazyLock::new(keys);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::decode(bytes)
        && let Ok(held) = bundle.verify(&KEYS, &jid(ALICE_JID), NOW, None)
    {
        let _ = Session::outbound(&bob(), &held);
    }
});

//! What a peer's session may hold: letters, and the certificates in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::{DirectoryKeys, Letter};
use shunt_fuzz::{NOW, keys};
use std::sync::LazyLock;

static KEYS: LazyLock<DirectoryKeys> = LazyLock::new(keys);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(letter) = Letter::decode(bytes) {
        assert_eq!(letter.encode().unwrap().as_slice(), bytes, "one encoding only");
        if let Some(proof) = &letter.proof {
            let _ = proof.certificate.verify(&KEYS, NOW);
        }
    }
});

//! A caller proof: 128 bytes of transcript, then a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::{CallerProof, Certificate, DirectoryKeys, Transcript};
use shunt_fuzz::{NOW, bobs_session, keys, number};
use std::sync::LazyLock;

static KEYS: LazyLock<DirectoryKeys> = LazyLock::new(keys);

fuzz_target!(|bytes: &[u8]| {
    let Some((transcript, certificate)) = bytes.split_first_chunk::<128>() else { return };
    let transcript = Transcript::from_bytes(transcript);
    assert_eq!(&transcript.to_bytes()[..], &bytes[..128]);
    // Apart from the certificate, or hardly anything would reach it.
    let wrong = KEYS.epochs.first().map(|key| key.pseudonym(&number(), std::slice::from_ref(&transcript), "not a domain"));
    assert!(wrong.is_some_and(|verdict| verdict.is_err()));
    if let Ok(certificate) = Certificate::decode(certificate) {
        assert_eq!(certificate.encode().unwrap(), &bytes[128..], "one encoding only");
        let sender = certificate.jid.clone();
        let proof = CallerProof { number: number(), transcripts: vec![transcript], certificate };
        let _ = proof.verify(&sender, bobs_session().peer(), &KEYS, NOW);
    }
});

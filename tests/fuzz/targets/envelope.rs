//! A stanza's content from a stranger, and from a peer we have a session with. (MACs of the Olm
//! library are off in fuzzing builds, so changed ciphertexts reach what is behind them.)
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::{Envelope, Expected, open};
use shunt_fuzz::{ALICE_JID, BOB_JID, bob, bobs_session, jid};

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = Envelope::decode(bytes) else { return };
    assert_eq!(envelope.encode().unwrap(), bytes, "one encoding only");
    let (to, from) = (jid(BOB_JID), jid(ALICE_JID));
    let session = bobs_session();
    let pinned = Some(*session.peer());
    for (mut sessions, pinned) in [(vec![session], pinned), (Vec::new(), None)] {
        let before = sessions.len();
        let opened = open(&mut bob(), &mut sessions, &Expected { to: &to, from: &from, pinned }, bytes);
        match opened {
            Ok(opened) => {
                assert_eq!(sessions[opened.session_index].peer(), &opened.letter.from.identity);
                assert_eq!(opened.new_session, sessions.len() > before);
            }
            Err(error) => {
                assert_eq!(sessions.len(), before, "a refused envelope leaves no session");
                let _ = error.to_string();
            }
        }
    }
});

//! Writes the seeds of the seal's targets, and the keys they were made under, anew:
//! `cargo run --manifest-path tests/fuzz/Cargo.toml --example write_seeds`.
//! Needed only when a format changes: new keys make all seeds new.

use rand_core::OsRng;
use shunt::model::{Body, LeaseId, TextId};
use shunt::seal::{
    AccountFile, Bundle, CallerProof, Expected, Identity, Jid, Letter, Party, Payload, Session, open, seal,
};
use shunt_fuzz::{ALICE_JID, BOB_JID, NOW, certificate, evaluator, jid, keys, number};
use std::fs;
use std::path::Path;

fn write(target: &str, name: &str, bytes: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), bytes).unwrap();
}

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fs::create_dir_all(&fixtures).unwrap();
    let (alice, mut bob) = (Identity::new(NOW), Identity::new(NOW));
    let from = Party { jid: jid(ALICE_JID), identity: alice.key() };
    let to = Party { jid: jid(BOB_JID), identity: bob.key() };

    let published = bob.bundle(&certificate(&to), NOW).unwrap();
    write("bundle", "other-address", &published);
    write("bundle", "good", &alice.bundle(&certificate(&from), NOW).unwrap());
    let bundle = Bundle::decode(&published).unwrap().verify(&keys(), &to.jid, NOW, None).unwrap();

    let transcript = evaluator().own_transcript(&number(), &mut OsRng).unwrap();
    let transcripts = vec![transcript.clone()];
    let pseudonym = keys().epochs[0].pseudonym(&number(), &transcripts, "im.example.org").unwrap();
    let own = Party { jid: Jid::new(pseudonym, "im.example.org").unwrap(), identity: alice.key() };
    let proof = CallerProof { number: number(), transcripts, certificate: certificate(&own) };
    write("proof", "good", &[&transcript.to_bytes()[..], &proof.certificate.encode().unwrap()].concat());
    let other = certificate(&from).encode().unwrap();
    write("proof", "other-address", &[&transcript.to_bytes()[..], &other].concat());

    let id = TextId([1; 16]);
    let lease = LeaseId([2; 16]);
    let text = |body: &str| Payload::Text { id, lease, body: Body(body.into()), sent: NOW, ordinal: 3 };
    let payloads = [
        ("probe", Payload::Probe),
        ("answer", Payload::Answer { lease, ends_in_ms: 180_000 }),
        ("text", text("Olá, 👋 8 o’clock?")),
        ("long-text", text(&"much ".repeat(300))),
        ("receipt", Payload::Receipt { id, read: true }),
        ("revoke", Payload::Revoke { id }),
        ("revoke-answer", Payload::RevokeAnswer { id, shown: false }),
        ("bye", Payload::Bye),
    ];
    let mut alices = vec![];
    Session::add(&mut alices, Session::outbound(&alice, &bundle).unwrap());
    let mut bobs = Vec::new();
    let letter = |payload: &Payload, proof: Option<&CallerProof>| Letter {
        from: from.clone(),
        to: to.clone(),
        payload: payload.clone(),
        proof: proof.cloned(),
    };
    let expected = Expected { to: &to.jid, from: &from.jid, pinned: None };
    for (index, (name, payload)) in payloads.iter().enumerate() {
        let letter = letter(payload, (index % 2 == 0).then_some(&proof));
        write("letter", name, &letter.encode().unwrap());
        let envelope = seal(&mut alices[0], &letter).unwrap();
        write("envelope", &format!("first-{name}"), envelope.as_bytes());
        if index == 0 {
            open(&mut bob, &mut bobs, &expected, envelope.as_bytes()).unwrap();
            fs::write(fixtures.join("bob.json"), bob.to_pickle().unwrap()).unwrap();
        }
    }
    // An answer of Bob's makes Alice's next ones normal messages; his state is kept from after it.
    let back = Letter { from: to.clone(), to: from.clone(), payload: Payload::Bye, proof: None };
    let envelope = seal(&mut bobs[0], &back).unwrap();
    fs::write(fixtures.join("bobs-session.json"), bobs[0].to_pickle().unwrap()).unwrap();
    let mut alice = alice;
    open(&mut alice, &mut alices, &Expected { to: &from.jid, from: &to.jid, pinned: None }, envelope.as_bytes())
        .unwrap();
    for (name, payload) in &payloads {
        let envelope = seal(&mut alices[0], &letter(payload, None)).unwrap();
        write("envelope", &format!("later-{name}"), envelope.as_bytes());
    }

    let account = AccountFile {
        number: number(),
        jid: own.jid.clone(),
        secret: "correct-horse-battery-staple".to_string().into(),
        servers: vec!["192.0.2.1:5222".into(), "[2001:db8::1]:5222".into(), "im.example.org:5222".into()],
        directory: "https://directory.example.org:8443".into(),
        ca: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".into(),
        keys: keys(),
        certificate: proof.certificate.clone(),
        second: None,
        transcripts: proof.transcripts.clone(),
    };
    write("account_file", "good.json", account.to_json().unwrap().as_bytes());
}

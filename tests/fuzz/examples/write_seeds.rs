//! Writes the seeds of the seal's targets, and the keys they were made under, anew:
//! `RUSTFLAGS=--cfg=fuzzing cargo run --manifest-path tests/fuzz/Cargo.toml --example write_seeds`.
//! Needed only when a format changes: new keys make all seeds new.

use rand_core::OsRng;
use shunt::model::{Body, LeaseId, TextId};
use shunt::seal::{
    AccountFile, Answer, Bundle, CallerProof, Certificate, Code, Confirm, Expected, Identity, Jid, Kind, Letter,
    NewAccount, NewSecret, Party, Payload, Purpose, Renewal, SealedRequest, Session, SessionId, Start, fuzz,
    new_secret, open, seal,
};
use shunt_fuzz::{ALICE_JID, BOB_JID, NOW, certificate, enrolment, evaluator, jid, keys, number};
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

    write_enrolment(&alice, &proof.certificate);

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

/// What is inside the seals of an enrolment, without the zeros at its end, and a renewal.
fn write_enrolment(phone: &Identity, certificate: &Certificate) {
    let (session, identity, to) = (SessionId::from_bytes([7; 16]), phone.key(), keys().epochs[0]);
    let inside = |name: &str, bytes: Option<Vec<u8>>| {
        let mut bytes = bytes.unwrap();
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        write("enrolment", name, &bytes);
    };
    let request = |name: &str, kind, sealed: &SealedRequest| {
        inside(name, fuzz::inside(&enrolment(), kind, sealed.as_bytes()));
    };
    let token = || new_secret(&mut OsRng).unwrap();
    for (name, renews) in [("start", None), ("start-to-renew", Some(token()))] {
        let start = Start { number: number(), made: NOW, renews };
        request(name, Kind::Start, &start.seal(session, identity, &to).unwrap());
    }
    let (code, blinded) = (Code::from_typed("12345678").unwrap(), [7; 32]);
    let purposes = [("confirm", Purpose::Enrol { blinded }), ("confirm-to-renew", Purpose::Renew { token: token() })];
    for (name, purpose) in purposes {
        let confirm = Confirm { number: number(), code, purpose };
        let (sealed, key) = confirm.seal(session, identity, &to).unwrap();
        request(name, Kind::Confirm, &sealed);
        let evaluations = vec![([1; 32], [2; 64]); 2];
        let new = NewAccount { secret: token(), certificate: certificate.clone(), evaluations };
        for (name, answer) in [("enrolled", Answer::Enrolled(new)), ("renewed", Answer::Renewed(certificate.clone()))] {
            inside(name, fuzz::inside_answer(&session, &key, &answer.seal(&session, &key).unwrap()));
        }
    }
    request("new-secret", Kind::Secret, &NewSecret(token()).seal(session, identity, &to).unwrap());
    write("enrolment", "renewal", &Renewal::sign(phone, certificate, NOW).unwrap());
}

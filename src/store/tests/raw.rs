use super::*;
use crate::model::SmsAttempt;
use crate::model::{Consent, Switched};
use std::fs;

/// What must not be found in any file: each of these is written below.
const SECRETS: &[&str] = &[
    "quick brown fox",
    "lazy dog",
    "1710000001",
    "1710000009",
    "171 0000001",
    "line-1",
    "token-of-the-app",
    "ModemManager1/SMS",
    "apseudonym",
    "session pickle",
    "identity pickle",
    "terms-and-conditions",
    "sealed envelope",
];

fn fill(store: &mut Store) {
    store
        .transaction(|tx| {
            let sms = SmsAttempt {
                object: "/org/freedesktop/ModemManager1/SMS/1".into(),
                owner: ":1.1".into(),
                issued: true,
                references: vec![1],
            };
            tx.put_text(&Text { token: Some("token-of-the-app".into()), sms: Some(sms), ..text(1) })?;
            tx.put_envelope(id(1), b"sealed envelope")?;
            tx.put_arrived(&arrived(2))?;
            tx.put_peer(&number(1), &PeerRecord { pseudonyms: vec!["apseudonym".into()], ..PeerRecord::default() })?;
            tx.put_sessions(&number(1), &[b"session pickle"])?;
            tx.put_blob(Blob::Identity, b"identity pickle")?;
            let consent = Some(Consent { text: "terms-and-conditions".into(), locale: "de".into() });
            let switched = Some(Switched { at: NOW, uid: 1, unit: "".into(), consent });
            tx.put_switch(&Switch { on: true, switched })?;
            let entry = LedgerEntry { at: NOW, kind: "text".into(), pseudonym: "apseudonym".into(), size: 1 };
            tx.ledger_append(&[entry])
        })
        .unwrap();
}

/// How often each secret is in any file below the directory, as bytes or with a byte between (UTF-16).
fn found(home: &Home) -> Vec<&'static str> {
    let mut files = Vec::new();
    let mut directories = vec![home.root.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { files.push(fs::read(path).unwrap()) }
        }
    }
    assert!(files.len() >= 3, "database, log and generation file are read");
    let contains = |secret: &str| {
        let wide: Vec<u8> = secret.bytes().flat_map(|byte| [byte, 0]).collect();
        files.iter().any(|file| {
            file.windows(secret.len()).any(|part| part == secret.as_bytes())
                || file.windows(wide.len()).any(|part| part == wide)
        })
    };
    SECRETS.iter().copied().filter(|secret| contains(secret)).collect()
}

#[test]
fn neither_numbers_nor_texts_nor_keys_are_in_any_file() {
    let home = Home::new();
    let mut store = home.open().unwrap();
    fill(&mut store);
    assert!(fs::metadata(home.state().join("store.db-wal")).unwrap().len() > 0, "the log is searched too");
    assert_eq!(found(&home), [""; 0]);
    drop(store);
    fs::write(home.root.path().join("control"), "the lazy dog").unwrap();
    assert_eq!(found(&home), ["lazy dog"], "the search finds what is there");
}

#[test]
fn debug_output_shows_neither_keys_nor_numbers() {
    let home = Home::new();
    let store = home.open().unwrap();
    let peer =
        PeerRecord { pseudonyms: vec!["apseudonym".into()], pinned_identity: Some([77; 64]), ..Default::default() };
    let shown = format!("{store:?} {:?} {peer:?}", StoreKey::new([77; 32]));
    assert!(!shown.contains("77") && !shown.contains("apseudonym"), "{shown}");
}

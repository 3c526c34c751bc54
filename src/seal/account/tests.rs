use super::*;
use crate::seal::testing::{ALICE, BOB, DAY, Directory, NOW, Phone};
use proptest::prelude::*;

const CA: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn account(directory: &Directory, phone: &Phone) -> AccountFile {
    AccountFile {
        number: phone.number.clone(),
        jid: phone.jid.clone(),
        secret: Zeroizing::new("correct-horse-battery-staple".into()),
        servers: vec!["192.0.2.1:5222".into(), "[2001:db8::1]:5222".into(), "im.example.org:5222".into()],
        directory: "https://directory.example.org:8443".into(),
        ca: CA.into(),
        keys: directory.keys(),
        certificate: phone.certificate.clone(),
        second: directory
            .second
            .as_ref()
            .map(|_| SecondEvaluator { directory: "https://evaluator.example.net:8443".into(), ca: CA.into() }),
        transcripts: phone.transcripts.clone(),
    }
}

fn json() -> Value {
    let directory = Directory::new();
    let account = account(&directory, &directory.phone(ALICE));
    serde_json::from_str(&account.to_json().unwrap()).unwrap()
}

fn parse(json: &Value) -> Result<AccountFile, AccountError> {
    AccountFile::parse(json.to_string().as_bytes())
}

#[test]
fn an_account_reads_back_as_written_and_holds() {
    let directory = Directory::new();
    let alice = directory.phone(ALICE);
    let account = account(&directory, &alice);
    let read = AccountFile::parse(account.to_json().unwrap().as_bytes()).unwrap();
    assert!(read == account);
    assert_eq!(read.check(&alice.identity.key(), NOW), Ok(()));
}

#[test]
fn an_account_of_two_evaluators_names_the_second_and_has_both_transcripts() {
    let directory = Directory::of_two();
    let alice = directory.phone(ALICE);
    let account = account(&directory, &alice);
    let read = AccountFile::parse(account.to_json().unwrap().as_bytes()).unwrap();
    assert!(read == account);
    assert_eq!(read.check(&alice.identity.key(), NOW), Ok(()));
    let mut half = read.clone();
    half.transcripts.pop();
    let missing = Err(AccountError::Transcript(PseudonymError::Evaluators));
    assert_eq!(half.check(&alice.identity.key(), NOW), missing);
    let mut nowhere = read;
    nowhere.second = None;
    assert_eq!(AccountFile::parse(nowhere.to_json().unwrap().as_bytes()), Err(AccountError::NoSecond));
    let written = |account: &AccountFile| -> Value { serde_json::from_str(&account.to_json().unwrap()).unwrap() };
    for (place, value) in [("/second", json!("https://a:1")), ("/epochs/0/second", json!("AAAA"))] {
        let mut json = written(&account);
        *json.pointer_mut(place).unwrap() = value;
        assert!(matches!(parse(&json), Err(AccountError::Invalid(..))), "{place}");
    }
}

#[test]
fn an_account_that_peers_would_not_believe_is_refused() {
    let directory = Directory::new();
    let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
    let key = alice.identity.key();
    let good = account(&directory, &alice);
    assert_eq!(good.check(&bob.identity.key(), NOW), Err(AccountError::OtherIdentity));
    assert_eq!(good.check(&key, NOW.plus(DAY * 31)), Err(AccountError::Certificate(CertificateError::Expired)));
    let mut other = good.clone();
    other.transcripts = bob.transcripts.clone();
    assert_eq!(other.check(&key, NOW), Err(AccountError::Transcript(PseudonymError::Proof)));
    let mut other = good.clone();
    other.number = bob.number.clone();
    other.transcripts = bob.transcripts.clone();
    assert_eq!(other.check(&key, NOW), Err(AccountError::OtherNumber));
    let mut other = good;
    other.keys.epochs[0].certificate[0] ^= 1;
    assert_eq!(other.check(&key, NOW), Err(AccountError::Certificate(CertificateError::Signature)));
}

#[test]
fn each_missing_field_is_named() {
    for field in
        ["version", "number", "jid", "secret", "servers", "directory", "ca", "epochs", "certificate", "transcript"]
    {
        let mut json = json();
        json.as_object_mut().unwrap().remove(field);
        assert_eq!(parse(&json), Err(AccountError::Missing(field)));
    }
}

#[test]
fn each_bad_value_is_named_and_never_shown() {
    let secret = "hunter2-hunter2-hunter2\n";
    for (field, values) in [
        ("number", vec![json!("0170 1234567"), json!(491701234567_u64), json!(null)]),
        ("jid", vec![json!("anna@im.example.org"), json!("anna")]),
        ("secret", vec![json!("short"), json!(secret), json!("x".repeat(129))]),
        ("servers", vec![json!([]), json!("a:1"), json!(["a"]), json!(["a:0"]), json!([1]), json!(["a:+1"])]),
        ("servers", vec![json!(vec!["a:1"; 9]), json!(["[::g]:1"]), json!([" a:1"]), json!(["a:99999"])]),
        ("directory", vec![json!("http://a:1"), json!("https://a"), json!("https://a:1/path"), json!(["x"])]),
        ("ca", vec![json!(""), json!("-----BEGIN CERTIFICATE-----"), json!("MIIB")]),
        ("epochs", vec![json!([]), json!({}), json!(["a"]), json!([{"epoch": "a"}]), json!([1, 2])]),
        ("certificate", vec![json!("AAAA"), json!("*"), json!(1)]),
        ("transcript", vec![json!("AAAA"), json!("="), json!({})]),
    ] {
        for value in values {
            let mut json = json();
            json[field] = value.clone();
            let error = parse(&json).unwrap_err();
            assert!(matches!(error, AccountError::Invalid(name, _) if name == field), "{field} {value}: {error}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("1701234567"));
        }
    }
}

#[test]
fn an_epoch_named_twice_or_with_more_in_it_is_refused() {
    let mut twice = json();
    let epoch = twice["epochs"][0].clone();
    twice["epochs"] = json!([epoch, epoch]);
    assert!(matches!(parse(&twice), Err(AccountError::Invalid("epochs", _))));
    let mut more = json();
    more["epochs"][0]["seed"] = json!("x");
    assert_eq!(parse(&more), Err(AccountError::Unknown));
    for letter in ["", "A", "ab", "é", "1"] {
        let mut json = json();
        json["epochs"][0]["epoch"] = json!(letter);
        assert!(matches!(parse(&json), Err(AccountError::Invalid("epochs", _))), "{letter}");
    }
}

#[test]
fn other_files_are_refused_by_name() {
    assert_eq!(AccountFile::parse(b""), Err(AccountError::Json(1, 0)));
    assert!(matches!(AccountFile::parse(b"[1]"), Err(AccountError::Json(..))));
    assert!(matches!(AccountFile::parse(b"{} {}"), Err(AccountError::Json(..))));
    assert!(matches!(AccountFile::parse(b"\xff\xfe"), Err(AccountError::Json(..))));
    assert_eq!(AccountFile::parse(&vec![b' '; MAX + 1]), Err(AccountError::TooLong));
    let mut newer = json();
    newer["version"] = json!(2);
    assert_eq!(parse(&newer), Err(AccountError::Version));
    let mut more = json();
    more["colour"] = json!("red");
    assert_eq!(parse(&more), Err(AccountError::Unknown));
    let directory = Directory::new();
    let mut other = json();
    other["jid"] = json!(directory.phone(BOB).jid.to_string());
    assert_eq!(parse(&other), Err(AccountError::OtherAddress));
}

#[test]
fn debug_shows_nothing() {
    let directory = Directory::new();
    let shown = format!("{:?}", account(&directory, &directory.phone(ALICE)));
    assert_eq!(shown, "AccountFile(..)");
}

#[test]
fn each_evaluators_token_is_hkdf_of_the_secret() {
    // Computed apart: HMAC(HMAC(zeros, "a secret of sixteen"), "directory" ‖ 1), RFC 5869.
    assert_eq!(*bearer_token("a secret of sixteen"), "xIBLcWz1A5xrWjztCHSlR5n6egTQjgRm3X_U0-JKnho");
    assert_eq!(*second_token("a secret of sixteen"), "5bRAv6vUoQ6cSj369r2-Ig1kpYJoWdiki_xX3q2Vxpk");
    assert_ne!(bearer_token("one"), bearer_token("other"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
        let _ = AccountFile::parse(&bytes);
        let _ = AccountFile::parse(text.as_bytes());
        let _ = is_authority(&text);
    }
}

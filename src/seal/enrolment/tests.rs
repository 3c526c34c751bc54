//! Enrolment between a phone and a directory, and everything that is changed on the way.

use super::super::testing::{ALICE, BOB, DAY, Directory, NOW};
use super::super::{EpochKey, IdentityKey};
use super::filling::Filled;
use super::*;
use crate::model::{PhoneNumber, Segments, Timestamp};
use proptest::prelude::*;
use rand_core::OsRng;
use std::time::Duration;
use zeroize::Zeroizing;

fn number() -> PhoneNumber {
    PhoneNumber::from_e164(ALICE).unwrap()
}

fn identity() -> IdentityKey {
    super::super::Identity::new(NOW).key()
}

fn pinned() -> EpochKey {
    Directory::new().keys().epochs[0]
}

fn start(session: SessionId, number: &str) -> SealedRequest {
    let number = PhoneNumber::from_e164(number).unwrap();
    Start { number, made: NOW, renews: None }.seal(session, identity(), &pinned()).unwrap()
}

fn code() -> Code {
    Code::from_typed("12345678").unwrap()
}

fn account() -> NewAccount {
    NewAccount {
        secret: new_secret(&mut OsRng).unwrap(),
        certificate: Directory::new().phone(ALICE).certificate,
        evaluations: vec![([1; 32], [2; 64]), ([3; 32], [4; 64])],
    }
}

#[test]
fn a_start_shows_the_directory_number_session_and_key() {
    let (session, identity) = (SessionId::new(&mut OsRng), identity());
    for renews in [None, Some(new_secret(&mut OsRng).unwrap())] {
        let asked = Start { number: number(), made: NOW, renews };
        let sealed = asked.seal(session, identity, &pinned()).unwrap();
        let (header, start) = Start::open(&Directory::new().enrolment(), sealed.as_bytes()).unwrap();
        assert_eq!(header, Header { session, identity, epoch: 'a' });
        assert!(start == asked);
    }
}

#[test]
fn every_request_has_one_length_whatever_it_holds() {
    let session = SessionId::new(&mut OsRng);
    let confirm = |purpose| {
        let confirm = Confirm { number: number(), code: Code::from_typed("00000001").unwrap(), purpose };
        confirm.seal(session, identity(), &pinned()).unwrap().0
    };
    let token = || new_secret(&mut OsRng).unwrap();
    let lengths = [
        start(session, "+6834000"),
        start(session, "+4915123456789"),
        start(session, "+123456789012345"),
        Start { number: PhoneNumber::from_e164("+123456789012345").unwrap(), made: NOW, renews: Some(token()) }
            .seal(session, identity(), &pinned())
            .unwrap(),
        confirm(Purpose::Enrol { blinded: [1; 32] }),
        confirm(Purpose::Renew { token: token() }),
        NewSecret(token()).seal(session, identity(), &pinned()).unwrap(),
    ]
    .map(|request| request.as_bytes().len());
    assert_eq!(lengths, [226; 7]);
}

#[test]
fn a_right_code_gets_the_account_and_nobody_else_reads_it() {
    let session = SessionId::new(&mut OsRng);
    let code = code();
    let asked = Confirm { number: number(), code, purpose: Purpose::Enrol { blinded: [7; 32] } };
    let (sealed, mine) = asked.seal(session, identity(), &pinned()).unwrap();
    let (_, confirm, key) = Confirm::open(&Directory::new().enrolment(), sealed.as_bytes()).unwrap();
    assert_eq!(confirm, asked);
    assert_eq!(key, mine);

    let answer = Answer::Enrolled(account());
    let sealed = answer.seal(&session, &key).unwrap();
    assert_eq!(Answer::open(&session, &mine, &sealed), Ok(answer.clone()));
    assert_ne!(answer.seal(&session, &key).unwrap(), sealed, "never the same key twice");
    let stored = AnswerKey::from_bytes(*mine.to_bytes());
    assert_eq!(Answer::open(&session, &stored, &sealed), Ok(answer));

    let other = SessionId::new(&mut OsRng);
    assert_eq!(Answer::open(&other, &mine, &sealed), Err(EnrolmentError::Sealed));
    let (_, others) = asked.seal(session, identity(), &pinned()).unwrap();
    assert_eq!(Answer::open(&session, &others, &sealed), Err(EnrolmentError::Sealed));
    assert_eq!(Answer::Renewed(account().certificate).seal(&session, &key).unwrap().len(), sealed.len());
}

#[test]
fn a_request_serves_for_nothing_but_what_it_was_made_for() {
    let session = SessionId::new(&mut OsRng);
    let directory = Directory::new().enrolment();
    let started = start(session, ALICE);
    assert_eq!(Confirm::open(&directory, started.as_bytes()).err(), Some(EnrolmentError::Sealed));
    assert_eq!(NewSecret::open(&directory, started.as_bytes()).err(), Some(EnrolmentError::Sealed));
    let other = EnrolmentKey::from_seed(&[12; 32]);
    assert_eq!(Start::open(&other, started.as_bytes()).err(), Some(EnrolmentError::Sealed));
}

#[test]
fn no_byte_of_a_request_or_answer_can_be_changed() {
    let session = SessionId::new(&mut OsRng);
    let directory = Directory::new().enrolment();
    let request = start(session, ALICE);
    for index in 0..request.as_bytes().len() {
        let mut changed = request.as_bytes().to_vec();
        changed[index] ^= 1;
        assert!(Start::open(&directory, &changed).is_err(), "byte {index}");
    }
    let confirm = Confirm { number: number(), code: code(), purpose: Purpose::Enrol { blinded: [7; 32] } };
    let (_, key) = confirm.seal(session, identity(), &pinned()).unwrap();
    let answer = Answer::Enrolled(account()).seal(&session, &key).unwrap();
    for index in (0..answer.len()).step_by(7) {
        let mut changed = answer.clone();
        changed[index] ^= 1;
        assert!(Answer::open(&session, &key, &changed).is_err(), "byte {index}");
    }
    assert!(Answer::open(&session, &key, &answer[1..]).is_err());
    assert!(Start::open(&directory, &request.as_bytes()[..225]).is_err());
}

#[test]
fn a_code_is_of_one_session_phone_number_and_salt() {
    let key = Directory::new().enrolment();
    let header = Header { session: SessionId::new(&mut OsRng), identity: identity(), epoch: 'a' };
    let code = key.code(&header, &[1; 16], &number());
    assert_eq!(Directory::new().enrolment().code(&header, &[1; 16], &number()), code, "the same at every instance");
    let others = [
        key.code(&header, &[2; 16], &number()),
        key.code(&header, &[1; 16], &PhoneNumber::from_e164(BOB).unwrap()),
        key.code(&Header { session: SessionId::new(&mut OsRng), ..header }, &[1; 16], &number()),
        key.code(&Header { identity: identity(), ..header }, &[1; 16], &number()),
        key.code(&Header { epoch: 'b', ..header }, &[1; 16], &number()),
        EnrolmentKey::from_seed(&[12; 32]).code(&header, &[1; 16], &number()),
    ];
    assert!(others.iter().all(|other| *other != code), "one in a hundred million is");
}

#[test]
fn a_start_of_another_day_is_refused() {
    let made = |made| Start { number: number(), made, renews: None }.is_of(NOW);
    let second = Duration::from_secs(1);
    assert_eq!(made(NOW.minus(DAY)), Ok(()));
    assert_eq!(made(NOW.plus(DAY)), Ok(()));
    assert_eq!(made(NOW.minus(DAY + second)), Err(EnrolmentError::Date));
    assert_eq!(made(NOW.plus(DAY + second)), Err(EnrolmentError::Date));
}

#[test]
fn a_secret_has_one_form() {
    let session = SessionId::new(&mut OsRng);
    let opened = |text: &str| {
        let sealed = NewSecret(text.to_owned().into()).seal(session, identity(), &pinned()).unwrap();
        NewSecret::open(&Directory::new().enrolment(), sealed.as_bytes()).map(|(_, secret)| secret.0)
    };
    let secret = new_secret(&mut OsRng).unwrap();
    assert_eq!(opened(&secret), Ok(secret.clone()));
    for wrong in ["", "short", &secret[1..], &format!("{}=", *secret), &format!("+{}", &secret[1..])] {
        assert_eq!(opened(wrong), Err(EnrolmentError::Secret), "{wrong}");
    }
}

#[test]
fn a_code_sms_is_one_segment_and_read_by_its_own_session_alone() {
    let (mine, other) = (SessionId::new(&mut OsRng), SessionId::new(&mut OsRng));
    let code = Code::from_typed("0012 34-56").unwrap();
    let text = code_sms(code, &mine);
    assert!(text.starts_with("Shunt code 00123456. Tell it to nobody. #"), "{text}");
    let segments = Segments::of(&text);
    assert_eq!((text.len(), segments.count), (51, 1));
    assert!(text.is_ascii());
    let read = CodeSms::parse(&text).unwrap();
    assert_eq!(read.code, code);
    assert!(read.is_for(&mine) && !read.is_for(&other));
    assert_eq!(format!("{read:?}{code:?}{mine:?}"), "CodeSms(..)Code(..)SessionId(..)");
}

#[test]
fn any_other_text_is_somebodys_sms() {
    let text = code_sms(code(), &SessionId::new(&mut OsRng));
    for other in [
        String::new(),
        format!("{text} "),
        format!(" {text}"),
        text[..50].to_owned(),
        text.to_uppercase(),
        text.replace("code ", "code +"),
        text.replace("code", "Code"),
        format!("Fwd: {text}"),
        "Shunt code 1234567é. Tell it to nobody. #abcdefghij".to_owned(),
        "Shunt code 12345678. Tell it to nobody. #abcdefgh01".to_owned(),
        "Shunt code ١٢٣٤. Tell it to nobody. #abcdefghij".to_owned(),
    ] {
        assert_eq!(CodeSms::parse(&other), None, "{other}");
    }
}

#[test]
fn what_a_person_types_is_a_code_or_is_not() {
    for good in ["12345678", " 1234 5678 ", "1234-5678", "00000000"] {
        assert!(Code::from_typed(good).is_ok(), "{good}");
    }
    for bad in ["", "1234567", "123456789", "+1234567", "1234567a", "１２３４５６７８", &"1 ".repeat(40)] {
        assert_eq!(Code::from_typed(bad), Err(EnrolmentError::Code), "{bad}");
    }
}

#[test]
fn codes_are_drawn_from_all_of_them() {
    let key = Directory::new().enrolment();
    let header = Header { session: SessionId::new(&mut OsRng), identity: identity(), epoch: 'a' };
    let code = |nth: u128| key.code(&header, &nth.to_be_bytes(), &number()).number();
    let drawn: Vec<_> = (0..2_000).map(code).collect();
    assert!(drawn.iter().all(|code| *code < 100_000_000));
    for tenth in 0..10 {
        assert!(drawn.iter().filter(|code| **code / 10_000_000 == tenth).count() > 100);
    }
}

#[test]
fn a_renewal_is_signed_by_the_certificates_own_key_on_this_day() {
    let directory = Directory::new();
    let (alice, bob) = (directory.phone(ALICE), directory.phone(BOB));
    let bytes = Renewal::sign(&alice.identity, &alice.certificate, NOW).unwrap();
    assert_eq!(Renewal::open(&bytes, NOW.plus(DAY)).unwrap().certificate, alice.certificate);
    assert_eq!(Renewal::open(&bytes, NOW.plus(DAY * 2)), Err(EnrolmentError::Date));
    assert_eq!(Renewal::open(&bytes, Timestamp(0)), Err(EnrolmentError::Date));
    let stolen = Renewal::sign(&bob.identity, &alice.certificate, NOW).unwrap();
    assert_eq!(Renewal::open(&stolen, NOW), Err(EnrolmentError::Signature));
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(Renewal::open(&changed, NOW).is_err(), "byte {index}");
    }
}

#[test]
fn a_session_has_one_name() {
    let session = SessionId::new(&mut OsRng);
    let text = session.to_text();
    assert_eq!((text.len(), SessionId::from_text(&text)), (22, Ok(session)));
    for wrong in ["", "a", &text[1..], &format!("{text}="), &format!("{text}AA"), &format!("/{}", &text[1..])] {
        assert_eq!(SessionId::from_text(wrong), Err(EnrolmentError::Header), "{wrong}");
    }
}

fn is_read_as_written<T: Filled + PartialEq>(said: &T) {
    assert!(T::read(&said.fill().unwrap()).unwrap() == *said);
}

proptest! {
    #[test]
    fn what_is_inside_the_seal_is_read_as_it_was_written(
        national in "[1-9][0-9]{4,12}",
        seconds in 0_i64..4_000_000_000,
        code in 0_u32..100_000_000,
        token: Option<[u8; 32]>,
        blinded: [u8; 32],
        points in prop::collection::vec((any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>()), 1..=2),
    ) {
        let number = PhoneNumber::from_e164(&format!("+49{national}")).unwrap();
        let secret = |bytes: [u8; 32]| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
        let code = Code::from_number(code).unwrap();
        let (made, renews) = (Timestamp(seconds * 1000), token.map(secret));
        is_read_as_written(&Start { number: number.clone(), made, renews });
        let token = secret(token.unwrap_or_default());
        for purpose in [Purpose::Enrol { blinded }, Purpose::Renew { token: token.clone() }] {
            is_read_as_written(&Confirm { number: number.clone(), code, purpose });
        }
        is_read_as_written(&NewSecret(token.clone()));
        let certificate = Directory::new().phone(ALICE).certificate;
        let proof = |(challenge, response): ([u8; 32], [u8; 32])| [challenge, response].concat().try_into().unwrap();
        let evaluations = points.into_iter().map(|(point, one, two)| (point, proof((one, two)))).collect();
        let new = NewAccount { secret: token, certificate: certificate.clone(), evaluations };
        is_read_as_written(&Answer::Enrolled(new));
        is_read_as_written(&Answer::Renewed(certificate));
    }

    #[test]
    fn what_is_changed_inside_the_seal_is_refused_or_has_one_form(at in 0_usize..1024, to: u8, cut in 0_usize..1024) {
        let said = [
            Start { number: number(), made: NOW, renews: Some(new_secret(&mut OsRng).unwrap()) }.fill().unwrap(),
            Confirm { number: number(), code: code(), purpose: Purpose::Enrol { blinded: [7; 32] } }.fill().unwrap(),
            NewSecret(new_secret(&mut OsRng).unwrap()).fill().unwrap(),
            Answer::Enrolled(account()).fill().unwrap(),
        ];
        for mut said in said {
            let at = at % said.len();
            said[at] = to;
            fuzz::judge(&said);
            fuzz::judge(&said[..cut % said.len()]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
        let directory = Directory::new().enrolment();
        fuzz::judge(&bytes);
        let _ = Start::open(&directory, &bytes);
        let _ = Confirm::open(&directory, &bytes);
        let _ = NewSecret::open(&directory, &bytes);
        let _ = Renewal::open(&bytes, NOW);
        let _ = Answer::open(&SessionId::from_bytes([0; 16]), &AnswerKey::from_bytes([0; 32]), &bytes);
        let _ = CodeSms::parse(&text);
        let _ = Code::from_typed(&text);
        let _ = SessionId::from_text(&text);
    }
}

//! What strangers send to a directory and phones get from one: the bytes as each of the requests, as an answer, as what
//! is inside the seal of each, as a renewal, as a code SMS, as what a person types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shunt::seal::{
    Answer, AnswerKey, Code, CodeSms, Confirm, NewSecret, Renewal, SealedRequest, SessionId, Start, code_sms, fuzz,
};
use shunt_fuzz::{NOW, enrolment};

fuzz_target!(|bytes: &[u8]| {
    let key = enrolment();
    let _ = Start::open(&key, bytes);
    let _ = Confirm::open(&key, bytes);
    let _ = NewSecret::open(&key, bytes);
    fuzz::judge(bytes);
    let _ = Renewal::open(bytes, NOW);
    let session = SessionId::from_bytes([7; 16]);
    assert!(Answer::open(&session, &AnswerKey::from_bytes([7; 32]), bytes).is_err(), "sealed by nobody");
    if let Ok(request) = SealedRequest::again(bytes.to_vec()) {
        assert_eq!(request.as_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(sms) = CodeSms::parse(text) {
            assert_eq!(text.len(), code_sms(sms.code, &session).len(), "one form only");
            assert_eq!(sms.is_for(&session), text == code_sms(sms.code, &session));
        }
        let _ = Code::from_typed(text);
        if let Ok(id) = SessionId::from_text(text) {
            assert_eq!(id.to_text(), text);
        }
    }
});

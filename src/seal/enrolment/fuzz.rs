//! The entries for fuzzing what is inside the seal, which no fuzzer gets through. For `tests/fuzz` alone.

use super::filling::Filled;
use super::{Answer, AnswerKey, Confirm, EnrolmentKey, Kind, NewSecret, SessionId, Start};

/// Reads `inside`, filled up with zeros, as the content of each request and of an answer; panics where something that
/// was read is written in another form.
pub fn judge(inside: &[u8]) {
    one_form::<Start>(inside);
    one_form::<Confirm>(inside);
    one_form::<NewSecret>(inside);
    one_form::<Answer>(inside);
}

fn one_form<T: Filled>(inside: &[u8]) {
    if inside.len() <= T::SIZE {
        let mut filled = inside.to_vec();
        filled.resize(T::SIZE, 0);
        if let Ok(read) = T::read(&filled) {
            assert!(read.fill().is_ok_and(|again| *again == filled), "one form only");
        }
    }
}

/// What is inside a request, for seeds.
#[must_use]
pub fn inside(key: &EnrolmentKey, kind: Kind, request: &[u8]) -> Option<Vec<u8>> {
    key.open(kind, request).ok().map(|(_, filled, _)| filled.to_vec())
}

/// What is inside an answer.
#[must_use]
pub fn inside_answer(session: &SessionId, key: &AnswerKey, answer: &[u8]) -> Option<Vec<u8>> {
    key.open(session, answer).ok().map(|filled| filled.to_vec())
}

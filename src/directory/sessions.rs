//! Enrolments under way: in memory only, ten minutes at most.
//!
//! A session is found by the id that the phone drew. Instances behind one balancer share none: the id
//! stands in the path of both requests, so that a balancer which hashes the path finds the right one.
//! A sealed token that phones carried instead could be tried against each instance five times.

use crate::model::PhoneNumber;
use crate::seal::{Code, Header, SessionId};
use ring::digest::{SHA256, digest};
use ring::hmac;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a code may be guessed.
const TRIES: u8 = 5;

/// Sessions at once; each is under 1 KB, with its answer under 3 KB.
const MOST: usize = 20_000;

/// How long a used id is remembered: its request is refused as too old after that (`Start::is_of`).
const REMEMBERED: Duration = Duration::from_secs(2 * 86_400);

/// SHA-256 of a request: the same bytes are the same request.
pub(super) type Request = [u8; 32];

/// What a `start` meets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// A session is there now.
    New,
    /// The same request began one that lasts for so long.
    Again(Duration),
    /// The id is, or was, another request's.
    Conflict,
    /// Too many sessions.
    Full,
}

/// What a `confirm` meets.
#[derive(PartialEq, Eq)]
pub(super) enum Attempt {
    /// The right code: whoever got this must call [`Sessions::finish`] or [`Sessions::fail`].
    Right(PhoneNumber),
    /// The same request was answered by this.
    Again(Vec<u8>),
    /// The right code is being worked on.
    Busy,
    /// Wrong, and there are attempts left.
    Wrong,
    /// Wrong, and it was the last.
    Spent,
    /// The session has got its answer by another request.
    Conflict,
    /// No such session for that phone and epoch.
    Unknown,
}

enum State {
    Waiting { number: PhoneNumber, code: hmac::Tag, tries: u8, busy: bool },
    Spent,
    Done { request: Request, answer: Vec<u8> },
}

struct Session {
    header: Header,
    request: Request,
    ends: Instant,
    state: State,
}

#[derive(Default)]
struct Inner {
    open: HashMap<SessionId, Session>,
    used: HashMap<SessionId, Instant>,
}

/// The sessions of this process.
pub(super) struct Sessions {
    life: Duration,
    /// Codes are kept and compared as tags under this key: in constant time.
    key: hmac::Key,
    inner: Mutex<Inner>,
}

/// Names a request by its bytes.
pub(super) fn request(bytes: &[u8]) -> Request {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

impl Sessions {
    pub(super) fn new(life: Duration, key: &[u8; 32]) -> Self {
        Self { life, key: hmac::Key::new(hmac::HMAC_SHA256, key), inner: Mutex::default() }
    }

    /// How long a session lasts.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a request before it costs anything.
    pub(super) fn known(&self, id: &SessionId, request: &Request, now: Instant) -> Option<Begun> {
        self.inner().known(id, request, now)
    }

    /// Makes a session.
    pub(super) fn begin(
        &self,
        header: Header,
        request: Request,
        number: PhoneNumber,
        code: Code,
        now: Instant,
    ) -> Begun {
        let mut inner = self.inner();
        inner.forget(now);
        if let Some(known) = inner.known(&header.session, &request, now) {
            return known;
        }
        if inner.open.len() >= MOST {
            return Begun::Full;
        }
        let state = State::Waiting { number, code: hmac::sign(&self.key, &code.to_bytes()), tries: TRIES, busy: false };
        let session = Session { header, request, ends: now + self.life, state };
        inner.open.insert(header.session, session);
        Begun::New
    }

    /// The SMS did not leave: as if it had never begun.
    pub(super) fn abandon(&self, id: &SessionId) {
        self.inner().open.remove(id);
    }

    /// Its time is over.
    pub(super) fn end(&self, id: &SessionId, now: Instant) {
        let mut inner = self.inner();
        if inner.open.remove(id).is_some() {
            inner.used.insert(*id, now);
        }
    }

    /// Tries a code.
    pub(super) fn attempt(&self, header: &Header, request: &Request, code: Code, now: Instant) -> Attempt {
        let mut inner = self.inner();
        let known = inner.open.get_mut(&header.session);
        let Some(session) = known.filter(|session| session.header == *header && session.ends > now) else {
            return Attempt::Unknown;
        };
        match &mut session.state {
            State::Done { request: answered, answer } if answered == request => Attempt::Again(answer.clone()),
            State::Done { .. } => Attempt::Conflict,
            State::Spent => Attempt::Spent,
            State::Waiting { busy: true, .. } => Attempt::Busy,
            State::Waiting { number, code: right, tries, busy } => {
                if hmac::verify(&self.key, &code.to_bytes(), right.as_ref()).is_ok() {
                    *busy = true;
                    return Attempt::Right(number.clone());
                }
                *tries = tries.saturating_sub(1);
                if *tries > 0 {
                    return Attempt::Wrong;
                }
                session.state = State::Spent;
                Attempt::Spent
            }
        }
    }

    /// The right code got its answer; the number is forgotten.
    pub(super) fn finish(&self, id: &SessionId, request: Request, answer: Vec<u8>) {
        if let Some(session) = self.inner().open.get_mut(id) {
            session.state = State::Done { request, answer };
        }
    }

    /// It got none: the same request may come again.
    pub(super) fn fail(&self, id: &SessionId) {
        if let Some(Session { state: State::Waiting { busy, .. }, .. }) = self.inner().open.get_mut(id) {
            *busy = false;
        }
    }
}

impl Inner {
    fn known(&self, id: &SessionId, request: &Request, now: Instant) -> Option<Begun> {
        match self.open.get(id) {
            Some(session) if session.request == *request && session.ends > now => {
                Some(Begun::Again(session.ends - now))
            }
            Some(_) => Some(Begun::Conflict),
            None => self.used.contains_key(id).then_some(Begun::Conflict),
        }
    }

    /// Ids whose requests are refused by their date by now.
    fn forget(&mut self, now: Instant) {
        self.used.retain(|_, ended| now.duration_since(*ended) < REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::seal::Identity;
    use rand_core::OsRng;

    const LIFE: Duration = Duration::from_secs(600);

    fn header() -> Header {
        Header { session: SessionId::new(&mut OsRng), identity: Identity::new(Timestamp(0)).key(), epoch: 'a' }
    }

    fn code(text: &str) -> Code {
        Code::from_typed(text).unwrap()
    }

    fn number() -> PhoneNumber {
        PhoneNumber::from_e164("+4917612345678").unwrap()
    }

    fn begun(header: Header, now: Instant) -> Sessions {
        let sessions = Sessions::new(LIFE, &[1; 32]);
        assert_eq!(sessions.begin(header, [1; 32], number(), code("12345678"), now), Begun::New);
        sessions
    }

    #[test]
    fn the_right_code_gets_the_number_once_and_the_same_request_the_same_answer() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        let attempt = |request| sessions.attempt(&header, &[request; 32], code("12345678"), now);
        assert!(attempt(2) == Attempt::Right(number()));
        assert!(attempt(2) == Attempt::Busy);
        sessions.finish(&header.session, [2; 32], b"answer".to_vec());
        assert!(attempt(2) == Attempt::Again(b"answer".to_vec()));
        assert!(attempt(3) == Attempt::Conflict);
    }

    #[test]
    fn a_failure_of_ours_costs_no_attempt() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        for _ in 0..10 {
            assert!(sessions.attempt(&header, &[2; 32], code("12345678"), now) == Attempt::Right(number()));
            sessions.fail(&header.session);
        }
    }

    #[test]
    fn five_wrong_codes_and_the_right_one_is_too_late() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        for _ in 0..4 {
            assert!(sessions.attempt(&header, &[2; 32], code("12345679"), now) == Attempt::Wrong);
        }
        assert!(sessions.attempt(&header, &[2; 32], code("00000000"), now) == Attempt::Spent);
        assert!(sessions.attempt(&header, &[2; 32], code("12345678"), now) == Attempt::Spent);
        assert_eq!(sessions.begin(header, [4; 32], number(), code("12345678"), now), Begun::Conflict);
    }

    #[test]
    fn a_late_code_meets_no_session_and_its_id_is_never_used_again() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        let late = now + LIFE;
        assert!(sessions.attempt(&header, &[2; 32], code("12345678"), late) == Attempt::Unknown);
        assert_eq!(sessions.known(&header.session, &[1; 32], late), Some(Begun::Conflict));
        sessions.end(&header.session, late);
        assert_eq!(sessions.begin(header, [1; 32], number(), code("12345678"), late), Begun::Conflict);
        let forgotten = late + REMEMBERED;
        assert_eq!(sessions.begin(header, [1; 32], number(), code("12345678"), forgotten), Begun::New);
    }

    #[test]
    fn the_same_start_again_begins_nothing_and_another_under_its_id_conflicts() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        let later = now + Duration::from_secs(100);
        assert_eq!(sessions.known(&header.session, &[1; 32], later), Some(Begun::Again(Duration::from_secs(500))));
        assert_eq!(sessions.known(&header.session, &[9; 32], later), Some(Begun::Conflict));
        sessions.abandon(&header.session);
        assert_eq!(sessions.known(&header.session, &[1; 32], later), None, "its SMS did not leave");
    }

    #[test]
    fn another_phone_or_epoch_meets_no_session() {
        let (header, now) = (header(), Instant::now());
        let sessions = begun(header, now);
        let other_phone = Header { identity: Identity::new(Timestamp(0)).key(), ..header };
        for other in [other_phone, Header { epoch: 'b', ..header }] {
            assert!(sessions.attempt(&other, &[2; 32], code("12345678"), now) == Attempt::Unknown);
        }
        assert!(sessions.attempt(&header, &[2; 32], code("12345678"), now) == Attempt::Right(number()));
    }
}

//! Enrolments under way: ten minutes at most, in the database, so that any instance takes the code.
//!
//! What is kept of one shows nothing of its number: the number comes again with the code. That it is the same is
//! told by a digest under the epoch's key and of the session's id, which is in no row; whether the code is right by
//! making it anew from both, the session, and a random salt in its row (`EnrolmentKey::code`). A row stays behind for two days, without salt and answer: its request was
//! made by then, and is never taken again.

use super::claims;
use super::database::{Database, DatabaseError, Record, values};
use super::keys::{self, KeyError};
use crate::seal::{Header, SessionId};
use ring::digest::{SHA256, digest};
use std::time::Duration;

/// How often a code may be guessed.
const TRIES: i64 = 5;

/// How long a used id is remembered, in seconds: its request is refused as too old after that (`Start::is_of`).
const REMEMBERED: i64 = 2 * 86_400;

/// How long an instance may work on a right code: what is done under the account's claim, and half a minute for a
/// core and the second evaluator before.
pub(super) const WORK: Duration = claims::WAIT.saturating_add(claims::WORK).saturating_add(Duration::from_secs(30));

/// How long its session is busy, in seconds: an instance that died meanwhile is not waited for any longer.
const BUSY: i64 = WORK.as_secs().cast_signed() + 5;

/// SHA-256 of a request: the same bytes are the same request.
pub(super) type Request = [u8; 32];

/// What a session's number is known by (`EnrolmentKey::bound`).
pub(super) type Bound = [u8; 32];

/// What a session's code depends on.
pub(super) type Salt = [u8; 16];

/// What a `start` meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// The same request began one that lasts for so many seconds.
    Again(u64),
    /// The id is, or was, another request's.
    Conflict,
}

/// What a `confirm` meets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The right code: whoever got this must call [`Sessions::finish`] or [`Sessions::fail`].
    Right,
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
    /// The session is another number's; no attempt is lost.
    OtherNumber,
    /// No such session for that phone and epoch.
    Unknown,
}

/// The sessions of all instances. Times are seconds since 1970.
pub(super) struct Sessions {
    life: u64,
    database: Database,
}

/// SHA-256, which names a request by its bytes.
pub(super) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// What a session is found by.
fn name(id: &SessionId) -> [u8; 32] {
    digest_of(id.as_bytes())
}

/// A row, as far as a confirmation is judged by it.
struct Row {
    phone: Vec<u8>,
    number: Vec<u8>,
    salt: Vec<u8>,
    tries: i64,
    ends: i64,
    busy: i64,
    answered: Vec<u8>,
    answer: Vec<u8>,
}

impl Row {
    fn read(mut record: Record) -> Result<Self, DatabaseError> {
        Ok(Self {
            phone: record.take()?,
            number: record.take()?,
            salt: record.take()?,
            tries: record.take()?,
            ends: record.take()?,
            busy: record.take()?,
            answered: record.take()?,
            answer: record.take()?,
        })
    }
}

impl Sessions {
    pub(super) fn new(life: u64, database: Database) -> Self {
        Self { life, database }
    }

    /// How many seconds a session lasts.
    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// What is known of a request before it costs anything.
    pub(super) async fn known(
        &self,
        id: &SessionId,
        request: &Request,
        now: i64,
    ) -> Result<Option<Begun>, DatabaseError> {
        let found = self.database.one("SELECT request, ends FROM enrolment WHERE id = $1", values![&name(id)]).await?;
        let Some(mut found) = found else { return Ok(None) };
        let (of, ends): (Request, i64) = (found.take()?, found.take()?);
        Ok(Some(match u64::try_from(ends - now) {
            Ok(left) if left > 0 && of == *request => Begun::Again(left),
            _ => Begun::Conflict,
        }))
    }

    /// Makes a session; `None`: its id is taken.
    pub(super) async fn begin(
        &self,
        header: &Header,
        request: &Request,
        number: &Bound,
        now: i64,
    ) -> Result<Option<Salt>, SessionsError> {
        let salt = keys::random()?;
        let salt: Salt = salt.first_chunk().copied().unwrap_or_default();
        let made = self.database.execute(
            "INSERT INTO enrolment (id, request, phone, number, salt, tries, ends, busy, answered, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (id) DO NOTHING",
            values![
                &name(&header.session),
                request,
                &digest_of(&header.phone()),
                number,
                &salt,
                TRIES,
                now + self.life.cast_signed(),
                0,
                &[],
            ],
        );
        Ok((made.await? > 0).then_some(salt))
    }

    /// The SMS did not leave: as if it had never begun.
    pub(super) async fn abandon(&self, id: &SessionId) -> Result<(), DatabaseError> {
        self.database.execute("DELETE FROM enrolment WHERE id = $1", values![&name(id)]).await.map(drop)
    }

    /// Tries a code for a number: `is_right` tells of a session's salt whether it is the one.
    pub(super) async fn attempt(
        &self,
        header: &Header,
        request: &Request,
        number: &Bound,
        is_right: impl Fn(&Salt) -> bool,
        now: i64,
    ) -> Result<Attempt, DatabaseError> {
        let name = name(&header.session);
        loop {
            let found = self.database.one(
                "SELECT phone, number, salt, tries, ends, busy, answered, answer FROM enrolment WHERE id = $1",
                values![&name],
            );
            let Some(found) = found.await? else { return Ok(Attempt::Unknown) };
            let row = Row::read(found)?;
            let Ok(salt) = Salt::try_from(row.salt.as_slice()) else { return Ok(Attempt::Unknown) };
            if row.phone != digest_of(&header.phone()) || row.ends <= now {
                return Ok(Attempt::Unknown);
            }
            if row.number != number {
                return Ok(Attempt::OtherNumber);
            }
            if !row.answered.is_empty() {
                return Ok(if row.answered == request { Attempt::Again(row.answer) } else { Attempt::Conflict });
            }
            if row.tries <= 0 {
                return Ok(Attempt::Spent);
            }
            if row.busy > now {
                return Ok(Attempt::Busy);
            }
            let (attempt, tries, busy) = match is_right(&salt) {
                true => (Attempt::Right, row.tries, now + BUSY),
                false if row.tries > 1 => (Attempt::Wrong, row.tries - 1, 0),
                false => (Attempt::Spent, 0, 0),
            };
            let changed = self.database.execute(
                "UPDATE enrolment SET tries = $1, busy = $2
                 WHERE id = $3 AND tries = $4 AND busy = $5 AND answered = $6",
                values![tries, busy, &name, row.tries, row.busy, row.answered.as_slice()],
            );
            // Another attempt came between: this one is judged anew.
            if changed.await? > 0 {
                return Ok(attempt);
            }
        }
    }

    /// The right code got its answer.
    pub(super) async fn finish(&self, id: &SessionId, request: &Request, answer: &[u8]) -> Result<(), DatabaseError> {
        let changed = self.database.execute(
            "UPDATE enrolment SET busy = $1, answered = $2, answer = $3 WHERE id = $4",
            values![0, request, answer, &name(id)],
        );
        changed.await.map(drop)
    }

    /// It got none: the same request may come again.
    pub(super) async fn fail(&self, id: &SessionId) -> Result<(), DatabaseError> {
        self.database.execute("UPDATE enrolment SET busy = $1 WHERE id = $2", values![0, &name(id)]).await.map(drop)
    }

    /// Empties what is over, and deletes what would be refused by its date.
    pub(super) async fn forget(&self, now: i64) -> Result<(), DatabaseError> {
        let emptied = self.database.execute(
            "UPDATE enrolment SET salt = $1, phone = $1, number = $1, answered = $1, answer = $1 WHERE ends <= $2 AND salt <> $1",
            values![&[], now],
        );
        emptied.await?;
        self.database.execute("DELETE FROM enrolment WHERE ends <= $1", values![now - REMEMBERED]).await.map(drop)
    }
}

/// Why no session was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionsError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::config::Location;
    use crate::model::Timestamp;
    use crate::seal::Identity;
    use rand_core::OsRng;
    use tempfile::TempDir;

    const NOW: i64 = 1_800_000_000;
    const LIFE: i64 = 600;
    const NUMBER: Bound = [5; 32];

    fn header() -> Header {
        Header { session: SessionId::new(&mut OsRng), identity: Identity::new(Timestamp(0)).key(), epoch: 'a' }
    }

    async fn sessions(dir: &TempDir) -> Sessions {
        let database = Database::open(&Location::File(dir.path().join("directory.db"))).await.unwrap();
        Sessions::new(LIFE.unsigned_abs(), database)
    }

    struct Begin {
        sessions: Sessions,
        header: Header,
        salt: Salt,
        _dir: TempDir,
    }

    async fn begun() -> Begin {
        let dir = TempDir::new().unwrap();
        let (sessions, header) = (sessions(&dir).await, header());
        let salt = sessions.begin(&header, &[1; 32], &NUMBER, NOW).await.unwrap().unwrap();
        Begin { sessions, header, salt, _dir: dir }
    }

    impl Begin {
        async fn attempt(&self, header: &Header, request: u8, right: bool, now: i64) -> Attempt {
            let is_right = |salt: &Salt| *salt == self.salt && right;
            self.sessions.attempt(header, &[request; 32], &NUMBER, is_right, now).await.unwrap()
        }

        async fn known(&self, request: u8, now: i64) -> Option<Begun> {
            self.sessions.known(&self.header.session, &[request; 32], now).await.unwrap()
        }
    }

    #[tokio::test]
    async fn the_right_code_counts_once_and_the_same_request_gets_the_same_answer() {
        let begun = begun().await;
        let header = begun.header;
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Right);
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Busy);
        begun.sessions.finish(&header.session, &[2; 32], b"answer").await.unwrap();
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Again(b"answer".to_vec()));
        assert_eq!(begun.attempt(&header, 3, true, NOW).await, Attempt::Conflict);
    }

    #[tokio::test]
    async fn a_failure_of_ours_costs_no_attempt_and_an_instance_s_death_two_minutes() {
        let begun = begun().await;
        let header = begun.header;
        for _ in 0..10 {
            assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Right);
            begun.sessions.fail(&header.session).await.unwrap();
        }
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Right);
        assert_eq!(begun.attempt(&header, 2, true, NOW + BUSY - 1).await, Attempt::Busy);
        assert_eq!(begun.attempt(&header, 2, true, NOW + BUSY).await, Attempt::Right);
    }

    #[tokio::test]
    async fn five_wrong_codes_and_the_right_one_is_too_late() {
        let begun = begun().await;
        let header = begun.header;
        for _ in 0..4 {
            assert_eq!(begun.attempt(&header, 2, false, NOW).await, Attempt::Wrong);
        }
        assert_eq!(begun.attempt(&header, 2, false, NOW).await, Attempt::Spent);
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Spent);
        assert_eq!(begun.known(4, NOW).await, Some(Begun::Conflict));
    }

    #[tokio::test]
    async fn guesses_at_once_are_no_more_than_five() {
        let begun = begun().await;
        let guesses = (0..20).map(|_| begun.attempt(&begun.header, 2, false, NOW));
        let told = futures_util::future::join_all(guesses).await;
        assert_eq!(told.iter().filter(|attempt| **attempt == Attempt::Wrong).count(), 4);
    }

    #[tokio::test]
    async fn a_late_code_meets_no_session_and_its_id_is_never_used_again() {
        let begun = begun().await;
        let (header, late) = (begun.header, NOW + LIFE);
        assert_eq!(begun.attempt(&header, 2, true, late - 1).await, Attempt::Right);
        begun.sessions.fail(&header.session).await.unwrap();
        assert_eq!(begun.attempt(&header, 2, true, late).await, Attempt::Unknown);
        for now in [late - 1, late, late + REMEMBERED - 1] {
            begun.sessions.forget(now).await.unwrap();
            assert_eq!(begun.sessions.begin(&header, &[1; 32], &NUMBER, now).await.unwrap(), None);
        }
        assert_eq!(begun.known(1, late).await, Some(Begun::Conflict));
        assert_eq!(begun.attempt(&header, 2, true, NOW).await, Attempt::Unknown, "what it needed is gone");
        begun.sessions.forget(late + REMEMBERED).await.unwrap();
        assert_eq!(begun.known(1, late + REMEMBERED).await, None);
    }

    #[tokio::test]
    async fn the_same_start_again_begins_nothing_and_another_under_its_id_conflicts() {
        let begun = begun().await;
        assert_eq!(begun.known(1, NOW + 100).await, Some(Begun::Again(500)));
        assert_eq!(begun.known(9, NOW + 100).await, Some(Begun::Conflict));
        assert_eq!(begun.sessions.begin(&begun.header, &[1; 32], &NUMBER, NOW).await.unwrap(), None);
        begun.sessions.abandon(&begun.header.session).await.unwrap();
        assert_eq!(begun.known(1, NOW + 100).await, None, "its SMS did not leave");
    }

    #[tokio::test]
    async fn another_phone_or_epoch_meets_no_session() {
        let begun = begun().await;
        let other_phone = Header { identity: Identity::new(Timestamp(0)).key(), ..begun.header };
        for other in [other_phone, Header { epoch: 'b', ..begun.header }] {
            assert_eq!(begun.attempt(&other, 2, true, NOW).await, Attempt::Unknown);
        }
        assert_eq!(begun.attempt(&begun.header, 2, true, NOW).await, Attempt::Right);
    }
}

//! One at a time works on an account, whichever instance or operator's command it is.
//!
//! An account stands at the XMPP server, at the second evaluator and here. What makes it, ends it or changes its secret
//! goes from one to the next; two at once could leave them apart. So each takes a claim on the account's pseudonym
//! before: a row that only one can have, since the database is all that they share. Who finds it taken waits. A
//! claim whose holder died runs out.

use super::database::{Database, DatabaseError, values};
use super::keys;
use super::provision::ProvisionError;
use super::service::now;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a claim is waited for: a phone gives up after 20 s, and comes again.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// How long one may work under a claim before it is cut off: for a number that moves to another epoch ejabberd is
/// called four times, for 15 s each at the most, and the second evaluator twice, for 8 s.
pub(super) const WORK: Duration = Duration::from_secs(80);

/// What was asked of ejabberd and not answered may still be done so long after.
const LATE: Duration = Duration::from_secs(15);

/// How long a claim lasts that nobody gives back. By each instance's own clock: these must agree within some seconds.
const LIFE: Duration = WAIT.saturating_add(WORK).saturating_add(LATE);

/// Between two looks at a claim that is another's.
const PAUSE: Duration = Duration::from_millis(100);

/// Why an account was not worked on, or not known to be worked on alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClaimError {
    /// Nothing was done.
    #[error("another enrolment, withdrawal or command works on this account: try again in two minutes")]
    Taken,
    /// Some of it was done: doing it again does the rest.
    #[error("it took longer than {} s: see ejabberd's log, and try again in a minute", WORK.as_secs())]
    CutOff,
    /// All of it was done, perhaps with another's work between: doing it again makes it whole.
    #[error("the claim on the account ran out meanwhile: is this machine's clock right? Do it again")]
    Lost,
}

/// The claims of all instances and commands.
pub(super) struct Claims {
    database: Database,
    patience: Duration,
}

impl Claims {
    pub(super) fn of(database: &Database) -> Self {
        Self { database: database.clone(), patience: WAIT }
    }

    /// Does `work` while nobody else works on the accounts of these pseudonyms. What may have changed while it waited
    /// is for `work` to look at. Dropped midway, the claim stays until it runs out.
    pub(super) async fn alone<T>(
        &self,
        mut pseudonyms: Vec<&str>,
        work: impl Future<Output = Result<T, ProvisionError>>,
    ) -> Result<T, ProvisionError> {
        // In one order, so that no two wait for each other.
        pseudonyms.sort_unstable();
        let owner = keys::random()?;
        if let Err(error) = self.take(&pseudonyms, &owner).await {
            // A claim that can't be given back runs out.
            let _ = self.release(&owner).await;
            return Err(error);
        }
        let done = timeout(WORK, work).await.unwrap_or(Err(ClaimError::CutOff.into()));
        if done.as_ref().is_err_and(ProvisionError::may_be_done_late) {
            return done;
        }
        match self.release(&owner).await {
            Ok(released) if released < pseudonyms.len() as u64 => done.and(Err(ClaimError::Lost.into())),
            Ok(_) => done,
            Err(error) => {
                log::error!("a claim stays until it runs out: {error}");
                done
            }
        }
    }

    async fn take(&self, pseudonyms: &[&str], owner: &[u8; 32]) -> Result<(), ProvisionError> {
        let (mut told, until) = (false, Instant::now() + self.patience);
        for pseudonym in pseudonyms {
            while !self.try_take(pseudonym, owner).await? {
                if Instant::now() >= until {
                    return Err(ClaimError::Taken.into());
                }
                if !std::mem::replace(&mut told, true) {
                    log::info!("somebody else works on this account: waiting");
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn try_take(&self, pseudonym: &str, owner: &[u8; 32]) -> Result<bool, DatabaseError> {
        let (now, life) = (now(), LIFE.as_secs().cast_signed());
        let taken = self.database.execute(
            "INSERT INTO claim (pseudonym, owner, until) VALUES ($1, $2, $3)
             ON CONFLICT (pseudonym) DO UPDATE SET owner = excluded.owner, until = excluded.until
             WHERE claim.until <= $4",
            values![pseudonym, owner, now + life, now],
        );
        Ok(taken.await? > 0)
    }

    /// Gives back all that `owner` has; how many it still had.
    async fn release(&self, owner: &[u8; 32]) -> Result<u64, DatabaseError> {
        let released = self.database.execute("DELETE FROM claim WHERE owner = $1", values![owner]).await?;
        self.database.scrub().await?;
        Ok(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::config::Location;
    use crate::directory::ejabberd::EjabberdError;
    use std::cell::RefCell;
    use tempfile::TempDir;
    use tokio::sync::oneshot;

    /// Claims of one who waits, and of one who does not.
    async fn claims() -> (Claims, Claims, TempDir) {
        let dir = TempDir::new().unwrap();
        let database = Database::open(&Location::File(dir.path().join("directory.db"))).await.unwrap();
        let hurried = Claims { patience: Duration::ZERO, ..Claims::of(&database) };
        (Claims::of(&database), hurried, dir)
    }

    async fn idle() -> Result<(), ProvisionError> {
        Ok(())
    }

    fn is(done: Result<(), ProvisionError>, expected: ClaimError) -> bool {
        matches!(done, Err(ProvisionError::Claim(error)) if error == expected)
    }

    #[tokio::test]
    async fn who_comes_second_waits_and_who_can_t_wait_is_told() {
        let (claims, hurried, _dir) = claims().await;
        let (done, end) = oneshot::channel::<()>();
        let order = RefCell::new(Vec::new());
        let first = claims.alone(vec!["a", "b"], async {
            assert!(is(hurried.alone(vec!["b"], idle()).await, ClaimError::Taken));
            assert!(is(hurried.alone(vec!["0", "a"], idle()).await, ClaimError::Taken));
            hurried.alone(vec!["0"], idle()).await.expect("what the refused one had is free");
            end.await.unwrap();
            order.borrow_mut().push(1);
            idle().await
        });
        let second = claims.alone(vec!["b", "a"], async {
            order.borrow_mut().push(2);
            idle().await
        });
        let end = async { done.send(()) };
        let (first, second, _) = tokio::join!(first, second, end);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(order.into_inner(), [1, 2]);
        hurried.alone(vec!["a", "b"], idle()).await.unwrap();
    }

    #[tokio::test]
    async fn what_failed_is_free_at_once_and_what_may_be_done_late_is_not_free_before_that() {
        let (claims, hurried, _dir) = claims().await;
        let fails = async |error| claims.alone(vec!["a"], async { Err::<(), _>(error) }).await.unwrap_err();
        fails(EjabberdError::Forbidden("register").into()).await;
        hurried.alone(vec!["a"], idle()).await.unwrap();
        fails(EjabberdError::Timeout.into()).await;
        assert!(is(hurried.alone(vec!["a"], idle()).await, ClaimError::Taken));

        let until = claims.database.one("SELECT until FROM claim", values![]).await.unwrap().unwrap().take::<i64>();
        let left = until.unwrap() - now();
        assert!(left > i64::try_from(LATE.as_secs()).unwrap(), "{left}");
        claims.database.execute("UPDATE claim SET until = $1", values![now()]).await.unwrap();
        hurried.alone(vec!["a"], idle()).await.expect("it has run out");
    }

    #[tokio::test]
    async fn who_lost_the_claim_meanwhile_is_told_to_do_it_again() {
        let (claims, hurried, _dir) = claims().await;
        let work = async {
            claims.database.execute("UPDATE claim SET until = $1", values![0]).await?;
            hurried.alone(vec!["a"], idle()).await
        };
        assert!(is(claims.alone(vec!["a"], work).await, ClaimError::Lost));
    }
}

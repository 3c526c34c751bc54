//! An enrolment's life on the phone (protocol.md §4): what the directory is asked, when again, and when it is
//! over. The same life is led by the fresh proof that a renewal needs.

use super::backoff::Backoff;
use crate::model::{Instant, Now, Timestamp};
use std::time::Duration;

/// How long the directory keeps a session, and so how long a code is of use.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);

/// How far it has come; kept across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The directory is asked to send a code.
    Asking,
    /// A code is on its way by SMS.
    Awaiting,
    /// The code is given back.
    Confirming,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolInput {
    /// There is an uplink to ask through.
    Open,
    /// There is none any more; what was asked is asked again by the next.
    Closed,
    /// The directory has sent a code.
    Asked,
    /// A code is here, by SMS or typed, and its confirmation is stored.
    Code,
    /// The directory says that it was another.
    WrongCode,
    /// The directory could not be asked, or could not answer.
    Unreachable,
    /// A deadline passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolStep {
    /// Ask for a code: the stored request, byte for byte.
    Ask,
    /// Give the code back: the stored confirmation, byte for byte.
    Confirm,
    /// Its time is over.
    Expire,
}

/// What it waits for; `StateReason` while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// The directory's answer.
    Asking,
    /// The code.
    Awaiting,
    /// Another code: the last one was wrong.
    WrongCode,
    /// The directory's answer to the code.
    Confirming,
    /// The directory: it can't be reached, and is tried again.
    Unreachable,
}

/// One enrolment.
#[derive(Debug)]
pub struct Enrolling {
    stage: Stage,
    ends: Instant,
    open: bool,
    asked: bool,
    wrong: bool,
    lost: bool,
    retry_at: Option<Instant>,
    losses: Backoff,
}

impl Enrolling {
    /// One that began at `begun` and has come so far.
    #[must_use]
    pub fn new(now: Now, begun: Timestamp, stage: Stage) -> Self {
        let age = Duration::from_millis(u64::try_from(now.wall.0.saturating_sub(begun.0)).unwrap_or(0));
        Self {
            stage,
            ends: now.mono.plus(LIFE.saturating_sub(age)),
            open: false,
            asked: false,
            wrong: false,
            lost: false,
            retry_at: None,
            losses: Backoff::new(Duration::from_secs(2), Duration::from_secs(60)),
        }
    }

    /// Takes one input. `random` jitters a pause.
    #[must_use]
    pub fn handle(&mut self, now: Instant, random: u32, input: EnrolInput) -> Option<EnrolStep> {
        match input {
            EnrolInput::Open => {
                self.open = true;
                self.again();
            }
            EnrolInput::Closed => {
                self.open = false;
                self.again();
            }
            // The SMS may overtake the answer.
            EnrolInput::Asked if self.stage == Stage::Asking => {
                self.stage = Stage::Awaiting;
                self.again();
            }
            EnrolInput::Asked => {}
            EnrolInput::Code => {
                self.stage = Stage::Confirming;
                self.wrong = false;
                self.again();
            }
            EnrolInput::WrongCode => {
                self.stage = Stage::Awaiting;
                self.wrong = true;
                self.again();
            }
            EnrolInput::Unreachable => {
                self.asked = false;
                self.lost = true;
                self.retry_at = Some(now.plus(self.losses.next(random)));
            }
            EnrolInput::Tick if self.ends <= now => return Some(EnrolStep::Expire),
            EnrolInput::Tick if self.retry_at.is_some_and(|at| at <= now) => self.retry_at = None,
            EnrolInput::Tick => return None,
        }
        self.next_step()
    }

    /// When [`EnrolInput::Tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.retry_at.map_or(self.ends, |at| at.min(self.ends))
    }

    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What it waits for.
    #[must_use]
    pub fn doing(&self) -> Doing {
        match self.stage {
            Stage::Awaiting if self.wrong => Doing::WrongCode,
            Stage::Awaiting => Doing::Awaiting,
            _ if self.lost => Doing::Unreachable,
            Stage::Asking => Doing::Asking,
            Stage::Confirming => Doing::Confirming,
        }
    }

    /// What was asked is answered or lost: there is something new to do.
    fn again(&mut self) {
        self.asked = false;
        self.lost = false;
        self.retry_at = None;
    }

    fn next_step(&mut self) -> Option<EnrolStep> {
        if !self.open || self.asked || self.retry_at.is_some() {
            return None;
        }
        let step = match self.stage {
            Stage::Asking => EnrolStep::Ask,
            Stage::Awaiting => return None,
            Stage::Confirming => EnrolStep::Confirm,
        };
        self.asked = true;
        Some(step)
    }
}

impl Doing {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Asking => "asking-directory",
            Self::Awaiting => "code-awaited",
            Self::WrongCode => "wrong-code",
            Self::Confirming => "confirming",
            Self::Unreachable => "directory-unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono: Instant(1_000), wall: Timestamp(1_800_000_000_000) };

    fn begun(stage: Stage) -> Enrolling {
        Enrolling::new(NOW, NOW.wall, stage)
    }

    fn step(enrolling: &mut Enrolling, input: EnrolInput) -> Option<EnrolStep> {
        enrolling.handle(NOW.mono, 0, input)
    }

    #[test]
    fn nothing_is_asked_before_there_is_a_way_and_each_thing_once() {
        let mut it = begun(Stage::Asking);
        assert_eq!(step(&mut it, EnrolInput::Tick), None);
        assert_eq!(step(&mut it, EnrolInput::Open), Some(EnrolStep::Ask));
        assert_eq!(it.doing(), Doing::Asking);
        assert_eq!(step(&mut it, EnrolInput::Asked), None);
        assert_eq!(it.doing(), Doing::Awaiting);
        assert_eq!(step(&mut it, EnrolInput::Code), Some(EnrolStep::Confirm));
        assert_eq!(step(&mut it, EnrolInput::Tick), None);
        assert_eq!(it.doing(), Doing::Confirming);
    }

    #[test]
    fn a_code_that_overtakes_the_directorys_answer_is_given_back_at_once() {
        let mut it = begun(Stage::Asking);
        let _ = step(&mut it, EnrolInput::Open);
        assert_eq!(step(&mut it, EnrolInput::Code), Some(EnrolStep::Confirm));
        assert_eq!(step(&mut it, EnrolInput::Asked), None);
        assert_eq!(it.stage(), Stage::Confirming);
    }

    #[test]
    fn what_was_under_way_is_asked_again_by_the_next_uplink() {
        for (stage, expected) in [
            (Stage::Asking, Some(EnrolStep::Ask)),
            (Stage::Awaiting, None),
            (Stage::Confirming, Some(EnrolStep::Confirm)),
        ] {
            let mut it = begun(stage);
            assert_eq!(step(&mut it, EnrolInput::Open), expected);
            assert_eq!(step(&mut it, EnrolInput::Closed), None);
            assert_eq!(step(&mut it, EnrolInput::Open), expected);
        }
    }

    #[test]
    fn an_unreachable_directory_is_asked_again_with_growing_pauses_until_the_end() {
        let mut it = begun(Stage::Asking);
        let _ = step(&mut it, EnrolInput::Open);
        let (mut now, mut asked) = (NOW.mono, 0);
        loop {
            assert_eq!(it.handle(now, u32::MAX, EnrolInput::Unreachable), None);
            assert_eq!(it.doing(), Doing::Unreachable);
            now = it.deadline();
            match it.handle(now, 0, EnrolInput::Tick) {
                Some(EnrolStep::Ask) => asked += 1,
                Some(EnrolStep::Expire) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((now.since(NOW.mono), asked), (LIFE, 13));
    }

    #[test]
    fn a_wrong_code_waits_for_another() {
        let mut it = begun(Stage::Confirming);
        let _ = step(&mut it, EnrolInput::Open);
        assert_eq!(step(&mut it, EnrolInput::WrongCode), None);
        assert_eq!(it.doing(), Doing::WrongCode);
        assert_eq!(step(&mut it, EnrolInput::Code), Some(EnrolStep::Confirm));
    }

    #[test]
    fn a_restart_does_not_lengthen_its_life() {
        let later = Now { mono: Instant(0), wall: NOW.wall.plus(Duration::from_secs(540)) };
        let it = Enrolling::new(later, NOW.wall, Stage::Awaiting);
        assert_eq!(it.deadline().since(later.mono), Duration::from_secs(60));
        let much_later = Now { mono: Instant(5), wall: NOW.wall.plus(Duration::from_secs(86_400)) };
        let mut it = Enrolling::new(much_later, NOW.wall, Stage::Confirming);
        assert_eq!(it.handle(much_later.mono, 0, EnrolInput::Tick), Some(EnrolStep::Expire));
    }
}

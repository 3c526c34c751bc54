//! A line of doctor's screen.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as it could.
    Warning,
    /// Something does not work.
    Problem,
    /// This user can't see it.
    Unseen,
}

impl Verdict {
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unseen => "unseen",
        }
    }
}

/// One line of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    /// What is seen, and what to do.
    pub(super) text: String,
}

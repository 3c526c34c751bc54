//! Why there is no account: how an enrolment or an account ended.

use super::Core;
use super::turn::Turn;
use crate::bus::Error;
use crate::store::{Blob, StoreError, Tx};

/// Why an enrolment ended without an account, or an account ended; `StateReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// No code, or no answer, within ten minutes.
    Expired,
    /// The fifth wrong code.
    Spent,
    /// The directory sends no codes to that number.
    Number,
    /// Too many codes were asked for.
    Limited,
    /// The directory does not serve the pinned epoch.
    Epoch,
    /// The phone's clock is more than a day off.
    Clock,
    /// The directory enrols no phones by themselves.
    Closed,
    /// The directory refused, or its answer does not hold.
    Refused,
    /// The number was enrolled elsewhere, or the operator ended the account.
    SignedOut,
}

impl Ended {
    const ALL: [Self; 9] = [
        Self::Expired,
        Self::Spent,
        Self::Number,
        Self::Limited,
        Self::Epoch,
        Self::Clock,
        Self::Closed,
        Self::Refused,
        Self::SignedOut,
    ];

    /// The D-Bus token.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Expired => "enrolment-expired",
            Self::Spent => "attempts-used",
            Self::Number => "number-refused",
            Self::Limited => "too-many-codes",
            Self::Epoch => "epoch-unknown",
            Self::Clock => "clock-wrong",
            Self::Closed => "enrolment-closed",
            Self::Refused => "enrolment-refused",
            Self::SignedOut => "signed-out",
        }
    }

    /// What a caller that waits for its code's outcome is told.
    pub(super) fn error(self) -> Error {
        Error::EnrolmentEnded(match self {
            Self::Expired => "ten minutes are over: enrol again",
            Self::Spent => "five codes were wrong: enrol again",
            Self::Number => "the directory sends no codes to this number: it must be a mobile number that it serves",
            Self::Limited => "too many codes were asked for: enrol again tomorrow",
            Self::Epoch => "the directory does not know the epoch pinned under [cloud]: update the configuration",
            Self::Clock => "this phone's clock is more than a day off: set it",
            Self::Closed => "this directory enrols no phones by themselves: ask its operator for an account file",
            Self::Refused => "the directory's answer cannot be used; the journal says why",
            Self::SignedOut => "the number was enrolled on another phone, or the account was ended",
        })
    }
}

impl Core {
    pub(super) fn load_ended(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        if let Some(token) = tx.blob(Blob::Ended)? {
            self.ended = Ended::ALL.into_iter().find(|ended| ended.token().as_bytes() == token.as_slice());
        }
        Ok(())
    }

    /// Why there is no account, until there is one or it is tried anew.
    pub(super) fn tell_ended(&mut self, turn: &mut Turn<'_, '_>, ended: Option<Ended>) {
        if self.ended != ended {
            self.ended = ended;
            turn.write(move |tx| match ended {
                Some(ended) => tx.put_blob(Blob::Ended, ended.token().as_bytes()),
                None => tx.drop_blob(Blob::Ended),
            });
        }
    }
}

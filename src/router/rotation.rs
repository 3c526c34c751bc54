//! The account's secret, and a new one in its place (protocol.md §4), without ever standing outside.
//!
//! The secret is the password at the XMPP server, and the token at the directory follows from it. The directory
//! changes both, the server's first; it may be cut off in between, its answer may be lost, and a server that
//! crashes may forget the change. So the phone stores the new secret *before* it tells it, says the same one again
//! until that is answered, keeps the old one until then, and takes the account for ended only when the directory
//! denies the token, or both of them, and does so once more after a pause.
//!
//! A log-in that is refused is tried by the other secret where one is wanted; and the directory is told the secret
//! again, which sets the server right, and finds out whether there still is an account.

use super::backoff::Backoff;
use crate::model::Instant;
use std::time::Duration;

/// Between a denial and the one that confirms it.
const ONCE_MORE: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretInput {
    /// A new secret is stored; what the directory answers to an earlier one means nothing any more.
    Wanted,
    /// There is an uplink; it was told what [`Rotation::login_by_new`] and [`Rotation::token_of_new`] say.
    Open,
    /// There is none any more.
    Closed,
    /// It is bound to the server.
    Online,
    /// It is not, and that says nothing about the account.
    Offline,
    /// It is not, since the server refuses the secret in use.
    Refused,
    /// The directory has taken the secret that it was told.
    Done,
    /// The directory, asked for something else, does not know the token in use.
    Doubted,
    /// The directory, told the secret, does not know the token in use.
    Denied,
    /// The directory could not be told.
    Lost,
    /// A deadline passed.
    Tick,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretStep {
    /// The new secret is the account's from now on: store that.
    Adopt,
    /// Tell the uplink which secret and token to use.
    Use,
    /// Tell the directory the new secret, or the account's own where none is wanted.
    Tell,
    /// No token of ours is known: the account has ended.
    Ended,
}

/// Which secret is used for what.
#[derive(Debug)]
pub struct Rotation {
    /// There is a new secret beside the account's.
    wanted: bool,
    login_by_new: bool,
    token_of_new: bool,
    /// Denials in a row.
    denials: u8,
    /// Whether the servers know the secret, or us, is in doubt: the directory is asked without a link, too.
    doubt: bool,
    open: bool,
    online: bool,
    told: bool,
    again: Instant,
    losses: Backoff,
}

impl Rotation {
    /// As an earlier life stored it: whether there is a new secret.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            login_by_new: false,
            token_of_new: false,
            denials: 0,
            doubt: false,
            open: false,
            online: false,
            told: false,
            again: Instant(0),
            losses: Backoff::new(Duration::from_secs(30), Duration::from_secs(6 * 3600)),
        }
    }

    /// Takes one input. `random` jitters a pause.
    #[must_use]
    pub fn handle(&mut self, now: Instant, random: u32, input: SecretInput) -> Vec<SecretStep> {
        let mut steps = Vec::new();
        match input {
            SecretInput::Wanted => {
                *self = Self { open: self.open, online: self.online, doubt: self.doubt, ..Self::new(true) };
            }
            SecretInput::Open => self.open = true,
            SecretInput::Closed => (self.open, self.online, self.told) = (false, false, false),
            SecretInput::Online => {
                self.online = true;
                self.doubt &= self.wanted;
            }
            SecretInput::Offline => self.online = false,
            SecretInput::Refused => {
                (self.online, self.doubt) = (false, true);
                if self.wanted {
                    self.login_by_new = !self.login_by_new;
                    steps.push(SecretStep::Use);
                }
            }
            SecretInput::Done => {
                (self.told, self.denials, self.doubt) = (false, 0, false);
                self.losses.reset();
                if std::mem::take(&mut self.wanted) {
                    steps.push(SecretStep::Adopt);
                    let used = (std::mem::take(&mut self.login_by_new), std::mem::take(&mut self.token_of_new));
                    steps.extend((used != (true, true)).then_some(SecretStep::Use));
                }
            }
            SecretInput::Doubted => self.doubt = true,
            SecretInput::Denied => {
                (self.told, self.doubt) = (false, true);
                self.denials = self.denials.saturating_add(1);
                // Each token once, then each once more.
                let tokens = if self.wanted { 2 } else { 1 };
                self.again = if self.denials.is_multiple_of(tokens) { now.plus(ONCE_MORE) } else { now };
                if self.denials >= 2 * tokens {
                    self.denials = 0;
                    return vec![SecretStep::Ended];
                }
                if self.wanted {
                    self.token_of_new = !self.token_of_new;
                    steps.push(SecretStep::Use);
                }
            }
            SecretInput::Lost => {
                self.told = false;
                self.again = now.plus(self.losses.next(random));
            }
            SecretInput::Tick => {}
        }
        if self.due().is_some_and(|due| due <= now) {
            self.told = true;
            steps.push(SecretStep::Tell);
        }
        steps
    }

    /// When [`SecretInput::Tick`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let wanted = self.doubt || (self.wanted && self.online);
        (wanted && self.open && !self.told).then_some(self.again)
    }

    /// Whether it is being found out if the servers know the secret, or us.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.doubt
    }

    /// Whether there is a new secret beside the account's.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Whether to log in by the new secret.
    #[must_use]
    pub fn login_by_new(&self) -> bool {
        self.login_by_new
    }

    /// Whether the directory is asked by the new secret's token.
    #[must_use]
    pub fn token_of_new(&self) -> bool {
        self.token_of_new
    }
}

#[cfg(test)]
mod tests;

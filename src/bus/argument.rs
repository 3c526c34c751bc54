//! What some requests carry: bounded and parsed, see `options`.

use super::LIST_MAX;
use crate::model::{Address, Bearer, Body, LineId, TextId, Timestamp};

/// `Send`'s options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// From which line; else the account's, else the only or first one.
    pub line: Option<LineId>,
    /// Only by that bearer.
    pub only: Option<Bearer>,
    /// The caller's idempotency token, at most 64 bytes.
    pub token: Option<Box<str>>,
    /// Whether a delivery report is wished for.
    pub report: bool,
}

/// `Route`'s options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteOptions {
    /// From which line; else the account's, else the only or first one.
    pub line: Option<LineId>,
    /// The text, for the number of its segments.
    pub text: Option<Body>,
    /// Whether each rule that was passed shall be told.
    pub explain: bool,
}

/// Which texts `List` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this direction.
    pub direction: Option<Direction>,
    /// Only those from or to this number, as written.
    pub peer: Option<Address>,
    /// Only incoming ones that no app took yet.
    pub unacknowledged: bool,
    /// Only those handed over or committed at or after this time.
    pub since: Option<Timestamp>,
    /// Only those after this one: for paging.
    pub after: Option<TextId>,
    /// At most so many, 1 to [`LIST_MAX`].
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { direction: None, peer: None, unacknowledged: false, since: None, after: None, limit: LIST_MAX }
    }
}

/// Whether a text came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this phone.
    Incoming,
    /// From this phone.
    Outgoing,
}

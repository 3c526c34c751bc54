//! The uplink's own table: what the core may send it.

use super::Violation;
use crate::wall::message::{Errand, RequestId, ToUplink};

/// Points in one `Evaluate`: one page of an evaluator's budget.
pub(super) const MAX_POINTS: usize = 100;

/// The uplink's table for what the core may send.
#[derive(Debug, Default)]
pub struct UplinkPermit {
    connected: bool,
    visiting: bool,
    closed: bool,
    /// The last request's id; they count up from 1.
    last: u64,
}

impl UplinkPermit {
    /// For a core that has sent nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first frame was `Connect`.
    pub(super) fn connected(&self) -> bool {
        self.connected
    }

    /// Whether it was `Visit`.
    pub(super) fn visiting(&self) -> bool {
        self.visiting
    }

    /// Judges a frame from the core, and notes it.
    ///
    /// # Errors
    /// The frame is not allowed here: the uplink ends itself.
    pub fn check(&mut self, message: &ToUplink) -> Result<(), Violation> {
        if self.closed {
            return Err(Violation::TooLate);
        }
        match message {
            // A core that changed its mind may close at once.
            ToUplink::Close => {
                self.closed = true;
                return Ok(());
            }
            ToUplink::Connect(_) | ToUplink::Visit(_) if self.connected || self.visiting => {
                return Err(Violation::Repeated);
            }
            ToUplink::Connect(_) => {
                self.connected = true;
                return Ok(());
            }
            ToUplink::Visit(_) => {
                self.visiting = true;
                return Ok(());
            }
            ToUplink::Errand { errand: Errand::Start(_) | Errand::Confirm(_), .. } if self.visiting => {}
            _ if !self.connected => return Err(Violation::TooEarly),
            _ => {}
        }
        match message {
            ToUplink::Connect(_)
            | ToUplink::Visit(_)
            | ToUplink::Close
            | ToUplink::Retry
            | ToUplink::Secrets { .. }
            | ToUplink::Presence { .. } => Ok(()),
            ToUplink::Evaluate { blinded, .. } if blinded.is_empty() || blinded.len() > MAX_POINTS => {
                Err(Violation::Length)
            }
            ToUplink::Send { request, .. }
            | ToUplink::Publish { request, .. }
            | ToUplink::Fetch { request, .. }
            | ToUplink::Evaluate { request, .. }
            | ToUplink::Errand { request, .. }
            | ToUplink::Ping { request } => self.next_id(*request),
        }
    }

    fn next_id(&mut self, RequestId(id): RequestId) -> Result<(), Violation> {
        if id <= self.last {
            return Err(Violation::Order);
        }
        self.last = id;
        Ok(())
    }
}

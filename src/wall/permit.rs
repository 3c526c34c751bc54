//! The permit table: which message is allowed in which state. A violation ends the uplink; routing
//! falls to SMS and nothing is lost.

mod uplink;

pub use uplink::UplinkPermit;

use super::message::{FromUplink, LinkState, RequestId, ToUplink};
use std::collections::{BTreeMap, VecDeque};

/// Requests that may wait for their answer at one time. An uplink that leaves so many unanswered is hung.
pub const MAX_OUTSTANDING: usize = 1024;

/// A localpart is at most 1023 bytes (RFC 7622 §3.3.1).
const MAX_LOCALPART: usize = 1023;
/// Tokens in `Ready`, and bytes in each.
const MAX_LACKS: (usize, usize) = (16, 32);
/// Bytes of an errand's answer: an account or a certificate, sealed and padded.
const MAX_ANSWER: usize = 4096;
/// Bytes of a DLEQ proof over ristretto255 (RFC 9497 §2.2.1).
const PROOF: usize = 64;

/// What was not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Something came before the message that must be first.
    #[error("a message before the first one: end the other side")]
    TooEarly,
    /// A message that comes once came again.
    #[error("a message that comes once came twice: end the other side")]
    Repeated,
    /// A message after the last one.
    #[error("a message after the last one: end the other side")]
    TooLate,
    /// An answer to nothing that was asked, to another kind of question, or a second one.
    #[error("an answer to nothing outstanding: end the other side")]
    Unasked,
    /// A request whose id is not above all before it.
    #[error("a request id is not above the one before: end the other side")]
    Order,
    /// A field is longer than it may be, or a list has not the length that was asked for.
    #[error("a field or list has a wrong length: end the other side")]
    Length,
    /// [`MAX_OUTSTANDING`] requests are unanswered.
    #[error("{MAX_OUTSTANDING} requests are unanswered: wait for answers, or end the uplink")]
    Full,
}

/// What an outstanding request may be answered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Send,
    Publish,
    Fetch,
    /// So many points.
    Evaluate(usize),
    Errand,
    Ping,
}

/// The core's table, one for each life of an uplink. Every frame sent is noted *before* it is
/// written, every frame received is checked before it is looked at.
#[derive(Debug, Default)]
pub struct Permit {
    towards: UplinkPermit,
    ready: bool,
    was_online: bool,
    outstanding: BTreeMap<RequestId, Asked>,
    /// Sends that were accepted and may still bounce, oldest first.
    accepted: VecDeque<RequestId>,
    /// Accepted sends up to here were forgotten: a bounce is let through, it says no more than "unknown".
    forgotten: Option<RequestId>,
}

impl Permit {
    /// For an uplink just started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a frame about to be written.
    ///
    /// # Errors
    /// A frame that the uplink would have to refuse must not be written; `Full` asks to wait.
    pub fn sent(&mut self, message: &ToUplink) -> Result<(), Violation> {
        let asked = match message {
            ToUplink::Send { request, .. } => Some((*request, Asked::Send)),
            ToUplink::Publish { request, .. } => Some((*request, Asked::Publish)),
            ToUplink::Fetch { request, .. } => Some((*request, Asked::Fetch)),
            ToUplink::Evaluate { request, blinded, .. } => Some((*request, Asked::Evaluate(blinded.len()))),
            ToUplink::Errand { request, .. } => Some((*request, Asked::Errand)),
            ToUplink::Ping { request } => Some((*request, Asked::Ping)),
            ToUplink::Connect(_)
            | ToUplink::Visit(_)
            | ToUplink::Retry
            | ToUplink::Secrets { .. }
            | ToUplink::Presence { .. }
            | ToUplink::Close => None,
        };
        if asked.is_some() && !self.has_room() {
            return Err(Violation::Full);
        }
        self.towards.check(message)?;
        if let Some((request, kind)) = asked {
            self.outstanding.insert(request, kind);
        }
        Ok(())
    }

    /// Whether one more request may be sent now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outstanding.len() < MAX_OUTSTANDING
    }

    /// How many requests are unanswered.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Judges a frame from the uplink, and notes it.
    ///
    /// # Errors
    /// The frame is not allowed here: end the uplink.
    pub fn check(&mut self, message: &FromUplink) -> Result<(), Violation> {
        if let FromUplink::Ready { lacks } = message {
            return self.first(lacks);
        }
        if !self.ready {
            return Err(Violation::TooEarly);
        }
        match message {
            FromUplink::Ready { .. } => Ok(()),
            FromUplink::Link(state) => {
                self.was_online |= matches!(state, LinkState::Online { .. });
                // Offline is the other answer to a ping.
                if matches!(state, LinkState::Offline(_)) {
                    self.outstanding.retain(|_, asked| *asked != Asked::Ping);
                }
                self.after_connect()
            }
            FromUplink::Counters(_) if self.towards.visiting() => Ok(()),
            FromUplink::Counters(_) => self.after_connect(),
            FromUplink::Received { from, .. } | FromUplink::Presence { from, .. } => self.network(from),
            FromUplink::Accepted { request } => self.accept(*request),
            FromUplink::Bounced { request } => self.bounce(*request),
            FromUplink::Published { request, .. } => self.answer(*request, Asked::Publish),
            FromUplink::Fetched { request, .. } => self.answer(*request, Asked::Fetch),
            FromUplink::Pong { request } => self.answer(*request, Asked::Ping),
            FromUplink::Errand { result: Ok(answer), .. } if answer.0.len() > MAX_ANSWER => Err(Violation::Length),
            FromUplink::Errand { request, .. } => self.answer(*request, Asked::Errand),
            FromUplink::Evaluated { request, result } => {
                let Some(&Asked::Evaluate(points)) = self.outstanding.get(request) else {
                    return Err(Violation::Unasked);
                };
                if let Ok(evaluations) = result
                    && (evaluations.len() != points || evaluations.iter().any(|(_, proof)| proof.len() != PROOF))
                {
                    return Err(Violation::Length);
                }
                self.answer(*request, Asked::Evaluate(points))
            }
        }
    }

    fn first(&mut self, lacks: &[String]) -> Result<(), Violation> {
        if self.ready {
            return Err(Violation::Repeated);
        }
        if lacks.len() > MAX_LACKS.0 || lacks.iter().any(|token| token.len() > MAX_LACKS.1) {
            return Err(Violation::Length);
        }
        self.ready = true;
        Ok(())
    }

    fn after_connect(&self) -> Result<(), Violation> {
        if self.towards.connected() { Ok(()) } else { Err(Violation::TooEarly) }
    }

    fn network(&self, from: &str) -> Result<(), Violation> {
        if !self.was_online {
            Err(Violation::TooEarly)
        } else if from.is_empty() || from.len() > MAX_LOCALPART {
            Err(Violation::Length)
        } else {
            Ok(())
        }
    }

    fn answer(&mut self, request: RequestId, kind: Asked) -> Result<(), Violation> {
        if self.outstanding.get(&request) != Some(&kind) {
            return Err(Violation::Unasked);
        }
        self.outstanding.remove(&request);
        Ok(())
    }

    fn accept(&mut self, request: RequestId) -> Result<(), Violation> {
        self.answer(request, Asked::Send)?;
        if self.accepted.len() >= MAX_OUTSTANDING {
            let oldest = self.accepted.pop_front();
            self.forgotten = self.forgotten.max(oldest);
        }
        self.accepted.push_back(request);
        Ok(())
    }

    fn bounce(&mut self, request: RequestId) -> Result<(), Violation> {
        if let Some(place) = self.accepted.iter().position(|accepted| *accepted == request) {
            self.accepted.remove(place);
            return Ok(());
        }
        match self.answer(request, Asked::Send) {
            Err(Violation::Unasked) if self.forgotten.is_some_and(|last| request <= last) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;

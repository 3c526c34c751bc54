//! The permit table: which message is allowed in which state. A violation ends the uplink; routing
//! falls to SMS and nothing is lost.

use super::message::{Errand, FromUplink, LinkState, RequestId, ToUplink};
use std::collections::{BTreeMap, VecDeque};

/// Requests that may wait for their answer at one time. An uplink that leaves so many unanswered is hung.
pub const MAX_OUTSTANDING: usize = 1024;

/// Points in one `Evaluate`: one page of the directory's budget.
const MAX_POINTS: usize = 100;
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
            FromUplink::Counters(_) if self.towards.visiting => Ok(()),
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
        if self.towards.connected { Ok(()) } else { Err(Violation::TooEarly) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::{Connect, Counters, DirectoryError, FetchError, Offline, Opaque, Secret, Visit};
    use zeroize::Zeroizing;

    /// As the uplink gets one: off the wall.
    fn off_the_wall<T: serde::de::DeserializeOwned>(value: impl serde::Serialize) -> T {
        postcard::from_bytes(&postcard::to_allocvec(&value).unwrap()).unwrap()
    }

    fn connect() -> ToUplink {
        ToUplink::Connect(Box::new(Connect {
            account: off_the_wall("1abc"),
            domain: "example.org".into(),
            secret: Secret(Zeroizing::new("s".into())),
            servers: vec![],
            directory: String::new(),
            token: Secret(Zeroizing::new("t".into())),
            ca: String::new(),
            keep_alive: 0,
            node: String::new(),
        }))
    }

    fn send(id: u64) -> ToUplink {
        ToUplink::Send { request: RequestId(id), to: off_the_wall("1abc"), sealed: off_the_wall(vec![1_u8]) }
    }

    fn fetch(id: u64) -> ToUplink {
        ToUplink::Fetch { request: RequestId(id), of: off_the_wall("1abc") }
    }

    fn evaluate(id: u64, points: usize) -> ToUplink {
        ToUplink::Evaluate { request: RequestId(id), epoch: '1', blinded: vec![[0; 32]; points] }
    }

    fn evaluated(id: u64, points: usize, proof: usize) -> FromUplink {
        FromUplink::Evaluated { request: RequestId(id), result: Ok(vec![([0; 32], vec![0; proof]); points]) }
    }

    fn ready() -> FromUplink {
        FromUplink::Ready { lacks: vec![] }
    }

    fn received() -> FromUplink {
        FromUplink::Received { from: "1abc".into(), sealed: Opaque(vec![]) }
    }

    fn accepted(id: u64) -> FromUplink {
        FromUplink::Accepted { request: RequestId(id) }
    }

    fn bounced(id: u64) -> FromUplink {
        FromUplink::Bounced { request: RequestId(id) }
    }

    fn online() -> Permit {
        let mut permit = Permit::new();
        permit.check(&ready()).unwrap();
        permit.sent(&connect()).unwrap();
        permit.check(&FromUplink::Link(LinkState::Online { resumed: false })).unwrap();
        permit
    }

    #[test]
    fn ready_is_first_and_once() {
        let mut permit = Permit::new();
        assert_eq!(permit.check(&received()), Err(Violation::TooEarly));
        assert_eq!(permit.check(&ready()), Ok(()));
        assert_eq!(permit.check(&ready()), Err(Violation::Repeated));
    }

    #[test]
    fn the_link_is_told_only_after_connect() {
        let mut permit = Permit::new();
        permit.check(&ready()).unwrap();
        let offline = FromUplink::Link(LinkState::Offline(Offline::Tls));
        assert_eq!(permit.check(&offline), Err(Violation::TooEarly));
        permit.sent(&connect()).unwrap();
        assert_eq!(permit.check(&offline), Ok(()));
    }

    #[test]
    fn nothing_comes_from_the_network_before_the_link_was_up() {
        let mut permit = Permit::new();
        permit.check(&ready()).unwrap();
        permit.sent(&connect()).unwrap();
        assert_eq!(permit.check(&received()), Err(Violation::TooEarly));
        permit.check(&FromUplink::Link(LinkState::Online { resumed: false })).unwrap();
        assert_eq!(permit.check(&received()), Ok(()));
    }

    #[test]
    fn an_answer_needs_a_question_of_its_kind_and_comes_once() {
        let mut permit = online();
        permit.sent(&fetch(1)).unwrap();
        assert_eq!(permit.check(&accepted(1)), Err(Violation::Unasked));
        let answer = FromUplink::Fetched { request: RequestId(1), result: Err(FetchError::NotFound) };
        assert_eq!(permit.check(&answer), Ok(()));
        assert_eq!(permit.check(&answer), Err(Violation::Unasked));
        assert_eq!(permit.check(&FromUplink::Pong { request: RequestId(7) }), Err(Violation::Unasked));
    }

    #[test]
    fn an_accepted_send_may_bounce_once() {
        let mut permit = online();
        permit.sent(&send(1)).unwrap();
        assert_eq!(permit.check(&accepted(1)), Ok(()));
        assert_eq!(permit.check(&accepted(1)), Err(Violation::Unasked));
        assert_eq!(permit.check(&bounced(1)), Ok(()));
        assert_eq!(permit.check(&bounced(1)), Err(Violation::Unasked));
    }

    #[test]
    fn a_bounced_send_is_not_accepted_afterwards() {
        let mut permit = online();
        permit.sent(&send(1)).unwrap();
        assert_eq!(permit.check(&bounced(1)), Ok(()));
        assert_eq!(permit.check(&accepted(1)), Err(Violation::Unasked));
    }

    #[test]
    fn evaluations_are_as_many_as_asked_each_with_its_proof() {
        let mut permit = online();
        permit.sent(&evaluate(1, 2)).unwrap();
        assert_eq!(permit.check(&evaluated(1, 1, PROOF)), Err(Violation::Length));
        assert_eq!(permit.check(&evaluated(1, 2, PROOF + 1)), Err(Violation::Length));
        assert_eq!(permit.check(&evaluated(1, 2, PROOF)), Ok(()));
        permit.sent(&evaluate(2, 2)).unwrap();
        let refused = FromUplink::Evaluated { request: RequestId(2), result: Err(DirectoryError::Budget(9)) };
        assert_eq!(permit.check(&refused), Ok(()));
    }

    #[test]
    fn unanswered_requests_are_bounded_and_answers_make_room() {
        let mut permit = online();
        for id in 1..=MAX_OUTSTANDING as u64 {
            permit.sent(&send(id)).unwrap();
        }
        let next = MAX_OUTSTANDING as u64 + 1;
        assert_eq!(permit.sent(&send(next)), Err(Violation::Full));
        assert_eq!(permit.sent(&ToUplink::Retry), Ok(()));
        permit.check(&accepted(1)).unwrap();
        assert_eq!(permit.sent(&send(next)), Ok(()));
    }

    #[test]
    fn a_bounce_long_after_is_no_violation_and_costs_no_memory() {
        let mut permit = online();
        for id in 1..=3 * MAX_OUTSTANDING as u64 {
            permit.sent(&send(id)).unwrap();
            permit.check(&accepted(id)).unwrap();
        }
        assert_eq!(permit.accepted.len(), MAX_OUTSTANDING);
        assert_eq!(permit.check(&bounced(1)), Ok(()));
        assert_eq!(permit.check(&bounced(99_999)), Err(Violation::Unasked));
    }

    #[test]
    fn lengths_of_what_a_stranger_names_are_bounded() {
        let mut permit = online();
        let long = FromUplink::Presence { from: "x".repeat(MAX_LOCALPART + 1), available: true };
        assert_eq!(permit.check(&long), Err(Violation::Length));
        let lacks = vec![String::new(); MAX_LACKS.0 + 1];
        assert_eq!(Permit::new().check(&FromUplink::Ready { lacks }), Err(Violation::Length));
    }

    #[test]
    fn connect_is_first_and_once_and_close_is_last() {
        let mut permit = UplinkPermit::new();
        assert_eq!(permit.check(&ToUplink::Retry), Err(Violation::TooEarly));
        assert_eq!(permit.check(&send(1)), Err(Violation::TooEarly));
        assert_eq!(permit.check(&connect()), Ok(()));
        assert_eq!(permit.check(&connect()), Err(Violation::Repeated));
        assert_eq!(permit.check(&ToUplink::Close), Ok(()));
        assert_eq!(permit.check(&ToUplink::Retry), Err(Violation::TooLate));
    }

    #[test]
    fn a_visit_asks_for_codes_and_nothing_else() {
        let start = |id| ToUplink::Errand { request: RequestId(id), errand: Errand::Start(off_the_wall(vec![1_u8])) };
        let visit = || ToUplink::Visit(Box::new(Visit { directory: String::new(), ca: String::new() }));
        let mut permit = Permit::new();
        permit.check(&ready()).unwrap();
        assert_eq!(permit.sent(&start(1)), Err(Violation::TooEarly));
        permit.sent(&visit()).unwrap();
        assert_eq!(permit.sent(&connect()), Err(Violation::Repeated));
        let withdraw = ToUplink::Errand { request: RequestId(1), errand: Errand::Withdraw };
        for refused in [send(1), fetch(1), evaluate(1, 1), withdraw, ToUplink::Retry] {
            assert_eq!(permit.sent(&refused), Err(Violation::TooEarly), "{refused:?}");
        }
        permit.sent(&start(1)).unwrap();
        let answer = |id, length| FromUplink::Errand { request: RequestId(id), result: Ok(Opaque(vec![0; length])) };
        assert_eq!(permit.check(&FromUplink::Link(LinkState::Connecting)), Err(Violation::TooEarly));
        assert_eq!(permit.check(&received()), Err(Violation::TooEarly));
        assert_eq!(permit.check(&answer(1, MAX_ANSWER + 1)), Err(Violation::Length));
        assert_eq!(permit.check(&answer(1, 0)), Ok(()));
        assert_eq!(permit.check(&answer(1, 0)), Err(Violation::Unasked));
        assert_eq!(permit.check(&FromUplink::Counters(Counters::default())), Ok(()));
        assert_eq!(permit.sent(&ToUplink::Close), Ok(()));
    }

    #[test]
    fn request_ids_only_count_up() {
        let mut permit = UplinkPermit::new();
        permit.check(&connect()).unwrap();
        assert_eq!(permit.check(&send(0)), Err(Violation::Order));
        assert_eq!(permit.check(&send(2)), Ok(()));
        assert_eq!(permit.check(&fetch(2)), Err(Violation::Order));
        assert_eq!(permit.check(&evaluate(3, 0)), Err(Violation::Length));
        assert_eq!(permit.check(&evaluate(3, MAX_POINTS + 1)), Err(Violation::Length));
        assert_eq!(permit.check(&evaluate(3, MAX_POINTS)), Ok(()));
    }
}

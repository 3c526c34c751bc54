//! Each rule of both tables.

use super::uplink::MAX_POINTS;
use super::*;
use crate::wall::{Connect, Counters, DirectoryError, Errand, FetchError, Offline, Opaque, Operator, Secret, Visit};
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
        second: None,
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
    ToUplink::Evaluate { request: RequestId(id), by: Operator::First, epoch: 'a', blinded: vec![[0; 32]; points] }
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

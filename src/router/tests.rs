//! The router's rules as sentences; `tests/router_world.rs` tortures them.

use super::*;
use crate::model::{
    Bearer, Body, Cause, Encoding, FallbackPolicy, LeaseId, LineId, PeerPolicy, Question, Reason, SmsAttempt, State,
    Timestamp, WordingKey,
};
use std::time::Duration;

const WALL: i64 = 1_800_000_000_000;

mod watching;

fn at(ms: u64) -> Now {
    Now { mono: Instant(ms), wall: Timestamp(WALL + i64::try_from(ms).unwrap()) }
}

fn peer() -> PhoneNumber {
    PhoneNumber::from_e164("+4915112345678").unwrap()
}

fn on() -> Conditions {
    Conditions { on: true, account: true, link: Link::Up, ..Conditions::default() }
}

fn text(n: u8) -> Text {
    Text {
        id: TextId([n; 16]),
        line: LineId("line".into()),
        to: Address(peer().as_e164().into()),
        peer: Some(peer()),
        body: Body("hello".into()),
        at: Timestamp(WALL),
        state: State::Queued,
        reason: Reason::Unknown,
        only: None,
        wording: WordingKey([7; 32]),
        ordinal: u16::from(n),
        im: None,
        sms: None,
        retries: 0,
        encoding: Encoding::Gsm7,
        token: None,
        report: false,
        cancelled: false,
        diverted: None,
    }
}

fn id(n: u8) -> TextId {
    TextId([n; 16])
}

fn router(conditions: Conditions) -> Router {
    let mut router = Router::new();
    let _ = router.handle(at(0), Input::Conditions(conditions));
    let _ = router.handle(at(0), Input::AccountLine(Some(LineId("line".into()))));
    router
}

fn submit(router: &mut Router, ms: u64, n: u8) -> Vec<Action> {
    router.handle(at(ms), Input::Submit(Box::new(text(n)), Class::Mobile))
}

fn grant(router: &mut Router, ms: u64) -> Vec<Action> {
    let ends_in = Duration::from_secs(180);
    router.handle(at(ms), Input::Granted { peer: peer(), lease: LeaseId([9; 16]), ends_in })
}

fn saved(actions: &[Action], n: u8) -> State {
    let state = |action: &Action| match action {
        Action::Save(text) if text.id == id(n) => Some(text.state),
        _ => None,
    };
    actions.iter().find_map(state).expect("saved")
}

fn attempt() -> SmsAttempt {
    SmsAttempt { object: "/sms/1".into(), owner: ":1.7".into(), issued: false, references: vec![] }
}

/// A text under way by IM since `ms`.
fn sending(router: &mut Router, ms: u64, n: u8) {
    let _ = submit(router, ms, n);
    let actions = grant(router, ms);
    assert!(actions.contains(&Action::SealText(id(n))), "{actions:?}");
}

#[test]
fn with_the_switch_off_a_text_goes_by_sms() {
    let mut router = router(Conditions::default());
    let actions = submit(&mut router, 0, 1);
    assert_eq!(saved(&actions, 1), State::SmsSending);
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }));
    assert_eq!(router.deadline(), None);
}

#[test]
fn an_unknown_peer_is_probed_and_its_lease_means_im() {
    let mut router = router(on());
    let actions = submit(&mut router, 0, 1);
    assert!(actions.contains(&Action::Probe(peer())));
    let actions = grant(&mut router, 40);
    assert_eq!(saved(&actions, 1), State::ImSending);
    let actions = router.handle(at(60), Input::Receipt { id: id(1), read: false });
    assert_eq!(saved(&actions, 1), State::ImDelivered);
    assert_eq!(router.unsettled(), 0);
}

#[test]
fn silence_costs_a_text_the_probe_budget_and_no_more() {
    let mut router = router(on());
    let _ = submit(&mut router, 0, 1);
    assert_eq!(router.deadline(), Some(Instant(1500)));
    let actions = router.handle(at(1500), Input::Tick);
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }));
}

#[test]
fn without_a_receipt_the_text_is_revoked_and_then_goes_marked() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let actions = router.handle(at(10_000), Input::Tick);
    assert!(actions.contains(&Action::Revoke(id(1))));
    let actions = router.handle(at(15_000), Input::Tick);
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: true }));
}

#[test]
fn a_bounce_hastens_the_revoke_also_after_the_server_took_it_and_proves_nothing() {
    for accepted in [false, true] {
        let mut router = router(on());
        sending(&mut router, 0, 1);
        if accepted {
            let _ = router.handle(at(5), Input::Accepted(id(1)));
            assert_eq!(router.text(id(1)).map(|text| text.state), Some(State::ImAccepted));
        }
        let actions = router.handle(at(10), Input::Bounced(id(1)));
        assert_eq!(saved(&actions, 1), State::Revoking);
        assert!(actions.contains(&Action::Revoke(id(1))), "{actions:?}");
        // Neither taken nor bounced once more: only the peer's word or its silence counts now.
        assert_eq!(router.handle(at(11), Input::Bounced(id(1))), []);
        assert_eq!(router.handle(at(12), Input::Accepted(id(1))), []);
        assert_eq!(router.deadline(), Some(Instant(5010)));
        let actions = router.handle(at(5010), Input::Tick);
        assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: true }), "{actions:?}");
    }
}

#[test]
fn a_sealed_not_shown_permits_a_plain_sms() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let _ = router.handle(at(10_000), Input::Tick);
    let actions = router.handle(at(10_100), Input::RevokeAnswer { id: id(1), shown: false });
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }));
}

#[test]
fn a_late_receipt_cancels_the_sms_until_send_is_issued() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let _ = router.handle(at(10_000), Input::Tick);
    let _ = router.handle(at(15_000), Input::Tick);
    let _ = router.handle(at(15_001), Input::Receipt { id: id(1), read: false });
    let actions = router.handle(at(15_002), Input::Sms(id(1), SmsOutcome::Prepared(attempt())));
    assert_eq!(saved(&actions, 1), State::ImDelivered);
    assert!(actions.contains(&Action::SmsDelete { line: Some(LineId("line".into())), sms: attempt() }));
    assert!(!actions.contains(&Action::SmsSend(id(1))));
}

#[test]
fn send_is_issued_only_after_the_object_is_committed() {
    let mut router = router(Conditions::default());
    let _ = submit(&mut router, 0, 1);
    let actions = router.handle(at(1), Input::Sms(id(1), SmsOutcome::Prepared(attempt())));
    let Some(Action::Save(text)) = actions.first() else { panic!("{actions:?}") };
    assert!(text.sms.as_ref().is_some_and(|sms| sms.issued));
    assert_eq!(actions.last(), Some(&Action::SmsSend(id(1))));
}

#[test]
fn an_unprovable_send_is_uncertain_and_never_repeated() {
    let mut router = router(Conditions::default());
    let _ = submit(&mut router, 0, 1);
    let _ = router.handle(at(1), Input::Sms(id(1), SmsOutcome::Prepared(attempt())));
    let actions = router.handle(at(2), Input::Sms(id(1), SmsOutcome::Unknown(Cause::NetworkTimeout)));
    assert_eq!(saved(&actions, 1), State::Uncertain(Cause::NetworkTimeout));
    assert_eq!(router.deadline(), None);
}

#[test]
fn an_sms_that_left_nothing_is_retried_and_then_fails() {
    let mut router = router(Conditions::default());
    let mut now = 0;
    let mut actions = submit(&mut router, now, 1);
    for _ in 0..5 {
        assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }));
        let _ = router.handle(at(now), Input::Sms(id(1), SmsOutcome::Later(Cause::NoNetwork)));
        now = router.deadline().unwrap().0;
        actions = router.handle(at(now), Input::Tick);
    }
    let actions = router.handle(at(now), Input::Sms(id(1), SmsOutcome::Later(Cause::NoNetwork)));
    assert_eq!(saved(&actions, 1), State::Failed(Cause::NoNetwork));
}

#[test]
fn a_text_whose_im_is_unknown_never_ends_failed() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let _ = router.handle(at(1), Input::Conditions(Conditions::default()));
    let actions = router.handle(at(2), Input::Sms(id(1), SmsOutcome::Never(Cause::Refused)));
    assert_eq!(saved(&actions, 1), State::Uncertain(Cause::Refused));
}

#[test]
fn switching_off_sends_what_is_under_way_by_marked_sms_at_once() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let actions = router.handle(at(1), Input::Conditions(Conditions { on: false, link: Link::Down, ..on() }));
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: true }));
}

#[test]
fn a_later_text_does_not_overtake_an_unsettled_one() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let actions = submit(&mut router, 1, 2);
    assert_eq!(saved(&actions, 2), State::Queued);
    let actions = router.handle(at(2), Input::Receipt { id: id(1), read: false });
    assert!(actions.contains(&Action::SealText(id(2))));
}

#[test]
fn an_emergency_text_waits_for_nothing() {
    let mut router = router(on());
    sending(&mut router, 0, 1);
    let mut text = text(2);
    text.peer = None;
    text.to = Address("112".into());
    let actions = router.handle(at(1), Input::Submit(Box::new(text), Class::Emergency));
    assert!(matches!(actions.first(), Some(Action::SmsNow(_))), "{actions:?}");
}

#[test]
fn im_only_holds_and_goes_when_the_peer_is_back() {
    let mut router = router(on());
    let facts = PeerFacts { policy: PeerPolicy::ImOnly, ..PeerFacts::default() };
    let _ = router.handle(at(0), Input::Peer(peer(), facts));
    let _ = submit(&mut router, 0, 1);
    let actions = router.handle(at(1500), Input::Tick);
    assert_eq!(saved(&actions, 1), State::Held(Question::PeerOffline));
    assert!(actions.contains(&Action::Ask(id(1), Question::PeerOffline)));
    let due = router.deadline().unwrap();
    let actions = router.handle(Now { mono: due, ..at(0) }, Input::Tick);
    assert!(actions.contains(&Action::Probe(peer())), "{actions:?}");
    let actions = grant(&mut router, due.0 + 10);
    assert_eq!(saved(&actions, 1), State::ImSending);
}

#[test]
fn a_held_text_goes_by_sms_only_when_the_user_says_so() {
    let mut router = router(on());
    let mut held = text(1);
    held.only = Some(Bearer::Im);
    let _ = router.handle(at(0), Input::Submit(Box::new(held), Class::Mobile));
    let _ = router.handle(at(1500), Input::Tick);
    assert_eq!(router.cancel(at(1501), id(2)), Err(Refused::Settled));
    let actions = router.resolve(at(1600), id(1), Bearer::Sms).unwrap();
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }));
}

#[test]
fn ask_holds_a_fallback_until_it_is_resolved() {
    let mut router = router(Conditions { fallback: FallbackPolicy::Ask, ..on() });
    sending(&mut router, 0, 1);
    let _ = router.handle(at(10_000), Input::Tick);
    let actions = router.handle(at(15_000), Input::Tick);
    assert_eq!(saved(&actions, 1), State::Held(Question::FallbackUnknown));
    let actions = router.resolve(at(20_000), id(1), Bearer::Sms).unwrap();
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: true }));
}

#[test]
fn a_restart_revokes_what_was_under_way_and_proves_what_was_with_the_modem() {
    let mut under_way = text(1);
    under_way.state = State::ImSending;
    under_way.im = Some(ImAttempt { lease: LeaseId([9; 16]), at: Timestamp(WALL), not_shown: false });
    let mut with_modem = text(2);
    with_modem.peer = None;
    with_modem.to = Address("12345".into());
    with_modem.state = State::SmsSending;
    with_modem.sms = Some(SmsAttempt { issued: true, ..attempt() });
    let mut router = router(Conditions { link: Link::Connecting, ..on() });
    let texts = vec![(under_way, Class::Mobile), (with_modem, Class::ShortCode)];
    let actions = router.handle(at(0), Input::Restore(texts));
    assert_eq!(saved(&actions, 1), State::Revoking);
    assert!(actions.contains(&Action::SmsProve(id(2))));
    let actions = router.handle(at(100), Input::Conditions(on()));
    let (resent, revoked) = (Action::Resend(id(1)), Action::Revoke(id(1)));
    let place = |wanted: &Action| actions.iter().position(|action| action == wanted);
    assert!(place(&resent).is_some() && place(&resent) < place(&revoked), "{actions:?}");
}

fn last_saved(actions: &[Action]) -> Text {
    let text = |action: &Action| match action {
        Action::Save(text) => Some(Text::clone(text)),
        _ => None,
    };
    actions.iter().rev().find_map(text).expect("saved")
}

fn makes_an_sms(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::SmsCreate { .. }))
}

#[test]
fn a_text_cancelled_while_its_sms_was_being_made_is_not_sent_after_a_restart() {
    let mut router = router(Conditions::default());
    let _ = submit(&mut router, 0, 1);
    let kept = last_saved(&router.cancel(at(1), id(1)).unwrap());
    let mut router = self::router(Conditions::default());
    let actions = router.handle(at(100), Input::Restore(vec![(kept, Class::Mobile)]));
    assert_eq!(saved(&actions, 1), State::Failed(Cause::Cancelled));
    assert!(!makes_an_sms(&actions), "{actions:?}");
}

#[test]
fn a_fallback_is_not_slipped_past_its_policy_by_a_change_of_the_peers_policy() {
    let never = Conditions { fallback: FallbackPolicy::Never, ..on() };
    let mut router = router(never);
    let im_only = PeerFacts { policy: PeerPolicy::ImOnly, ..PeerFacts::default() };
    let _ = router.handle(at(0), Input::Peer(peer(), im_only));
    sending(&mut router, 0, 1);
    let actions = router.handle(at(100), Input::Conditions(Conditions { link: Link::Down, ..never }));
    assert_eq!(saved(&actions, 1), State::Held(Question::PeerOffline));
    let actions = router.handle(at(200), Input::Peer(peer(), PeerFacts::default()));
    assert!(!makes_an_sms(&actions), "{actions:?}");
    assert_eq!(saved(&actions, 1), State::Uncertain(Cause::NoReceipt));
}

#[test]
fn nothing_is_written_again_where_no_im_may_go_any_more() {
    let down = Conditions { link: Link::Down, ..on() };
    let metered = Conditions { metered: true, allow_metered: false, ..on() };
    let blocked = PeerFacts { blocked: true, ..PeerFacts::default() };
    for (facts, back) in [(blocked, on()), (PeerFacts::default(), metered)] {
        let mut router = router(on());
        sending(&mut router, 0, 1);
        let _ = router.handle(at(100), Input::Conditions(down));
        let _ = router.handle(at(200), Input::Peer(peer(), facts));
        let actions = router.handle(at(300), Input::Conditions(back));
        assert!(!actions.contains(&Action::Resend(id(1))), "{actions:?}");
        assert!(actions.contains(&Action::Revoke(id(1))), "{actions:?}");
    }
}

#[test]
fn a_not_shown_that_comes_while_the_user_is_asked_permits_a_plain_sms() {
    let mut router = router(Conditions { fallback: FallbackPolicy::Ask, ..on() });
    sending(&mut router, 0, 1);
    let _ = router.handle(at(10_000), Input::Tick);
    let _ = router.handle(at(15_000), Input::Tick);
    let _ = router.handle(at(15_100), Input::RevokeAnswer { id: id(1), shown: false });
    let actions = router.resolve(at(15_200), id(1), Bearer::Sms).unwrap();
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }), "{actions:?}");
}

#[test]
fn blocking_a_peer_does_not_release_an_im_only_text_by_sms() {
    let mut router = router(on());
    let im_only = PeerFacts { policy: PeerPolicy::ImOnly, ..PeerFacts::default() };
    let _ = router.handle(at(0), Input::Peer(peer(), im_only));
    let _ = submit(&mut router, 0, 1);
    let _ = router.handle(at(1500), Input::Tick);
    let actions = router.handle(at(2000), Input::Peer(peer(), PeerFacts { blocked: true, ..im_only }));
    assert!(!makes_an_sms(&actions), "{actions:?}");
    assert!(matches!(router.text(id(1)).map(|text| text.state), Some(State::Held(_))));
    let actions = submit(&mut router, 2001, 2);
    assert!(!makes_an_sms(&actions), "{actions:?}");
}

#[test]
fn a_text_from_another_line_never_goes_by_im() {
    let mut router = router(on());
    let _ = grant(&mut router, 0);
    let mut other = text(1);
    other.line = LineId("other".into());
    let explained = router.route(at(1), Some(&other.line), Some(&peer()), Class::Mobile);
    assert_eq!((explained.bearer, explained.reason), (Bearer::Sms, Reason::OtherLine));
    let actions = router.handle(at(1), Input::Submit(Box::new(other.clone()), Class::Mobile));
    assert!(actions.contains(&Action::SmsCreate { id: id(1), marked: false }), "{actions:?}");
    assert_eq!(router.text(id(1)).map(|text| text.reason), Some(Reason::OtherLine));
    // For IM alone, it waits for the user rather than going either way.
    let im_only = Text { id: id(2), only: Some(Bearer::Im), ..other };
    let actions = router.handle(at(2), Input::Submit(Box::new(im_only), Class::Mobile));
    assert_eq!(saved(&actions, 2), State::Queued, "after the one before it");
    let actions = router.cancel(at(3), id(1));
    assert!(actions.is_ok());
    assert!(router.handle(at(200_000), Input::Tick).iter().all(|action| !matches!(action, Action::SealText(_))));
    // The same words from the account's line go by IM.
    let mut router = self::router(on());
    let _ = grant(&mut router, 0);
    assert_eq!(saved(&submit(&mut router, 1, 3), 3), State::ImSending);
}

//! A peer that an app watches.

use super::*;

/// One whose user has written to the peer before.
fn written_to() -> Router {
    let mut router = router(on());
    let _ = router.handle(at(0), Input::Peer(peer(), PeerFacts { wrote_to: true, ..PeerFacts::default() }));
    router
}

#[test]
fn a_watched_peer_that_was_never_written_to_is_looked_up_and_asked_nothing() {
    let mut router = router(on());
    let shown = |router: &Router| router.route(at(1), None, Some(&peer()), Class::Mobile).reason;
    assert_eq!(router.handle(at(0), Input::Watch(peer())), [Action::Find(peer())]);
    assert_eq!(shown(&router), Reason::Unknown);
    assert!(router.handle(at(0), Input::NotEnrolled(peer())).is_empty());
    assert_eq!(shown(&router), Reason::NotEnrolled);
    // A quarter of an hour later it may have enrolled.
    let mut asked = Vec::new();
    while let Some(due) = router.deadline().filter(|due| due.0 < 1_000_000) {
        asked.extend(router.handle(Now { mono: due, ..at(0) }, Input::Tick));
        if !asked.is_empty() {
            break;
        }
    }
    assert_eq!(asked, [Action::Find(peer())]);
    assert!(router.handle(at(950_000), Input::Found(peer())).is_empty());
    let explained = router.route(at(950_001), None, Some(&peer()), Class::Mobile);
    assert_eq!((explained.bearer, explained.reason), (Bearer::Sms, Reason::Enrolled));
    assert_eq!(router.deadline(), None, "nothing more is to be found out");
    // The first text shows who asks; one that went by SMS, too.
    let _ = router.handle(at(960_000), Input::Peer(peer(), PeerFacts { wrote_to: true, ..PeerFacts::default() }));
    assert_eq!(router.deadline(), Some(Instant(990_000)));
    assert!(submit(&mut router, 960_000, 1).contains(&Action::Probe(peer())));
    let _ = router.handle(at(960_001), Input::Found(peer()));
    let _ = grant(&mut router, 960_100);
    assert_eq!(router.route(at(960_101), None, Some(&peer()), Class::Mobile).reason, Reason::Online);
}

#[test]
fn a_watched_peer_is_asked_again_when_its_lease_runs_out() {
    let mut router = written_to();
    let actions = router.handle(at(0), Input::Watch(peer()));
    assert!(actions.contains(&Action::Probe(peer())));
    let _ = grant(&mut router, 10);
    let due = router.deadline().unwrap();
    let actions = router.handle(Now { mono: due, ..at(0) }, Input::Tick);
    assert!(actions.contains(&Action::Probe(peer())));
    let _ = router.handle(at(500_000), Input::Tick);
    let _ = router.handle(at(500_001), Input::Unwatch(peer()));
    let _ = router.handle(at(600_000), Input::Tick);
    assert_eq!(router.deadline(), None);
}

/// A day with a conversation open in which nobody writes, until `until`: both sides as they are. Whether the icon
/// said "online" at some time of each hour, and whether a text written then finds the peer.
fn open_until(until: u64) -> (usize, bool) {
    let (mut router, mut granting) = (written_to(), Granting::default());
    let mut answer = |router: &mut Router, ms: u64, actions: Vec<Action>| {
        if !actions.contains(&Action::Probe(peer())) {
            return false;
        }
        let (facts, lease) = (PeerFacts::default(), LeaseId([9; 16]));
        let anyone = crate::model::PresencePolicy::Anyone;
        let _ = granting.run_out(Instant(ms));
        let granted = granting.probe(at(ms), &peer(), anyone, facts, true, lease);
        let Probed::Grant { lease, ends_in, .. } = granted else { return false };
        let _ = router.handle(at(ms), Input::Granted { peer: peer(), lease, ends_in });
        true
    };
    let mut leases = 0;
    let actions = router.handle(at(1000), Input::Watch(peer()));
    leases += usize::from(answer(&mut router, 1000, actions));
    while let Some(due) = router.deadline().filter(|due| due.0 < until) {
        let actions = router.handle(at(due.0), Input::Tick);
        leases += usize::from(answer(&mut router, due.0, actions));
    }
    if router.lease_ends(at(until), &peer()).is_some() {
        return (leases, true);
    }
    let actions = submit(&mut router, until, 1);
    (leases, answer(&mut router, until, actions))
}

#[test]
fn a_conversation_that_stays_open_does_not_use_up_what_its_next_text_needs() {
    const HOUR: u64 = 3_600_000;
    // Each three minutes of a day, and more closely around the first hour's end.
    for until in (2000..24 * HOUR).step_by(180_000).chain((HOUR..HOUR + 900_000).step_by(7_000)) {
        let (leases, found) = open_until(until);
        assert!(found, "a text after {until} ms is met with silence");
        let hours = usize::try_from(until / HOUR).unwrap();
        assert!(leases >= hours && leases <= 2 * (hours + 1), "{leases} in {hours} hours");
    }
}

#[test]
fn a_text_that_was_shown_lets_a_watch_ask_on() {
    let mut router = written_to();
    let probes = |actions: &[Action]| actions.contains(&Action::Probe(peer()));
    assert!(probes(&router.handle(at(0), Input::Watch(peer()))));
    let _ = grant(&mut router, 10);
    assert!(probes(&router.handle(at(175_010), Input::Tick)));
    let _ = grant(&mut router, 175_020);
    let _ = submit(&mut router, 200_000, 1);
    let _ = router.handle(at(200_100), Input::Receipt { id: id(1), read: false });
    assert!(probes(&router.handle(at(350_020), Input::Tick)), "the peer has seen why we asked");
    let _ = grant(&mut router, 350_030);
    assert!(probes(&router.handle(at(525_030), Input::Tick)));
    let _ = grant(&mut router, 525_040);
    assert!(!probes(&router.handle(at(700_040), Input::Tick)), "two since the text");
}

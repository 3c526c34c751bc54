//! The callers that we know: what they may, what they watch, who hears of texts.

use super::Caller;
use crate::bus::signal::{Audience, Signal};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Mutex as Lane;
use tokio::task::AbortHandle;

/// Callers remembered at most: each costs the bus a match rule, of which a connection has 512.
const CALLERS: usize = 256;
/// Of them, those of one uid other than root.
const CALLERS_OF_ONE_UID: usize = 64;
/// Numbers that one caller may watch.
const WATCHES_OF_ONE: usize = 64;
/// Numbers watched in all: each may cost probes.
const WATCHES: usize = 512;
/// Signals that wait for one caller, which shares them with others. A queue that is sent after a reconnect makes hundreds
/// of them while a busy polkit answers.
const WAITING: usize = 1024;

/// Everything remembered of callers.
#[derive(Default)]
pub(super) struct Callers {
    known: HashMap<Box<str>, Known>,
    /// Calls that wait for the judgement of their caller, in order of arrival.
    lanes: HashMap<Box<str>, Arc<Lane<()>>>,
    /// Counts up whenever judgements were forgotten.
    generation: u64,
}

struct Known {
    caller: Caller,
    /// Whether the last judgement still stands.
    granted: bool,
    /// Whether it hears of texts.
    listens: bool,
    /// Whether it is a door.
    door: bool,
    watches: HashSet<Box<str>>,
    /// What it is to hear once its right is known.
    waiting: Option<Waiting>,
    /// The task that notices its leaving.
    leaving: AbortHandle,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.leaving.abort();
    }
}

struct Waiting {
    signals: VecDeque<Arc<Signal>>,
    /// The task that asks.
    asking: AbortHandle,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// When a caller hears a signal.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Its right stands and nothing waits for it.
    Now,
    /// It waits with what came before.
    Later,
    /// More waits already than may.
    Never,
}

impl Callers {
    /// Whether the caller may go on at once: judged, and none of its earlier calls still waits.
    pub(super) fn is_granted(&self, name: &str) -> bool {
        self.judgement_stands(name) && (self.lanes.is_empty() || !self.lanes.contains_key(name))
    }

    /// Whether the last judgement of the caller was favourable and still stands.
    pub(super) fn judgement_stands(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.granted)
    }

    pub(super) fn caller(&self, name: &str) -> Option<Caller> {
        self.known.get(name).map(|known| known.caller.clone())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn lane(&mut self, name: &str) -> Arc<Lane<()>> {
        if let Some(lane) = self.lanes.get(name) {
            return lane.clone();
        }
        let lane = Arc::new(Lane::new(()));
        self.lanes.insert(name.into(), lane.clone());
        lane
    }

    /// Gives the lane back; the last of its users removes it.
    pub(super) fn leave_lane(&mut self, name: &str, lane: Arc<Lane<()>>) {
        drop(lane);
        if self.lanes.get(name).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            self.lanes.remove(name);
        }
    }

    /// Whether one more of this uid may be remembered.
    pub(super) fn has_room(&self, uid: u32) -> bool {
        let of_uid = || self.known.values().filter(|known| known.caller.uid == uid).count();
        self.known.len() < CALLERS && (uid == 0 || of_uid() < CALLERS_OF_ONE_UID)
    }

    /// Remembers a granted caller, unless judgements were forgotten since `generation`.
    pub(super) fn remember(&mut self, caller: Caller, generation: u64, leaving: AbortHandle) {
        let granted = generation == self.generation;
        if let Some(known) = self.known.get_mut(&caller.name) {
            known.granted = granted;
            leaving.abort();
            return;
        }
        let name = caller.name.clone();
        self.known.insert(
            name,
            Known { caller, granted, listens: false, door: false, watches: HashSet::new(), waiting: None, leaving },
        );
    }

    /// The judgement on a caller that is already remembered.
    pub(super) fn regrant(&mut self, name: &str, generation: u64) {
        if generation == self.generation
            && let Some(known) = self.known.get_mut(name)
        {
            known.granted = true;
        }
    }

    /// Forgets every judgement, not who listens and watches: they are judged again before they hear more.
    pub(super) fn doubt_all(&mut self) {
        self.generation += 1;
        for known in self.known.values_mut() {
            known.granted = false;
        }
    }

    /// Forgets a caller; tells whether it watched anything or is a door.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        self.known.remove(name).is_some_and(|known| known.door || !known.watches.is_empty())
    }

    /// It is a door; `false` where it is not remembered.
    #[must_use]
    pub(super) fn is_door(&mut self, name: &str) -> bool {
        self.known.get_mut(name).map(|known| known.door = true).is_some()
    }

    pub(super) fn listen(&mut self, name: &str) {
        if let Some(known) = self.known.get_mut(name) {
            known.listens = true;
        }
    }

    /// Whom a signal concerns, whether they still may hear it or not.
    pub(super) fn audience(&self, of: Audience<'_>) -> Vec<Box<str>> {
        let concerned = |known: &Known| match of {
            Audience::Listeners => known.listens,
            Audience::Doors => known.door,
            Audience::Watchers(number) => known.watches.contains(number),
        };
        self.known.iter().filter(|(_, known)| concerned(known)).map(|(name, _)| name.clone()).collect()
    }

    /// When a caller hears a signal; where that is not now, it is put to what waits. For the first `ask` starts asking.
    pub(super) fn due(&mut self, name: &str, signal: &Arc<Signal>, ask: impl FnOnce() -> AbortHandle) -> Due {
        let Some(known) = self.known.get_mut(name) else { return Due::Later };
        match &mut known.waiting {
            None if known.granted => return Due::Now,
            None => known.waiting = Some(Waiting { signals: VecDeque::from([signal.clone()]), asking: ask() }),
            Some(waiting) if waiting.signals.len() < WAITING => waiting.signals.push_back(signal.clone()),
            Some(_) => return Due::Never,
        }
        Due::Later
    }

    /// Takes the next signal that waits for a caller. After the last it hears at once again.
    pub(super) fn next(&mut self, name: &str) -> Option<Arc<Signal>> {
        let known = self.known.get_mut(name)?;
        let next = known.waiting.as_mut().and_then(|waiting| waiting.signals.pop_front());
        if next.is_none() {
            known.waiting = None;
        }
        next
    }

    /// Enters a watch; `false` where there is no room for it.
    #[must_use]
    pub(super) fn watch(&mut self, name: &str, of: &str) -> bool {
        let all: usize = self.known.values().map(|known| known.watches.len()).sum();
        let Some(known) = self.known.get_mut(name) else { return false };
        if known.watches.contains(of) {
            return true;
        }
        if all >= WATCHES || known.watches.len() >= WATCHES_OF_ONE {
            return false;
        }
        known.watches.insert(of.into());
        true
    }

    /// Ends a watch; `false` where there was none.
    pub(super) fn unwatch(&mut self, name: &str, of: &str) -> bool {
        self.known.get_mut(name).is_some_and(|known| known.watches.remove(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(names: &[(&str, u32)]) -> Callers {
        let mut callers = Callers::default();
        for (name, uid) in names {
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            callers.remember(Caller { name: (*name).into(), uid: *uid, unit: "".into() }, 0, task);
        }
        callers
    }

    #[tokio::test]
    async fn flood_of_watches_is_bounded_for_one_caller_and_for_all() {
        let names: Vec<String> = (0..20).map(|n| format!(":1.{n}")).collect();
        let mut callers = with(&names.iter().map(|n| (n.as_str(), 1000)).collect::<Vec<_>>());
        let mut taken = 0;
        for name in &names {
            let of_one = (0..1000).filter(|n| callers.watch(name, &n.to_string())).count();
            assert!(of_one <= WATCHES_OF_ONE);
            taken += of_one;
        }
        assert_eq!(taken, WATCHES);
        assert!(callers.watch(":1.0", "0"), "one that is watched already costs nothing");
        assert!(callers.unwatch(":1.0", "0") && !callers.unwatch(":1.0", "0"));
        assert!(callers.watch(":1.19", "again"), "its place is free");
    }

    #[tokio::test]
    async fn one_uid_cannot_take_all_places() {
        let names: Vec<String> = (0..CALLERS_OF_ONE_UID).map(|n| format!(":1.{n}")).collect();
        let callers = with(&names.iter().map(|n| (n.as_str(), 1000)).collect::<Vec<_>>());
        assert!(!callers.has_room(1000));
        assert!(callers.has_room(1001) && callers.has_room(0));
    }

    #[tokio::test]
    async fn doubt_keeps_watches_and_listeners_but_no_grant() {
        let mut callers = with(&[(":1.1", 1000)]);
        callers.listen(":1.1");
        assert!(callers.watch(":1.1", "+49170"));
        assert!(callers.is_granted(":1.1"));
        let before = callers.generation();
        callers.doubt_all();
        assert!(!callers.is_granted(":1.1"));
        callers.regrant(":1.1", before);
        assert!(!callers.is_granted(":1.1"), "a judgement from before the doubt does not count");
        callers.regrant(":1.1", callers.generation());
        assert!(callers.is_granted(":1.1"));
        assert_eq!(callers.audience(Audience::Listeners).len(), 1);
        assert_eq!(callers.audience(Audience::Watchers("+49170")).len(), 1);
        assert!(callers.forget(":1.1"), "it watched something");
        assert!(callers.audience(Audience::Listeners).is_empty());
    }

    #[tokio::test]
    async fn call_does_not_overtake_an_earlier_one_of_its_caller_that_is_being_judged() {
        let mut callers = with(&[(":1.1", 1000)]);
        let lane = callers.lane(":1.1");
        assert!(!callers.is_granted(":1.1"));
        callers.leave_lane(":1.1", lane);
        assert!(callers.is_granted(":1.1"));
    }

    #[tokio::test]
    async fn what_waits_for_a_caller_comes_in_order_and_is_bounded_and_nothing_overtakes_it() {
        let mut callers = with(&[(":1.1", 1000), (":1.2", 1000)]);
        let asked = std::cell::Cell::new(0);
        let due = |callers: &mut Callers, name: &str, n: usize| {
            let signal = Arc::new(Signal::Identity(n.to_string()));
            callers.due(name, &signal, || {
                asked.set(asked.get() + 1);
                tokio::spawn(std::future::pending::<()>()).abort_handle()
            })
        };
        assert_eq!(due(&mut callers, ":1.1", 0), Due::Now);
        callers.doubt_all();
        callers.regrant(":1.2", callers.generation());
        for n in 0..WAITING {
            assert_eq!((due(&mut callers, ":1.1", n), due(&mut callers, ":1.2", n)), (Due::Later, Due::Now));
        }
        assert_eq!((due(&mut callers, ":1.1", WAITING), asked.get()), (Due::Never, 1));
        callers.regrant(":1.1", callers.generation());
        for n in 0..WAITING {
            let next = callers.next(":1.1").unwrap();
            assert!(matches!(&*next, Signal::Identity(said) if *said == n.to_string()));
        }
        assert_eq!(due(&mut callers, ":1.1", 7), Due::Later, "the last may still be under way");
        assert!(callers.next(":1.1").is_some() && callers.next(":1.1").is_none());
        assert_eq!(due(&mut callers, ":1.1", 8), Due::Now);
        callers.doubt_all();
        let ended = tokio::spawn(std::future::pending::<()>());
        let _later = callers.due(":1.1", &Arc::new(Signal::Lines), || ended.abort_handle());
        callers.forget(":1.1");
        assert!(ended.await.unwrap_err().is_cancelled(), "nobody asks for one that is forgotten");
    }
}

//! Deadlines by name: one per name, the earliest found without a scan.

use crate::model::Instant;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Deadlines for names of type `T`.
#[derive(Debug)]
pub(super) struct Timers<T> {
    order: BTreeSet<(Instant, T)>,
    at: HashMap<T, Instant>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), at: HashMap::new() }
    }
}

impl<T: Ord + Hash + Clone> Timers<T> {
    /// Sets or moves the deadline of `name`.
    pub(super) fn set(&mut self, name: T, at: Instant) {
        self.clear(&name);
        self.order.insert((at, name.clone()));
        self.at.insert(name, at);
    }

    pub(super) fn clear(&mut self, name: &T) {
        if let Some(at) = self.at.remove(name) {
            self.order.remove(&(at, name.clone()));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes one name whose deadline is `now` or earlier.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        let (_, name) = self.order.pop_first()?;
        self.at.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_at_its_new_time() {
        let mut timers = Timers::default();
        timers.set("a", Instant(10));
        timers.set("b", Instant(20));
        timers.set("a", Instant(30));
        assert_eq!(timers.next(), Some(Instant(20)));
        assert_eq!(timers.pop_due(Instant(25)), Some("b"));
        assert_eq!(timers.pop_due(Instant(29)), None);
        assert_eq!(timers.pop_due(Instant(30)), Some("a"));
        assert_eq!(timers.next(), None);
    }
}

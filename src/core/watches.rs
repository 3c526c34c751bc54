//! Icons: who looks at a peer's route, and is told when it changes.

use super::Core;
use super::turn::{Effect, Turn};
use crate::bus::{Error, Reply};
use crate::model::{Address, Bearer, PhoneNumber, Reason};
use crate::router::{Class, Input};
use crate::store::StoreError;
use std::collections::HashSet;

/// Watches, over all callers; the bus bounds those of one.
const WATCHES: usize = 256;

/// Who looks at a peer's icon, and what it shows.
pub(super) struct Watch {
    /// Each caller with the number as it wrote it.
    callers: HashSet<(Box<str>, Address)>,
    shown: (Bearer, Reason),
}

impl Core {
    pub(super) fn watch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        to: &Address,
        caller: Box<str>,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let (Class::Mobile, Some(peer)) = self.classify(to, self.line(None)) else {
            // Its route never changes.
            turn.answer(reply, if to.dialable().is_some() { Ok(()) } else { Err(Error::BadNumber) });
            return Ok(());
        };
        if !self.watches.contains_key(&peer) && self.watches.len() >= WATCHES {
            turn.answer(reply, Err(Error::TooMany("watched numbers; end some by Unwatch")));
            return Ok(());
        }
        self.named(turn, &peer)?;
        let line = self.line(None).map(|line| &line.id);
        let explained = self.router.route(turn.now, line, Some(&peer), Class::Mobile);
        let shown = (explained.bearer, explained.reason);
        let watch = self.watches.entry(peer.clone()).or_insert_with(|| Watch { callers: HashSet::new(), shown });
        watch.callers.insert((caller, to.clone()));
        turn.answer(reply, Ok(()));
        self.route(turn, Input::Watch(peer))
    }

    pub(super) fn unwatch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        caller: &str,
        spelling: Option<&Address>,
    ) -> Result<(), StoreError> {
        let Some(watch) = self.watches.get_mut(peer) else { return Ok(()) };
        watch.callers.retain(|(name, to)| **name != *caller || spelling.is_some_and(|spelling| spelling != to));
        if watch.callers.is_empty() {
            self.watches.remove(peer);
            return self.route(turn, Input::Unwatch(peer.clone()));
        }
        Ok(())
    }

    /// Tells watchers whose icon changed.
    pub(super) fn refresh_watches(&mut self, turn: &mut Turn<'_, '_>) {
        if self.watches.is_empty() {
            return;
        }
        let line = self.line(None).map(|line| line.id.clone());
        for (peer, watch) in &mut self.watches {
            let explained = self.router.route(turn.now, line.as_ref(), Some(peer), Class::Mobile);
            let shows = (explained.bearer, explained.reason);
            if shows != watch.shown {
                watch.shown = shows;
                let spellings: HashSet<&Address> = watch.callers.iter().map(|(_, to)| to).collect();
                let told = |to: &Address| Effect::Route(to.clone(), shows.0, shows.1);
                turn.effects.extend(spellings.into_iter().map(told));
            }
        }
    }
}

//! Who goes next to one peer: texts are handled one after the other, so that none overtakes an
//! unsettled one; held texts stand aside.

use crate::model::{Address, TextId};
use std::collections::{HashMap, VecDeque};

/// The unsettled texts by recipient (E.164 where it has one, else as written).
#[derive(Debug, Default)]
pub(super) struct Conversations {
    by_peer: HashMap<Address, Conversation>,
    held: usize,
}

#[derive(Debug, Default)]
struct Conversation {
    queue: VecDeque<TextId>,
    held: Vec<TextId>,
    /// Probes made for held texts since the last success.
    tries: u32,
}

impl Conversations {
    pub(super) fn push(&mut self, to: &Address, id: TextId) {
        self.by_peer.entry(to.clone()).or_default().queue.push_back(id);
    }

    /// The text that is under way, or due next.
    pub(super) fn head(&self, to: &Address) -> Option<TextId> {
        self.by_peer.get(to)?.queue.front().copied()
    }

    /// Takes a text that is settled out of the queue and from among the held ones.
    pub(super) fn remove(&mut self, to: &Address, id: TextId) {
        let Some(conversation) = self.by_peer.get_mut(to) else { return };
        if conversation.queue.front() == Some(&id) {
            conversation.queue.pop_front();
        } else {
            conversation.queue.retain(|other| *other != id);
        }
        let before = conversation.held.len();
        conversation.held.retain(|other| *other != id);
        self.held -= before - conversation.held.len();
        if conversation.queue.is_empty() && conversation.held.is_empty() {
            self.by_peer.remove(to);
        }
    }

    /// Sets a text aside until the peer is back or the user decides.
    pub(super) fn hold(&mut self, to: &Address, id: TextId) {
        let conversation = self.by_peer.entry(to.clone()).or_default();
        conversation.queue.retain(|other| *other != id);
        if !conversation.held.contains(&id) {
            conversation.held.push(id);
            self.held += 1;
        }
    }

    /// Puts a held text back, behind those put back before it and ahead of the rest, unless
    /// one is under way: then behind that one.
    pub(super) fn unhold(&mut self, to: &Address, id: TextId, behind: usize) {
        let Some(conversation) = self.by_peer.get_mut(to) else { return };
        let before = conversation.held.len();
        conversation.held.retain(|other| *other != id);
        self.held -= before - conversation.held.len();
        conversation.queue.insert(behind.min(conversation.queue.len()), id);
        conversation.tries = 0;
    }

    pub(super) fn held(&self, to: &Address) -> Vec<TextId> {
        self.by_peer.get(to).map(|conversation| conversation.held.clone()).unwrap_or_default()
    }

    /// How many texts are held, over all conversations.
    pub(super) fn held_count(&self) -> usize {
        self.held
    }

    /// Counts one more probe for held texts; how many there were before.
    pub(super) fn held_try(&mut self, to: &Address) -> u32 {
        self.by_peer.get_mut(to).map_or(0, |conversation| {
            let before = conversation.tries;
            conversation.tries = before.saturating_add(1);
            before
        })
    }

    /// Everyone with unsettled texts.
    pub(super) fn all(&self) -> Vec<Address> {
        let mut all: Vec<Address> = self.by_peer.keys().cloned().collect();
        all.sort();
        all
    }
}

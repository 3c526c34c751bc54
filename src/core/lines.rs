//! The lines that are there, and which of them has the account's number.

use super::Core;
use super::turn::Turn;
use crate::model::{Line, LineId, PhoneNumber, SimState, SlotId};
use crate::router::Sim;
use crate::store::{Blob, StoreError};
use std::collections::BTreeMap;

/// Filed under when no line is known.
const NO_LINE: &str = "none";
/// Lines that had the account's number before, and lines beside it: so many of each are remembered.
const REMEMBERED: usize = 16;

/// The line that has the account's number, where it was seen, and those that had it before: a SIM may be replaced,
/// and the number stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AccountLines {
    pub(super) now: Option<LineId>,
    /// Newest first.
    former: Vec<LineId>,
    /// The phone's other SIMs: those that were there together with the account's. Newest first.
    beside: Vec<LineId>,
    /// Where the account's SIM sits, or sat last.
    slot: Option<SlotId>,
}

impl AccountLines {
    fn set(&mut self, line: Option<LineId>) {
        if line.is_none() {
            self.beside.clear();
            self.slot = None;
        }
        if let Some(was) = std::mem::replace(&mut self.now, line) {
            self.former.insert(0, was);
        }
        let (mut known, now) = (std::collections::HashSet::new(), self.now.clone());
        self.former.retain(|line| Some(line) != now.as_ref() && known.insert(line.clone()));
        self.former.truncate(REMEMBERED);
        self.beside.retain(|line| Some(line) != now.as_ref());
    }

    /// Remembers where the account's line is, and what is there beside it; whether that is new.
    fn saw(&mut self, lines: &BTreeMap<LineId, Line>) -> bool {
        let Some((now, line)) = self.now.as_ref().and_then(|now| lines.get_key_value(now)) else { return false };
        let moved = self.slot.as_ref() != Some(&line.slot);
        if moved {
            self.slot = Some(line.slot.clone());
        }
        let strange = lines.keys().filter(|line| *line != now && !self.beside.contains(line));
        let strange: Vec<LineId> = strange.cloned().collect();
        let news = moved || !strange.is_empty();
        self.beside.splice(0..0, strange);
        self.beside.truncate(REMEMBERED);
        news
    }

    /// Which line has that number: the one that says so; else the only one that knows no number and may have it. Where
    /// that is ambiguous, or no line is there, it is the one that it was.
    fn find(&self, number: &PhoneNumber, lines: &BTreeMap<LineId, Line>) -> Option<LineId> {
        if let Some(line) = lines.values().find(|line| line.number.as_ref() == Some(number)) {
            return Some(line.id.clone());
        }
        let may = |line: &&Line| line.number.is_none() && !self.beside.contains(&line.id);
        let mut unknown = lines.values().filter(may);
        match (unknown.next(), unknown.next()) {
            (Some(only), None) => Some(only.id.clone()),
            _ => self.now.clone().filter(|was| lines.get(was).is_none_or(|line| line.number.is_none())),
        }
    }

    /// What the lines say of the SIM of the account, which has that number; `without`: what modems said of having none.
    pub(super) fn sim(&self, number: Option<&PhoneNumber>, lines: &BTreeMap<LineId, Line>, without: Sim) -> Sim {
        match self.now.as_ref().and_then(|own| lines.get(own)) {
            Some(line) if line.sim == SimState::Absent => Sim::Gone,
            Some(line) => Sim::Here(line.sim),
            None if lines.values().any(|line| self.sat_in(&line.slot)) => Sim::Gone,
            // A modem that is away says nothing of its SIM, nor do the phone's other SIMs, of which one is often there
            // first; a modem that shows a strange SIM, or none, does.
            None if lines.keys().all(|line| self.beside.contains(line)) => without,
            // Two SIMs that don't know their numbers: either may be it.
            None if self.now.is_none() && lines.values().any(|line| line.number.is_none()) => Sim::Unknown,
            None if lines.values().any(|line| line.number.as_ref() == number) => Sim::Unknown,
            None => Sim::Gone,
        }
    }

    /// Whether the account's SIM sits there, or sat there last.
    fn sat_in(&self, slot: &SlotId) -> bool {
        self.slot.as_ref() == Some(slot)
    }

    /// What counts after a modem there has shown no SIM; `without`: what modems said of having none before.
    pub(super) fn without(&self, lines: &BTreeMap<LineId, Line>, slot: &SlotId, sure: bool, without: Sim) -> Sim {
        let known = self.slot.is_some();
        match without {
            // It may always have been empty.
            _ if !self.sat_in(slot) && !lines.is_empty() => without,
            _ if sure && (self.sat_in(slot) || !known) => Sim::Gone,
            Sim::Unknown => Sim::Unread,
            _ => without,
        }
    }

    /// Whether that line's coming ends what modems said of having no SIM.
    pub(super) fn ends_without(&self, line: &Line) -> bool {
        self.slot.is_none() || self.sat_in(&line.slot) || self.now.as_ref() == Some(&line.id)
    }

    /// For the export: the present one first, or none.
    pub(super) fn told(&self) -> Vec<Option<&str>> {
        let former = self.former.iter().map(Some);
        std::iter::once(self.now.as_ref()).chain(former).map(|line| line.map(|line| &*line.0)).collect()
    }

    /// For the export: the phone's other lines.
    pub(super) fn told_beside(&self) -> Vec<&str> {
        self.beside.iter().map(|line| &*line.0).collect()
    }

    /// For the export: where the account's SIM sits, or sat last.
    pub(super) fn told_slot(&self) -> Option<&str> {
        self.slot.as_ref().map(|slot| &*slot.0)
    }

    /// One a line of text: the slot, the present one, the former ones, and after an empty line the others. Names are ours:
    /// not empty, and without line feed.
    fn to_text(&self) -> String {
        let slot = self.slot.as_ref().map_or("", |slot| &*slot.0);
        let present = self.now.as_ref().map_or("", |line| &*line.0);
        let former = self.former.iter().map(|line| &*line.0);
        let beside = self.beside.iter().map(|line| &*line.0);
        let names = [slot, present].into_iter().chain(former).chain(std::iter::once("")).chain(beside);
        names.collect::<Vec<_>>().join("\n")
    }

    fn from_text(text: &str) -> Self {
        let mut names = text.split('\n').map(|name| (!name.is_empty()).then(|| Box::<str>::from(name)));
        let slot = names.next().flatten().map(SlotId);
        let mut lines = names.map(|name| name.map(LineId));
        let now = lines.next().flatten();
        let former = lines.by_ref().map_while(|line| line).collect();
        Self { now, former, beside: lines.flatten().collect(), slot }
    }
}

impl Core {
    /// Takes up what an earlier life knew.
    pub(super) fn load_account_lines(&mut self, tx: &crate::store::Tx<'_>) -> Result<(), StoreError> {
        if let Some(text) = tx.blob(Blob::AccountLines)? {
            self.account_lines = std::str::from_utf8(&text).map(AccountLines::from_text).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn lines_changed(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.find_account_line(turn)?;
        self.look_at_sim(turn)?;
        self.refresh_conditions(turn)
    }

    /// Finds the account's line anew, and keeps it for starts at which its modem comes late.
    pub(super) fn find_account_line(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let Some(account) = &self.account else { return Ok(()) };
        let found = self.account_lines.find(&account.number, &self.lines);
        if found != self.account_lines.now {
            self.set_account_line(turn, found)?;
        }
        if self.account_lines.saw(&self.lines) {
            self.keep_account_lines(turn);
        }
        Ok(())
    }

    pub(super) fn set_account_line(&mut self, turn: &mut Turn<'_, '_>, line: Option<LineId>) -> Result<(), StoreError> {
        self.account_lines.set(line.clone());
        self.keep_account_lines(turn);
        self.route(turn, crate::router::Input::AccountLine(line))
    }

    fn keep_account_lines(&self, turn: &mut Turn<'_, '_>) {
        let kept = self.account_lines.to_text();
        turn.write(move |tx| tx.put_blob(Blob::AccountLines, kept.as_bytes()));
    }

    /// The line a text goes from: the one named, else the account's, else the only or first one.
    pub(super) fn line(&self, named: Option<&LineId>) -> Option<&Line> {
        match named {
            Some(id) => self.lines.get(id),
            None => self
                .account_line()
                .and_then(|id| self.lines.get(id))
                .or_else(|| self.lines.values().find(|line| line.sim != SimState::Absent))
                .or_else(|| self.lines.values().next()),
        }
    }

    /// Where the account's instant messages are filed: under its line, also while that is away.
    pub(super) fn filing_line(&self) -> LineId {
        let line = self.account_line().or_else(|| self.line(None).map(|line| &line.id));
        line.cloned().unwrap_or_else(|| LineId(NO_LINE.into()))
    }

    /// The line that an instant message is shown under: its own; or the one that has the account's number now, where
    /// that one had it before (another SIM, the same number), or none was known when the message came.
    pub(super) fn shown_under(&self, filed: &LineId) -> LineId {
        let moved = self.account_line().is_some() && self.account_lines.former.contains(filed);
        if moved || *filed.0 == *NO_LINE { self.filing_line() } else { filed.clone() }
    }

    /// The line that has the account's number, where it was seen.
    pub(super) fn account_line(&self) -> Option<&LineId> {
        self.account_lines.now.as_ref().filter(|_| self.account.is_some())
    }
}

#[cfg(test)]
mod tests;

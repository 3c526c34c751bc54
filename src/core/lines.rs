//! The lines that are there, and which of them has the account's number.

use super::Core;
use super::turn::Turn;
use crate::model::{Line, LineId, PhoneNumber, SimState};
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
}

impl AccountLines {
    fn set(&mut self, line: Option<LineId>) {
        if line.is_none() {
            self.beside.clear();
        }
        if let Some(was) = std::mem::replace(&mut self.now, line) {
            self.former.insert(0, was);
        }
        let (mut known, now) = (std::collections::HashSet::new(), self.now.clone());
        self.former.retain(|line| Some(line) != now.as_ref() && known.insert(line.clone()));
        self.former.truncate(REMEMBERED);
        self.beside.retain(|line| Some(line) != now.as_ref());
    }

    /// Remembers what is there beside the account's line; whether that is new.
    fn saw(&mut self, lines: &BTreeMap<LineId, Line>) -> bool {
        let Some(now) = self.now.as_ref().filter(|now| lines.contains_key(now)) else { return false };
        let strange = lines.keys().filter(|line| *line != now && !self.beside.contains(line));
        let strange: Vec<LineId> = strange.cloned().collect();
        let any = !strange.is_empty();
        self.beside.splice(0..0, strange);
        self.beside.truncate(REMEMBERED);
        any
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
            // A modem that is away says nothing of its SIM, nor do the phone's other SIMs, of which one is often there
            // first; a modem that shows a strange SIM, or none, does.
            None if lines.keys().all(|line| self.beside.contains(line)) => without,
            // Two SIMs that don't know their numbers: either may be it.
            None if self.now.is_none() && lines.values().any(|line| line.number.is_none()) => Sim::Unknown,
            None if lines.values().any(|line| line.number.as_ref() == number) => Sim::Unknown,
            None => Sim::Gone,
        }
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

    /// One a line of text, the present one first, the others after an empty line. Names of lines are ours: not empty, and
    /// without line feed.
    fn to_text(&self) -> String {
        let present = self.now.as_ref().map_or("", |line| &*line.0);
        let former = self.former.iter().map(|line| &*line.0);
        let beside = self.beside.iter().map(|line| &*line.0);
        let names = std::iter::once(present).chain(former).chain(std::iter::once("")).chain(beside);
        names.collect::<Vec<_>>().join("\n")
    }

    fn from_text(text: &str) -> Self {
        let mut lines = text.split('\n').map(|name| (!name.is_empty()).then(|| LineId(name.into())));
        let now = lines.next().flatten();
        let former = lines.by_ref().map_while(|line| line).collect();
        Self { now, former, beside: lines.flatten().collect() }
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
        self.look_at_sim(turn);
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
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::router::Tenure;

    const OWN: &str = "+4915112345601";

    fn lines(numbers: &[(&str, Option<&str>)]) -> BTreeMap<LineId, Line> {
        let line = |(id, number): &(&str, Option<&str>)| {
            let id = LineId((*id).into());
            let number = number.map(|number| PhoneNumber::from_e164(number).unwrap());
            (id.clone(), Line { id, number, sim: SimState::Home, home: None, emergency: Vec::new(), modem: None })
        };
        numbers.iter().map(line).collect()
    }

    fn found(numbers: &[(&str, Option<&str>)], was: Option<&str>) -> Option<String> {
        let known = AccountLines { now: was.map(|was| LineId(was.into())), ..AccountLines::default() };
        known.find(&PhoneNumber::from_e164(OWN).unwrap(), &lines(numbers)).map(|line| line.0.to_string())
    }

    #[test]
    fn the_accounts_line_is_the_one_with_its_number() {
        const OTHER: Option<&str> = Some("+4915112345602");
        assert_eq!(found(&[("a", OTHER), ("b", Some(OWN))], Some("a")).as_deref(), Some("b"));
        assert_eq!(found(&[("a", None)], None).as_deref(), Some("a"), "many SIMs don't know their number");
        assert_eq!(found(&[("a", OTHER), ("b", None)], None).as_deref(), Some("b"));
        assert_eq!(found(&[("a", None), ("b", None)], None), None, "nobody knows which");
        assert_eq!(found(&[("a", None), ("b", None)], Some("b")).as_deref(), Some("b"), "known from before");
        assert_eq!(found(&[], Some("b")).as_deref(), Some("b"), "its modem is not there yet");
        assert_eq!(found(&[("a", OTHER)], Some("b")).as_deref(), Some("b"));
        assert_eq!(found(&[("a", OTHER)], Some("a")), None, "its SIM has another number now");
    }

    #[test]
    fn lines_that_had_the_number_are_remembered_once_each_and_the_present_one_is_not_among_them() {
        let line = |name: &str| LineId(name.into());
        let mut lines = AccountLines::default();
        for now in [Some("a"), None, Some("b"), Some("a"), Some("c"), Some("c"), None] {
            lines.set(now.map(line));
            assert_eq!(AccountLines::from_text(&lines.to_text()), lines, "after {now:?}");
        }
        assert_eq!(lines.former, ["c", "a", "b"].map(line));
        for n in 0..100 {
            lines.set(Some(line(&n.to_string())));
        }
        assert_eq!(lines.former.len(), REMEMBERED);
    }

    /// What a start of the phone sees as its lines come, one after the other; and whether the number is in doubt then.
    fn start(known: &AccountLines, came: &[(&str, Option<&str>)]) -> (AccountLines, Vec<Sim>, bool) {
        let own = PhoneNumber::from_e164(OWN).unwrap();
        let (mut known, mut tenure) = (AccountLines::from_text(&known.to_text()), Tenure::default());
        let mut sims = Vec::new();
        for count in 1..=came.len() {
            let there = lines(&came[..count]);
            let found = known.find(&own, &there);
            if found != known.now {
                known.set(found);
            }
            known.saw(&there);
            let sim = known.sim(Some(&own), &there, Sim::Unknown);
            let _kept = tenure.seen(Timestamp(1), sim);
            sims.push(sim);
        }
        (known, sims, tenure.doubtful)
    }

    #[test]
    fn another_sim_of_the_phone_that_is_there_first_says_nothing_of_the_accounts() {
        const HERE: Sim = Sim::Here(SimState::Home);
        const OTHER: Option<&str> = Some("+4915112345602");
        let unset = AccountLines::default();
        for (own, other) in [(Some(OWN), OTHER), (Some(OWN), None), (None, OTHER)] {
            let (known, sims, _) = start(&unset, &[("own", own), ("other", other)]);
            assert_eq!(sims, [HERE; 2]);
            assert_eq!(start(&known, &[("other", other), ("own", own)]).1, [Sim::Unknown, HERE]);
            let (known, sims, doubtful) = start(&known, &[("other", other)]);
            assert_eq!((sims.as_slice(), doubtful), ([Sim::Unknown].as_slice(), false), "its modem is away");
            assert_eq!(known.now, Some(LineId("own".into())));
            let (_, sims, doubtful) = start(&known, &[("other", other), ("strange", OTHER)]);
            assert_eq!((sims.as_slice(), doubtful), ([Sim::Unknown, Sim::Gone].as_slice(), true), "in its place");
            assert_eq!(start(&known, &[("strange", OTHER)]).1, [Sim::Gone]);
        }
        // Nor is it taken for the account's where neither knows its number.
        let (known, ..) = start(&unset, &[("own", None), ("other", None)]);
        let (known, sims, _) = start(&known, &[("other", None), ("own", None)]);
        assert_eq!((sims.as_slice(), known.now), ([Sim::Unknown, HERE].as_slice(), Some(LineId("own".into()))));
    }

    #[test]
    fn other_sims_are_remembered_beside_the_accounts_alone() {
        const OTHER: Option<&str> = Some("+4915112345602");
        let (mut known, ..) = start(&AccountLines::default(), &[("own", Some(OWN)), ("other", OTHER)]);
        assert_eq!(known.told_beside(), ["other"]);
        assert!(!known.saw(&lines(&[("own", None), ("other", None)])), "known already");
        assert!(!known.saw(&lines(&[("strange", None)])), "the account's is not there");
        known.set(Some(LineId("other".into())));
        assert!(known.told_beside().is_empty(), "it has the number now");
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let many: Vec<(&str, Option<&str>)> =
            many.iter().map(|name| (&**name, None)).chain([("other", None)]).collect();
        assert!(known.saw(&lines(&many)));
        assert_eq!(known.beside.len(), REMEMBERED);
        known.set(None);
        assert!(known.told_beside().is_empty(), "nobody knows which is the account's");
    }
}

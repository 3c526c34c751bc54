//! The lines that are there, and which of them has the account's number.

use super::Core;
use super::turn::Turn;
use crate::model::{Line, LineId, PhoneNumber, SimState};
use crate::store::{Blob, StoreError};
use std::collections::BTreeMap;

/// Filed under when no line is known.
const NO_LINE: &str = "none";
/// Lines that had the account's number before: so many are remembered.
const FORMER: usize = 16;

/// The line that has the account's number, where it was seen, and those that had it before: a SIM may be replaced,
/// and the number stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AccountLines {
    pub(super) now: Option<LineId>,
    /// Newest first.
    former: Vec<LineId>,
}

impl AccountLines {
    fn set(&mut self, line: Option<LineId>) {
        if let Some(was) = std::mem::replace(&mut self.now, line) {
            self.former.insert(0, was);
        }
        let (mut known, now) = (std::collections::HashSet::new(), self.now.clone());
        self.former.retain(|line| Some(line) != now.as_ref() && known.insert(line.clone()));
        self.former.truncate(FORMER);
    }

    /// For the export: the present one first, or none.
    pub(super) fn told(&self) -> Vec<Option<&str>> {
        let former = self.former.iter().map(Some);
        std::iter::once(self.now.as_ref()).chain(former).map(|line| line.map(|line| &*line.0)).collect()
    }

    /// One a line of text, the present one first. Names of lines are ours, and have no line feed.
    fn to_text(&self) -> String {
        let names = self.now.iter().chain(&self.former).map(|line| &*line.0);
        let present = if self.now.is_none() { "\n" } else { "" };
        present.to_owned() + &names.collect::<Vec<_>>().join("\n")
    }

    fn from_text(text: &str) -> Self {
        let mut lines = text.split('\n').map(|name| (!name.is_empty()).then(|| LineId(name.into())));
        Self { now: lines.next().flatten(), former: lines.flatten().collect() }
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
        let found = accounts_line(&account.number, &self.lines, self.account_lines.now.as_ref()).cloned();
        if found == self.account_lines.now { Ok(()) } else { self.set_account_line(turn, found) }
    }

    pub(super) fn set_account_line(&mut self, turn: &mut Turn<'_, '_>, line: Option<LineId>) -> Result<(), StoreError> {
        self.account_lines.set(line.clone());
        let kept = self.account_lines.to_text();
        turn.write(move |tx| tx.put_blob(Blob::AccountLines, kept.as_bytes()));
        self.route(turn, crate::router::Input::AccountLine(line))
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

/// Which line has that number: the one that says so; else the only one that knows no number. Where that is
/// ambiguous, or no line is there, it is the one that it was.
fn accounts_line<'l>(
    number: &PhoneNumber,
    lines: &'l BTreeMap<LineId, Line>,
    was: Option<&'l LineId>,
) -> Option<&'l LineId> {
    if let Some(line) = lines.values().find(|line| line.number.as_ref() == Some(number)) {
        return Some(&line.id);
    }
    let mut unknown = lines.values().filter(|line| line.number.is_none());
    match (unknown.next(), unknown.next()) {
        (Some(only), None) => Some(&only.id),
        _ => was.filter(|was| lines.get(was).is_none_or(|line| line.number.is_none())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let was = was.map(|was| LineId(was.into()));
        let lines = lines(numbers);
        let own = PhoneNumber::from_e164(OWN).unwrap();
        accounts_line(&own, &lines, was.as_ref()).map(|line| line.0.to_string())
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
        assert_eq!(lines, AccountLines { now: None, former: ["c", "a", "b"].map(line).into() });
        for n in 0..100 {
            lines.set(Some(line(&n.to_string())));
        }
        assert_eq!(lines.former.len(), FORMER);
    }
}

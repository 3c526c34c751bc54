//! Which line is in which of a service's modems. For a while a SIM may seem to be in two: a service goes on listing
//! a modem that died when the same one is back under another name. The one that came last counts.

use super::ModemEvent;
use crate::model::{Line, LineId};
use std::cell::RefCell;
use tokio::sync::mpsc;

/// The lines of one service; what becomes of them is told.
pub(super) struct Lines {
    events: mpsc::UnboundedSender<ModemEvent>,
    /// By modem, in the order in which they got their lines.
    seats: RefCell<Vec<(Box<str>, Line)>>,
}

impl Lines {
    pub(super) fn new(events: mpsc::UnboundedSender<ModemEvent>) -> Self {
        Self { events, seats: RefCell::default() }
    }

    /// For who tells later.
    pub(super) fn events(&self) -> mpsc::UnboundedSender<ModemEvent> {
        self.events.clone()
    }

    pub(super) fn tell(&self, event: ModemEvent) {
        // Nobody listens any more: the core is going.
        let _unheard = self.events.send(event);
    }

    /// The modem that a line is in.
    pub(super) fn seat(&self, line: &LineId) -> Option<Box<str>> {
        let seats = self.seats.borrow();
        seats.iter().rev().find(|(_, there)| there.id == *line).map(|(modem, _)| modem.clone())
    }

    /// The line in a modem.
    pub(super) fn at(&self, modem: &str) -> Option<LineId> {
        self.seats.borrow().iter().find(|(there, _)| **there == *modem).map(|(_, line)| line.id.clone())
    }

    /// A modem was read, or is gone.
    pub(super) fn is(&self, modem: &str, line: Option<Line>) {
        let mut seats = self.seats.borrow_mut();
        let before = seats.iter().position(|(there, _)| **there == *modem);
        let old = before.and_then(|at| seats.get(at)).map(|(_, line)| line.clone());
        if old == line {
            return;
        }
        let old_seat = old.as_ref().and_then(|old| last(&seats, &old.id));
        let stays = old.as_ref().map(|old| &old.id) == line.as_ref().map(|line| &line.id);
        match (before, line.clone()) {
            (Some(at), Some(line)) if stays => {
                if let Some((_, there)) = seats.get_mut(at) {
                    *there = line;
                }
            }
            (before, line) => {
                before.map(|at| seats.remove(at));
                seats.extend(line.map(|line| (modem.into(), line)));
            }
        }
        let left = old.filter(|_| !stays && before == old_seat).map(|old| {
            let other = last(&seats, &old.id).and_then(|at| seats.get(at));
            other.map_or(ModemEvent::LineGone(old.id), |(_, other)| ModemEvent::Line(other.clone()))
        });
        let came = line.filter(|_| !stays || before == old_seat).map(ModemEvent::Line);
        drop(seats);
        left.into_iter().chain(came).for_each(|event| self.tell(event));
    }

    /// All modems are gone.
    pub(super) fn clear(&self) {
        let mut gone: Vec<LineId> = self.seats.take().into_iter().map(|(_, line)| line.id).collect();
        gone.sort_unstable();
        gone.dedup();
        gone.into_iter().for_each(|line| self.tell(ModemEvent::LineGone(line)));
    }
}

/// Where a line appeared last.
fn last(seats: &[(Box<str>, Line)], line: &LineId) -> Option<usize> {
    seats.iter().rposition(|(_, there)| there.id == *line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SimState, SlotId};

    fn line(id: &str, modem: &str, sim: SimState) -> Line {
        let (id, slot, modem) = (LineId(id.into()), SlotId(modem.into()), Some(modem.into()));
        Line { id, modem, slot, number: None, sim, home: None, emergency: Vec::new() }
    }

    fn home(id: &str, modem: &str) -> Line {
        line(id, modem, SimState::Home)
    }

    fn gone(id: &str) -> ModemEvent {
        ModemEvent::LineGone(LineId(id.into()))
    }

    struct Told(Lines, mpsc::UnboundedReceiver<ModemEvent>);

    impl Told {
        fn new() -> Self {
            let (events, told) = mpsc::unbounded_channel();
            Self(Lines::new(events), told)
        }

        fn is(&mut self, modem: &str, line: Option<Line>) -> Vec<ModemEvent> {
            self.0.is(modem, line);
            self.since()
        }

        fn since(&mut self) -> Vec<ModemEvent> {
            std::iter::from_fn(|| self.1.try_recv().ok()).collect()
        }
    }

    #[test]
    fn a_line_is_told_when_it_comes_changes_and_goes() {
        let mut told = Told::new();
        let searching = line("a", "0", SimState::Searching);
        assert_eq!(told.is("0", Some(searching.clone())), [ModemEvent::Line(searching.clone())]);
        assert_eq!(told.is("0", Some(searching)), []);
        assert_eq!(told.is("0", Some(home("a", "0"))), [ModemEvent::Line(home("a", "0"))]);
        assert_eq!(told.is("0", Some(home("b", "0"))), [gone("a"), ModemEvent::Line(home("b", "0"))], "another SIM");
        assert_eq!(told.is("0", None), [gone("b")]);
        assert_eq!(told.is("0", None), []);
    }

    #[test]
    fn a_dead_modem_that_is_still_listed_takes_nothing_from_its_successor() {
        let mut told = Told::new();
        told.is("0", Some(home("a", "0")));
        assert_eq!(told.is("1", Some(home("a", "1"))), [ModemEvent::Line(home("a", "1"))]);
        let seat = |told: &Told| told.0.seat(&LineId("a".into())).map(String::from);
        assert_eq!(seat(&told).as_deref(), Some("1"));
        assert_eq!(told.is("0", Some(line("a", "0", SimState::Searching))), []);
        assert_eq!(seat(&told).as_deref(), Some("1"));
        assert_eq!(told.is("0", None), []);
        // The other way round: what is left counts again.
        told.is("2", Some(home("a", "2")));
        assert_eq!(told.is("2", None), [ModemEvent::Line(home("a", "1"))]);
        told.is("3", Some(home("a", "3")));
        told.0.clear();
        assert_eq!(told.since(), [gone("a")], "once, though two seemed to have it");
    }
}

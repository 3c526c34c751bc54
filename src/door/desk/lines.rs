//! Which modem shows which line's instant messages: the one that has the line, under whatever name it is now.
//!
//! ModemManager numbers its modems anew whenever one comes back, and goes on listing those that died (1.20: without
//! any interface); the core knows which has the SIM. What the app is told follows both: a modem that ModemManager does not have yet is tried
//! again when it comes.

use super::{Asking, Desk, Phase, Purpose, names::*, object, rewrite::as_paths};
use crate::door::{rules::Arg, wire::Message};
use std::collections::{BTreeMap, HashMap};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// Where a line is.
struct Seat {
    modem: String,
    /// The app was told what is shown there.
    told: bool,
}

/// Where lines are, by name, and what is being told.
#[derive(Default)]
pub(super) struct Lines {
    seats: BTreeMap<String, Seat>,
    asking: Asking,
    /// What came and went, by modem, while ModemManager is asked for its own.
    news: BTreeMap<String, News>,
}

#[derive(Default)]
struct News {
    came: Vec<String>,
    went: Vec<String>,
}

impl Lines {
    /// The modem that a line is in.
    pub(super) fn modem(&self, line: &str) -> Option<&str> {
        self.seats.get(line).map(|seat| &*seat.modem)
    }

    /// Whether something is being told of a modem.
    pub(super) fn telling(&self, modem: &str) -> bool {
        self.news.contains_key(modem)
    }

    /// Another ModemManager: it has told nothing.
    pub(super) fn forget_telling(&mut self) {
        self.news.clear();
        self.all_told(false);
    }

    /// The app reads everything by itself, or nothing of what it has read stands.
    pub(super) fn all_told(&mut self, told: bool) {
        self.seats.values_mut().for_each(|seat| seat.told = told);
    }

    fn told_of(&mut self, modem: &str, told: bool) {
        self.seats.values_mut().filter(|seat| seat.modem == modem).for_each(|seat| seat.told = told);
    }
}

impl Desk {
    pub(super) fn ask_lines(&mut self) {
        if self.lines.asking.begin() {
            self.call_core(Purpose::Lines, "Lines", &());
        }
    }

    /// The core may be another one than before.
    pub(super) fn ask_lines_anew(&mut self) {
        self.lines.asking = Asking::default();
        self.ask_lines();
    }

    pub(super) fn found_lines(&mut self, message: &Message<'_>) {
        if self.lines.asking.end() {
            self.ask_lines();
        }
        let Some((rows,)) = message.body::<(Vec<(String, OwnedObjectPath)>,)>() else { return };
        let before = std::mem::take(&mut self.lines.seats);
        for (line, modem) in rows {
            let modem = modem.to_string();
            let told = before.get(&line).is_some_and(|seat| seat.told && seat.modem == modem);
            self.lines.seats.insert(line, Seat { modem, told });
        }
        let places = |seats: &BTreeMap<String, Seat>| -> Vec<(String, String)> {
            seats.iter().map(|(line, seat)| (line.clone(), seat.modem.clone())).collect()
        };
        let same = places(&self.lines.seats) == places(&before);
        for (line, seat) in before {
            if seat.told && self.lines.modem(&line) != Some(&seat.modem) {
                let went = self.shown_of(&line).collect();
                self.tell(&seat.modem, vec![], went);
            }
        }
        self.show_lines();
        let homeless = |line| !self.lines.seats.is_empty() && self.lines.modem(line).is_none();
        if self.inbox.lines().any(|line| same || homeless(line)) {
            // Another SIM may have their number now: then they are that line's.
            self.ask_inbox_anew();
        }
    }

    /// Tells of lines whose texts the app was not told at their modem.
    pub(super) fn show_lines(&mut self) {
        if self.phase != Phase::Ready {
            return;
        }
        let untold: Vec<(String, String)> = self
            .lines
            .seats
            .iter()
            .filter(|(_, seat)| !seat.told)
            .map(|(line, seat)| (line.clone(), seat.modem.clone()))
            .collect();
        for (line, modem) in untold {
            let came: Vec<String> = self.shown_of(&line).collect();
            if modem.starts_with(MODEM_PATH) && !came.is_empty() {
                self.lines.told_of(&modem, true);
                self.tell(&modem, came, vec![]);
            }
        }
        self.show_by_ofono();
    }

    /// The modem at which the app was told of a line's texts.
    pub(super) fn told_at(&self, line: &str) -> Option<String> {
        self.lines.seats.get(line).filter(|seat| seat.told).map(|seat| seat.modem.clone())
    }

    /// ModemManager has this modem anew.
    pub(super) fn modem_came(&mut self, modem: &str) {
        self.lines.told_of(modem, false);
        self.show_lines();
    }

    pub(super) fn modem_went(&mut self, modem: &str) {
        self.lines.told_of(modem, false);
    }

    /// A modem's messages with ours; `None` where they are the same.
    pub(super) fn merged(&mut self, modem: &str, real: &[OwnedObjectPath]) -> Option<Vec<String>> {
        for path in real {
            if let Some(judged) = self.judged.get_mut(path.as_str()) {
                judged.left_out = true;
            }
        }
        let lines = self.lines.seats.iter().filter(|(_, seat)| seat.modem == modem);
        let ours: Vec<String> = lines.flat_map(|(line, _)| self.shown_of(line)).collect();
        let kept = real.iter().map(|path| path.as_str()).filter(|path| !self.hidden.contains(*path));
        let kept: Vec<String> = kept.map(str::to_owned).collect();
        if ours.is_empty() && kept.len() == real.len() {
            return None;
        }
        Some(kept.into_iter().chain(ours).collect())
    }

    /// The objects of a line that only the door shows.
    fn shown_of(&self, line: &str) -> impl Iterator<Item = String> {
        let reports = self.reports.iter().filter(move |(_, report)| *report.line == *line);
        self.inbox.paths(Some(line)).chain(reports.map(|(path, _)| path.clone()))
    }

    /// Tells the app of objects that only the door shows, or shows no more.
    pub(super) fn tell(&mut self, modem: &str, came: Vec<String>, went: Vec<String>) {
        let open = self.lines.telling(modem);
        let news = self.lines.news.entry(modem.to_owned()).or_default();
        news.came.extend(came);
        news.came.retain(|came| !went.contains(came));
        news.went.extend(went);
        if !open {
            // A client lists from the Messages that it was told last, so they are told first; and only
            // ModemManager knows its own.
            let purpose = Purpose::Messages { modem: modem.to_owned() };
            self.call_mm(purpose, (modem, PROPERTIES, "Get"), &(MESSAGING, "Messages"));
        }
    }

    pub(super) fn announce(&mut self, modem: &str, message: &Message<'_>) {
        let Some(News { came, went }) = self.lines.news.remove(modem) else { return };
        let value = message.body::<(OwnedVariant,)>().map(|(value,)| value);
        let Some(real) = value.and_then(|value| Vec::<OwnedObjectPath>::try_from(value).ok()) else {
            // ModemManager has no such modem, or not yet.
            return self.lines.told_of(modem, false);
        };
        let all = self.merged(modem, &real).unwrap_or_else(|| real.iter().map(ToString::to_string).collect());
        let changed: HashMap<&str, Variant<'_>> = HashMap::from([("Messages", Variant::from(as_paths(&all)))]);
        self.mm_signal(
            (modem, PROPERTIES, "PropertiesChanged"),
            &[Arg::Text(MESSAGING), Arg::Other, Arg::Other],
            &(MESSAGING, changed, Vec::<&str>::new()),
        );
        for path in &came {
            let args = [Arg::Path(path), Arg::Other];
            self.mm_signal((modem, MESSAGING, "Added"), &args, &(object(path), true));
        }
        for path in &went {
            self.mm_signal((modem, MESSAGING, "Deleted"), &[Arg::Path(path)], &(object(path),));
        }
    }
}

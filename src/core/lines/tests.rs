//! Which line is the account's, and what modems say of its SIM.

use super::*;
use crate::model::Timestamp;
use crate::router::Tenure;
use proptest::prelude::*;

const OWN: &str = "+4915112345601";
const OTHER: Option<&str> = Some("+4915112345602");
const HERE: Sim = Sim::Here(SimState::Home);

fn lines(numbers: &[(&str, Option<&str>)]) -> BTreeMap<LineId, Line> {
    let line = |(id, number): &(&str, Option<&str>)| {
        let (id, slot) = (LineId((*id).into()), SlotId((*id).into()));
        let number = number.map(|number| PhoneNumber::from_e164(number).unwrap());
        (id.clone(), Line { id, number, sim: SimState::Home, home: None, emergency: Vec::new(), modem: None, slot })
    };
    numbers.iter().map(line).collect()
}

fn found(numbers: &[(&str, Option<&str>)], was: Option<&str>) -> Option<String> {
    let known = AccountLines { now: was.map(|was| LineId(was.into())), ..AccountLines::default() };
    known.find(&PhoneNumber::from_e164(OWN).unwrap(), &lines(numbers)).map(|line| line.0.to_string())
}

#[test]
fn the_accounts_line_is_the_one_with_its_number() {
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

/// What the core makes of a modem's news, without the core.
#[derive(Default)]
struct Phone {
    known: AccountLines,
    there: BTreeMap<LineId, Line>,
    without: Sim,
    tenure: Tenure,
}

impl Phone {
    /// A later life of it.
    fn knowing(known: &AccountLines) -> Self {
        Self { known: AccountLines::from_text(&known.to_text()), ..Self::default() }
    }

    fn look(&mut self) -> Sim {
        let own = PhoneNumber::from_e164(OWN).unwrap();
        let found = self.known.find(&own, &self.there);
        if found != self.known.now {
            self.known.set(found);
        }
        self.known.saw(&self.there);
        let sim = self.known.sim(Some(&own), &self.there, self.without);
        let _kept = self.tenure.seen(Timestamp(1), sim);
        sim
    }

    fn came(&mut self, line: Line) -> Sim {
        if self.known.ends_without(&line) {
            self.without = Sim::Unknown;
        }
        self.there.insert(line.id.clone(), line);
        self.look()
    }

    fn gone(&mut self, line: &str) -> Sim {
        self.there.remove(&LineId(line.into()));
        self.look()
    }

    fn no_sim(&mut self, slot: &str, sure: bool) -> Sim {
        self.without = self.known.without(&self.there, &SlotId(slot.into()), sure, self.without);
        self.look()
    }
}

/// What a start of the phone sees as its lines come, one after the other; and whether the number is in doubt then.
fn start(known: &AccountLines, came: &[(&str, Option<&str>)]) -> (AccountLines, Vec<Sim>, bool) {
    let mut phone = Phone::knowing(known);
    let sims = came.iter().flat_map(|line| lines(&[*line]).into_values()).map(|line| phone.came(line)).collect();
    (phone.known, sims, phone.tenure.doubtful)
}

/// A phone that has seen the account's SIM and another one, each in the slot of its name.
fn two() -> Phone {
    Phone::knowing(&start(&AccountLines::default(), &[("own", Some(OWN)), ("other", OTHER)]).0)
}

fn line(id: &str, slot: &str) -> Line {
    let number = if id == "own" { Some(OWN) } else { OTHER };
    let slot = SlotId(slot.into());
    lines(&[(id, number)]).into_values().map(|line| Line { slot: slot.clone(), ..line }).next().unwrap()
}

#[test]
fn the_accounts_sim_that_is_pulled_is_missed_though_another_one_stays() {
    let mut phone = two();
    assert_eq!(phone.came(line("other", "other")), Sim::Unknown);
    assert_eq!(phone.came(line("own", "own")), HERE);
    assert_eq!(phone.gone("own"), Sim::Unknown, "its modem may only begin anew");
    assert_eq!(phone.no_sim("other slot", true), Sim::Unknown, "that is empty as ever");
    assert_eq!(phone.no_sim("own", false), Sim::Unread);
    assert_eq!(phone.came(line("other", "other")), Sim::Unread, "which says nothing of it");
    assert!(!phone.tenure.doubtful);
    assert_eq!(phone.no_sim("own", true), Sim::Gone);
    assert!(phone.tenure.doubtful);
    assert_eq!(phone.came(line("own", "own")), HERE);
    // While the phone was off.
    let mut phone = two();
    assert_eq!(phone.no_sim("own", true), Sim::Gone);
    assert_eq!(phone.came(line("other", "other")), Sim::Gone);
    // The other one in its place.
    let mut phone = two();
    assert_eq!(phone.came(line("other", "own")), Sim::Gone);
}

#[test]
fn an_empty_slot_that_is_read_before_the_accounts_casts_no_doubt() {
    let mut phone = two();
    assert_eq!(phone.no_sim("third", true), Sim::Unread, "no lease meanwhile");
    assert_eq!(phone.came(line("own", "own")), HERE);
    assert_eq!((phone.gone("own"), phone.tenure.doubtful), (Sim::Unknown, false));
    // Where nobody knows its slot, as ever.
    assert_eq!(Phone::default().no_sim("any", true), Sim::Gone);
}

/// What happens to a phone with two slots and three SIMs, the account's the first.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// That SIM goes into that slot, if neither is taken; none: what is in it is pulled.
    Put(usize, Option<usize>),
    /// The modem of that slot goes away, or is back.
    Modem(usize),
    /// The daemon begins anew and is told what is there, the second slot first.
    Restart(bool),
}

const SIMS: [&str; 3] = ["own", "other", "strange"];
const SLOTS: [&str; 2] = ["one", "two"];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..2usize, prop::option::weighted(0.6, 0..3usize)).prop_map(|(slot, sim)| Event::Put(slot, sim)),
        2 => (0..2usize).prop_map(Event::Modem),
        1 => any::<bool>().prop_map(Event::Restart),
    ]
}

proptest! {
    /// Doubt is cast when, and only when, the account's SIM is in no modem that is there, and the one that had it last
    /// is there, or a SIM that was never beside it.
    #[test]
    fn the_number_is_in_doubt_exactly_when_its_sim_is_seen_to_be_missing(events in prop::collection::vec(event(), 1..60)) {
        let mut phone = Phone::default();
        let (mut slots, mut there) = ([Some(0), Some(1)], [true, true]);
        let mut told: [Option<Option<usize>>; 2] = [None; 2];
        let (mut home, mut beside, mut doubt) = (0, [true, false, false], false);
        for event in std::iter::once(Event::Restart(false)).chain(events) {
            match event {
                Event::Put(slot, None) => slots[slot] = None,
                Event::Put(slot, Some(sim)) if slots[slot].is_none() && !slots.contains(&Some(sim)) => slots[slot] = Some(sim),
                Event::Put(..) => continue,
                Event::Modem(slot) => there[slot] = !there[slot],
                Event::Restart(_) => {
                    phone = Phone { tenure: phone.tenure, ..Phone::knowing(&phone.known) };
                    told = [None; 2];
                }
            }
            let second = matches!(event, Event::Restart(true));
            for slot in if second { [1, 0] } else { [0, 1] } {
                let now = there[slot].then_some(slots[slot]);
                if now == told[slot] {
                    continue;
                }
                if let Some(Some(sim)) = std::mem::replace(&mut told[slot], now) {
                    phone.gone(SIMS[sim]);
                }
                match now {
                    Some(Some(sim)) => drop(phone.came(line(SIMS[sim], SLOTS[slot]))),
                    Some(None) => drop(phone.no_sim(SLOTS[slot], true)),
                    None => {}
                }
                // What is told by now is all that can be known.
                let shown: Vec<usize> = told.iter().flatten().copied().flatten().collect();
                let own = told.iter().position(|told| *told == Some(Some(0)));
                let missing = told[home].is_some() || shown.iter().any(|sim| !beside[*sim]);
                if let Some(own) = own {
                    home = own;
                    shown.iter().for_each(|sim| beside[*sim] = true);
                    prop_assert_eq!(phone.look(), HERE);
                    // Proven anew.
                    (doubt, phone.tenure.doubtful) = (false, false);
                }
                doubt |= own.is_none() && missing;
                prop_assert_eq!(phone.tenure.doubtful, doubt, "{:?}, at {}", told, home);
            }
        }
    }
}

#[test]
fn another_sim_of_the_phone_that_is_there_first_says_nothing_of_the_accounts() {
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
    let (mut known, ..) = start(&AccountLines::default(), &[("own", Some(OWN)), ("other", OTHER)]);
    assert_eq!(known.told_beside(), ["other"]);
    assert!(!known.saw(&lines(&[("own", None), ("other", None)])), "known already");
    assert!(!known.saw(&lines(&[("strange", None)])), "the account's is not there");
    known.set(Some(LineId("other".into())));
    assert!(known.told_beside().is_empty(), "it has the number now");
    let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let many: Vec<(&str, Option<&str>)> = many.iter().map(|name| (&**name, None)).chain([("other", None)]).collect();
    assert!(known.saw(&lines(&many)));
    assert_eq!(known.beside.len(), REMEMBERED);
    known.set(None);
    assert!(known.told_beside().is_empty(), "nobody knows which is the account's");
}

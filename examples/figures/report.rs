//! The table, and what its figures are made of.

use anyhow::{Result, bail};
use std::time::Duration;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Idle,
    Calls,
    Im,
    Queue,
    Store,
    Door,
    Timing,
}

impl Topic {
    pub(crate) fn named(word: &str) -> Result<Self> {
        Ok(match word {
            "idle" => Self::Idle,
            "calls" => Self::Calls,
            "im" => Self::Im,
            "queue" => Self::Queue,
            "store" => Self::Store,
            "door" => Self::Door,
            "timing" => Self::Timing,
            _ => bail!("usage: figures PROGRAMS [idle|calls|im|queue|store|door|timing]…, not {word:?}"),
        })
    }
}

/// In what state the machine is: figures of a busy one are worth little.
pub(crate) fn machine() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{cores} cores; load over 1, 5 and 15 minutes, running/all: {}", load.trim());
}

pub(crate) fn row(what: &str, figure: &str, budget: &str) {
    println!("{what:<52} {figure:>12}   {budget}");
}

/// A figure beside its bound; `parts` says what the two are.
pub(crate) fn ratio(what: &str, ours: Duration, bound: Duration, budget: &str, parts: &str) {
    let figure = ours.as_secs_f64() / bound.as_secs_f64();
    row(what, &format!("{figure:.2} ×"), &format!("{budget}  ({} / {}{parts})", micros(ours), micros(bound)));
}

pub(crate) fn micros(duration: Duration) -> String {
    format!("{:.0} µs", duration.as_secs_f64() * 1e6)
}

pub(crate) fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

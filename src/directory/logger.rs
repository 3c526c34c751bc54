//! Log lines on stderr, each with its level as the journal reads it (sd-daemon(3)).

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Only our own words: a library's might hold what was sent.
        metadata.target().starts_with("shunt") && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(std::io::stderr(), "<{}>{}", priority(record.level()), record.args());
        }
    }

    fn flush(&self) {}
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Logs from now on; a second call changes nothing but the level.
pub(super) fn start(level: LevelFilter) {
    let _ = log::set_logger(&Stderr);
    log::set_max_level(level);
}

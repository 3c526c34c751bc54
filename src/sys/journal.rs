//! Where `log` goes: to Android's log there, elsewhere to standard error in the form that systemd's
//! journal takes (sd-daemon(3)): a priority in front of each line.

#[cfg(not(target_os = "android"))]
use log::{Level, Log, Metadata, Record};
#[cfg(not(target_os = "android"))]
use std::io::Write;

/// Starts logging under the program's name. `SHUNT_LOG` (a level's name) wins over `level`.
pub fn start(program: &'static str, level: log::LevelFilter) {
    #[cfg(target_os = "android")]
    android_logger::init_once(android_logger::Config::default().with_tag(program).with_max_level(level));
    #[cfg(not(target_os = "android"))]
    // A second start keeps the first logger.
    drop(log::set_boxed_logger(Box::new(Journal(program))));
    self::level(level);
}

/// Changes the level, as the config says; `SHUNT_LOG` still wins.
pub fn level(level: log::LevelFilter) {
    let wanted = std::env::var("SHUNT_LOG").ok().and_then(|name| name.parse().ok());
    log::set_max_level(wanted.unwrap_or(level));
}

#[cfg(not(target_os = "android"))]
struct Journal(&'static str);

#[cfg(not(target_os = "android"))]
impl Log for Journal {
    /// Only what is ours: libraries log what they handle.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("shunt")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let priority = match record.level() {
                Level::Error => 3,
                Level::Warn => 4,
                Level::Info => 6,
                Level::Debug | Level::Trace => 7,
            };
            // In one write, so that lines of two processes don't mix.
            let line = format!("<{priority}>{}: {}\n", self.0, record.args());
            // Where standard error is closed there is nobody to tell.
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
    }

    fn flush(&self) {}
}

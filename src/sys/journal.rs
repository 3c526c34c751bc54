//! Where `log` goes: to Android's log there, elsewhere to standard error in the form that systemd's
//! journal takes (sd-daemon(3)): a priority in front of each line. What has no standard error any more tells syslog.

#[cfg(not(target_os = "android"))]
use log::{Level, Log, Metadata, Record};
#[cfg(not(target_os = "android"))]
use std::{io::Write, os::unix::net::UnixDatagram, sync::OnceLock};

/// Where the system's log listens (syslog(3)), whichever program that is.
#[cfg(not(target_os = "android"))]
const SYSLOG: &str = "/dev/log";
/// The facility "user" (RFC 3164 §4.1.1), shifted to its place.
#[cfg(not(target_os = "android"))]
const USER: u8 = 1 << 3;
#[cfg(not(target_os = "android"))]
static TO_SYSLOG: OnceLock<UnixDatagram> = OnceLock::new();

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

/// From here on to syslog, for a program that has gone to the background. Where there is none, nothing is logged.
pub fn to_syslog() {
    #[cfg(not(target_os = "android"))]
    if let Ok(socket) = UnixDatagram::unbound() {
        // A log that is stuck holds nobody up.
        drop(socket.set_nonblocking(true));
        drop(TO_SYSLOG.set(socket));
    }
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
            if let Some(socket) = TO_SYSLOG.get() {
                let line = format!("<{}>{}[{}]: {}", USER | priority, self.0, std::process::id(), record.args());
                drop(socket.send_to(line.as_bytes(), SYSLOG));
                return;
            }
            // In one write, so that lines of two processes don't mix.
            let line = format!("<{priority}>{}: {}\n", self.0, record.args());
            // Where standard error is closed there is nobody to tell.
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
    }

    fn flush(&self) {}
}

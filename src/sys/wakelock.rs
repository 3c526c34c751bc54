//! Keeps the device awake while a text is in flight. Always with an end: the kernel's lock is not
//! tied to a process, and a crash must not keep a phone awake.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The lock's name as `/sys/power/wake_lock` shows it.
const NAME: &str = "shunt";

/// The kernel's wake locks, where this process may use them (Android: group `wakelock` and
/// `CAP_BLOCK_SUSPEND`); else every hold is empty, and suspend is logind's business.
#[derive(Debug, Clone)]
pub struct WakeLocks {
    power: Option<Arc<Power>>,
}

#[derive(Debug)]
struct Power {
    directory: PathBuf,
    holders: AtomicUsize,
}

impl WakeLocks {
    /// Looks once whether the kernel has them and we may write.
    #[must_use]
    pub fn find() -> Self {
        Self::at(Path::new("/sys/power"))
    }

    fn at(directory: &Path) -> Self {
        let may = ["wake_lock", "wake_unlock"]
            .iter()
            .all(|file| OpenOptions::new().write(true).open(directory.join(file)).is_ok());
        let power = may.then(|| Arc::new(Power { directory: directory.into(), holders: AtomicUsize::new(0) }));
        Self { power }
    }

    /// Whether a hold holds anything.
    #[must_use]
    pub fn available(&self) -> bool {
        self.power.is_some()
    }

    /// Keeps the device awake until the result is dropped, or for `limit` if that comes first. The
    /// latest hold's limit counts.
    #[must_use = "the lock ends when this is dropped"]
    pub fn hold(&self, limit: Duration) -> WakeLock {
        let power = self.power.clone();
        if let Some(power) = &power {
            power.holders.fetch_add(1, Ordering::SeqCst);
            power.write("wake_lock", &format!("{NAME} {}", limit.as_nanos()));
        }
        WakeLock { power }
    }
}

impl Power {
    /// A lock that can't be had costs a delay at worst: no error is worth a text.
    fn write(&self, file: &str, what: &str) {
        let written = OpenOptions::new().write(true).open(self.directory.join(file));
        if let Err(e) = written.and_then(|mut file| file.write_all(what.as_bytes())) {
            log::debug!("the wake lock can't be changed: {e}");
        }
    }
}

/// The device stays awake while this lives.
#[derive(Debug)]
pub struct WakeLock {
    power: Option<Arc<Power>>,
}

impl Drop for WakeLock {
    fn drop(&mut self) {
        if let Some(power) = &self.power
            && power.holders.fetch_sub(1, Ordering::SeqCst) == 1
        {
            power.write("wake_unlock", NAME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_last_holder_unlocks() {
        let power = tempfile::tempdir().unwrap();
        let file = |name: &str| power.path().join(name);
        fs::write(file("wake_lock"), "").unwrap();
        fs::write(file("wake_unlock"), "").unwrap();
        let locks = WakeLocks::at(power.path());
        let first = locks.hold(Duration::from_secs(30));
        assert_eq!(fs::read_to_string(file("wake_lock")).unwrap(), "shunt 30000000000");
        let second = locks.hold(Duration::from_secs(30));
        drop(first);
        assert_eq!(fs::read_to_string(file("wake_unlock")).unwrap(), "");
        drop(second);
        assert_eq!(fs::read_to_string(file("wake_unlock")).unwrap(), "shunt");
    }

    #[test]
    fn without_the_kernel_file_a_hold_is_empty() {
        let locks = WakeLocks::at(Path::new("/nonexistent"));
        assert!(!locks.available());
        drop(locks.hold(Duration::from_secs(1)));
    }
}

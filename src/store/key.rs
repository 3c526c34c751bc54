//! Where the store's key comes from. It is read before the process is confined: a command could
//! not be run afterwards.

use super::error::{KeyFault, Unusable};
use ring::rand::{SecureRandom, SystemRandom};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a key store's command may take; a hanging one counts as locked.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// EX_TEMPFAIL (sysexits.h): the command's way to say "not before first unlock".
const TEMPORARY: i32 = 75;

/// The key that seals columns. `Debug` shows nothing; wiped on drop.
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

impl StoreKey {
    /// Takes raw key bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        *self.0
    }

    /// 32 bytes, or 64 hex digits with white space around them.
    fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        if let Ok(key) = <[u8; 32]>::try_from(bytes) {
            return Ok(Self::new(key));
        }
        let key = data_encoding::HEXLOWER_PERMISSIVE.decode(bytes.trim_ascii()).map(Zeroizing::new);
        key.ok()
            .and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok())
            .map(Self::new)
            .ok_or(Unusable::KeyMissing(KeyFault::Malformed))
    }
}

/// Where the configuration says the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file of mode 0600, made with a random key where neither it nor the store exists.
    File(PathBuf),
    /// A credential of systemd's (systemd.exec(5), Credentials).
    Credential {
        /// `$CREDENTIALS_DIRECTORY`; without it none was passed.
        directory: Option<PathBuf>,
        /// Which one.
        name: String,
    },
    /// A command that writes the key to its standard output; exit status 75 means locked.
    Command(Vec<OsString>),
}

impl KeySource {
    /// Gets the key. `store_exists` comes from [`super::exists`]: no key is made for a store that is there.
    pub fn load(&self, store_exists: bool) -> Result<StoreKey, Unusable> {
        match self {
            Self::File(path) => match File::open(path) {
                Ok(file) => read_checked(file, 0o077),
                Err(error) if error.kind() == io::ErrorKind::NotFound && store_exists => {
                    Err(Unusable::KeyMissing(KeyFault::Absent))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
                Err(error) => Err(unreadable(error)),
            },
            Self::Credential { directory, name } => {
                let missing = || Unusable::KeyMissing(KeyFault::NoCredential);
                let path = directory.as_deref().ok_or_else(missing)?.join(name);
                match File::open(path) {
                    // systemd grants by ACL, which shows in the group's bits.
                    Ok(file) => read_checked(file, 0o007),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                    Err(error) => Err(unreadable(error)),
                }
            }
            Self::Command(words) => run(words),
        }
    }
}

fn unreadable(error: io::Error) -> Unusable {
    if error.raw_os_error() == Some(rustix::io::Errno::NOKEY.raw_os_error()) {
        return Unusable::Locked;
    }
    Unusable::KeyMissing(KeyFault::Unreadable(error))
}

/// Reads at most a key's length; judges owner and mode of the file that is open, not of a path.
fn read_checked(file: File, forbidden: u32) -> Result<StoreKey, Unusable> {
    let meta = file.metadata().map_err(unreadable)?;
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return Err(Unusable::KeyMissing(KeyFault::Malformed));
    }
    if meta.mode() & forbidden != 0 || (meta.uid() != me && meta.uid() != 0) {
        return Err(Unusable::KeyMissing(KeyFault::Exposed));
    }
    StoreKey::parse(&read_bounded(file).map_err(unreadable)?)
}

fn read_bounded(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    from.take(200).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn create(path: &Path) -> Result<StoreKey, Unusable> {
    let mut key = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(key.as_mut()).map_err(|_| Unusable::Io(io::Error::other("no random source")))?;
    let write = || {
        // A crash must not leave half a key under the final name.
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(key.as_ref())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        super::sync_directory(path)
    };
    write().map_err(Unusable::from_io)?;
    Ok(StoreKey(key))
}

fn run(words: &[OsString]) -> Result<StoreKey, Unusable> {
    let failed = |why: String| Unusable::KeyMissing(KeyFault::Command(why));
    let (program, arguments) = words.split_first().ok_or_else(|| failed("the command is empty".into()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let output = child.stdout.take();
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let bytes = output.map_or_else(|| Ok(Zeroizing::default()), read_bounded);
        let _ = done.send(bytes);
    });
    let Ok(bytes) = wait.recv_timeout(COMMAND_TIMEOUT) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(Unusable::Locked);
    };
    // It may close its output and stay: waiting is bounded too.
    let deadline = std::time::Instant::now() + COMMAND_TIMEOUT;
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if std::time::Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Unusable::Locked);
            }
        }
    };
    match status.code() {
        Some(0) => StoreKey::parse(&bytes.map_err(|error| failed(error.to_string()))?),
        Some(TEMPORARY) => Err(Unusable::Locked),
        _ => Err(failed(status.to_string())),
    }
}

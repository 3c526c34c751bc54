//! One warden with its stand-ins, and the test's line to the core.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{PermissionsExt, symlink},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// Far longer than anything takes: only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running set; killed on drop.
pub(crate) struct Set {
    pub(crate) warden: Child,
    /// What the core said when it was up.
    pub(crate) hello: String,
    pub(crate) directory: tempfile::TempDir,
    say: UnixStream,
    said: BufReader<UnixStream>,
}

impl Set {
    pub(crate) fn start() -> Self {
        Self::start_with(&[], |_| {})
    }

    /// With further arguments, and changes to the command.
    pub(crate) fn start_with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let directory = libexec();
        let socket = directory.path().join("script");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shuntd"));
        command.arg("--libexec").arg(directory.path()).args(arguments).arg("--").arg(&socket).stdin(Stdio::null());
        change(&mut command);
        let warden = command.spawn().unwrap();
        let wait = PollFd::new(&listener, PollFlags::IN);
        assert_eq!(poll(&mut [wait], Some(&patience())).unwrap(), 1, "no core came up");
        let (say, _) = listener.accept().unwrap();
        say.set_read_timeout(Some(PATIENCE)).unwrap();
        let said = BufReader::new(say.try_clone().unwrap());
        let mut set = Self { warden, hello: String::new(), directory, say, said };
        set.hello = set.hear();
        set
    }

    /// The core's next line.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Tells the core, and hears.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.say, "{line}").unwrap();
    }

    pub(crate) fn core(&self) -> Process {
        process(&self.hello, "core")
    }

    /// Starts the uplink.
    pub(crate) fn start_uplink(&mut self) -> Process {
        process(&self.ask("start"), "uplink")
    }

    /// The warden's children by name, as the kernel knows them.
    pub(crate) fn children(&self) -> Vec<String> {
        let mut names: Vec<String> =
            processes().filter(|(_, parent, _)| *parent == self.warden.id()).map(|(_, _, name)| name).collect();
        names.sort();
        names
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.warden.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Waits for the warden's end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        Process::open(self.warden.id()).gone();
        self.warden.wait().unwrap()
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let _ = self.warden.kill();
        let _ = self.warden.wait();
    }
}

/// A process that can't be mistaken for another.
pub(crate) struct Process {
    pub(crate) id: u32,
    fd: OwnedFd,
}

impl Process {
    pub(crate) fn open(id: u32) -> Self {
        Self { id, fd: pidfd_open(Pid::from_raw(id.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap() }
    }

    pub(crate) fn kill(&self) {
        rustix::process::pidfd_send_signal(&self.fd, Signal::KILL).unwrap();
    }

    pub(crate) fn is_gone(&self) -> bool {
        poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
    }

    /// Waits until it has ended.
    pub(crate) fn gone(&self) {
        let ended = poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&patience())).unwrap();
        assert_eq!(ended, 1, "process {} lives on", self.id);
    }

    /// A field of its status file.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn process(hello: &str, who: &str) -> Process {
    let mut words = hello.split(' ');
    assert_eq!(words.next(), Some(who), "{hello}");
    Process::open(words.next().unwrap().parse().unwrap())
}

/// Number, parent, name.
fn processes() -> impl Iterator<Item = (u32, u32, String)> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let parent = tail.split(' ').nth(1)?.parse().ok()?;
        Some((id, parent, head.split_once('(')?.1.to_owned()))
    })
}

/// A directory with both stand-ins, which every user may enter.
pub(crate) fn libexec() -> tempfile::TempDir {
    let directory = tempfile::Builder::new().prefix("shunt-warden-").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["shuntd-core", "shuntd-uplink"] {
        symlink(standin(), directory.path().join(name)).unwrap();
    }
    directory
}

/// This program, where other users can read it. One copy a run.
fn standin() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("shunt-standin-{}", std::process::id()));
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    })
}

/// Removes the copy; the last thing a run does.
pub(crate) fn clean_up() {
    let _ = fs::remove_file(std::env::temp_dir().join(format!("shunt-standin-{}", std::process::id())));
}

fn patience() -> Timespec {
    Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 }
}

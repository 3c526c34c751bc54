//! Chatty as Debian ships it, on a screen and a session bus of its own.

use crate::screen::Screen;
use crate::session::{App, HANG, Session};
use anyhow::{Result, ensure};
use rusqlite::{Connection, OpenFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use shunt_kit::Phone;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where it keeps its history, below its home.
const HISTORY: &str = ".purple/chatty/db";
/// Its own code for a text that is not sent yet.
const DRAFT: i64 = 1;

/// A running Chatty with one conversation open.
pub(crate) struct Chatty {
    screen: Screen,
    _session: Session,
    app: App,
    home: PathBuf,
}

/// A message as Chatty's own history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) body: String,
    pub(crate) incoming: bool,
    /// Chatty's own code: 1 is a draft, 3 sent, 4 delivered.
    pub(crate) status: i64,
}

impl Chatty {
    /// Starts it for `phone`, with `system_bus` as its system bus, and opens the conversation with `peer`.
    pub(crate) fn start(phone: &Phone, system_bus: &str, peer: &str, name: &str) -> Result<Self> {
        let home = phone.path(name);
        std::fs::create_dir_all(home.join("run"))?;
        let screen = Screen::start(&home.join("xvfb.log"))?;
        let session = Session::start(phone)?;
        let path = |path: &Path| path.display().to_string();
        let environment = vec![
            ("DISPLAY", screen.display().to_owned()),
            ("DBUS_SESSION_BUS_ADDRESS", session.address().to_owned()),
            ("DBUS_SYSTEM_BUS_ADDRESS", system_bus.to_owned()),
            ("HOME", path(&home)),
            ("XDG_RUNTIME_DIR", path(&home.join("run"))),
            ("GDK_BACKEND", "x11".to_owned()),
            ("GSETTINGS_BACKEND", "memory".to_owned()),
            ("NO_AT_BRIDGE", "1".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
        ];
        let mut command = Command::new("chatty");
        command.arg("-vvvv").envs(environment.clone()).stderr(Stdio::null());
        let app = App::start("chatty", command, &home.join("chatty.log"))?;
        app.until("message listed")?;
        let mut opener = Command::new("chatty");
        opener.arg(format!("sms:{peer}")).envs(environment);
        let opened = opener.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(opened.success(), "the conversation could not be opened");
        app.until("opening chat")?;
        Ok(Self { screen, _session: session, app, home })
    }

    /// Types a text into the conversation and presses the button beside it. Returns when Chatty has taken it.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        self.screen.click(180, 560)?;
        self.screen.write(text)?;
        let taken = |message: &Message| message.body == text && !message.incoming && message.status != DRAFT;
        let watch = self.watch()?;
        let deadline = Instant::now() + HANG;
        while !self.messages().is_ok_and(|all| all.iter().any(taken)) {
            ensure!(Instant::now() < deadline, "the text was not sent; Chatty's history is {:?}", self.messages());
            // The button comes with the first letter, when the app gets to it; without a text it does nothing.
            self.screen.click(341, 558)?;
            wait(&watch, Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// Waits for a message that fits in Chatty's history.
    pub(crate) fn until(&self, fits: impl Fn(&Message) -> bool) -> Result<Message> {
        let watch = self.watch()?;
        let deadline = Instant::now() + HANG;
        loop {
            // In the middle of a write it may not be readable: that write's end is a change.
            let messages = self.messages();
            let found = messages.as_ref().ok().and_then(|all| all.iter().find(|message| fits(message)));
            if let Some(found) = found {
                return Ok(found.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "waited in vain; Chatty's history is {messages:?}");
            wait(&watch, left)?;
        }
    }

    /// Every message of its history.
    pub(crate) fn messages(&self) -> Result<Vec<Message>> {
        messages(&self.home.join(HISTORY).join("chatty-history.db"))
    }

    /// Tells of each change of its history.
    fn watch(&self) -> Result<OwnedFd> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let changes = inotify::WatchFlags::MODIFY | inotify::WatchFlags::DELETE;
        inotify::add_watch(&watch, self.home.join(HISTORY), changes)?;
        Ok(watch)
    }

    /// What it shows now, as PNG.
    pub(crate) fn shoot(&self, file: &Path) -> Result<()> {
        self.screen.shoot(file)
    }

    /// Whether it still runs.
    pub(crate) fn running(&mut self) -> bool {
        self.app.running()
    }
}

fn wait(watch: &OwnedFd, at_most: Duration) -> Result<()> {
    let timeout = Timespec { tv_sec: i64::try_from(at_most.as_secs())?, tv_nsec: 0 };
    if poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout))? > 0 {
        let mut buffer = [0; 4096];
        // What exactly changed is of no matter: the history is read anew.
        let _changes = rustix::io::read(watch, &mut buffer)?;
    }
    Ok(())
}

/// Reads past SQLite's locks: Chatty gives up a write that meets a reader, and keeps its own lock for ever.
fn messages(database: &Path) -> Result<Vec<Message>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(format!("file:{}?immutable=1", database.display()), flags)?;
    let mut query =
        database.prepare("SELECT body, direction, COALESCE(status, 0) FROM messages WHERE body != '' ORDER BY id")?;
    let rows = query.query_map([], |row| {
        Ok(Message { body: row.get(0)?, incoming: row.get::<_, i64>(1)? == 1, status: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

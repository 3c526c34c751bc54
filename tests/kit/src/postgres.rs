//! A real PostgreSQL that belongs to the test: an unprivileged user's, in a directory of its own, on a Unix
//! socket, and for TLS on loopback. Nothing is synced to disk: it starts in a second.

use crate::cloud::Pki;
use crate::log::Log;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// How long it may take to start.
const START: Duration = Duration::from_secs(60);

/// The role that directories log in as, by the socket or with [`PASSWORD`].
pub const ROLE: &str = "shunt";
/// Its password, asked for on loopback alone.
pub const PASSWORD: &str = "of-the-database";

/// The server. Ends when dropped, or with the test's process.
pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    owner: (u32, u32),
    port: u16,
    pki: Pki,
    process: Child,
    watchdog: Child,
}

impl Postgres {
    /// The one that all tests of a process share: each takes a database of its own.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or did not start.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Makes and starts one.
    ///
    /// # Errors
    /// As [`Self::shared`].
    pub async fn start() -> Result<Self> {
        let (bin, owner) = (programs()?, user("postgres")?);
        let dir = tempfile::Builder::new().prefix("shunt-pg-").tempdir()?;
        chown(dir.path(), Some(owner.0), Some(owner.1))?;
        let pki = Pki::generate("localhost", dir.path())?;
        for file in [&pki.cert, &pki.key] {
            chown(file, Some(owner.0), Some(owner.1))?;
        }
        let data = dir.path().join("data");
        let made = as_user(&bin.join("initdb"), owner)
            .args(["--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8", "--username", ROLE, "--pgdata"])
            .arg(&data)
            .output()?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        std::fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = Self::log(dir.path())?;
        let process = serve(&bin, dir.path(), owner, port, &pki)?;
        let watchdog = watch(&process, dir.path())?;
        let postgres = Self { dir, bin, owner, port, pki, process, watchdog };
        postgres.listens(log).await?;
        psql(&postgres.url("postgres"), &format!("ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")).await?;
        Ok(postgres)
    }

    /// Makes an empty database; its URL, by the socket.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn database(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&self.url("postgres"), &format!("CREATE DATABASE {name}")).await?;
        Ok(self.url(&name))
    }

    fn url(&self, name: &str) -> String {
        let socket = self.dir.path().to_string_lossy().replace('/', "%2F");
        format!("postgresql://{ROLE}@{socket}:{}/{name}", self.port)
    }

    /// The same database on loopback, where it asks for TLS and the password.
    #[must_use]
    pub fn on_loopback(&self, url: &str) -> String {
        let name = url.rsplit('/').next().unwrap_or_default();
        format!("postgresql://{ROLE}@localhost:{}/{name}", self.port)
    }

    /// PEM file of the CA that vouches for it there.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.pki.ca
    }

    /// Every file of its databases, and its log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Kills it with all its sessions, where they stand (SIGKILL).
    ///
    /// # Errors
    /// It can't be killed.
    pub fn crash(&mut self) -> Result<()> {
        kill_process_group(pid(&self.process)?, Signal::KILL)?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again after [`Self::crash`].
    ///
    /// # Errors
    /// It did not start.
    pub async fn restart(&mut self) -> Result<()> {
        let _ = (self.watchdog.kill(), self.watchdog.wait());
        let log = Self::log(self.dir.path())?;
        self.process = serve(&self.bin, self.dir.path(), self.owner, self.port, &self.pki)?;
        self.watchdog = watch(&self.process, self.dir.path())?;
        self.listens(log).await
    }

    /// Its log, and how much of it an earlier start wrote.
    fn log(dir: &Path) -> Result<(Log, usize)> {
        let path = dir.join("log");
        let before = File::options().create(true).append(true).open(&path)?.metadata()?.len();
        Ok((Log::watch(&path)?, usize::try_from(before)?))
    }

    async fn listens(&self, (log, before): (Log, usize)) -> Result<()> {
        let ready = |text: &str| text.get(before..)?.contains("ready to accept connections").then_some(());
        let log_so_far = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let listens = timeout(START, log.until(ready)).await;
        listens.with_context(|| format!("PostgreSQL did not start: {}", log_so_far()))?
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = (self.watchdog.kill(), self.watchdog.wait());
        // SIGQUIT ends it at once and leaves no shared memory behind.
        if let Ok(pid) = pid(&self.process) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = self.process.wait();
    }
}

/// What psql prints for a statement.
///
/// # Errors
/// The server refuses; what it says is in the text.
pub async fn psql(url: &str, statement: &str) -> Result<String> {
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]);
    let done = psql.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Debian has them in a directory for each version.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed: postgresql")?;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| version(path).is_some());
    Ok(newest.max_by_key(version).context("PostgreSQL is not installed: postgresql")?.join("bin"))
}

/// User and group id.
fn user(name: &str) -> Result<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name));
    let fields: Vec<_> = line.with_context(|| format!("there is no user {name}"))?.split(':').collect();
    let id = |index: usize| fields.get(index).and_then(|id| id.parse().ok()).context("no id");
    Ok((id(2)?, id(3)?))
}

/// It refuses to run as root.
fn as_user(program: &Path, (uid, gid): (u32, u32)) -> Command {
    let mut command = Command::new(program);
    command.uid(uid).gid(gid).current_dir("/").stdin(Stdio::null());
    command
}

fn serve(bin: &Path, dir: &Path, owner: (u32, u32), port: u16, pki: &Pki) -> Result<Child> {
    let log = File::options().create(true).append(true).open(dir.join("log"))?;
    let mut command = as_user(&bin.join("postgres"), owner);
    command.arg("-D").arg(dir.join("data")).arg("-k").arg(dir).args(["-p", &port.to_string()]);
    let file = |key, path: &Path| format!("{key}={}", path.display());
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        "ssl=on".into(),
        file("ssl_cert_file", &pki.cert),
        file("ssl_key_file", &pki.key),
        "fsync=off".into(),
        "full_page_writes=off".into(),
        "shared_buffers=16MB".into(),
        "max_connections=200".into(),
    ] {
        command.args(["-c", &setting]);
    }
    let process = command.stdout(log.try_clone()?).stderr(log).process_group(0).spawn();
    process.context("cannot start postgres")
}

/// Ends it, and deletes its files, when the test's process is gone without a drop: a static has none.
fn watch(process: &Child, dir: &Path) -> Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read -r _; kill -QUIT \"$1\"; rm -rf -- \"$2\"", "watchdog", &process.id().to_string()]);
    let watchdog = command.arg(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    watchdog.spawn().context("cannot start /bin/sh")
}

fn pid(process: &Child) -> Result<Pid> {
    i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("no process id")
}

//! The cloud's directory: the real `shunt-directory` beside a [`Cloud`](crate::cloud::Cloud), with keys of its own.
//!
//! [`Cloud::start_directory`](crate::cloud::Cloud::start_directory), then [`Directory::provision`] for each phone.

use crate::cloud::{Child, Cloud, Pki};
use crate::evaluator::Evaluator;
use crate::log::Log;
use crate::postgres::psql;
use crate::private::{PrivateLog, note};
use crate::proxy::Proxy;
use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);

/// A directory's own database.
pub const FILE: &str = "directory.db";

/// The epoch that every directory of the kit begins with.
pub const EPOCH: char = 'a';

/// What stands around a directory.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The program.
    pub binary: &'a Path,
    /// An existing directory for its files; all are made in a new one below it.
    pub dir: &'a Path,
    /// Its certificate, and the CA that phones are told.
    pub pki: &'a Pki,
    /// The XMPP domain.
    pub domain: &'a str,
    /// ejabberd's API.
    pub api: &'a str,
    /// The XMPP server that phones are told.
    pub xmpp: SocketAddr,
    /// Its database: a file in its own directory, or the URL of PostgreSQL.
    pub database: &'a str,
    /// The second evaluator's public key for the epoch, base64; `[second]` is in the further lines then.
    pub second: Option<&'a str>,
    /// Further lines for the configuration's end, such as a `[limits]` table.
    pub more: &'a str,
}

/// A directory that serves on loopback. Dropping it kills it at once.
pub struct Directory {
    binary: PathBuf,
    dir: PathBuf,
    database: String,
    addr: SocketAddr,
    child: Child,
}

impl Cloud {
    /// Starts a directory that provisions at this cloud; `binary` is `shunt-directory`.
    ///
    /// # Errors
    /// It did not start; the end of its log is in the text.
    pub async fn start_directory(&self, binary: &Path) -> Result<Directory> {
        self.start_directory_with(binary, FILE, "").await
    }

    /// The same with a database and further lines of configuration, such as `[enrolment]`.
    ///
    /// # Errors
    /// As [`Cloud::start_directory`].
    pub async fn start_directory_with(&self, binary: &Path, database: &str, more: &str) -> Result<Directory> {
        Directory::start(&Around { database, more, ..self.around(binary, &self.api_url()) }).await
    }

    /// The same, and it reaches this cloud's API through a network that can be made to fail.
    ///
    /// # Errors
    /// As [`Cloud::start_directory`].
    pub async fn start_directory_over(&self, binary: &Path, database: &str, more: &str) -> Result<(Directory, Proxy)> {
        let network = Proxy::start(self.api_addr())?;
        let api = self.api_url().replace(&self.api_addr().to_string(), &network.addr().to_string());
        let directory = Directory::start(&Around { database, more, ..self.around(binary, &api) }).await?;
        Ok((directory, network))
    }

    /// The same with a second operator's evaluator.
    ///
    /// # Errors
    /// As [`Cloud::start_directory`].
    pub async fn start_directory_of_two(&self, binary: &Path, second: &Evaluator, more: &str) -> Result<Directory> {
        let more = format!("{}{more}", second.for_directory());
        let second = Some(second.key());
        Directory::start(&Around { second, more: &more, ..self.around(binary, &self.api_url()) }).await
    }

    fn around<'a>(&'a self, binary: &'a Path, api: &'a str) -> Around<'a> {
        let (dir, pki, domain, xmpp) = (self.dir(), self.pki(), self.domain(), self.xmpp_addr());
        Around { binary, dir, pki, domain, api, xmpp, database: FILE, second: None, more: "" }
    }
}

impl Directory {
    /// Makes keys and configuration, and starts it.
    ///
    /// # Errors
    /// It did not start; the end of its log is in the text.
    pub async fn start(around: &Around<'_>) -> Result<Self> {
        let dir = around.dir.join("directory");
        std::fs::create_dir(&dir)?;
        let mut made = keygen(around.binary, EPOCH, &[], &dir.join("keys"))?;
        if let Some(key) = around.second {
            made.push_str(&format!("second = \"{key}\"\n"));
        }
        let config = |addr: SocketAddr| configuration(around, &made, addr);
        // The system draws the port; then it is written down, for account files and restarts.
        std::fs::write(dir.join("directory.toml"), config(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let (child, addr) = serve(Command::new(around.binary), &dir, "serve").await?;
        std::fs::write(dir.join("directory.toml"), config(addr))?;
        let database = match around.database {
            FILE => dir.join(FILE).to_string_lossy().into_owned(),
            other => other.to_owned(),
        };
        Ok(Self { binary: around.binary.into(), dir, database, addr, child })
    }

    /// Where it serves HTTPS; the certificate names `localhost` and 127.0.0.1 too.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id, until it is stopped.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// As phones are told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.join("directory.toml")
    }

    /// `[[cloud.epochs]]` for a phone's configuration, one for each epoch that it serves, the current one last: the
    /// public keys as `keygen` told them.
    ///
    /// # Errors
    /// The configuration can't be read.
    pub fn pinned(&self) -> Result<String> {
        let config = std::fs::read_to_string(self.config())?;
        let pin = |block: &str| {
            let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).context("a key is missing");
            let second = block.lines().find(|line| line.starts_with("second = "));
            let second = second.map_or_else(String::new, |line| format!("{line}\n"));
            Ok(format!(
                "[[cloud.epochs]]\nepoch = {}\n{second}voprf = \"{}\"\ncertificate = \"{}\"\nenrolment = \"{}\"\n",
                value("name = ")?,
                value(KEYGEN)?,
                value("# public certificate key: ")?,
                value("# public enrolment key: ")?,
            ))
        };
        epochs(&config).map(pin).collect()
    }

    /// Serves another epoch, which is the current one from now on.
    ///
    /// # Errors
    /// It did not start again; the end of its log is in the text.
    pub async fn begin_epoch(&mut self, epoch: char) -> Result<()> {
        let made = keygen(&self.binary, epoch, &[], &self.dir.join("keys"))?;
        let config = std::fs::read_to_string(self.config())?;
        let mut lines = config.lines().map(|line| match line.strip_prefix("current_epoch = ") {
            Some(_) => format!("current_epoch = \"{epoch}\"\n"),
            None => format!("{line}\n"),
        });
        self.serve_by(&format!("{}{made}", lines.by_ref().collect::<String>())).await
    }

    /// Serves an epoch no more.
    ///
    /// # Errors
    /// As [`Directory::begin_epoch`].
    pub async fn end_epoch(&mut self, epoch: char) -> Result<()> {
        let config = std::fs::read_to_string(self.config())?;
        let name = format!("name = \"{epoch}\"");
        let ended = epochs(&config).find(|block| block.lines().any(|line| line == name)).context("no such epoch")?;
        self.serve_by(&config.replace(ended, "")).await
    }

    async fn serve_by(&mut self, config: &str) -> Result<()> {
        self.stop().await?;
        std::fs::write(self.config(), config)?;
        self.restart().await
    }

    /// Its database: a path, or a URL.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Changes its database behind its back.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn sql(&self, statement: &str) -> Result<()> {
        if self.database.contains("://") {
            return psql(&self.database, statement).await.map(drop);
        }
        Ok(rusqlite::Connection::open(&self.database)?.execute_batch(statement)?)
    }

    /// Starts another instance: the same keys and database, a port of its own.
    ///
    /// # Errors
    /// As [`Directory::start`].
    pub async fn another(&self, name: &str) -> Result<Self> {
        let dir = self.dir.with_file_name(name);
        std::fs::create_dir(&dir)?;
        let config = std::fs::read_to_string(self.config())?;
        let config = config
            .replace(&format!("listen = \"{}\"", self.addr), "listen = \"127.0.0.1:0\"")
            .replace(&format!("database = {FILE:?}"), &format!("database = {:?}", self.database));
        std::fs::write(dir.join("directory.toml"), config)?;
        let (child, addr) = serve(Command::new(&self.binary), &dir, "serve").await?;
        Ok(Self { binary: self.binary.clone(), database: self.database.clone(), dir, addr, child })
    }

    /// All that it keeps: configuration, keys, database, log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has logged so far, at level debug.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("log"))?)
    }

    /// Enrols `number` (E.164) for the phone with this identity key; the account file's bytes.
    ///
    /// # Errors
    /// It was refused; why is in the text.
    pub async fn provision(&self, number: &str, identity: &str) -> Result<Vec<u8>> {
        let file = self.command(&["provision", number, "--identity", identity]).await?;
        let account: serde_json::Value = serde_json::from_slice(&file)?;
        for field in ["number", "secret", "certificate", "transcript"] {
            note(account[field].as_str().with_context(|| format!("an account file without {field}"))?);
        }
        Ok(file)
    }

    /// Ends an account.
    ///
    /// # Errors
    /// It was refused; why is in the text.
    pub async fn withdraw(&self, jid: &str) -> Result<()> {
        self.command(&["withdraw", jid]).await.map(drop)
    }

    /// Runs one of the operator's commands with this configuration; what it printed.
    ///
    /// # Errors
    /// It failed; what it said on stderr is in the text.
    pub async fn command(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(arguments).arg("--config").arg(self.config()).stdin(Stdio::null()).kill_on_drop(true);
        let done = command.output().await?;
        if !done.status.success() {
            bail!("{}: {}", arguments.first().copied().unwrap_or_default(), String::from_utf8_lossy(&done.stderr));
        }
        Ok(done.stdout)
    }

    /// Stops it in good order (SIGTERM).
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.child.stop().await?;
        if status.success() { Ok(()) } else { bail!("ended with {status}: {}", tail(&self.dir)) }
    }

    /// Kills it where it stands (SIGKILL).
    ///
    /// # Errors
    /// It did not end.
    pub async fn crash(&mut self) -> Result<()> {
        self.child.kill().await.map(drop)
    }

    /// Starts it again on the same port, keys and database.
    ///
    /// # Errors
    /// As [`Directory::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_by(Command::new(&self.binary)).await
    }

    /// The same with a clock that is so far off, such as `+2d` (libfaketime's words).
    ///
    /// # Errors
    /// As [`Directory::start`].
    pub async fn restart_as_of(&mut self, offset: &str) -> Result<()> {
        let mut command = Command::new(&self.binary);
        let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
        command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.restart_by(command).await
    }

    /// The same by a command that runs the program with the arguments that are added to it.
    ///
    /// # Errors
    /// As [`Directory::start`].
    pub async fn restart_by(&mut self, command: Command) -> Result<()> {
        (self.child, _) = serve(command, &self.dir, "serve").await?;
        Ok(())
    }
}

/// What `keygen` prints for an epoch begins so.
const KEYGEN: &str = "# public VOPRF key: ";

/// What `keygen` printed for each epoch of a configuration.
fn epochs(config: &str) -> impl Iterator<Item = &str> {
    let blocks = config.match_indices(KEYGEN).filter_map(|(start, _)| config.get(start..));
    blocks.map(|block| {
        let ends = ["\n[tls]", "\n[phones]", "\n# public VOPRF key: "].map(|next| block.find(next));
        let end = ends.into_iter().flatten().min().map_or(block.len(), |end| end + 1);
        block.get(..end).unwrap_or_default()
    })
}

/// Makes the keys of an epoch in `dir`; what belongs into the configuration.
pub(crate) fn keygen(binary: &Path, epoch: char, more: &[&str], dir: &Path) -> Result<String> {
    let (epoch, dir) = (epoch.to_string(), dir.to_string_lossy());
    run(binary, &[&["keygen", "--epoch", &epoch, "--dir", &dir], more].concat())
}

/// Runs a command that needs no configuration; what it printed.
pub(crate) fn run(binary: &Path, arguments: &[&str]) -> Result<String> {
    let done = Command::new(binary).args(arguments).output();
    let done = done.with_context(|| format!("cannot start {}", binary.display()))?;
    if !done.status.success() {
        bail!("{arguments:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn configuration(around: &Around<'_>, epoch: &str, addr: SocketAddr) -> String {
    format!(
        "listen = \"{addr}\"\n\
         database = {database:?}\n\
         domain = {domain:?}\n\
         current_epoch = \"{EPOCH}\"\n\
         [tls]\ncertificate = {cert:?}\nkey = {key:?}\n\
         [ejabberd]\napi = {api:?}\n\
         {epoch}\
         [phones]\nservers = [\"{xmpp}\"]\ndirectory = \"https://{addr}\"\nca = {ca:?}\n\
         {more}\n",
        domain = around.domain,
        database = around.database,
        cert = around.pki.cert,
        key = around.pki.key,
        api = around.api,
        xmpp = around.xmpp,
        ca = around.pki.ca,
        more = around.more,
    )
}

/// Starts the service and waits until it says where it listens.
pub(crate) async fn serve(mut command: Command, dir: &Path, role: &str) -> Result<(Child, SocketAddr)> {
    let log = dir.join("log");
    let mut stderr = OpenOptions::new().create(true).append(true).open(&log)?;
    let before = stderr.metadata()?.len();
    stderr.flush()?;
    let mut child = Child::spawn(
        command
            .args(["--log", "debug", role, "--config"])
            .arg(dir.join("directory.toml"))
            .stdout(File::options().write(true).open("/dev/null")?)
            .stderr(stderr),
    )?;
    child.ours(PrivateLog::of(&log, before)?);
    let (said, before) = (Log::watch(&log)?, usize::try_from(before)?);
    let addr = said.until(|text| {
        let (whole, _) = text.get(before..)?.rsplit_once('\n')?;
        whole.lines().find_map(|line| line.split_once("listening on ")).map(|(_, addr)| addr.to_owned())
    });
    let listening = tokio::time::timeout(START, async {
        tokio::select! {
            addr = addr => Ok(addr?.parse()?),
            status = child.wait(START) => bail!("shunt-directory ended with {}: {}", status?, tail(dir)),
        }
    });
    let addr = listening.await.with_context(|| format!("shunt-directory does not listen: {}", tail(dir)))??;
    Ok((child, addr))
}

/// The end of its log.
fn tail(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
}

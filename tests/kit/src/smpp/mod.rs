//! An SMPP provider that is not ours: Perl's Net::SMPP as the server.

use crate::guardian::Guarded;
use crate::private::note;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

const SCRIPT: &str = include_str!("provider.pl");

/// The provider, which knows the account `shunt` with the password `secret`. Ends with its value.
pub struct Provider {
    addr: SocketAddr,
    lines: Lines<BufReader<ChildStdout>>,
    _guarded: Option<Guarded>,
    child: Child,
}

/// An SMS that it took, or refused by its number's ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The source address.
    pub from: String,
    /// The destination's digits.
    pub to: String,
    /// `data_coding`.
    pub coding: String,
    /// `validity_period`.
    pub validity: String,
    /// The text.
    pub text: String,
}

impl Provider {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// Perl or Net::SMPP is missing.
    pub async fn start() -> Result<Self> {
        Self::start_on(0).await
    }

    /// Starts it on this port.
    ///
    /// # Errors
    /// As [`Self::start`], or the port is taken.
    pub async fn start_on(port: u16) -> Result<Self> {
        let mut child = Command::new("perl")
            .args(["-e", SCRIPT, &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("perl is not installed")?;
        let guarded = child.id().map(Guarded::new).transpose()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??.context("is libnet-smpp-perl installed?")?;
        let port: u16 = first.strip_prefix("port\t").context("no port told")?.parse()?;
        Ok(Self { addr: ([127, 0, 0, 1], port).into(), lines, _guarded: guarded, child })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// It gives no answer from now on (SIGSTOP).
    ///
    /// # Errors
    /// It ended.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// It answers again, also what came meanwhile.
    ///
    /// # Errors
    /// It ended.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the provider ended")?;
        Ok(kill_process(id, signal)?)
    }

    /// Lines for a directory's configuration that make it this provider's customer; the password's
    /// file is made in `dir`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn gateway(&self, dir: &Path) -> Result<String> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = dir.join("smpp-password");
        let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, b"secret\n")?;
        Ok(format!(
            "[enrolment.gateway.smpp]\naddress = \"{}\"\nsystem_id = \"shunt\"\npassword = {path:?}\nsource = \"Shunt\"\n",
            self.addr
        ))
    }

    /// The next of what it tells that begins with this word; its other fields.
    ///
    /// # Errors
    /// Nothing came in time, or it ended.
    pub async fn told(&mut self, word: &str) -> Result<Vec<String>> {
        let told = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                let mut fields = line.split('\t').map(str::to_owned);
                if fields.next().as_deref() == Some(word) {
                    return Ok(fields.collect());
                }
            }
            bail!("the provider ended")
        });
        told.await.with_context(|| format!("the provider told no {word}"))?
    }

    /// The next SMS.
    ///
    /// # Errors
    /// None came in time.
    pub async fn sms(&mut self) -> Result<Submitted> {
        let fields: [String; 5] =
            self.told("sms").await?.try_into().map_err(|_| anyhow::anyhow!("fields are missing"))?;
        let [from, to, coding, validity, text] = fields;
        note(&to);
        note(&text);
        Ok(Submitted { from, to, coding, validity, text })
    }
}

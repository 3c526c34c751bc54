//! The second operator: the real `shunt-directory` as the evaluator beside a directory, with a key, a CA and a
//! database of its own.

use crate::cloud::{Child, Pki};
use crate::directory::{EPOCH, keygen, run, serve};
use crate::private::note;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An evaluator that serves on loopback. Dropping it kills it at once.
pub struct Evaluator {
    binary: PathBuf,
    dir: PathBuf,
    pki: Pki,
    addr: SocketAddr,
    /// Its public key, base64.
    key: String,
    child: Child,
}

impl Evaluator {
    /// Makes key, token and configuration in a new directory below `dir`, and starts it.
    ///
    /// # Errors
    /// It did not start; the end of its log is in the text.
    pub async fn start(binary: &Path, dir: &Path, more: &str) -> Result<Self> {
        let dir = dir.join("evaluator");
        std::fs::create_dir(&dir)?;
        let pki = Pki::generate("evaluator.test", &dir)?;
        let epoch = keygen(binary, EPOCH, &["--evaluator"], &dir.join("keys"))?;
        let key = epoch.lines().find_map(|line| line.strip_prefix("# public VOPRF key: ")).context("a key")?.to_owned();
        let token = dir.join("first.token");
        let operator = run(binary, &["operator-token", "--out", &token.to_string_lossy()])?;
        note(std::fs::read_to_string(&token)?.trim());
        let config = |addr: SocketAddr| {
            format!(
                "listen = \"{addr}\"\ndatabase = \"evaluator.db\"\n{operator}\
                 [tls]\ncertificate = {:?}\nkey = {:?}\n{epoch}{more}\n",
                pki.cert, pki.key
            )
        };
        std::fs::write(dir.join("directory.toml"), config(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let (child, addr) = serve(Command::new(binary), &dir, "serve-evaluator").await?;
        std::fs::write(dir.join("directory.toml"), config(addr))?;
        Ok(Self { binary: binary.into(), dir, pki, addr, key, child })
    }

    /// As phones are told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Where it serves HTTPS.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its CA's certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.pki.ca_pem
    }

    /// Its public key of the one epoch, base64.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The first operator's token for it.
    ///
    /// # Errors
    /// It can't be read.
    pub fn token(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("first.token"))?.trim().to_owned())
    }

    /// Its process id, until it is stopped.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it keeps: configuration, key, database, log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.join("evaluator.db")
    }

    /// What it has logged so far, at level debug.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("log"))?)
    }

    /// The further lines of a directory that has it for its second.
    #[must_use]
    pub fn for_directory(&self) -> String {
        let token = self.dir.join("first.token");
        format!("[second]\ndirectory = \"{}\"\nca = {:?}\ntoken = {token:?}\n", self.url(), self.pki.ca)
    }

    /// Kills it where it stands (SIGKILL).
    ///
    /// # Errors
    /// It did not end.
    pub async fn crash(&mut self) -> Result<()> {
        self.child.kill().await.map(drop)
    }

    /// Starts it again on the same port, key and database.
    ///
    /// # Errors
    /// As [`Evaluator::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_by(Command::new(&self.binary)).await
    }

    /// The same by a command that runs the program with the arguments that are added to it.
    ///
    /// # Errors
    /// As [`Evaluator::start`].
    pub async fn restart_by(&mut self, command: Command) -> Result<()> {
        (self.child, _) = serve(command, &self.dir, "serve-evaluator").await?;
        Ok(())
    }
}

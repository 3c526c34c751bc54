//! The cloud: a real ejabberd, started on free loopback ports in a private directory and gone with
//! its [`Cloud`]. What it keeps, and only it, can be read back by [`Cloud::stored`].

mod child;
mod ejabberd;
mod http;
mod look;
mod pki;

pub use child::Child;
pub use look::Table;
pub use pki::Pki;

use crate::private::note;
use anyhow::{Context, Result, bail};
use ejabberd::Ejabberd;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The XMPP domain of every cloud of the kit.
pub const DOMAIN: &str = "shunt.test";

/// How often ports are drawn anew when somebody else was quicker.
const DRAWS: usize = 3;

/// One ejabberd with its CA. Dropping it kills the server at once, also when a test panics.
pub struct Cloud {
    dir: TempDir,
    pki: Pki,
    ejabberd: Ejabberd,
}

impl Cloud {
    /// Starts a cloud and waits until it answers.
    ///
    /// # Errors
    /// ejabberd or Erlang is not installed, or it did not come up; the end of its log is in the text.
    pub async fn start() -> Result<Self> {
        Self::start_with(Some("")).await
    }

    /// The same with other limits, in the words of `ejabberd.yml`: `unanswered: 4096, strangers: 2`.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn start_limited(limits: &str) -> Result<Self> {
        Self::start_with(Some(limits)).await
    }

    /// The same without Shunt's own module, as a server of somebody who left it out: to show what it is for.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn start_bare() -> Result<Self> {
        Self::start_with(None).await
    }

    /// With the options of Shunt's own module, if there is to be one.
    async fn start_with(module: Option<&str>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("shunt-cloud-").tempdir()?;
        let pki = Pki::generate(DOMAIN, dir.path())?;
        let mut draws = 0;
        loop {
            draws += 1;
            let mut ejabberd = Ejabberd::prepare(dir.path(), &pki, module)?;
            match ejabberd.start().await {
                Ok(()) => return Ok(Self { dir, pki, ejabberd }),
                Err(error) if draws == DRAWS => return Err(error),
                Err(_) => std::fs::remove_dir_all(dir.path().join("db")).or_else(absent_is_fine)?,
            }
        }
    }

    /// The XMPP domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        DOMAIN
    }

    /// Where clients connect, TLS from the first byte.
    #[must_use]
    pub fn xmpp_addr(&self) -> SocketAddr {
        self.ejabberd.xmpp
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn ca_path(&self) -> &Path {
        &self.pki.ca
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.pki.ca_pem
    }

    /// The server's certificate chain and key, for a directory beside this server.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The administration API, without a trailing slash: `POST {api_url}/register`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}{}", self.ejabberd.api, self.ejabberd.api_path)
    }

    /// Where that is listened for.
    pub(crate) fn api_addr(&self) -> SocketAddr {
        self.ejabberd.api
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.ejabberd.log_tail()
    }

    /// A place for files of those who belong to this cloud; removed with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Makes an account.
    ///
    /// # Errors
    /// The server refused it (it exists already, say) or is down.
    pub async fn register(&self, user: &str, password: &str) -> Result<()> {
        note(password);
        self.call("register", json!({"user": user, "host": DOMAIN, "password": password})).await.map(drop)
    }

    /// Removes an account, its session and its PEP nodes.
    ///
    /// # Errors
    /// The server is down.
    pub async fn unregister(&self, user: &str) -> Result<()> {
        self.call("unregister", json!({"user": user, "host": DOMAIN})).await.map(drop)
    }

    /// Ends every session of an account.
    ///
    /// # Errors
    /// The server is down.
    pub async fn kick(&self, user: &str) -> Result<()> {
        self.call("kick_user", json!({"user": user, "host": DOMAIN})).await.map(drop)
    }

    /// The number of sessions that are online.
    ///
    /// # Errors
    /// The server is down.
    pub async fn sessions(&self) -> Result<usize> {
        let value = self.call("connected_users", json!({})).await?;
        value.as_array().map(Vec::len).context("connected_users answered no list")
    }

    /// Any command that `api_permissions` lets through.
    ///
    /// # Errors
    /// The server is down or refused.
    pub async fn call(&self, command: &str, arguments: Value) -> Result<Value> {
        let path = format!("{}/{command}", self.ejabberd.api_path);
        let (status, body) = http::post(self.ejabberd.api, &path, &arguments.to_string()).await?;
        if status != 200 {
            bail!("ejabberd refused {command}: {status} {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("{command} answered {body}"))
    }

    /// Stops the server in good order (SIGTERM); its sessions are closed, its database stays.
    ///
    /// # Errors
    /// It was not running.
    pub async fn stop(&mut self) -> Result<()> {
        self.ejabberd.stop().await
    }

    /// Kills the server where it stands (SIGKILL).
    ///
    /// # Errors
    /// It was not running.
    pub async fn crash(&mut self) -> Result<()> {
        self.ejabberd.crash().await
    }

    /// Starts the server again on the same ports and database.
    ///
    /// # Errors
    /// As [`Cloud::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.ejabberd.start().await
    }

    /// An hour passes for what `mod_shunt` has counted of its accounts.
    ///
    /// # Errors
    /// The server is down, or runs without it.
    pub async fn an_hour_passes(&self) -> Result<()> {
        self.ejabberd.an_hour_passes().await
    }

    /// Every table that the running server holds, on disk or in memory only, with its rows as Erlang terms.
    ///
    /// # Errors
    /// The server is down.
    pub async fn stored(&self) -> Result<Vec<Table>> {
        self.ejabberd.stored().await
    }

    /// The server's files (database and logs) that contain `needle`.
    ///
    /// # Errors
    /// A file could not be read.
    pub fn files_containing(&self, needle: &[u8]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for part in ["db", "log"] {
            look::files_containing(&self.dir.path().join(part), needle, &mut found)?;
        }
        Ok(found)
    }
}

/// A loopback port that nobody uses now.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

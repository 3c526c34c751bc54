//! ejabberd's process, configuration and ports.

use super::{Child, DOMAIN, Pki, Table, free_port, http, look};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a start may take on a loaded machine.
const START: Duration = Duration::from_secs(60);

/// A server: prepared, then started and stopped as often as wanted.
pub(super) struct Ejabberd {
    dir: PathBuf,
    pub(super) xmpp: SocketAddr,
    pub(super) api: SocketAddr,
    /// Random, so that nobody else's server on a recycled port can be taken for ours.
    pub(super) api_path: String,
    distribution: u16,
    node: String,
    cookie: String,
    child: Option<Child>,
}

impl Ejabberd {
    /// Draws ports and writes the configuration.
    pub(super) fn prepare(dir: &Path, pki: &Pki) -> Result<Self> {
        let id = dir.file_name().and_then(|name| name.to_str()).context("the directory has no name")?.to_owned();
        let (xmpp, api, distribution) = (free_port()?, free_port()?, free_port()?.port());
        let api_path = format!("/{id}/api");
        let config = CONFIG
            .replace("@DOMAIN@", DOMAIN)
            .replace("@CA@", &pki.ca.display().to_string())
            .replace("@CERT@", &pki.cert.display().to_string())
            .replace("@KEY@", &pki.key.display().to_string())
            .replace("@XMPP@", &xmpp.port().to_string())
            .replace("@API@", &api.port().to_string())
            .replace("@API_PATH@", &api_path);
        std::fs::write(dir.join("ejabberd.yml"), config)?;
        for part in ["db", "log"] {
            std::fs::create_dir_all(dir.join(part))?;
        }
        let node = format!("{}@localhost", id.replace('.', "-"));
        let cookie = id;
        Ok(Self { dir: dir.to_owned(), xmpp, api, api_path, distribution, node, cookie, child: None })
    }

    /// Starts it and waits until both listeners answer.
    pub(super) async fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("the server is running");
        }
        let log = File::create(self.dir.join("log/console"))?;
        let mut command = self.erl();
        command
            .args(["-sname", &self.node, "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-mnesia", "dir"])
            .arg(format!("{:?}", self.dir.join("db").display().to_string()))
            .args(["-s", "ejabberd"])
            .env("EJABBERD_CONFIG_PATH", self.dir.join("ejabberd.yml"))
            .env("EJABBERD_LOG_PATH", self.dir.join("log/ejabberd.log"))
            .env("EJABBERD_PID_PATH", self.dir.join("pid"))
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = Child::spawn(&mut command)?;
        let up = tokio::time::timeout(START, self.answers(&mut child)).await.context("not ready in time").flatten();
        if let Err(error) = up {
            return Err(error.context(format!("ejabberd did not start:\n{}", self.log_tail())));
        }
        self.child = Some(child);
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        self.child.take().context("the server is not running")?.stop().await.map(drop)
    }

    /// Killed at once; accounts made before are on the disk, as they are on any server that runs for a while.
    pub(super) async fn crash(&mut self) -> Result<()> {
        let mut command = self.asking(&look::write_out(&self.node));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("mnesia's log could not be written out: {}", String::from_utf8_lossy(&output.stdout));
        }
        self.child.take().context("the server is not running")?.kill().await.map(drop)
    }

    pub(super) async fn stored(&self) -> Result<Vec<Table>> {
        look::ask(self.asking(&look::script(&self.node))).await
    }

    /// A node that listens nowhere and only asks.
    fn asking(&self, script: &str) -> Command {
        let mut command = self.erl();
        command
            .args(["-noshell", "-sname", &format!("look-{}", self.node), "-dist_listen", "false", "-eval"])
            .arg(script);
        command
    }

    async fn answers(&self, child: &mut Child) -> Result<()> {
        let body = format!(r#"{{"user":"nobody","host":"{DOMAIN}"}}"#);
        let path = format!("{}/check_account", self.api_path);
        loop {
            if let Some(status) = child.ended()? {
                bail!("it ended with {status}");
            }
            let api = matches!(http::post(self.api, &path, &body).await, Ok((200, _)));
            if api && tokio::net::TcpStream::connect(self.xmpp).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Erlang without epmd: both ends know the one distribution port.
    fn erl(&self) -> Command {
        let mut command = Command::new("erl");
        // Its XML parser recurses on a scheduler's stack, 128 kB by default: one deeply nested stanza ends
        // the whole server. In kilowords; reserved, not used.
        command
            .args([
                "-noinput",
                "+S",
                "2:2",
                "+sbwt",
                "none",
                "+sss",
                "4096",
                "-setcookie",
                &self.cookie,
                "-start_epmd",
                "false",
            ])
            .args(["-erl_epmd_port", &self.distribution.to_string()])
            .env("ERL_LIBS", erlang_libraries())
            .env("ERL_CRASH_DUMP_BYTES", "0")
            .env("HOME", &self.dir)
            .current_dir(&self.dir);
        command
    }

    /// The end of both logs.
    pub(super) fn log_tail(&self) -> String {
        ["log/console", "log/ejabberd.log"]
            .iter()
            .filter_map(|name| std::fs::read_to_string(self.dir.join(name)).ok())
            .map(|text| {
                text.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Where Debian puts ejabberd's libraries: below the machine's multiarch directory.
fn erlang_libraries() -> String {
    format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH)
}

const CONFIG: &str = r#"
hosts: ["@DOMAIN@"]
loglevel: warning
certfiles: ["@CERT@", "@KEY@"]
ca_file: "@CA@"
acme:
  auto: false
auth_method: [mnesia]
auth_password_format: scram
auth_scram_hash: sha256
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2", "plain"]
auth_use_cache: false
s2s_access: none
listen:
  - port: @XMPP@
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
    max_stanza_size: 65536
    protocol_options: ["no_sslv3", "no_tlsv1", "no_tlsv1_1"]
  - port: @API@
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers:
      "@API_PATH@": mod_http_api
api_permissions:
  "kit":
    from: [mod_http_api]
    who: [{ip: "127.0.0.1/32"}]
    what: ["register", "unregister", "kick_user", "check_account", "connected_users"]
modules:
  mod_admin_extra: {}
  mod_http_api: {}
  mod_disco: {}
  mod_ping:
    send_pings: true
    ping_interval: 10 min
    timeout_action: kill
  mod_stream_mgmt:
    resume_timeout: 30
    resend_on_timeout: false
  mod_caps: {}
  mod_pubsub:
    plugins: ["pep"]
    ignore_pep_from_offline: false
    last_item_cache: false
    default_node_config:
      access_model: open
      persist_items: true
"#;

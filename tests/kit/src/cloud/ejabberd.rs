//! ejabberd's process, configuration and ports.

use super::{Child, DOMAIN, Pki, Table, free_port, http, look};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::net::UnixDatagram;

/// What operators are given; the tests run with it, but for what [`Ejabberd::prepare`] replaces.
const CONFIG: &str = include_str!("../../../../config/ejabberd/ejabberd.yml");
const MODULE: &str = include_str!("../../../../config/ejabberd/mod_shunt.erl");
/// The module's line there.
const WITH_MODULE: &str = "  mod_shunt: {}\n";
/// What the directory may ask of it, and the tests' own questions beside them.
const SHIPPED_COMMANDS: &str = "what: [\"register\", \"unregister\", \"change_password\"]";
const WITH_OURS: &str = "what: [\"register\", \"unregister\", \"change_password\", \
     \"kick_user\", \"check_account\", \"connected_users\"]";

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
    /// Draws ports and writes the configuration; with these options of Shunt's own module, or without it.
    pub(super) fn prepare(dir: &Path, pki: &Pki, module: Option<&str>) -> Result<Self> {
        let id = dir.file_name().and_then(|name| name.to_str()).context("the directory has no name")?.to_owned();
        let (xmpp, api, distribution) = (free_port()?, free_port()?, free_port()?.port());
        let api_path = format!("/{id}/api");
        let files = format!("[{:?}, {:?}]\nca_file: {:?}", pki.cert, pki.key, pki.ca);
        let mut config = CONFIG.to_owned();
        for (shipped, ours) in [
            ("[\"/etc/ejabberd/im.example.org.pem\"]     # yours: chain and key; phones pin the CA", files.as_str()),
            ("im.example.org", DOMAIN),
            ("port: 5223", &format!("port: {}", xmpp.port())),
            ("ip: \"::\"", "ip: \"127.0.0.1\""),
            ("port: 5281", &format!("port: {}", api.port())),
            ("\"/api\"", &format!("{api_path:?}")),
            (SHIPPED_COMMANDS, WITH_OURS),
            (
                WITH_MODULE,
                &module.map_or_else(String::new, |options| WITH_MODULE.replace("{}", &format!("{{{options}}}"))),
            ),
        ] {
            if config.matches(shipped).count() != 1 {
                bail!("config/ejabberd/ejabberd.yml has no single {shipped:?} any more");
            }
            config = config.replace(shipped, ours);
        }
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
        tokio::task::spawn_blocking(compiled).await??;
        let log = File::create(self.dir.join("log/console"))?;
        let mut command = self.erl();
        command
            .args(["-sname", &self.node, "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-mnesia", "dir"])
            .arg(format!("{:?}", self.dir.join("db").display().to_string()))
            .arg("-pa")
            .arg(module_directory())
            .args(["-s", "ejabberd"])
            .env("EJABBERD_CONFIG_PATH", self.dir.join("ejabberd.yml"))
            .env("EJABBERD_LOG_PATH", self.dir.join("log/ejabberd.log"))
            .env("EJABBERD_PID_PATH", self.dir.join("pid"))
            .stdout(log.try_clone()?)
            .stderr(log);
        // It says when it is ready as to systemd (sd_notify(3)).
        let told = self.dir.join("notify");
        let _of_an_earlier_start = std::fs::remove_file(&told);
        let notify = UnixDatagram::bind(&told)?;
        let mut child = Child::spawn(command.env("NOTIFY_SOCKET", &told))?;
        let up =
            tokio::time::timeout(START, self.answers(&mut child, &notify)).await.context("not ready in time").flatten();
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
        self.does(&look::write_out(&self.node)).await.context("mnesia's log could not be written out")?;
        self.child.take().context("the server is not running")?.kill().await.map(drop)
    }

    pub(super) async fn stored(&self) -> Result<Vec<Table>> {
        look::ask(self.asking(&look::script(&self.node))).await
    }

    /// For what `mod_shunt` has counted.
    pub(super) async fn an_hour_passes(&self) -> Result<()> {
        self.does(&look::an_hour_passes(&self.node)).await
    }

    async fn does(&self, script: &str) -> Result<()> {
        let mut command = self.asking(script);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(())
    }

    /// A node that listens nowhere and only asks.
    fn asking(&self, script: &str) -> Command {
        let mut command = self.erl();
        command
            .args(["-noshell", "-sname", &format!("look-{}", self.node), "-dist_listen", "false", "-eval"])
            .arg(script);
        command
    }

    async fn answers(&self, child: &mut Child, notify: &UnixDatagram) -> Result<()> {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("READY=1") {
            said.clear();
            tokio::select! {
                got = notify.recv_buf(&mut said) => drop(got?),
                status = child.wait(START) => bail!("it ended with {}", status?),
            }
        }
        let body = format!(r#"{{"user":"nobody","host":"{DOMAIN}"}}"#);
        let path = format!("{}/check_account", self.api_path);
        match http::post(self.api, &path, &body).await? {
            (200, _) => {}
            (status, _) => bail!("its API answers {status}"),
        }
        tokio::net::TcpStream::connect(self.xmpp).await?;
        Ok(())
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

/// Where Shunt's module is kept compiled: with what else was built from this source.
fn module_directory() -> PathBuf {
    let digest = MODULE.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/kit/mod_shunt-{digest:016x}"))
}

/// Compiles it, once for all that run the same source.
fn compiled() -> Result<()> {
    let ready = module_directory();
    if ready.join("mod_shunt.beam").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&ready)?;
    // Others may be at it too: each by itself, and the last one's result is as good as the first's.
    let own = tempfile::tempdir_in(&ready)?;
    std::fs::write(own.path().join("mod_shunt.erl"), MODULE)?;
    let mut erlc = Command::new("erlc");
    erlc.args(["-Werror", "-o"])
        .arg(own.path())
        .arg(own.path().join("mod_shunt.erl"))
        .env("ERL_LIBS", erlang_libraries());
    let output = erlc.output().context("erlc comes with Debian's erlang-base")?;
    if !output.status.success() {
        bail!("mod_shunt.erl does not compile: {}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(std::fs::rename(own.path().join("mod_shunt.beam"), ready.join("mod_shunt.beam"))?)
}

/// Where Debian puts ejabberd's libraries: below the machine's multiarch directory.
fn erlang_libraries() -> String {
    format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH)
}

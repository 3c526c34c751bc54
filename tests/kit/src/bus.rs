//! A private dbus-daemon as a phone's system bus.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::{Connection, connection};

use crate::accounts::Accounts;
use crate::background;
use crate::mounts::own_view;
use crate::netns::Netns;
use crate::process::Process;

/// A running bus.
pub struct Bus {
    process: Process,
    address: String,
    socket: PathBuf,
}

impl Bus {
    /// Starts a bus whose socket and config lie in `dir`. Everybody may do everything; with `policy`, our file of bus
    /// policy, root alone may, and others what the system's services let them do.
    pub(crate) fn start(dir: &Path, netns: Option<&Netns>, accounts: &Accounts, policy: Option<&Path>) -> Result<Self> {
        let socket = dir.join("bus");
        let config = dir.join("bus.conf");
        let policy =
            policy.map_or_else(|| OPEN.to_owned(), |ours| format!("{SYSTEM}<include>{}</include>", ours.display()));
        fs::write(&config, config_for(&socket, &policy))?;
        let log = dir.join("bus.log");
        let mut command = Command::new("dbus-daemon");
        command
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?);
        if let Some(netns) = netns {
            netns.confine(&mut command);
        }
        own_view(&mut command, &accounts.binds())?;
        let mut process = Process::start_as_is("dbus-daemon", command, Some(log))?;
        let stdout = process.child().stdout.take().context("dbus-daemon's output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.starts_with("unix:"), "dbus-daemon did not start; {}", process.log_tail());
        Ok(Self { process, address: format!("unix:path={}", socket.display()), socket })
    }

    /// What `DBUS_SYSTEM_BUS_ADDRESS` is to be.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A new connection. It lives on the kit's own runtime, so that any thread may use it.
    pub async fn connect(&self) -> Result<Connection> {
        let address = self.address.clone();
        background::spawn(async move { Ok(connection::Builder::address(address.as_str()).build().await?) }).await?
    }

    /// The same without awaiting, and as another user where one is given (root needed).
    pub fn connect_now(&self, uid: Option<u32>) -> Result<Connection> {
        connect_now(&self.socket, uid)
    }

    /// Ends the bus, as a system does that goes down.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// A connection to the bus at a socket, as another user where one is given (root needed).
pub(crate) fn connect_now(socket: &Path, uid: Option<u32>) -> Result<Connection> {
    let stream = match uid {
        None => UnixStream::connect(socket)?,
        Some(uid) => connect_as(socket, uid)?,
    };
    stream.set_nonblocking(true)?;
    let (made, connection) = std::sync::mpsc::channel();
    background::spawn(async move {
        let build = async {
            let builder = connection::Builder::unix_stream(stream);
            let builder = if let Some(uid) = uid { builder.user_id(uid) } else { builder };
            Ok(builder.build().await?)
        };
        let _gone = made.send(build.await);
    });
    connection.recv()?
}

/// Waits until somebody owns a name.
pub async fn name_owned(connection: &Connection, name: &str) -> Result<()> {
    let bus = DBusProxy::new(connection).await?;
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, name)]).await?;
    if bus.name_has_owner(BusName::try_from(name)?).await? {
        return Ok(());
    }
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner.is_some() {
            return Ok(());
        }
    }
    anyhow::bail!("the bus went away before {name} came")
}

/// Connects as another user: the kernel notes the connecting thread's credentials.
fn connect_as(socket: &Path, uid: u32) -> Result<UnixStream> {
    let connect = || -> std::io::Result<UnixStream> {
        // SAFETY: plain numbers. The raw system calls change this thread alone, which ends here.
        let changed = unsafe {
            libc::syscall(libc::SYS_setresgid, uid, uid, uid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
        };
        if changed { UnixStream::connect(socket) } else { Err(std::io::Error::last_os_error()) }
    };
    let joined = std::thread::scope(|scope| scope.spawn(connect).join());
    let joined = joined.map_err(|_| anyhow::anyhow!("the connecting thread panicked"))?;
    joined.with_context(|| format!("connecting to the bus as user {uid} (needs root)"))
}

/// What everybody may do on any bus.
const REPLIES: &str = r#"
    <allow user="*"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
"#;

const OPEN: &str = r#"
  <policy context="default">
    <allow own="*"/>
    <allow send_type="method_call"/>
  </policy>
"#;

/// The defaults of the system bus and the services' own files, but that root's stand-ins may be any service.
const SYSTEM: &str = r#"
  <policy context="default">
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <policy user="root">
    <allow own="*"/>
    <allow send_type="method_call"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
  <includedir>/etc/dbus-1/system.d</includedir>
"#;

fn config_for(socket: &Path, policy: &str) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">{REPLIES}</policy>
  {policy}
  <!-- Of 256, for a door with a thousand. -->
  <limit name="max_connections_per_user">2048</limit>
</busconfig>
"#,
        socket.display()
    )
}

//! Shunt's daemons on a phone, started as init starts them.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{Signal, kill_process};

use super::{Phone, measure};
use crate::bus::name_owned;
use crate::evaluator::Evaluator;
use crate::log::Log;
use crate::mounts::own_view;
use crate::process::{Process, all_processes, descendants};
use crate::shunt::{SERVICE, Shunt};

/// Nothing takes so long; it only keeps a fault from hanging the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the daemons are to be started.
#[derive(Debug, Clone)]
pub struct ShuntConfig {
    /// Where `shuntd`, `shuntd-core` and `shuntd-uplink` are.
    pub programs: PathBuf,
    /// The configuration file.
    pub toml: String,
    /// PEM of the cloud's CA; `{ca}` in the configuration stands for the file that it is put into.
    pub ca: Option<String>,
    /// PEM of the second evaluator's CA; `{second-ca}` stands for its file.
    pub second_ca: Option<String>,
    /// Further arguments for the warden, before `--`.
    pub warden_arguments: Vec<String>,
    /// Further arguments for the core.
    pub core_arguments: Vec<String>,
    /// Further environment of the warden.
    pub environment: Vec<(String, String)>,
    /// Where the agents' socket is bound, as Android's init does for the warden.
    pub inits_socket: Option<PathBuf>,
}

impl ShuntConfig {
    /// Without a cloud. `programs` is a test's `Path::new(env!("CARGO_BIN_EXE_shuntd")).parent()`.
    pub fn new(programs: &Path) -> Self {
        Self {
            programs: programs.to_owned(),
            toml: "[modem]\nconsume = true\n[log]\nlevel = \"debug\"\n".to_owned(),
            ca: None,
            second_ca: None,
            warden_arguments: Vec::new(),
            core_arguments: Vec::new(),
            environment: Vec::new(),
            inits_socket: None,
        }
    }

    /// With a cloud: XMPP domain, server and directory as `host:port`, and the CA of both as PEM.
    pub fn cloud(mut self, domain: &str, server: &str, directory: &str, ca_pem: &str) -> Self {
        self.ca = Some(ca_pem.to_owned());
        self.toml.push_str(&format!(
            "[cloud]\ndomain = \"{domain}\"\nservers = [\"{server}\"]\ndirectory = \"https://{directory}\"\nca = \"{{ca}}\"\n"
        ));
        self
    }

    /// With a second evaluator.
    pub fn second(mut self, evaluator: &Evaluator) -> Self {
        self.second_ca = Some(evaluator.ca_pem().to_owned());
        let lines = format!("[cloud.second]\ndirectory = \"{}\"\nca = \"{{second-ca}}\"", evaluator.url());
        self.lines(&lines)
    }

    /// Adds lines to the configuration.
    pub fn lines(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self.toml.push('\n');
        self
    }
}

/// Binds a socket and hands it on by number; listening is the service's.
fn inits_socket(command: &mut Command, at: &Path) -> Result<OwnedFd> {
    const NUMBER: i32 = 9;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrUnix::new(at)?)?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o666))?;
    command.env("ANDROID_SOCKET_shuntd", NUMBER.to_string());
    let open = socket.as_raw_fd();
    // SAFETY: one system call on two numbers.
    unsafe {
        command.pre_exec(move || match libc::dup2(open, NUMBER) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    Ok(socket)
}

/// The running warden and what is under it.
pub(super) struct Daemons {
    warden: Process,
    client: Shunt,
}

impl Phone {
    /// Starts the daemons and returns when they own their name on the bus. The state directory
    /// is the phone's, so that a second start finds what the first left.
    pub async fn start_shunt(&mut self, config: ShuntConfig) -> Result<Shunt> {
        self.spawn_shunt(&config)?;
        let named = name_owned(&self.connection, SERVICE);
        let daemons = self.daemons.as_mut().context("just started")?;
        daemons.warden.until("its name on the bus", named).await?;
        daemons.client.introduce().await?;
        Ok(daemons.client.clone())
    }

    /// Starts the daemons and does not wait: for starts that are to fail. See [`Phone::shunt_ended`].
    pub fn spawn_shunt(&mut self, config: &ShuntConfig) -> Result<()> {
        self.daemons = None;
        let client = Shunt::listen(&self.bus)?;
        let dir = self.dir.path();
        let file = dir.join("shunt.toml");
        let ca = dir.join("ca.pem");
        if let Some(pem) = &config.ca {
            fs::write(&ca, pem)?;
        }
        let second = dir.join("second-ca.pem");
        if let Some(pem) = &config.second_ca {
            fs::write(&second, pem)?;
        }
        let toml = config.toml.replace("{ca}", &ca.display().to_string());
        fs::write(&file, toml.replace("{second-ca}", &second.display().to_string()))?;
        let (state, run) = (self.state_dir(), self.generation_dir());
        for (made, mode) in [(&state, 0o700), (&run, 0o755)] {
            fs::create_dir_all(made)?;
            fs::set_permissions(made, fs::Permissions::from_mode(mode))?;
            let core = self.accounts.core();
            std::os::unix::fs::chown(made, Some(core), Some(core))?;
        }
        // The daemons' users may not be able to reach the build directory: they see it here.
        let programs = dir.join("programs");
        fs::create_dir_all(&programs)?;
        let resolv = dir.join("resolv.conf");

        let mut command = Command::new(programs.join("shuntd"));
        command.env_clear();
        command.env("PATH", "/usr/bin:/bin").env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address());
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--libexec").arg(&programs).args(&config.warden_arguments).arg("--");
        command.arg("--config").arg(&file).arg("--state").arg(&state).arg("--generation").arg(&run);
        command.args(&config.core_arguments);
        let _open_until_started =
            config.inits_socket.as_deref().map(|at| inits_socket(&mut command, at)).transpose()?;
        let mut binds = vec![(config.programs.as_path(), programs.as_path())];
        binds.extend(self.accounts.binds());
        if let Some(netns) = &self.netns {
            netns.confine(&mut command);
            fs::write(&resolv, format!("nameserver {}\n", crate::netns::Netns::NAME_SERVER))?;
            binds.push((&resolv, Path::new("/etc/resolv.conf")));
        }
        own_view(&mut command, &binds)?;
        let warden = Process::start("shuntd", command, &dir.join("shuntd.log"))?.ours()?;
        self.daemons = Some(Daemons { warden, client });
        Ok(())
    }

    /// The client of the daemons that run now. Panics when none were started.
    pub fn shunt(&self) -> &Shunt {
        &self.daemons.as_ref().expect("start_shunt was called").client
    }

    /// The directory of the generation word.
    fn generation_dir(&self) -> PathBuf {
        self.path("shunt-run")
    }

    /// A factory reset, as far as it is ours: nothing is left of what the daemons wrote. They must not run.
    pub fn wipe_shunt(&self) -> Result<()> {
        for written in [self.state_dir(), self.generation_dir()] {
            fs::remove_dir_all(written)?;
        }
        Ok(())
    }

    /// Where the core keeps its state; 0700, the core's.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("shunt-state")
    }

    /// What the daemons logged since their last start.
    pub fn shunt_log(&self) -> String {
        fs::read(self.dir.path().join("shuntd.log"))
            .map(|l| String::from_utf8_lossy(&l).into_owned())
            .unwrap_or_default()
    }

    /// Waits until that log says something so many times.
    ///
    /// # Errors
    /// It did not within a minute; the log can't be read.
    pub async fn logged(&self, said: &str, times: usize) -> Result<()> {
        let log = Log::watch(&self.dir.path().join("shuntd.log"))?;
        let says = log.until(|text| (text.matches(said).count() >= times).then_some(()));
        tokio::time::timeout(PATIENCE, says).await.with_context(|| format!("the phone did not say: {said}"))?
    }

    /// Ends the daemons as init does: SIGTERM, and waits until all are gone.
    pub async fn stop_shunt(&mut self) -> Result<()> {
        let Some(mut daemons) = self.daemons.take() else { return Ok(()) };
        let under = descendants(daemons.warden.pid());
        daemons.warden.stop().await?;
        for pid in under {
            measure::gone(pid).await?;
        }
        Ok(())
    }

    /// Waits until the warden ended by itself, and returns its exit status.
    pub async fn shunt_ended(&mut self) -> Result<std::process::ExitStatus> {
        let mut daemons = self.daemons.take().context("no daemons were started")?;
        daemons.warden.ended().await
    }

    /// Kills the core (SIGKILL), as a crash does, and waits until warden and uplink are gone too.
    pub async fn kill_core(&mut self) -> Result<()> {
        self.kill_and_wait("shuntd-core").await
    }

    /// Kills the warden (SIGKILL), and waits until core and uplink are gone too.
    pub async fn kill_warden(&mut self) -> Result<()> {
        self.kill_and_wait("shuntd").await
    }

    async fn kill_and_wait(&mut self, name: &str) -> Result<()> {
        let all = self.shunt_pids();
        self.signal(name, Signal::KILL)?;
        let mut daemons = self.daemons.take().context("no daemons were started")?;
        let ends = async {
            daemons.warden.ended().await?;
            for (pid, _) in all {
                measure::gone(pid).await?;
            }
            Ok(())
        };
        tokio::time::timeout(crate::background::HANG, ends).await.context("a daemon outlived its set")?
    }

    /// Kills the uplink (SIGKILL) and waits until it is gone.
    pub async fn kill_uplink(&self) -> Result<()> {
        let pid = self.shunt_pid("shuntd-uplink").context("no uplink runs")?;
        self.signal("shuntd-uplink", Signal::KILL)?;
        measure::gone(pid).await
    }

    /// Waits until no uplink runs.
    pub async fn uplink_ended(&self) -> Result<()> {
        let Some(pid) = self.shunt_pid("shuntd-uplink") else { return Ok(()) };
        tokio::time::timeout(crate::background::HANG, measure::gone(pid)).await.context("the uplink goes on")?
    }

    /// Sends a signal to one of `shuntd`, `shuntd-core`, `shuntd-uplink`: STOP makes it hang.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let pid = self.shunt_pid(name).with_context(|| format!("no {name} runs"))?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("not a process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// The process id of one of `shuntd`, `shuntd-core`, `shuntd-uplink`, when it runs.
    pub fn shunt_pid(&self, name: &str) -> Option<u32> {
        self.shunt_pids().into_iter().find(|(_, n)| n == name).map(|(pid, _)| pid)
    }

    /// All processes of the daemons, with their names.
    pub fn shunt_pids(&self) -> Vec<(u32, String)> {
        let Some(daemons) = &self.daemons else { return Vec::new() };
        let mut pids = descendants(daemons.warden.pid());
        pids.push(daemons.warden.pid());
        all_processes().into_iter().filter(|(pid, ..)| pids.contains(pid)).map(|(pid, _, name)| (pid, name)).collect()
    }

    /// Sockets of all daemons that could reach a network: IPv4, IPv6 and packet, bound or not.
    pub fn inet_sockets(&self) -> Result<usize> {
        self.shunt_pids().into_iter().map(|(pid, _)| measure::inet_sockets(pid)).sum()
    }

    /// Proportional set size of all daemons, in KiB.
    pub fn pss(&self) -> Result<u64> {
        self.shunt_pids().into_iter().map(|(pid, _)| measure::pss(pid)).sum()
    }

    /// Voluntary context switches of all daemons since their start: each is a wake-up.
    pub fn voluntary_switches(&self) -> Result<u64> {
        self.shunt_pids().into_iter().map(|(pid, _)| measure::voluntary_switches(pid)).sum()
    }
}

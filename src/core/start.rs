//! The core's entry: take the channel, confine, read the config, open the store, serve, loop.

use super::driver::{Daemon, Ended, Inputs};
use super::enrolment::Aim;
use super::roots::Roots;
use super::{Core, peers};
use crate::bus::{Bus, BusError, Seat, Sleep};
use crate::config::{Config, ConfigError, KeySource as Source, ModemBackend};
use crate::model::{LineId, Settings};
use crate::modem::agent::Agent;
use crate::modem::{Modem, ModemError, Services};
use crate::router::{Granting, Input, Rest, Router, Switch, SwitchInput};
use crate::seal::{AccountFile, Identity};
use crate::store::{Blob, Damage, KeySource, OnMark, Store, StoreError, StoreKey, Unusable, exists, set_aside};
use crate::sys::{confine, inherited_agents, inherited_control, now, warden};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;

/// How long the texts of an earlier life wait for the modem service.
const MODEM_MAY_TAKE: Duration = Duration::from_secs(10);

/// Shown for `--help` and on a wrong command line.
const USAGE: &str = "\
usage: shuntd-core [--defaults FILE] [--drop-ins DIR] [--config FILE]… [--state DIR] [--generation DIR]

Started by shuntd, which hands it what follows `--` on its own command line.

  --defaults FILE    the ROM's configuration [/usr/share/shunt/shunt.toml]
  --drop-ins DIR     drop-ins, read in name order [/etc/shunt/shunt.toml.d]
  --config FILE      a further file, read last; must exist
  --state DIR        the store [/var/lib/shunt]
  --generation DIR   a directory that no backup takes [DIR of --state, plus /no-backup]
";

/// The core's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    defaults: PathBuf,
    drop_ins: PathBuf,
    extra: Vec<PathBuf>,
    state: PathBuf,
    generation: Option<PathBuf>,
}

/// Why the core could not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("unknown or incomplete argument {0:?}\n\n{USAGE}")]
    Usage(OsString),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("[cloud] ca {0} can't be read: {1}")]
    Ca(PathBuf, #[source] std::io::Error),
    #[error(transparent)]
    Warden(#[from] warden::WardenError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("not even a store in memory can be had: {0}")]
    Memory(Unusable),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("the bus can't be reached: {0}; check that dbus-daemon runs and DBUS_SYSTEM_BUS_ADDRESS is right")]
    NoBus(#[from] zbus::Error),
    #[error("the modem service can't be watched: {0}")]
    Modem(#[from] ModemError),
}

/// Where the packager puts the ROM's configuration; set at build time by `SHUNT_DATA`.
const DATA: &str = match option_env!("SHUNT_DATA") {
    Some(directory) => directory,
    None => "/usr/share/shunt",
};

impl Args {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, StartError> {
        let mut args = Self {
            defaults: Path::new(DATA).join("shunt.toml"),
            drop_ins: "/etc/shunt/shunt.toml.d".into(),
            extra: Vec::new(),
            state: "/var/lib/shunt".into(),
            generation: None,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let Some(value) = arguments.next().map(PathBuf::from) else { return Err(StartError::Usage(name)) };
            match name.to_str() {
                Some("--defaults") => args.defaults = value,
                Some("--drop-ins") => args.drop_ins = value,
                Some("--config") => args.extra.push(value),
                Some("--state") => args.state = value,
                Some("--generation") => args.generation = Some(value),
                _ => return Err(StartError::Usage(name)),
            }
        }
        Ok(args)
    }

    fn generation(&self) -> PathBuf {
        self.generation.clone().unwrap_or_else(|| self.state.join("no-backup"))
    }
}

/// Runs the core until something ends it; the exit status is for init.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    crate::sys::give_back();
    crate::sys::journal::start("shuntd-core", log::LevelFilter::Info);
    let channel = match inherited_control() {
        Ok(channel) => channel,
        Err(error) => {
            log::error!("{error}");
            return 64;
        }
    };
    // The warden ends a core whose channel closes: it must be open until the reason is told.
    let _held = channel.try_clone();
    match serve(arguments, channel) {
        Ok(Ended::Asked) => 0,
        Ok(ended) => {
            log::error!("{ended}");
            75
        }
        Err(error) => {
            log::error!("{error}");
            match error {
                StartError::Usage(_) => 64,
                StartError::Config(_) | StartError::Ca(..) => 78,
                _ => 1,
            }
        }
    }
}

fn serve(arguments: impl Iterator<Item = OsString>, channel: OwnedFd) -> Result<Ended, StartError> {
    let args = Args::parse(arguments)?;
    let confinement = confine::core(channel.as_fd());
    let config = Config::load(&args.defaults, &args.drop_ins, &args.extra)?;
    crate::sys::journal::level(config.log.level);
    let roots = Roots::read(config.cloud.as_ref()).map_err(|(path, error)| StartError::Ca(path, error))?;
    // The key may come from a command; after it no program is started any more.
    let opened = open(&args, &config.store.key);
    if let Err(error) = confine::core_no_exec() {
        log::warn!("no filter against starting programs: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(1))
        .build()?;
    let local = LocalSet::new();
    let ended = local.block_on(&runtime, live(&args, config, roots, confinement, opened, channel));
    runtime.shutdown_background();
    ended
}

async fn live(
    args: &Args,
    config: Config,
    roots: Roots,
    confinement: Vec<&'static str>,
    opened: Result<(Store, StoreKey), Unusable>,
    channel: OwnedFd,
) -> Result<Ended, StartError> {
    let warden = warden::WardenHandle::new(channel)?;
    let mark = OnMark::in_directory(&args.generation());
    let loaded = opened.and_then(|(mut store, key)| {
        let mut core = Core::new(config.clone(), roots.clone(), confinement.clone());
        let line_key = core.load_from(&mut store, &mark)?;
        Ok((store, core, line_key, key))
    });
    let (store, core, line_key, key, unusable) = match loaded {
        Ok((store, core, line_key, key)) => (store, core, line_key, Some(key), None),
        Err(error) => {
            log::error!("{error}; texts go by SMS only");
            let mut store = Store::volatile().map_err(StartError::Memory)?;
            let mut core = Core::new(config, roots, confinement);
            core.degraded = Some(error.token());
            let line_key = core.load_from(&mut store, &mark)?;
            (store, core, line_key, None, Some(error))
        }
    };
    let connection = zbus::connection::Builder::system().build().await?;
    let rules = core.config.access.clone();
    let name = move |iccid: &str| line_name(&line_key, iccid);
    let metered = crate::network::metered(&connection).await?;
    let sleep = Sleep::new(&connection);
    let (published, store_key) = (core.published(), (key, unusable));
    match core.config.modem.backend {
        ModemBackend::Agent => {
            let modem = Agent::new(Box::new(name));
            let seat = Seat { port: modem.0.port(), uids: core.config.agent.uids.clone() };
            let socket = match inherited_agents()? {
                Some(socket) => Some(socket),
                None => core.config.agent.socket.as_deref().map(listen).transpose()?,
            };
            let bus = Bus::serve_with(&connection, rules, published, Some(seat)).await?;
            let agents = bus.0.serve_agents(socket);
            let daemon = Daemon::new(core, (store, mark), bus, modem, metered, warden, sleep);
            tokio::select! {
                ended = attend(args, daemon, store_key) => ended,
                Err(error) = agents => Err(error.into()),
            }
        }
        services => {
            let modem = Services::start(&connection, services.which(), Rc::new(name)).await?;
            let bus = Bus::serve(&connection, rules, published).await?;
            attend(args, Daemon::new(core, (store, mark), bus, modem, metered, warden, sleep), store_key).await
        }
    }
}

/// The agents' socket. Who connects is told by the kernel, so everybody may.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let socket = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(socket)
}

async fn attend<M: Modem + 'static>(
    args: &Args,
    (mut daemon, inputs): (Daemon<M>, Inputs),
    (key, unusable): (Option<StoreKey>, Option<Unusable>),
) -> Result<Ended, StartError> {
    let args = args.clone();
    if let Some(key) = key {
        daemon.own = Some(Rc::new(move || Store::open(&args.state, &args.generation(), &key).map(Some)));
    } else if unusable.as_ref().is_some_and(Unusable::may_pass) {
        let source = daemon.core.config.store.key.clone();
        daemon.reopen = Some(Rc::new(move || match source {
            // It can't be run any more: init must try that anew.
            Source::Command(_) => Ok(None),
            _ => open(&args, &source).map(|(store, _)| Some(store)),
        }));
    }
    daemon.warden.ready()?;
    log::info!("ready");
    Ok(daemon.run(inputs).await)
}

/// Opens the store; an old copy of it is set aside, since its ratchets and ordinals are used up
/// (protocol.md §4).
fn open(args: &Args, source: &Source) -> Result<(Store, StoreKey), Unusable> {
    let generation = args.generation();
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let key = key_source(args, source, credentials).load(exists(&args.state, &generation))?;
    let opened = match Store::open(&args.state, &generation, &key) {
        Err(Unusable::Corrupt(damage @ (Damage::RolledBack | Damage::NoWitness))) => {
            let aside = set_aside(&args.state, &generation)?;
            log::error!("the store is {damage}: set aside in {}; a new one begins, switched off", aside.display());
            Store::open(&args.state, &generation, &key)
        }
        opened => opened,
    };
    opened.map(|store| (store, key))
}

/// Where the key is, as the configuration says it.
fn key_source(args: &Args, source: &Source, credentials: Option<PathBuf>) -> KeySource {
    match source {
        Source::File(path) => KeySource::File(args.state.join(path)),
        Source::Credential(name) => KeySource::Credential { directory: credentials, name: name.clone() },
        Source::Command(words) => KeySource::Command(words.iter().map(OsString::from).collect()),
    }
}

/// A line's name: stable for its SIM, and no clue to it.
fn line_name(key: &[u8; 32], iccid: &str) -> LineId {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    let tag = ring::hmac::sign(&key, iccid.as_bytes());
    let hex: String = tag.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    LineId(format!("line-{hex}").into())
}

impl Core {
    pub(super) fn new(config: Config, roots: Roots, confinement: Vec<&'static str>) -> Self {
        Self {
            settings: config.defaults,
            config,
            roots,
            degraded: None,
            confinement: confinement.into_iter().map(str::to_owned).collect(),
            uplink_lacks: Vec::new(),
            enabled: false,
            switched: None,
            switch: Switch::default(),
            router: Router::new(),
            granting: Granting::default(),
            rest: Rest::default(),
            rest_ping: None,
            metered: false,
            lines: BTreeMap::new(),
            account: None,
            account_lines: super::lines::AccountLines::default(),
            enrolment: None,
            ended: None,
            own: super::own::Own::default(),
            secrets: super::secret::Secrets::default(),
            withdrawal: None,
            identity: None,
            peers: peers::Peers::default(),
            contacts: super::contacts::Contacts::default(),
            sessions: HashMap::new(),
            strangers: super::strangers::Strangers::default(),
            unverified: super::unverified::Unverified::default(),
            reaching: super::reach::Reaching::default(),
            evaluating: super::evaluate::Evaluating::default(),
            watches: HashMap::new(),
            doors: super::door::Doors::default(),
            wall_open: false,
            link_up: false,
            last_request: 0,
            sends: super::outbox::Sends::default(),
            answers_due: BTreeMap::new(),
            network: crate::store::NetworkTotals::default(),
            counters: crate::wall::Counters::default(),
            published_at: None,
            restore_by: Some(now().mono.plus(MODEM_MAY_TAKE)),
            begun: None,
            first_step: None,
            early: Vec::new(),
            early_reports: Vec::new(),
            in_modem: HashMap::new(),
            unkept: Vec::new(),
        }
    }

    /// Takes up what the store holds; gives the key of line names.
    fn load_from(&mut self, store: &mut Store, mark: &OnMark) -> Result<[u8; 32], StoreError> {
        store.transaction(|tx| {
            self.load(tx, mark)?;
            Ok(tx.digest("line", b""))
        })
    }

    /// Takes up what the store holds; texts come later, with the modem.
    fn load(&mut self, tx: &crate::store::Tx<'_>, mark: &OnMark) -> Result<(), StoreError> {
        self.settings = tx.settings()?.unwrap_or(self.config.defaults);
        let switch = tx.switch()?;
        self.enabled = switch.on && mark.stands() && self.degraded.is_none();
        self.switched = switch.switched;
        self.network = tx.network_totals()?;
        if let Some(pickle) = tx.blob(Blob::Identity)? {
            self.identity = Identity::from_pickle(&pickle).map_err(|error| log::error!("{error}")).ok();
        }
        if let Some(file) = tx.blob(Blob::Account)? {
            let account = AccountFile::parse(&file).map_err(|error| log::error!("{error}")).ok();
            self.account = account.map(|account| self.with_pins(account));
        }
        self.load_account_lines(tx)?;
        // At start nothing waits for what this decides.
        let _nothing = self.router.handle(now(), Input::AccountLine(self.account_lines.now.clone()));
        self.load_enrolment(tx)?;
        self.load_own(tx)?;
        self.load_secret(tx)?;
        self.load_withdrawal(tx)?;
        let all = tx.peers()?;
        for (peer, record) in &all.known {
            // At start nothing waits for what a peer's facts decide.
            let _nothing = self.router.handle(now(), Input::Peer(peer.clone(), peers::facts(record)));
        }
        self.peers = peers::Peers::load(all);
        self.contacts = super::contacts::Contacts::load(tx)?;
        let enrolling = self.enrolment.as_ref().is_some_and(|enrolment| enrolment.aim() == Aim::Account);
        let account = self.account.is_some();
        let inputs = [SwitchInput::Account(account), SwitchInput::Enrolling(enrolling), SwitchInput::Set(self.enabled)];
        for input in inputs {
            if let Some(step) = self.switch.handle(now().mono, 0, input) {
                self.first_step = Some(step);
            }
        }
        Ok(())
    }

    pub(super) fn keep_settings(&mut self, turn: &mut super::turn::Turn<'_, '_>) {
        let settings: Settings = self.settings;
        let switch = crate::store::Switch { on: self.enabled, switched: self.switched.clone() };
        turn.write(move |tx| {
            tx.put_settings(&settings)?;
            tx.put_switch(&switch)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_lines_name_is_stable_and_shows_no_digit_run_of_its_sim() {
        let name = line_name(&[1; 32], "894902000021436587");
        assert_eq!(name, line_name(&[1; 32], "894902000021436587"));
        assert_ne!(name, line_name(&[2; 32], "894902000021436587"));
        assert!(!name.0.contains("2143"));
    }

    #[test]
    fn the_credential_is_the_one_that_the_configuration_names() {
        let args = Args::parse(std::iter::empty()).unwrap();
        let source = key_source(&args, &Source::Credential("texts".to_owned()), Some("/run/credentials".into()));
        let named = KeySource::Credential { directory: Some("/run/credentials".into()), name: "texts".to_owned() };
        assert_eq!(source, named);
    }

    #[test]
    fn arguments_come_in_pairs() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter();
        let args = Args::parse(words("--state /s --config /a --config /b")).unwrap();
        assert_eq!(args.extra, [Path::new("/a"), Path::new("/b")]);
        assert_eq!(args.generation(), Path::new("/s/no-backup"));
        assert!(Args::parse(words("--state")).is_err());
        assert!(Args::parse(words("--on yes")).is_err());
    }
}

//! A phone: a simulated modem, a system bus, polkitd, the real ModemManager, and Shunt's daemons.

mod builder;
mod calls;
mod daemons;
pub mod measure;
mod modem_manager;
pub mod sms;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use zbus::Connection;

pub use builder::PhoneBuilder;
pub use daemons::ShuntConfig;
pub use modem_manager::ModemManager;
pub use sms::Sms;

use crate::accounts::Accounts;
use crate::bus::Bus;
use crate::door::Door;
use crate::modem::{Identity, Modem};
use crate::netns::Netns;
use crate::ofono::Ofono;
use crate::polkit::Polkit;
use crate::smsc::Smsc;
use daemons::Daemons;

/// oFono 1.31 now and then dies (signal 11) while it brings a modem up; then it is started anew, so often in all.
const OFONO_STARTS: usize = 3;

/// A running phone. Dropping it ends all its programs and removes its files.
pub struct Phone {
    // In the order in which they end.
    daemons: Option<Daemons>,
    modem_manager: Option<ModemManager>,
    ofono: Option<Ofono>,
    uses_ofono: bool,
    polkit: Option<Polkit>,
    connection: Connection,
    bus: Bus,
    modem: Modem,
    beside: Option<Modem>,
    netns: Option<Netns>,
    accounts: Accounts,
    dir: TempDir,
}

impl Phone {
    /// A phone with a number on an SMSC; start it with [`PhoneBuilder::start`].
    pub fn builder(smsc: &Smsc, number: &str) -> PhoneBuilder {
        PhoneBuilder::new(smsc, number)
    }

    /// Its number.
    pub fn number(&self) -> &str {
        &self.modem.identity().number
    }

    /// Its simulated modem.
    pub fn modem(&self) -> &Modem {
        &self.modem
    }

    /// A connection to its bus, as root.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Its bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its bus, to end it.
    pub fn bus_mut(&mut self) -> &mut Bus {
        &mut self.bus
    }

    /// Its ModemManager, where it was started with one.
    pub fn modem_manager(&self) -> Option<&ModemManager> {
        self.modem_manager.as_ref()
    }

    /// Its oFono. Panics when it was started without.
    pub fn ofono(&self) -> &Ofono {
        self.ofono.as_ref().expect("a phone with oFono")
    }

    /// SMS by ModemManager's own API, by the modem that is there now. Panics without ModemManager.
    pub fn sms(&self) -> Sms {
        self.try_sms().expect("a phone with ModemManager and a registered modem")
    }

    /// The same as another user, with a connection of his own.
    pub fn sms_as(&self, uid: u32) -> Result<Sms> {
        self.sms_on(self.bus.connect_now(Some(uid))?)
    }

    /// The same through the apps' door, with a connection of its own.
    pub async fn sms_through(&self, door: &Door) -> Result<Sms> {
        self.sms_on(door.connect().await?)
    }

    /// The modem that is there now, on the connection that an app has had all along.
    pub fn sms_still(&self, app: &Sms) -> Result<Sms> {
        self.sms_on(app.connection().clone())
    }

    fn try_sms(&self) -> Result<Sms> {
        self.sms_on(self.connection.clone())
    }

    fn sms_on(&self, connection: Connection) -> Result<Sms> {
        let modem = self.modem_manager.as_ref().and_then(ModemManager::modem).context("no modem")?;
        Ok(Sms::new(connection, modem.clone()))
    }

    /// Where its files and logs lie.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its network namespace, where it has one of its own.
    pub fn netns(&self) -> Option<&Netns> {
        self.netns.as_ref()
    }

    /// A command that sees the phone's bus as the system bus, inside its network namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address());
        if let Some(netns) = &self.netns {
            netns.confine(&mut command);
        }
        command
    }

    /// Starts the apps' door of the user who runs the tests; it ends with its handle. `programs` has `shunt-door`.
    pub fn door(&self, programs: &Path) -> Result<Door> {
        Door::start(&programs.join("shunt-door"), self.dir.path(), self.bus.address())
    }

    /// The same of another user.
    pub fn door_as(&self, programs: &Path, uid: u32) -> Result<Door> {
        Door::start_as(&programs.join("shunt-door"), self.dir.path(), self.bus.address(), uid)
    }

    /// Adds a polkit rule as an administrator would.
    pub fn add_polkit_rule(&self, name: &str, javascript: &str) -> Result<()> {
        self.polkit.as_ref().map_or(Ok(()), |p| p.add_rule(name, javascript))
    }

    /// Ends polkitd, and leaves it so: services then find no authority to ask.
    pub fn stop_polkit(&mut self) {
        self.polkit = None;
    }

    /// Pulls the modem's port. ModemManager goes on listing the modem, and its sends fail.
    pub async fn lose_port(&self) {
        self.modem.unplug().await;
    }

    /// Plugs the modem in again and waits until its service registered it (or found it without SIM).
    /// For ModemManager it comes under a new name, as a USB modem does, and is a new object.
    pub async fn reattach(&mut self) -> Result<()> {
        self.modem.unplug().await;
        self.plug_in().await
    }

    async fn plug_in(&mut self) -> Result<()> {
        let has_sim = self.modem.sim_present();
        if let Some(ofono) = &mut self.ofono {
            self.modem.plug_tcp(self.netns.as_ref())?;
            return ofono.bring_up(has_sim).await;
        }
        let name = builder::socket_name();
        self.modem.plug_abstract(&name, self.netns.as_ref())?;
        match &mut self.modem_manager {
            Some(manager) => manager.bring_up(&self.connection, &name, has_sim).await,
            None => Ok(()),
        }
    }

    async fn start_modem_service(&mut self) -> Result<()> {
        for _ in 1..OFONO_STARTS {
            match self.start_modem_service_once().await {
                Err(_) if self.ofono.as_mut().is_some_and(|ofono| !ofono.running()) => self.stop_modem_service().await,
                started => return started,
            }
        }
        self.start_modem_service_once().await
    }

    async fn start_modem_service_once(&mut self) -> Result<()> {
        let (dir, netns) = (self.dir.path(), self.netns.as_ref());
        if self.uses_ofono {
            let port = self.modem.plug_tcp(netns)?;
            self.ofono = Some(Ofono::start(dir, &self.bus, &self.connection, netns, port).await?);
        } else {
            self.modem_manager = Some(ModemManager::start(dir, &self.bus, &self.connection, netns).await?);
        }
        self.reattach().await
    }

    /// Plugs in a modem beside the first one, with a SIM of that number. Panics without ModemManager.
    pub async fn plug_beside(&mut self, number: &str) -> Result<()> {
        let modem = Modem::new(self.modem.smsc(), Identity::of(number));
        let name = builder::socket_name();
        modem.plug_abstract(&name, self.netns.as_ref())?;
        let manager = self.modem_manager.as_mut().expect("a phone with ModemManager");
        manager.bring_up_beside(&self.connection, &name).await?;
        self.beside = Some(modem);
        Ok(())
    }

    /// Ends the modem service (with SIGKILL) and starts it again.
    pub async fn restart_modem_service(&mut self) -> Result<()> {
        self.stop_modem_service().await;
        self.start_modem_service().await
    }

    /// Ends the modem service, and leaves it so.
    pub async fn stop_modem_service(&mut self) {
        (self.modem_manager, self.ofono) = (None, None);
        self.modem.unplug().await;
    }

    /// Process ids of the bus, polkitd, and ModemManager or oFono.
    pub fn system_pids(&self) -> Vec<u32> {
        let mut pids = vec![self.bus.pid()];
        pids.extend(self.polkit.as_ref().map(|p| p.process.pid()));
        pids.extend(self.modem_manager.as_ref().map(ModemManager::pid));
        pids.extend(self.ofono.as_ref().map(Ofono::pid));
        pids
    }

    /// A path in the phone's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

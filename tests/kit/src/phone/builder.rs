//! How a phone is put together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::Phone;
use crate::accounts::Accounts;
use crate::bus::{Bus, name_owned};
use crate::modem::{Identity, Modem};
use crate::netns::Netns;
use crate::polkit::Polkit;
use crate::smsc::Smsc;

const PREFIX: &str = "shunt-kit-";

/// What a phone is to be. Needs root, for polkitd's mount namespace.
pub struct PhoneBuilder {
    smsc: Smsc,
    identity: Identity,
    shipped: PathBuf,
    own_network: bool,
    system_policy: bool,
    with_polkit: bool,
    service_starts: bool,
    uses_ofono: bool,
    sim_present: bool,
}

impl PhoneBuilder {
    pub(super) fn new(smsc: &Smsc, number: &str) -> Self {
        Self {
            smsc: smsc.clone(),
            identity: Identity::of(number),
            shipped: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config"),
            own_network: false,
            system_policy: false,
            with_polkit: true,
            service_starts: true,
            uses_ofono: false,
            sim_present: true,
        }
    }

    /// Changes what modem and SIM say of themselves.
    pub fn identity(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        change(&mut self.identity);
        self
    }

    /// Takes `*.policy` and `*.rules` from another directory than the repository's `config/`.
    pub fn shipped(mut self, dir: &Path) -> Self {
        self.shipped = dir.to_owned();
        self
    }

    /// Puts the phone into a network namespace of its own, with nothing in it but a loopback.
    pub fn own_network(mut self) -> Self {
        self.own_network = true;
        self
    }

    /// Gives the bus the policy of a system bus, of the services that are installed, and ours: whoever isn't root may
    /// do what they let him do. Without it everybody may do everything.
    pub fn system_policy(mut self) -> Self {
        self.system_policy = true;
        self
    }

    /// Leaves out polkitd (ModemManager then refuses to enable the modem).
    pub fn without_polkit(mut self) -> Self {
        self.with_polkit = false;
        self
    }

    /// Leaves out the modem service, ModemManager or oFono: the modem is there and nobody uses it.
    pub fn without_modem_manager(mut self) -> Self {
        self.service_starts = false;
        self
    }

    /// Uses oFono instead of ModemManager.
    pub fn with_ofono(mut self) -> Self {
        self.uses_ofono = true;
        self
    }

    /// Starts with the SIM taken out; ModemManager then reports the modem as failed.
    pub fn without_sim(mut self) -> Self {
        self.sim_present = false;
        self
    }

    /// Starts everything; returns when the modem is registered and can send and receive SMS.
    pub async fn start(self) -> Result<Phone> {
        sweep();
        let dir = tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let netns = if self.own_network { Some(Netns::new()?) } else { None };
        let accounts = Accounts::write(dir.path())?;
        let ours = self.shipped.join("org.shunt.Shunt1.conf");
        let bus = Bus::start(dir.path(), netns.as_ref(), &accounts, self.system_policy.then_some(&*ours))?;
        let connection = bus.connect().await.context("connecting to the phone's bus")?;
        let modem = Modem::new(&self.smsc, self.identity);
        modem.set_sim_present(self.sim_present);

        let polkit = if self.with_polkit {
            let mut polkit = Polkit::start(dir.path(), bus.address(), &self.shipped, &accounts)?;
            let named = name_owned(&connection, "org.freedesktop.PolicyKit1");
            polkit.process.until("its name on the bus", named).await?;
            Some(polkit)
        } else {
            None
        };
        let mut phone = Phone {
            daemons: None,
            modem_manager: None,
            ofono: None,
            uses_ofono: self.uses_ofono,
            polkit,
            connection,
            bus,
            modem,
            beside: None,
            netns,
            accounts,
            dir,
        };
        if self.service_starts {
            phone.start_modem_service().await?;
        }
        Ok(phone)
    }
}

/// A socket name that no other run uses.
pub(super) fn socket_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    format!("kit-{}-{now:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes directories of runs that were killed before they could.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|n| n.strip_prefix(PREFIX)).and_then(|n| n.split('-').next());
        let dead = owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists());
        if dead {
            let _somebody_else_did = fs::remove_dir_all(entry.path());
        }
    }
}

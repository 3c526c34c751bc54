//! What was looked at.

use crate::model::Timestamp;

/// Whether something is there, as far as this user can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Yes,
    No,
    Unseen,
}

/// What the daemon says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Daemon {
    pub(super) version: String,
    pub(super) enabled: bool,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) lacks: Vec<String>,
    /// SIM state and whether enrolled, of each line.
    pub(super) lines: Vec<(String, bool)>,
}

/// What the daemon says of its own health.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// Why the store cannot be used.
    pub(super) store: Option<String>,
    pub(super) certificate: Option<Timestamp>,
    /// 1970 if it can't be read.
    pub(super) ca: Option<Timestamp>,
    /// The first characters of the epochs whose keys are known; the account's.
    pub(super) epochs: String,
    pub(super) epoch: Option<String>,
    /// With the agent backend: whether an agent is registered.
    pub(super) agent: Option<bool>,
}

/// Who owns what.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners {
    /// shunt-core's uid.
    pub(super) core: Option<u32>,
    /// shunt-uplink's.
    pub(super) uplink: Option<u32>,
    /// /var/lib/shunt: its owner and mode; `None` if there is none.
    pub(super) state: Option<(u32, u32)>,
    /// The uid of the bus name's owner.
    pub(super) name: Option<u32>,
}

/// What polkit says.
#[derive(Debug, Clone)]
pub(super) struct Polkit {
    /// Our actions that it does not know.
    pub(super) missing: Vec<&'static str>,
    /// Whether ModemManager may let the core text.
    pub(super) core: Seen,
    /// Whether its defaults for texts by Shunt are those for texts by ModemManager; `None` if it knows one alone.
    pub(super) defaults_alike: Option<bool>,
    /// Whether this user may text by ModemManager, and by Shunt.
    pub(super) rights: Option<(bool, bool)>,
}

/// All that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// Why there is no bus.
    pub(super) no_bus: Option<String>,
    /// `None`: nobody owns the name, or it does not answer.
    pub(super) daemon: Option<Daemon>,
    /// `None`: the daemon does not tell this user.
    pub(super) health: Option<Health>,
    pub(super) bus_policy: Seen,
    pub(super) modemmanager: bool,
    pub(super) ofono: bool,
    /// `None`: it is not on the bus.
    pub(super) polkit: Option<Polkit>,
    /// Whether something starts the door at log-in: its user unit, or its autostart file.
    pub(super) door_unit: Seen,
    /// Whether somebody answers at the door's socket.
    pub(super) door: Seen,
    /// SMS apps of this user that run, and whether each goes through the door.
    pub(super) apps: Vec<(String, bool)>,
    pub(super) owners: Owners,
    pub(super) now: Timestamp,
}

//! What the properties show: one snapshot, replaced by the core, read by everyone.

use crate::model::{LineId, PhoneNumber, Settings, SimState, Switched};

/// The daemon's state as `State` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceState {
    /// The switch is off, and no process of ours has a socket.
    #[default]
    Off,
    /// The switch is on; not connected yet.
    Starting,
    /// An enrolment is under way.
    Enrolling,
    /// Connected: instant messages can go.
    Online,
    /// The switch is on, but something is missing; `StateReason` says what.
    Waiting,
    /// The switch is off, and the uplink not yet gone.
    Stopping,
}

impl ServiceState {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Enrolling => "enrolling",
            Self::Online => "online",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
        }
    }
}

/// A line as `Lines` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEntry {
    /// Its name in options.
    pub id: LineId,
    /// Its number, where known; shown only to callers who may send.
    pub number: Option<PhoneNumber>,
    /// SIM and registration.
    pub sim: SimState,
    /// Whether its number has an account on this phone.
    pub enrolled: bool,
    /// The modem service's object that it is in; told to doors alone.
    pub modem: Option<Box<str>>,
}

/// Everything that properties show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// The daemon's state.
    pub state: ServiceState,
    /// Why, as a token; empty when there is nothing to explain.
    pub reason: &'static str,
    /// What the confinement of our processes lacks, as tokens; empty is complete.
    pub confinement: Vec<String>,
    /// All lines.
    pub lines: Vec<LineEntry>,
    /// The switch.
    pub enabled: bool,
    /// Who turned it last.
    pub switched: Option<Switched>,
    /// The settings in force.
    pub settings: Settings,
}

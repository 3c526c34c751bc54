//! Our D-Bus objects and who may call them. Each method authorises its caller and sends one
//! [`Request`] to the core's loop; properties are read from the [`Published`] snapshot.
//!
//! The contract is `config/org.shunt.Shunt1.xml`; `tests/bus_contract` holds it against us.

pub mod access;
mod agents;
mod core;
mod details;
mod emit;
mod error;
mod export;
mod import;
mod interface;
mod options;
mod published;
mod request;
mod serve;
mod sleep;

pub use access::Caller;
pub use agents::Seat;
pub use error::Error;
use error::error_name;
pub use published::{LineEntry, Published, ServiceState};
pub use request::{
    CONTACTS_MAX, DOOR_LIST_MAX, Direction, DoorOutcome, ExportPart, Filter, IMPORT_MAX, LEDGER_PAGE, LIST_MAX,
    LedgerRow, PeerEntry, Record, Reply, Request, RouteAnswer, RouteOptions, SendOptions, Setting, Settlement,
    Standing,
};
pub use serve::{Bus, BusError, NAME};
pub use sleep::Sleep;

//! Our D-Bus objects and who may call them. Each method authorises its caller and sends one
//! [`Request`] to the core's loop; properties are read from the [`Published`] snapshot.
//!
//! The contract is `config/org.shunt.Shunt1.xml`; `tests/bus_contract` holds it against us.

pub mod access;
mod agents;
mod answer;
mod argument;
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
mod setting;
mod signal;
mod sleep;

pub use access::Caller;
pub use agents::Seat;
pub use answer::{
    Diagnosis, DoorOutcome, LedgerRow, PeerEntry, Record, Refusal, RouteAnswer, Settlement, Standing, UnverifiedEntry,
};
pub use argument::{Direction, Filter, RouteOptions, SendOptions};
pub use error::Error;
use error::error_name;
pub use published::{LineEntry, Published, ServiceState};
pub use request::{CONTACTS_MAX, ExportPart, IMPORT_MAX, INBOX_PAGE, LEDGER_PAGE, LIST_MAX, Reply, Request, SENT_MAX};
pub use serve::{Bus, BusError, NAME};
pub use setting::Setting;
pub use sleep::Sleep;

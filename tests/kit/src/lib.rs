//! The test kit: phones, an SMSC and a cloud, started in seconds on private sockets.
//!
//! It knows nothing of the `shunt` crate: PDUs, alphabets and D-Bus calls are spelled here a
//! second time, so that a mistake on one side shows.

mod accounts;
pub mod agent;
mod background;
pub mod bus;
pub mod cloud;
pub mod directory;
pub mod door;
pub mod evaluator;
pub mod gsm;
mod guardian;
pub mod log;
pub mod logind;
pub mod modem;
mod mounts;
pub mod netns;
pub mod network_manager;
pub mod ofono;
pub mod pdu;
pub mod phone;
mod polkit;
pub mod postgres;
pub mod private;
pub mod process;
pub mod proxy;
pub mod shunt;
pub mod smpp;
pub mod smsc;
pub mod table;
pub mod user_data;
pub mod world;

pub use door::Door;
pub use logind::Logind;
pub use modem::{Identity, Modem, Registration};
pub use network_manager::NetworkManager;
pub use ofono::Ofono;
pub use phone::{Phone, ShuntConfig};
pub use postgres::Postgres;
pub use shunt::Shunt;
pub use smsc::{Fault, Incoming, Smsc};

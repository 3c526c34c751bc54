//! Shunt: an ordinary text goes as an end-to-end encrypted instant message when its recipient
//! uses the service and is online right now, and as the SMS it would have been otherwise.
//!
//! The modules are layers, which use each other one way only: `tests/layers.rs` has their order, and holds the code
//! to it.

pub mod bus;
pub mod config;
pub mod core;
pub mod ctl;
#[cfg(feature = "directory")]
pub mod directory;
pub mod door;
pub mod model;
pub mod modem;
pub mod network;
pub mod router;
pub mod seal;
pub mod store;
pub mod sys;
pub mod uplink;
pub mod wall;
pub mod warden;

//! The interfaces: each method is one line over the gate and the core.

mod door;
mod ledger;
mod messaging;
mod peers;
mod service;
mod settings;

pub(super) use door::Door;
pub(super) use ledger::Ledger;
pub(super) use messaging::Messaging;
pub(super) use peers::Peers;
pub(super) use service::Service;
pub(super) use settings::Settings;

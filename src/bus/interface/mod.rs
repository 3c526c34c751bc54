//! The interfaces: each method is one line over the gate and the core.

mod agents;
mod door;
mod hello;
mod ledger;
mod messaging;
mod peers;
mod service;
mod settings;

pub(super) use agents::Agents;
pub(super) use door::Door;
pub(super) use hello::Hello;
pub(super) use ledger::Ledger;
pub(super) use messaging::Messaging;
pub(super) use peers::Peers;
pub(super) use service::Service;
pub(super) use settings::Settings;

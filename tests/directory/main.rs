//! The directory as phones and operators meet it: the real binary over HTTPS, and a real ejabberd
//! where accounts are made.

// Clippy knows functions marked `#[test]` as tests, not those that help them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod account;
mod accounts;
mod claims;
mod client;
mod contract;
mod enrol;
mod enrolment;
mod epochs;
mod evaluate;
mod forgetting;
mod fuzzed;
mod gateways;
mod instances;
mod kept;
mod limits;
mod locked;
mod phone;
mod scram;
mod second;
mod site;
mod strangers;

const BINARY: &str = env!("CARGO_BIN_EXE_shunt-directory");

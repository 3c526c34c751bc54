//! The cloud's directory: evaluates blinded numbers for enrolled devices under a budget, and enrols.
//!
//! It learns no number from a look-up (the points are blinded) and keeps none from an enrolment: per
//! account its database has a pseudonym, a token's hash, a budget, dates and a certificate.
//! Built with the feature `directory` alone; no device carries it.

mod account;
mod accounts;
mod api;
mod budget;
mod cli;
mod config;
mod database;
mod ejabberd;
mod enrol;
mod evaluate;
mod files;
mod gateway;
mod keys;
mod limits;
mod listen;
mod logger;
mod number;
mod provision;
mod seats;
mod service;
mod sessions;
mod tls;
mod unseen;

pub use accounts::{Account, Accounts, TokenHash};
pub use budget::{Bucket, CAPACITY, Overdrawn, REFILL};
pub use cli::main;
pub use config::{Config, ConfigError, Location, Server};
pub use database::{Database, DatabaseError};

//! The cloud's directory: evaluates blinded numbers for enrolled devices under a budget, and enrols.
//!
//! It learns no number from a look-up (the points are blinded) and keeps none from an enrolment: per
//! account its database has a pseudonym, a token's hash, a budget, dates and a certificate.
//! `evaluator` is the program's other role: the second of two operators, who evaluates and knows nobody.
//! Built with the feature `directory` alone; no device carries it.

mod account;
mod accounts;
mod alarm;
mod api;
mod budget;
mod claims;
mod cli;
mod config;
mod database;
mod desk;
mod ejabberd;
mod enrol;
mod evaluate;
mod evaluator;
mod files;
mod gateway;
mod keys;
mod limits;
mod listen;
mod logger;
mod number;
mod provision;
mod seats;
mod second;
mod service;
mod sessions;
mod tls;
mod unseen;

pub use accounts::{Account, Accounts, Budget, TokenHash};
pub use budget::{Bucket, CAPACITY, Overdrawn, REFILL};
pub use cli::main;
pub use config::{Config, ConfigError, Location, Server};
pub use database::{Database, DatabaseError};

//! The second operator's service: it evaluates blinded points for devices of a directory that another
//! operator runs, and does nothing else.
//!
//! It sees neither numbers nor pseudonyms nor addresses of accounts. Its database has the directory's `account`
//! table, of which it fills: in `pseudonym` the registration's id, a keyed digest that means nothing to it; in
//! `token` a hash; the budget, and dates; `certificate` is empty.
//!
//! The first operator, who registers devices and has made their secrets, could pretend to be all of them. So the
//! whole has ceilings an hour (`ceiling`), set here and not there, with an alarm: they, and not the devices' own
//! budgets, are what keeps the first from walking through a country.

mod ceiling;
mod config;
mod service;

pub(super) use config::EvaluatorConfig;
pub(super) use service::{Role, RoleError};

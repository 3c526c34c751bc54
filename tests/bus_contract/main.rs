//! `org.shunt.Shunt1` on a real dbus-daemon, with a real polkitd where rights are the matter: the
//! contract in `config/` is what is served, and nobody hears or does what he may not. The core is a stub.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod doubted;
mod hearing;
mod methods;
mod policy;
mod rights;
mod support;
mod xml;

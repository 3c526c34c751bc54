//! The real `shuntd-uplink` between a core and a real ejabberd.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod asking;
mod connecting;
mod core;
mod exchanging;
mod oracles;
mod stranger;
mod surviving;

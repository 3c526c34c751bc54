//! The apps' door: a proxy on one user's SMS apps' own connections to the system bus. Everything
//! passes through as it is, byte for byte and in order, descriptors included, but for texts: those are offered
//! to the core, and instant messages are shown as SMS.
//!
//! It decides nothing, keeps nothing on disk, and touches nobody else's connections. [`Relay`] is a
//! connection without I/O; [`serve`] drives it.

mod address;
mod desk;
mod driver;
mod gone;
mod header;
mod inbound;
mod listen;
mod outbox;
mod relay;
mod rules;
mod wire;

pub use address::{AddressError, Addresses, SYSTEM_BUS};
pub use driver::{Host, serve};
pub use gone::gone;
pub use header::Malformed;
pub use inbound::Side;
pub use listen::{ListenError, listen};
pub use outbox::Outbox;
pub use relay::Relay;

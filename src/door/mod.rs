//! The apps' door: a proxy on one user's SMS apps' own connections to the system bus. Everything
//! passes through as it is, byte for byte and in order, descriptors included.
//!
//! It decides nothing, keeps nothing on disk, and touches nobody else's connections. [`Relay`] is a
//! connection without I/O; [`serve`] drives it.

mod address;
mod driver;
mod header;
mod inbound;
mod listen;
mod outbox;
mod relay;

pub use address::{AddressError, Addresses, SYSTEM_BUS};
pub use driver::serve;
pub use header::Malformed;
pub use inbound::Side;
pub use listen::{ListenError, listen};
pub use outbox::Outbox;
pub use relay::Relay;

//! The uplink: the XMPP stream and HTTPS to the directory. It holds no message key and reads no file;
//! all that it knows came in one frame from the core.
//!
//! tokio-xmpp brings a connection to its features (SASL); from there the stream is ours (`frames`,
//! `element`, `sm`): an XML parser over the whole stream would let any stranger's stanza end it, and a
//! stream that reconnects by itself would hide why it broke.

mod directory;
mod driver;
mod element;
mod frames;
mod incoming;
mod jid;
mod login;
mod requests;
mod session;
mod sm;
mod socket;
mod stanza;
mod stream;
mod tls;
mod visit;

use crate::wall::{Channel, FromUplink, ToUplink, Violation, WallError};

/// A hostile server's bytes, read as far as they can be read without a connection: for the fuzzer.
#[cfg(fuzzing)]
pub mod fuzz;

/// The uplink's end of the wall.
pub type Wall = Channel<FromUplink, ToUplink>;

/// Why the uplink ends, other than by `Close` or the core's leave.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The wall failed.
    #[error("the wall to the core failed: {0}")]
    Wall(#[from] WallError),
    /// The core sent what is not allowed.
    #[error("the core broke the wall's rules: {0}")]
    Violation(#[from] Violation),
}

/// Says `Ready`, takes `Connect` and serves the core until it closes the wall or says `Close`.
/// `lacks` is what the confinement lacks; `settled` is called when a log-in is over, or a link.
///
/// # Errors
/// The wall is of no use any more: the process is to end.
pub async fn run(wall: Wall, lacks: &[&'static str], settled: fn()) -> Result<(), UplinkError> {
    driver::serve(wall, lacks, settled).await
}

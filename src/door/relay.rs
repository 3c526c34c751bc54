//! One connection: what each side says, and what the other is told.

use super::{
    header::Malformed,
    inbound::{Inbound, Piece, Side},
    outbox::Outbox,
};
use std::os::fd::OwnedFd;

/// Nothing is read from a side while the other has so many bytes unread: a side that stops reading
/// stops its opposite, and costs no more than this.
const FULL: usize = 128 * 1024;

/// One way through the door.
struct Lane {
    inbound: Inbound,
    out: Outbox,
}

impl Lane {
    fn from(side: Side) -> Self {
        Self { inbound: Inbound::new(side), out: Outbox::default() }
    }
}

/// A connection through the door. No I/O: the driver reads, writes and keeps the time.
pub struct Relay {
    from_app: Lane,
    from_bus: Lane,
    begun: bool,
}

impl Default for Relay {
    fn default() -> Self {
        Self { from_app: Lane::from(Side::App), from_bus: Lane::from(Side::Bus), begun: false }
    }
}

impl Relay {
    /// Takes what was read from a side.
    ///
    /// # Errors
    /// No D-Bus stream: hang up, as the bus would.
    pub fn read(&mut self, side: Side, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), Malformed> {
        let lane = match side {
            Side::App => &mut self.from_app,
            Side::Bus => &mut self.from_bus,
        };
        lane.inbound.push(bytes, fds)?;
        while let Some(piece) = lane.inbound.next(self.begun, |_| false)? {
            match piece {
                Piece::Pass(bytes, fds) | Piece::Message(bytes, fds) => lane.out.push(bytes, fds),
            }
        }
        self.begun |= self.from_app.inbound.begun();
        Ok(())
    }

    /// Whether a side is to be read now.
    #[must_use]
    pub fn reads(&self, side: Side) -> bool {
        match side {
            Side::App => self.from_app.out.len() < FULL,
            Side::Bus => self.from_bus.out.len() < FULL,
        }
    }

    /// What a side is to be told.
    pub fn outbox(&mut self, side: Side) -> &mut Outbox {
        match side {
            Side::App => &mut self.from_bus.out,
            Side::Bus => &mut self.from_app.out,
        }
    }
}

//! One connection: what each side says, what the other is told, and what the desk makes of it.

use super::{
    desk::{Action, Desk},
    header::Malformed,
    inbound::{Inbound, Piece, Side},
    outbox::Outbox,
    wire::Message,
};
use crate::model::{Instant, Now};
use std::os::fd::OwnedFd;

/// Nothing is read from a side while the other has so many bytes unread: a side that stops reading
/// stops its opposite, and costs no more than this.
const FULL: usize = 128 * 1024;

/// One way through the door.
struct Lane {
    inbound: Inbound,
    out: Outbox,
    /// Messages of the desk's, until the one that is passing ends.
    queued: Vec<Vec<u8>>,
}

impl Lane {
    fn from(side: Side) -> Self {
        Self { inbound: Inbound::new(side), out: Outbox::default(), queued: Vec::new() }
    }

    fn tell(&mut self, message: Vec<u8>) {
        self.queued.push(message);
        self.flush();
    }

    fn flush(&mut self) {
        if self.inbound.between() {
            for message in self.queued.drain(..) {
                self.out.push(&message, Vec::new());
            }
        }
    }
}

/// A connection through the door. No I/O: the driver reads, writes and keeps the time.
pub struct Relay {
    from_app: Lane,
    from_bus: Lane,
    desk: Desk,
}

impl Relay {
    /// A new connection. Its name is random and its own: tokens of diverted texts begin with it.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self { from_app: Lane::from(Side::App), from_bus: Lane::from(Side::Bus), desk: Desk::new(name) }
    }

    /// Takes what was read from a side.
    ///
    /// # Errors
    /// No D-Bus stream: hang up, as the bus would.
    pub fn read(&mut self, side: Side, bytes: &[u8], fds: Vec<OwnedFd>, now: Now) -> Result<(), Malformed> {
        let lane = match side {
            Side::App => &mut self.from_app,
            Side::Bus => &mut self.from_bus,
        };
        lane.inbound.push(bytes, fds)?;
        self.work(side, now)
    }

    /// Some time has passed.
    ///
    /// # Errors
    /// As [`Self::read`]: what waited may be read on.
    pub fn elapsed(&mut self, now: Now) -> Result<(), Malformed> {
        self.desk.elapsed(now);
        self.act();
        self.work(Side::App, now)
    }

    /// The app hung up: nobody waits for what it said last, and it still arrives.
    pub fn app_left(&mut self) {
        self.desk.app_left();
        self.act();
    }

    /// When [`Self::elapsed`] is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.desk.deadline()
    }

    fn work(&mut self, side: Side, now: Now) -> Result<(), Malformed> {
        let waited = self.desk.waits();
        while self.piece(side, now)? {}
        // What the app's messages waited for may have come.
        if side == Side::Bus && waited && !self.desk.waits() {
            while self.piece(Side::App, now)? {}
        }
        Ok(())
    }

    /// One piece of what a side said; whether there was one.
    fn piece(&mut self, side: Side, now: Now) -> Result<bool, Malformed> {
        let begun = self.from_app.inbound.begun();
        let (lane, other) = match side {
            Side::App => (&mut self.from_app, &mut self.from_bus),
            Side::Bus => (&mut self.from_bus, &mut self.from_app),
        };
        let Some(piece) = lane.inbound.next(begun, |head, length| self.desk.look(side, head, length, now))? else {
            // The desk may have begun to ask what a message is to wait for.
            self.act();
            return Ok(false);
        };
        match piece {
            Piece::Pass(bytes, fds) => lane.out.push(bytes, fds),
            Piece::Message(bytes, fds) => {
                if let Some(message) = Message::read(bytes) {
                    self.desk.show(side, &message, now);
                }
                let mut fds = Some(fds);
                for action in self.desk.actions() {
                    match (action, side) {
                        (Action::Pass, _) => lane.out.push(bytes, fds.take().unwrap_or_default()),
                        (Action::ToBus(message), Side::App) | (Action::ToApp(message), Side::Bus) => {
                            lane.out.push(&message, Vec::new());
                        }
                        (Action::ToBus(message) | Action::ToApp(message), _) => other.tell(message),
                    }
                }
            }
        }
        self.act();
        Ok(true)
    }

    /// Does what the desk wants while no message is shown to it, and what had to wait for a message's end.
    fn act(&mut self) {
        self.from_app.flush();
        self.from_bus.flush();
        for action in self.desk.actions() {
            match action {
                Action::Pass => {}
                Action::ToApp(message) => self.from_bus.tell(message),
                Action::ToBus(message) => self.from_app.tell(message),
            }
        }
    }

    /// Whether a side is to be read now.
    #[must_use]
    pub fn reads(&self, side: Side) -> bool {
        match side {
            Side::App => self.from_app.out.len() < FULL && !self.desk.waits(),
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

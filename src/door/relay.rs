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
    /// Something was read that waits until less is to be written.
    stalled: bool,
}

impl Lane {
    fn from(side: Side) -> Self {
        Self { inbound: Inbound::new(side), out: Outbox::default(), queued: Vec::new(), stalled: false }
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
    /// The app takes nothing more.
    deaf: bool,
}

impl Relay {
    /// A new connection. Its name is random and its own: tokens of diverted texts begin with it.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self { from_app: Lane::from(Side::App), from_bus: Lane::from(Side::Bus), desk: Desk::new(name), deaf: false }
    }

    /// Takes what was read from a side.
    ///
    /// # Errors
    /// No D-Bus stream: hang up, as the bus would.
    pub fn read(&mut self, side: Side, bytes: &[u8], fds: Vec<OwnedFd>, now: Now) -> Result<(), Malformed> {
        self.lane(side).inbound.push(bytes, fds)?;
        self.work(side, now)
    }

    fn lane(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::App => &mut self.from_app,
            Side::Bus => &mut self.from_bus,
        }
    }

    /// Some time has passed. `app_read`: the app's end of the socket has read all that was written to it.
    ///
    /// # Errors
    /// As [`Self::read`]: what waited may be read on.
    pub fn elapsed(&mut self, now: Now, app_read: bool) -> Result<(), Malformed> {
        self.desk.elapsed(now, app_read && self.from_bus.out.is_empty());
        self.act();
        self.work(Side::App, now)
    }

    /// Something was written: what waited for room goes on.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn wrote(&mut self, now: Now) -> Result<(), Malformed> {
        for side in [Side::App, Side::Bus] {
            if self.lane(side).stalled {
                self.work(side, now)?;
            }
        }
        Ok(())
    }

    /// The app takes nothing more: what it is told from now on nobody hears. What it said still counts.
    pub fn app_deaf(&mut self) {
        self.deaf = true;
        self.hush();
    }

    /// The app hung up, and has said all: nobody waits for the answers, and what it said still arrives. `app_read`: it
    /// had read all that was written to it.
    pub fn app_left(&mut self, app_read: bool) {
        if app_read && self.from_bus.out.is_empty() && !self.deaf {
            self.desk.app_left();
            self.act();
        }
        self.app_deaf();
    }

    /// Whether the bus was told all that an app had to say that has left, and has answered for its texts.
    #[must_use]
    pub fn done(&self) -> bool {
        self.from_app.out.is_empty() && !self.from_app.stalled && !self.desk.owes()
    }

    fn hush(&mut self) {
        if self.deaf {
            self.from_bus.out = Outbox::default();
            self.from_bus.queued.clear();
        }
    }

    /// When [`Self::elapsed`] is to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.desk.deadline()
    }

    fn work(&mut self, side: Side, now: Now) -> Result<(), Malformed> {
        let waited = self.desk.waits();
        self.pieces(side, now)?;
        // What the app's messages waited for may have come.
        if side == Side::Bus && waited && !self.desk.waits() {
            self.pieces(Side::App, now)?;
        }
        self.hush();
        Ok(())
    }

    /// Takes what a side said piece by piece, while there is room for what becomes of it.
    fn pieces(&mut self, side: Side, now: Now) -> Result<(), Malformed> {
        while self.lane(side).out.len() < FULL {
            if !self.piece(side, now)? {
                self.lane(side).stalled = false;
                return Ok(());
            }
        }
        self.lane(side).stalled = true;
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
            Piece::Message(bytes) => {
                if let Some(message) = Message::read(bytes) {
                    self.desk.show(side, &message, now);
                }
                for action in self.desk.actions() {
                    match (action, side) {
                        (Action::Pass, _) => lane.out.push(bytes, Vec::new()),
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
            Side::App => !self.from_app.stalled && self.from_app.out.len() < FULL && !self.desk.waits(),
            Side::Bus => !self.from_bus.stalled && self.from_bus.out.len() < FULL,
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

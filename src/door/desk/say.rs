//! What the desk itself says: calls on the app's connection, signals and answers in a service's name.

use super::{Action, Desk, Purpose, names::*};
use crate::door::{
    header::{Head, Kind},
    rules::{Arg, Signal},
    wire::write,
};
use serde::Serialize;
use zbus::Type;

/// The door's own serials towards the bus begin here: the app never gets so far.
pub(super) const FIRST_SERIAL: u32 = 0xFFFF_0000;

/// Whether a serial is the desk's own.
pub(super) fn is_own(serial: u32) -> bool {
    serial >= FIRST_SERIAL
}

impl Desk {
    pub(super) fn next_serial(&mut self) -> u32 {
        loop {
            self.serial = self.serial.checked_add(1).unwrap_or(FIRST_SERIAL);
            if !self.calls.contains_key(&self.serial) {
                return self.serial;
            }
        }
    }

    /// Makes a call of the desk's own.
    pub(super) fn call<B: Serialize + Type>(
        &mut self,
        purpose: Purpose,
        (destination, path, interface, member): (&str, &str, &str, &str),
        body: &B,
    ) {
        let serial = self.next_serial();
        let no_reply = matches!(purpose, Purpose::Forget);
        let head = Head { serial, no_reply, destination, path, interface, member, ..Head::blank(Kind::Call) };
        if let Some(bytes) = write(&head, body) {
            self.out.push(Action::ToBus(bytes));
            if !no_reply {
                self.calls.insert(serial, purpose);
            }
        }
    }

    pub(super) fn call_core<B: Serialize + Type>(&mut self, purpose: Purpose, member: &str, body: &B) {
        self.call(purpose, (CORE, CORE_PATH, CORE_DOOR, member), body);
    }

    pub(super) fn call_mm<B: Serialize + Type>(
        &mut self,
        purpose: Purpose,
        (path, interface, member): (&str, &str, &str),
        body: &B,
    ) {
        if let Some(mm) = self.mm.clone() {
            self.call(purpose, (&mm, path, interface, member), body);
        }
    }

    /// Tells the app a signal of a modem service, if it asked for such.
    pub(super) fn signal<B: Serialize + Type>(
        &mut self,
        (owner, known_as): (&str, &str),
        (path, interface, member): (&str, &str, &str),
        args: &[Arg<'_>],
        body: &B,
    ) {
        if !self.rules.want(&Signal { sender: owner, known_as, path, interface, member, args }) {
            return;
        }
        let serial = self.next_serial();
        let head = Head { serial, sender: owner, path, interface, member, ..Head::blank(Kind::Signal) };
        self.out.extend(write(&head, body).map(Action::ToApp));
    }

    /// Tells the app a signal of ModemManager's.
    pub(super) fn mm_signal<B: Serialize + Type>(&mut self, member: (&str, &str, &str), args: &[Arg<'_>], body: &B) {
        if let Some(mm) = self.mm.clone() {
            self.signal((&mm, MM), member, args, body);
        }
    }

    /// An answer in the place of one that a service gave.
    pub(super) fn answer<B: Serialize + Type>(&mut self, given: &Head<'_>, error: &str, body: &B) -> Option<()> {
        let kind = if error.is_empty() { Kind::Return } else { Kind::Error };
        let serial = self.next_serial();
        let &Head { reply_serial, sender, destination, .. } = given;
        let head = Head { serial, reply_serial, sender, destination, error, ..Head::blank(kind) };
        self.out.push(Action::ToApp(write(&head, body)?));
        Some(())
    }
}

//! Before sleep and after it (protocol.md §3): the leases end in time, and none is granted again before
//! the link is known to have outlived the sleep.

use super::Core;
use super::turn::{Effect, Turn};
use crate::router::{RestInput, RestStep};
use crate::seal::Payload;
use crate::store::StoreError;
use crate::wall::ToUplink;

impl Core {
    /// The system will sleep, or woke.
    pub(super) fn sleep_told(&mut self, turn: &mut Turn<'_, '_>, sleeps: bool) -> Result<(), StoreError> {
        let linked = self.wall_open && self.link_up;
        log::info!("the system {}", if sleeps { "is about to sleep" } else { "is awake" });
        self.rest_event(turn, if sleeps { RestInput::Sleeps { linked } } else { RestInput::Wakes { linked } })
    }

    /// Takes leave of those who believe that we are online.
    pub(super) fn end_leases(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        for peer in self.granting.close_all() {
            self.directed_presence(turn, &peer, false);
            self.post(turn, &peer, Payload::Bye)?;
        }
        Ok(())
    }

    pub(super) fn rest_event(&mut self, turn: &mut Turn<'_, '_>, input: RestInput) -> Result<(), StoreError> {
        match self.rest.handle(turn.now.mono, input) {
            Some(RestStep::Leave) => {
                self.end_leases(turn)?;
                // Its answer says that the server has all that went before.
                self.rest_ping = self.request(turn, |request| ToUplink::Ping { request });
            }
            Some(RestStep::Check) => self.rest_ping = self.request(turn, |request| ToUplink::Ping { request }),
            Some(RestStep::LetSleep) => turn.effect(Effect::LetSleep),
            None => {}
        }
        Ok(())
    }
}

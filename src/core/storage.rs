//! The store's part in the loop: what lasts, what happens when it fails, and when it can be used again.

use super::driver::Daemon;
use super::event::Event;
use super::turn::{Effect, ModemJob};
use crate::bus::{Reply, Request};
use crate::model::{Bearer, Instant};
use crate::modem::Modem;
use crate::store::{Store, StoreError, Unusable};
use crate::sys::{now, warden};
use std::time::Duration;

/// How often an unusable store is looked at again, at the most, while there is something to do.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// What is over its retention goes this often.
const PURGE_EVERY: Duration = Duration::from_secs(24 * 3600);

impl<M: Modem + 'static> Daemon<M> {
    /// Whether what a turn wrote outlasts this process.
    pub(super) fn lasting(&self) -> Result<(), crate::bus::Error> {
        match self.core.degraded.filter(|_| !self.off_lasts) {
            Some(token) => Err(crate::bus::Error::Store(token)),
            None => Ok(()),
        }
    }

    /// The mark goes before the store is told Off, and stands before it is told On. What can't be switched is answered.
    pub(super) fn mark_switch(&mut self, request: Request) -> Option<Request> {
        match request {
            Request::SetEnabled { on: true, consent, property, caller, reply } if self.core.degraded.is_none() => {
                match self.mark.set() {
                    Ok(()) => Some(Request::SetEnabled { on: true, consent, property, caller, reply }),
                    Err(error) => {
                        log::error!("the switch can't be turned on: {error}");
                        let token = Unusable::from_io(error).token();
                        // A caller that left needs no answer.
                        let _left = reply.send(Err(crate::bus::Error::Store(token)));
                        None
                    }
                }
            }
            request @ Request::SetEnabled { on: false, .. } => {
                match self.mark.take() {
                    Ok(()) => self.off_lasts = true,
                    Err(error) => log::error!("Off is told to the store alone: {error}"),
                }
                Some(request)
            }
            request => Some(request),
        }
    }

    /// What was wiped leaves the disk too; then the caller is told.
    pub(super) fn compact(&mut self, reply: Option<Reply<()>>) {
        let compacted = self.store.compact().map_err(|error| {
            log::error!("what was withdrawn is deleted, but may still stand in free pages of the disk: {error}");
            crate::bus::Error::Store("the files could not be written anew: free some disk space and withdraw again")
        });
        if let Some(reply) = reply {
            // A caller that left needs no answer.
            let _left = reply.send(compacted);
        }
    }

    /// The turn could not be committed: nothing of it may go by IM, and from now on SMS passes from
    /// memory (protocol.md §7).
    pub(super) fn degrade(&mut self, error: StoreError, effects: Vec<Effect>) {
        log::error!("{error}; from now on texts go by SMS only");
        self.core.degraded = Some(error.token());
        self.core.enabled = false;
        self.reopen = self.own.take().filter(|_| Unusable::from(error).may_pass());
        match Store::volatile() {
            Ok(mut store) => {
                // The SMS of the turn that failed is shown nevertheless: apps may ask for it.
                let unkept = &self.core.unkept;
                let kept = store.transaction(|tx| unkept.iter().try_for_each(|(_, sms)| tx.put_arrived(sms)));
                if let Err(error) = kept {
                    log::error!("{error}");
                }
                self.store = store;
            }
            Err(error) => {
                // Without memory for an empty database there is no going on; init starts us anew.
                log::error!("not even a store in memory can be had: {error}");
                std::process::exit(75);
            }
        }
        let mut unstarted = false;
        for effect in effects {
            match effect {
                Effect::Frame(_) => {}
                Effect::StartUplink => unstarted = true,
                // Its sender has no receipt: it comes once more, by SMS.
                Effect::Received(arrived) if arrived.bearer == Bearer::Im => {}
                // What is nowhere else must stay with the modem.
                Effect::Modem(ModemJob::Delete { .. }) => {}
                // It is on the disk still.
                Effect::Deleted(_) | Effect::ReportDeleted(_) => {}
                effect => self.perform(effect),
            }
        }
        self.turn(Event::Degraded);
        if unstarted {
            let never = std::io::Error::other("the store can't be used");
            self.turn(Event::Warden(warden::Event::StartFailed(never)));
        }
    }

    pub(super) fn store_is_back(&mut self) -> bool {
        let now = now().mono;
        if self.reopen.is_none() || self.core.router.unsettled() > 0 || now.since(self.looked) < LOOK_AGAIN {
            return false;
        }
        self.looked = now;
        let Some(Ok(back)) = self.reopen.as_ref().map(|reopen| reopen()) else { return false };
        let Some(mut back) = back else { return true };
        // What became of texts meanwhile: else the next start would send again what went out from memory.
        match back.take_over(&mut self.store, &self.core.unkept) {
            Ok(()) => true,
            Err(error) => {
                log::warn!("the store opens again, and takes nothing: {error}");
                false
            }
        }
    }

    /// At start and then daily, in a turn that happens anyway.
    pub(super) fn purge(&mut self, now: Instant) {
        if self.purged.is_some_and(|at| now.since(at) < PURGE_EVERY) {
            return;
        }
        match self.store.purge(crate::sys::now().wall) {
            Ok(crate::store::Purged::Done) => {
                // At start the store has drawn one.
                if self.purged.replace(now).is_some()
                    && let Err(error) = self.store.rotate_generation()
                {
                    log::warn!("older copies of the store are still good: {error}");
                }
            }
            Ok(crate::store::Purged::More) => {}
            Err(error) => {
                log::warn!("what is over its time could not be deleted: {error}");
                self.purged = Some(now);
            }
        }
    }
}

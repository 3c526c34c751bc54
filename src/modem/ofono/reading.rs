//! Whether a modem that shows no SIM has looked. oFono shows `Present` = false from a modem's coming until its driver
//! has found a SIM, and signals nothing when it finds none (`ofono_sim_inserted_notify`, 1.31): only time tells.

use crate::{model::SlotId, modem::ModemEvent};
use std::time::Duration;
use tokio::{sync::mpsc::UnboundedSender, task::JoinHandle};

/// How long a modem may take to read its SIM. Generous: an account that wrongly counts as without SIM has to prove its
/// number anew, by an SMS, and while this runs no lease is granted either.
pub(super) const READING: Duration = Duration::from_secs(30);

/// Says that a modem has no SIM if it is held for so long.
pub(super) struct Reading(JoinHandle<()>);

impl Reading {
    pub(super) fn start(events: UnboundedSender<ModemEvent>, slot: SlotId, limit: Duration) -> Self {
        Self(tokio::task::spawn_local(async move {
            tokio::time::sleep(limit).await;
            // Nobody listens any more: the core is going.
            let _unheard = events.send(ModemEvent::NoSim { slot, sure: true });
        }))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{sync::mpsc, task::LocalSet};

    fn slot() -> SlotId {
        SlotId("a".into())
    }

    #[tokio::test]
    async fn a_modem_that_showed_no_sim_for_so_long_has_none() {
        let (events, mut told) = mpsc::unbounded_channel();
        let held = async { Reading::start(events, slot(), Duration::from_millis(1)) };
        let set = LocalSet::new();
        let _reading = set.run_until(held).await;
        assert_eq!(set.run_until(told.recv()).await, Some(ModemEvent::NoSim { slot: slot(), sure: true }));
    }

    #[tokio::test]
    async fn one_that_showed_a_sim_or_went_away_meanwhile_says_nothing() {
        let (events, mut told) = mpsc::unbounded_channel();
        let ended = async {
            drop(Reading::start(events, slot(), READING));
            told.recv().await
        };
        assert_eq!(LocalSet::new().run_until(ended).await, None, "and its clock is stopped");
    }
}

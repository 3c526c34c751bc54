//! What the daemon knows of its own health.

use super::Core;
use crate::bus::Diagnosis;
use crate::config::trusted_until;
use crate::model::Timestamp;

impl Core {
    pub(super) fn diagnosis(&self) -> Diagnosis {
        let account = self.account.as_ref();
        let ca = self.roots.ca.as_ref().or(account.map(|account| &account.ca));
        let second = self.roots.second.as_ref().map(|second| &second.ca);
        let pinned = self.config.cloud.iter().flat_map(|cloud| cloud.epochs.iter().map(|pin| pin.epoch));
        let imported = account.into_iter().flat_map(|account| account.keys.epochs.iter().map(|key| key.epoch));
        let mut epochs: Vec<char> = pinned.chain(imported).collect();
        epochs.sort_unstable();
        epochs.dedup();
        Diagnosis {
            store: self.degraded,
            certificate: account.map(|account| account.certificate.expires),
            ca: [ca, second].into_iter().flatten().map(|pem| trusted_until(pem).unwrap_or(Timestamp(0))).min(),
            epochs: epochs.into_iter().collect(),
            epoch: account.map(|account| account.certificate.epoch()),
        }
    }
}

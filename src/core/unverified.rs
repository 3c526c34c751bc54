//! Who was refused: senders who did not prove their number, each shown by its pseudonym alone, never by what it claimed.
//!
//! In memory alone: no text is lost with it, and no stranger has this phone write to its disk.

use super::Core;
use super::turn::Turn;
use crate::bus::{Refusal, UnverifiedEntry};
use crate::model::Timestamp;
use crate::seal::{BundleError, CertificateError, OpenError, ProofError, PseudonymError};
use std::collections::HashMap;
use std::time::Duration;

/// Pseudonyms that are remembered, and for how long after they were refused last. Of more the oldest goes.
const REMEMBERED: usize = 64;
const FOR: Duration = Duration::from_secs(30 * 86_400);

/// Those who were refused lately and have not proven a number since.
#[derive(Default)]
pub(super) struct Unverified(HashMap<String, UnverifiedEntry>);

impl Unverified {
    fn refused(&mut self, now: Timestamp, pseudonym: &str, reason: Refusal) {
        self.0.retain(|_, entry| entry.at.plus(FOR) > now);
        if self.0.len() >= REMEMBERED && !self.0.contains_key(pseudonym) {
            let oldest = self.0.values().min_by_key(|entry| entry.at).map(|entry| entry.pseudonym.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let entry = self.0.entry(pseudonym.to_owned()).or_insert_with(|| UnverifiedEntry {
            pseudonym: pseudonym.to_owned(),
            reason,
            times: 0,
            at: now,
        });
        (entry.reason, entry.times, entry.at) = (reason, entry.times.saturating_add(1), now);
    }

    pub(super) fn proven(&mut self, pseudonym: &str) {
        self.0.remove(pseudonym);
    }

    /// They, the latest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<UnverifiedEntry> {
        let mut list: Vec<_> = self.0.values().filter(|entry| entry.at.plus(FOR) > now).cloned().collect();
        list.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.pseudonym.cmp(&b.pseudonym)));
        list
    }
}

impl Core {
    /// What somebody said, or published as its keys, is not believed.
    pub(super) fn refused(&mut self, turn: &Turn<'_, '_>, pseudonym: &str, reason: impl Into<Refusal>) {
        self.unverified.refused(turn.now.wall, pseudonym, reason.into());
    }
}

impl From<CertificateError> for Refusal {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Codec(_)
            | CertificateError::Names
            | CertificateError::Epoch
            | CertificateError::Signature
            | CertificateError::Lifetime => Self::ForeignCertificate,
            CertificateError::Future => Self::FutureCertificate,
            CertificateError::Expired => Self::ExpiredCertificate,
            CertificateError::Superseded => Self::OlderCertificate,
            CertificateError::ClockUnset => Self::NotChecked,
        }
    }
}

impl From<ProofError> for Refusal {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Certificate(error) => error.into(),
            ProofError::OtherAddress => Self::OtherAddress,
            ProofError::OtherIdentity => Self::OtherKey,
            ProofError::Transcript(PseudonymError::Memory) => Self::NotChecked,
            ProofError::Transcript(_) => Self::ForeignProof,
            ProofError::OtherNumber => Self::OtherNumber,
        }
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Envelope(_) | OpenError::Letter(_) | OpenError::Undecryptable => Self::Unreadable,
            OpenError::IdentityChanged => Self::OtherKey,
            OpenError::OtherSender => Self::OtherSender,
            OpenError::OtherRecipient => Self::OtherRecipient,
        }
    }
}

impl From<BundleError> for Refusal {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Certificate(error) => error.into(),
            BundleError::OtherAddress => Self::OtherAddress,
            BundleError::OtherIdentity => Self::OtherKey,
            BundleError::TooOld | BundleError::Replayed => Self::OldBundle,
            BundleError::Codec(_)
            | BundleError::Key
            | BundleError::Signature
            | BundleError::Future
            | BundleError::Suite
            | BundleError::NoFallback => Self::ForeignBundle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn each_who_was_refused_is_told_once_with_the_last_reason_until_it_proves_itself() {
        let mut unverified = Unverified::default();
        unverified.refused(NOW, "a", Refusal::NoProof);
        unverified.refused(NOW.plus(FOR / 2), "b", Refusal::Unreadable);
        unverified.refused(NOW.plus(FOR / 2), "a", Refusal::OtherNumber);
        let told = |unverified: &Unverified, now| -> Vec<_> {
            unverified.list(now).into_iter().map(|entry| (entry.pseudonym, entry.reason, entry.times)).collect()
        };
        let (a, b) = (("a".into(), Refusal::OtherNumber, 2), ("b".into(), Refusal::Unreadable, 1));
        assert_eq!(told(&unverified, NOW.plus(FOR)), [a, b.clone()], "the latest first");
        unverified.proven("a");
        assert_eq!(told(&unverified, NOW.plus(FOR)), [b]);
        assert_eq!(told(&unverified, NOW.plus(FOR / 2 + FOR)), [], "after thirty days");
    }

    #[test]
    fn a_flood_of_strangers_costs_no_more_than_the_oldest() {
        let mut unverified = Unverified::default();
        for n in 0..1_000_u32 {
            let now = Timestamp(NOW.0 + i64::from(n));
            unverified.refused(now, &n.to_string(), Refusal::NoProof);
            unverified.refused(now, "the same", Refusal::NoProof);
        }
        let told = unverified.list(NOW.plus(FOR / 2));
        assert_eq!((told.len(), told[0].pseudonym.as_str(), told[0].times), (REMEMBERED, "999", 1));
        let same = told.iter().find(|entry| entry.pseudonym == "the same").unwrap();
        assert_eq!(same.times, 1_000);
    }
}

//! The directory's public keys, and the second evaluator's where there is one, pinned for each epoch.

/// What vouches for the pseudonyms of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochKey {
    /// The epoch's letter, a to z: the first character of its pseudonyms.
    pub epoch: char,
    /// VOPRF public key (RFC 9497, ristretto255-SHA512): proves evaluations.
    pub voprf: [u8; 32],
    /// The second operator's VOPRF public key, where the epoch has two evaluators.
    pub second: Option<[u8; 32]>,
    /// Ed25519 public key: signs certificates.
    pub certificate: [u8; 32],
    /// X25519 public key: enrolments are sealed to it (RFC 9180).
    pub enrolment: [u8; 32],
}

impl EpochKey {
    /// The evaluators' keys, in the order in which their outputs are joined.
    pub fn evaluators(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.voprf).chain(&self.second)
    }
}

/// The pinned epochs. An unknown epoch is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectoryKeys {
    /// At most one entry an epoch; the last is the one new numbers are evaluated under.
    pub epochs: Vec<EpochKey>,
}

impl DirectoryKeys {
    /// The keys of an epoch.
    #[must_use]
    pub fn epoch(&self, epoch: char) -> Option<&EpochKey> {
        self.epochs.iter().find(|key| key.epoch == epoch)
    }

    /// The epoch that new numbers are evaluated under.
    #[must_use]
    pub fn current(&self) -> Option<&EpochKey> {
        self.epochs.last()
    }
}

//! The directory's public keys, and the second evaluator's where there is one, pinned for each epoch.

/// An epoch's evaluators: two operators at most.
pub const EVALUATORS_MAX: usize = 2;

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
    /// At most one entry an epoch; the last is the current one.
    pub epochs: Vec<EpochKey>,
}

impl DirectoryKeys {
    /// The keys of an epoch.
    #[must_use]
    pub fn epoch(&self, epoch: char) -> Option<&EpochKey> {
        self.epochs.iter().find(|key| key.epoch == epoch)
    }

    /// These, for an account in the epoch `own`, where an integrator pins others: those count, in their order, and
    /// `own` beside them, as the oldest, for as long as the account is in it.
    #[must_use]
    pub fn pinned(self, pins: &Self, own: char) -> Self {
        if pins.epochs.is_empty() {
            return self;
        }
        let own = self.epoch(own).filter(|key| pins.epoch(key.epoch).is_none());
        Self { epochs: own.into_iter().chain(&pins.epochs).copied().collect() }
    }

    /// The epoch that accounts are made in; the others are those before it.
    #[must_use]
    pub fn current(&self) -> Option<&EpochKey> {
        self.epochs.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of these epochs; `made` tells one maker's from another's.
    fn keys(epochs: &str, made: u8) -> DirectoryKeys {
        let key =
            |epoch| EpochKey { epoch, voprf: [made; 32], second: None, certificate: [made; 32], enrolment: [made; 32] };
        DirectoryKeys { epochs: epochs.chars().map(key).collect() }
    }

    #[test]
    fn an_integrators_pins_count_and_the_accounts_own_epoch_beside_them() {
        let of = |file: &str, pins: &str, own| {
            let joined = keys(file, 1).pinned(&keys(pins, 2), own);
            joined.epochs.iter().map(|key| (key.epoch, key.voprf[0])).collect::<Vec<_>>()
        };
        assert_eq!(of("a", "", 'a'), [('a', 1)], "nothing is pinned");
        assert_eq!(of("a", "ab", 'a'), [('a', 2), ('b', 2)], "a new epoch, and the pinned key of the old one");
        assert_eq!(of("a", "b", 'a'), [('a', 1), ('b', 2)], "the old one is pinned no more");
        assert_eq!(of("ab", "bc", 'b'), [('b', 2), ('c', 2)], "what is no more needed goes");
        assert_eq!(keys("a", 1).pinned(&keys("ab", 2), 'a').current().map(|key| key.epoch), Some('b'));
    }
}

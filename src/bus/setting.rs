//! One setting and its new value.

use crate::model::{FallbackPolicy, PresencePolicy, Settings};

/// One setting and its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Seconds, in [`Settings::FALLBACK_AFTER`].
    FallbackAfter(u32),
    /// What happens then.
    FallbackPolicy(FallbackPolicy),
    /// IM while roaming.
    AllowRoaming(bool),
    /// IM over a metered connection.
    AllowMetered(bool),
    /// Who learns that this phone is online.
    PresencePolicy(PresencePolicy),
    /// Whether peers learn that a text was read.
    ReadReceipts(bool),
}

impl Setting {
    /// The property's name.
    #[must_use]
    pub fn property(self) -> &'static str {
        match self {
            Self::FallbackAfter(_) => "FallbackAfter",
            Self::FallbackPolicy(_) => "FallbackPolicy",
            Self::AllowRoaming(_) => "AllowRoaming",
            Self::AllowMetered(_) => "AllowMetered",
            Self::PresencePolicy(_) => "PresencePolicy",
            Self::ReadReceipts(_) => "ReadReceipts",
        }
    }

    /// The settings with this one changed.
    #[must_use]
    pub fn applied(self, mut to: Settings) -> Settings {
        match self {
            Self::FallbackAfter(seconds) => to.fallback_after = seconds,
            Self::FallbackPolicy(policy) => to.fallback_policy = policy,
            Self::AllowRoaming(yes) => to.allow_roaming = yes,
            Self::AllowMetered(yes) => to.allow_metered = yes,
            Self::PresencePolicy(policy) => to.presence_policy = policy,
            Self::ReadReceipts(yes) => to.read_receipts = yes,
        }
        to
    }
}

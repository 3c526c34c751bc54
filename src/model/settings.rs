//! The user's settings, the switch apart: it has a life and a proof of its own.

use super::Timestamp;
use super::text::tokens;
use std::ops::RangeInclusive;

tokens! {
    /// What becomes of a text whose instant message got no receipt in time.
    FallbackPolicy {
        /// It goes by SMS.
        Always = 0 "always",
        /// It goes by SMS, except abroad: there the user is asked.
        NotRoaming = 1 "not-roaming",
        /// The user is asked.
        Ask = 2 "ask",
        /// It never goes by SMS.
        Never = 3 "never",
    }
}

tokens! {
    /// Who learns that this phone is online (protocol.md §3).
    PresencePolicy {
        /// Anyone who proves a number; rate-limited, blockable.
        Anyone = 0 "anyone",
        /// Numbers that the user wrote to, or that are contacts.
        Mutual = 1 "mutual",
        /// Nobody: every text arrives as SMS.
        Nobody = 2 "nobody",
    }
}

/// The settings that testers and users write over D-Bus. The defaults are also the config's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Seconds without a receipt before fallback begins; in [`Self::FALLBACK_AFTER`].
    pub fallback_after: u32,
    /// What happens then.
    pub fallback_policy: FallbackPolicy,
    /// Whether instant messages may be used while roaming.
    pub allow_roaming: bool,
    /// Whether they may be used over a metered connection.
    pub allow_metered: bool,
    /// Who learns that this phone is online.
    pub presence_policy: PresencePolicy,
    /// Whether peers learn that a text was read.
    pub read_receipts: bool,
}

impl Settings {
    /// Seconds that `fallback_after` may take: below, a slow network would double every text; above,
    /// the lease is over before the text is.
    pub const FALLBACK_AFTER: RangeInclusive<u32> = 3..=120;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fallback_after: 10,
            fallback_policy: FallbackPolicy::Always,
            allow_roaming: false,
            allow_metered: true,
            presence_policy: PresencePolicy::Anyone,
            read_receipts: false,
        }
    }
}

/// What the user agreed to when the switch was turned on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Id and version of the text shown, as the ROM names it; at most 64 bytes.
    pub text: Box<str>,
    /// The locale it was shown in; at most 32 bytes.
    pub locale: Box<str>,
}

/// Who turned the switch last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// When.
    pub at: Timestamp,
    /// By which uid.
    pub uid: u32,
    /// From which unit (last part of the cgroup's path); empty where unknown.
    pub unit: Box<str>,
    /// The consent recorded with it; a bare property write records none.
    pub consent: Option<Consent>,
}

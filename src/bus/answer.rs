//! What the core answers.

use crate::model::{Arrived, Bearer, PeerPolicy, PhoneNumber, Reason, Segments, Text, TextId, Timestamp};

/// What the daemon knows of its own health, beside the properties.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// Why the store cannot be used.
    pub store: Option<&'static str>,
    /// When the account's certificate ends.
    pub certificate: Option<Timestamp>,
    /// When the cloud is trusted no longer, by the CAs' ends; 1970 if one can't be read.
    pub ca: Option<Timestamp>,
    /// The first characters of the epochs whose keys are known.
    pub epochs: String,
    /// The account's epoch.
    pub epoch: Option<char>,
}

/// How a diverted text was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Where it went.
    pub outcome: DoorOutcome,
    /// Why.
    pub reason: Reason,
    /// Its record, unless it was let go of.
    pub id: Option<TextId>,
}

impl Settlement {
    /// Let go of.
    #[must_use]
    pub fn theirs(reason: Reason) -> Self {
        Self { outcome: DoorOutcome::Sms, reason, id: None }
    }
}

/// Where a diverted text went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorOutcome {
    /// Shown at the peer, by IM.
    Im,
    /// Nowhere: provably nothing of it left, and the caller sends its SMS.
    Sms,
    /// By an SMS of ours.
    SmsSent,
}

impl DoorOutcome {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Im => "im",
            Self::Sms => "sms",
            Self::SmsSent => "sms-sent",
        }
    }
}

/// `Route`'s answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAnswer {
    /// Which way.
    pub bearer: Bearer,
    /// Why.
    pub reason: Reason,
    /// The text's size as SMS, where one was given.
    pub segments: Option<Segments>,
    /// Whether the twin mark would cost a further segment.
    pub mark_segment: bool,
    /// When the live lease ends.
    pub lease_ends: Option<Timestamp>,
    /// Whether the user verified the peer's safety number.
    pub verified: bool,
    /// Each rule passed and what it said, where `explain` was asked.
    pub rules: Vec<(&'static str, &'static str)>,
}

/// A text's record as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// One that we send.
    Outgoing(Box<Text>),
    /// One that came.
    Incoming(Box<Arrived>),
}

/// A peer as `Peers.List` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// Its number.
    pub number: PhoneNumber,
    /// The user's policy.
    pub policy: PeerPolicy,
    /// How well it is known.
    pub standing: Standing,
}

/// How well a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No key seen.
    Unknown,
    /// Its first key is pinned.
    Pinned,
    /// The user compared safety numbers.
    Verified,
    /// The key changed and nobody confirmed it, or compared it where the one before was.
    Changed,
    /// The user blocked it.
    Blocked,
}

impl Standing {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pinned => "pinned",
            Self::Verified => "verified",
            Self::Changed => "changed",
            Self::Blocked => "blocked",
        }
    }
}

/// One frame that left for the uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// When.
    pub at: Timestamp,
    /// What kind of frame.
    pub kind: String,
    /// To which pseudonym; empty where it had none.
    pub pseudonym: String,
    /// Its size on the wall, in bytes.
    pub size: u32,
}

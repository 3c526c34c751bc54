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

/// A sender who was not believed, as `Peers.Unverified` shows it: nothing that it claimed is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedEntry {
    /// The address that it wrote from, at the server.
    pub pseudonym: String,
    /// Why it was refused last.
    pub reason: Refusal,
    /// How often.
    pub times: u32,
    /// When last.
    pub at: Timestamp,
}

/// Why a sender, or what was published as its keys, is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A first letter that proves no number.
    NoProof,
    /// Nothing that can be opened here: damaged, cut short, or said before.
    Unreadable,
    /// The letter names another sender.
    OtherSender,
    /// It is addressed to somebody else.
    OtherRecipient,
    /// The certificate is not the pinned directory's.
    ForeignCertificate,
    /// It has ended.
    ExpiredCertificate,
    /// It begins in the future.
    FutureCertificate,
    /// A newer one was seen.
    OlderCertificate,
    /// It is another address's.
    OtherAddress,
    /// It is another key's.
    OtherKey,
    /// The number was not evaluated by the pinned evaluators.
    ForeignProof,
    /// The address is not that number's.
    OtherNumber,
    /// The published keys are nobody's, or of no use.
    ForeignBundle,
    /// They are over age, or older than those seen last.
    OldBundle,
    /// Not looked into: strangers say more than is checked, or this phone's clock is not set.
    NotChecked,
}

impl Refusal {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::NoProof => "no-proof",
            Self::Unreadable => "unreadable",
            Self::OtherSender => "other-sender",
            Self::OtherRecipient => "other-recipient",
            Self::ForeignCertificate => "foreign-certificate",
            Self::ExpiredCertificate => "expired-certificate",
            Self::FutureCertificate => "future-certificate",
            Self::OlderCertificate => "older-certificate",
            Self::OtherAddress => "other-address",
            Self::OtherKey => "other-key",
            Self::ForeignProof => "foreign-proof",
            Self::OtherNumber => "other-number",
            Self::ForeignBundle => "foreign-bundle",
            Self::OldBundle => "old-bundle",
            Self::NotChecked => "not-checked",
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

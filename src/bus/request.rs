//! What the bus asks of the core: one enum, handled in the core's single loop.

use super::{Caller, Error};
use crate::model::{
    Address, Arrived, Bearer, Body, Consent, Diverted, LineId, PeerPolicy, PhoneNumber, Reason, Segments, Settings,
    Text, TextId, Timestamp,
};
use crate::modem::{IncomingSms, StatusReport};
use crate::store::Cursor;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// Where the core puts its answer. A dropped one reaches the caller as [`Error::Stopping`].
pub type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// The caller is already authorised for what it asks; arguments are bounded and parsed, numbers
/// are as written: the core normalises them with the line's country.
#[derive(Debug)]
pub enum Request {
    /// Take over a text; answered once it is durable.
    Send {
        /// Whom to, as written.
        to: Address,
        /// What.
        text: Body,
        /// How.
        options: SendOptions,
        /// By whom.
        caller: Caller,
        /// The text's id; a repeated token gives the earlier text's.
        reply: Reply<TextId>,
    },
    /// Take over a text that an app wrote to the modem service; answered once it is settled as far as the app cares.
    Divert {
        /// Whom to, as written.
        to: Address,
        /// What.
        text: Body,
        /// How; the token is there, the line is told by `modem`.
        options: SendOptions,
        /// The modem service's object for the line.
        modem: Option<Box<str>>,
        /// The app's own SMS object.
        diverted: Diverted,
        /// By whom.
        caller: Caller,
        /// Where it went; a repeated token gives the earlier text's.
        reply: Reply<Settlement>,
    },
    /// Whether a text would be worth diverting: from memory.
    Ask {
        /// Whom to, as written.
        to: Address,
        /// The modem service's object for the line.
        modem: Option<Box<str>>,
        /// It would: it may go by IM, or must not overtake one that does.
        reply: Reply<bool>,
    },
    /// The texts that apps had written to objects of one modem service and that were diverted: the newest
    /// [`DOOR_LIST_MAX`].
    Sent {
        /// Its unique bus name.
        owner: Box<str>,
        /// They.
        reply: Reply<Vec<Text>>,
    },
    /// The newest [`DOOR_LIST_MAX`] instant messages that came and were not deleted, oldest first, each with its number.
    Inbox {
        /// Whose door asks; while it is there, twins are deleted from the modem.
        caller: Caller,
        /// They.
        reply: Reply<Vec<(u32, Arrived)>>,
    },
    /// Whether an incoming SMS is the twin of a text shown as IM, and the text to show.
    Twin {
        /// The sender as the network gave it.
        from: Address,
        /// The SMS's text, mark and all.
        text: Body,
        /// Whose door asks; while it is there, twins are deleted from the modem.
        caller: Caller,
        /// Twin or not; the text without the mark.
        reply: Reply<(bool, Body)>,
    },
    /// An SMS came in, by the agent's word; reported again it is the same.
    Incoming {
        /// It.
        sms: IncomingSms,
        /// Durable: twin or not; the text without a mark.
        reply: Reply<(bool, Body)>,
    },
    /// A status report came in, by the agent's word.
    Report {
        /// It.
        report: StatusReport,
        /// Durable.
        reply: Reply<()>,
    },
    /// Which way would a text go now? From what is known; nothing is sent.
    Route {
        /// Whom to, as written.
        to: Address,
        /// From which line, on what text.
        options: RouteOptions,
        /// Bearer, reason, details.
        reply: Reply<RouteAnswer>,
    },
    /// Keep a number's route fresh (may probe), and tell each change by [`super::Bus::route_changed`].
    Watch {
        /// Whom, as written.
        to: Address,
        /// For whom; ends with its [`Request::CallerGone`].
        caller: Caller,
        /// Done.
        reply: Reply<()>,
    },
    /// The end of a `Watch`.
    Unwatch {
        /// Whom, as written in `Watch`.
        to: Address,
        /// For whom.
        caller: Caller,
        /// Done.
        reply: Reply<()>,
    },
    /// The ids of texts, oldest first.
    List {
        /// Which.
        filter: Filter,
        /// Their ids.
        reply: Reply<Vec<TextId>>,
    },
    /// One text's record.
    Get {
        /// Which.
        id: TextId,
        /// It.
        reply: Reply<Record>,
    },
    /// An app took an incoming text: no longer listed as unacknowledged.
    Acknowledge {
        /// Which.
        id: TextId,
        /// Done.
        reply: Reply<()>,
    },
    /// Delete a text, either way.
    Delete {
        /// Which.
        id: TextId,
        /// Done.
        reply: Reply<()>,
    },
    /// Don't send it after all; [`Error::TooLate`] once anything may have left.
    Cancel {
        /// Which.
        id: TextId,
        /// Done.
        reply: Reply<()>,
    },
    /// Decide on a held text.
    Resolve {
        /// Which.
        id: TextId,
        /// Which way it shall go.
        bearer: Bearer,
        /// Done.
        reply: Reply<()>,
    },
    /// Turn the switch. Publish the new value before answering.
    SetEnabled {
        /// On or off.
        on: bool,
        /// What the user agreed to; a bare property write has none.
        consent: Option<Consent>,
        /// It is a property write.
        property: bool,
        /// Who turned it.
        caller: Caller,
        /// Done: Off is persisted, the rest goes on behind `State`.
        reply: Reply<()>,
    },
    /// Change one setting. Publish the new value before answering.
    SetSetting {
        /// Which, and to what; in range.
        setting: Setting,
        /// Who changes it.
        caller: Caller,
        /// Done: it is durable.
        reply: Reply<()>,
    },
    /// This phone's identity key, for `shunt-directory provision`.
    Identity {
        /// As text, in base64.
        reply: Reply<String>,
    },
    /// Take an account file.
    Import {
        /// Its content, at most [`IMPORT_MAX`] bytes; wiped on drop.
        file: Zeroizing<Vec<u8>>,
        /// Who brought it.
        caller: Caller,
        /// Done: it is durable.
        reply: Reply<()>,
    },
    /// Begin to enrol a number; answered once that is durable, the rest is told by `State`.
    Enrol {
        /// Which, as written; the SIM's own if none.
        number: Option<Address>,
        /// What the user agreed to.
        consent: Option<Consent>,
        /// Who asks.
        caller: Caller,
        /// Done.
        reply: Reply<()>,
    },
    /// Give the code of an enrolment by hand; answered with its outcome.
    ConfirmEnrolment {
        /// As typed; wiped on drop.
        code: Zeroizing<String>,
        /// Done: the account is stored.
        reply: Reply<()>,
    },
    /// End the account and forget everything; answered when that is done.
    Withdraw {
        /// Done: nothing is at the server any more, nor on the disk.
        reply: Reply<()>,
    },
    /// All peers that anything is known of.
    Peers {
        /// They.
        reply: Reply<Vec<PeerEntry>>,
    },
    /// The user's policy towards one peer.
    SetPolicy {
        /// Whom, as written.
        peer: Address,
        /// Which.
        policy: PeerPolicy,
        /// Done.
        reply: Reply<()>,
    },
    /// Block a peer's probes and instant messages (its SMS still come: they are the carrier's), or unblock it.
    Block {
        /// Whom, as written.
        peer: Address,
        /// Or unblock.
        blocked: bool,
        /// Done.
        reply: Reply<()>,
    },
    /// The safety number with a peer.
    SafetyNumber {
        /// Whom, as written.
        peer: Address,
        /// Sixty digits.
        reply: Reply<String>,
    },
    /// The user compared safety numbers with a peer, or takes that back.
    Verify {
        /// Whom, as written.
        peer: Address,
        /// Compared, and equal.
        verified: bool,
        /// Done.
        reply: Reply<()>,
    },
    /// Confirm a peer's changed key.
    Accept {
        /// Whose, as written.
        peer: Address,
        /// The new key's safety number, digits alone.
        number: Box<str>,
        /// Done.
        reply: Reply<()>,
    },
    /// The contacts' numbers, instead of those handed over before.
    SetContacts {
        /// As written, at most [`CONTACTS_MAX`].
        numbers: Vec<Address>,
        /// Done: they are durable.
        reply: Reply<()>,
    },
    /// What left the phone since a time, oldest first, at most [`LEDGER_PAGE`] rows.
    LedgerRead {
        /// Since when, inclusive.
        since: Timestamp,
        /// The rows.
        reply: Reply<Vec<LedgerRow>>,
    },
    /// Sums of the ledger, and what the uplink counts below it.
    LedgerTotals {
        /// Name and sum, such as `frames`, `bytes`, `network-sent`.
        reply: Reply<Vec<(String, u64)>>,
    },
    /// The next part of all that is held about the user, as JSON text; the parts in a row are one document.
    Export {
        /// Which part.
        part: ExportPart,
        /// The text, and what follows it.
        reply: Reply<(Zeroizing<String>, Option<ExportPart>)>,
    },
    /// A caller that watched or diverted something left the bus. No answer.
    CallerGone {
        /// Its unique name.
        name: Box<str>,
    },
}

/// A part of an export; lists go on where they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportPart {
    /// Account, settings, consent, lines, peers, totals.
    About,
    /// Outgoing texts, newest first.
    Outgoing(Option<Cursor>),
    /// Incoming texts.
    Incoming(Option<Cursor>),
    /// The ledger's frames.
    Ledger(Option<Cursor>),
}

impl Request {
    /// The property that is written, if one is: then zbus itself tells of the change, once the write is answered.
    #[must_use]
    pub fn writes(&self) -> Option<&'static str> {
        match self {
            Self::SetEnabled { property: true, .. } => Some("Enabled"),
            Self::SetSetting { setting, .. } => Some(setting.property()),
            _ => None,
        }
    }
}

/// The longest account file that is read, in bytes.
pub const IMPORT_MAX: usize = 64 * 1024;

/// Contacts that are kept.
pub const CONTACTS_MAX: usize = 20_000;

/// Rows that one `Ledger.Read` answers at most.
pub const LEDGER_PAGE: u32 = 10_000;

/// Texts that `Door.Sent` and `Door.Inbox` answer at most.
pub const DOOR_LIST_MAX: u32 = 10_000;

/// Texts that one `Messaging.List` answers at most.
pub const LIST_MAX: u32 = 1_000;

/// `Send`'s options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// From which line; the preferred one otherwise.
    pub line: Option<LineId>,
    /// Only by that bearer.
    pub only: Option<Bearer>,
    /// The caller's idempotency token, at most 64 bytes.
    pub token: Option<Box<str>>,
    /// Whether a delivery report is wished for.
    pub report: bool,
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

/// `Route`'s options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteOptions {
    /// From which line; the preferred one otherwise.
    pub line: Option<LineId>,
    /// The text, for the number of its segments.
    pub text: Option<Body>,
    /// Whether each rule that was passed shall be told.
    pub explain: bool,
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

/// Which texts `List` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this direction.
    pub direction: Option<Direction>,
    /// Only those from or to this number, as written.
    pub peer: Option<Address>,
    /// Only incoming ones that no app took yet.
    pub unacknowledged: bool,
    /// Only those handed over or committed at or after this time.
    pub since: Option<Timestamp>,
    /// Only those after this one: for paging.
    pub after: Option<TextId>,
    /// At most so many, 1 to [`LIST_MAX`].
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { direction: None, peer: None, unacknowledged: false, since: None, after: None, limit: LIST_MAX }
    }
}

/// Whether a text came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this phone.
    Incoming,
    /// From this phone.
    Outgoing,
}

/// A text's record as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// One that we send.
    Outgoing(Box<Text>),
    /// One that came.
    Incoming(Box<Arrived>),
}

/// One setting and its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Seconds, in [`Settings::FALLBACK_AFTER`].
    FallbackAfter(u32),
    /// What happens then.
    FallbackPolicy(crate::model::FallbackPolicy),
    /// IM while roaming.
    AllowRoaming(bool),
    /// IM over a metered connection.
    AllowMetered(bool),
    /// Who learns that this phone is online.
    PresencePolicy(crate::model::PresencePolicy),
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

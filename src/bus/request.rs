//! What the bus asks of the core: one enum, handled in the core's single loop.

use super::{
    Caller, Diagnosis, Error, Filter, LedgerRow, PeerEntry, Record, RouteAnswer, RouteOptions, SendOptions, Setting,
    Settlement, UnverifiedEntry,
};
use crate::model::{Address, Bearer, Body, Consent, Diverted, PeerPolicy, Text, TextId, Timestamp};
use crate::modem::{IncomingSms, StatusReport};
use crate::store::{Cursor, Inbox};
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
    /// [`SENT_MAX`]; their line is the one that they are shown under.
    Sent {
        /// Its unique bus name.
        owner: Box<str>,
        /// They.
        reply: Reply<Vec<Text>>,
    },
    /// An app deleted the delivery report of a text that was diverted from it.
    DeleteReport {
        /// The text.
        id: TextId,
        /// Done: it is durable.
        reply: Reply<()>,
    },
    /// Instant messages that came and were not deleted, oldest first, a page of at most [`INBOX_PAGE`]; their line is
    /// the one that they are shown under.
    Inbox {
        /// Only those with higher numbers.
        after: u32,
        /// Whose door asks; while it is there, twins are deleted from the modem.
        caller: Caller,
        /// They.
        reply: Reply<Inbox>,
    },
    /// The objects of one modem service that are twins of texts shown as IM, as far as it may have them still.
    Twins {
        /// Its unique bus name.
        owner: Box<str>,
        /// Whose door asks; while it is there, twins are deleted from the modem.
        caller: Caller,
        /// They.
        reply: Reply<Vec<Box<str>>>,
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
    /// What the daemon knows of its own health.
    Diagnose {
        /// It.
        reply: Reply<Diagnosis>,
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
    /// Who was refused lately and has not proven a number since.
    Unverified {
        /// They, the latest first.
        reply: Reply<Vec<UnverifiedEntry>>,
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

/// Texts that `Door.Sent` answers at most: 256 KiB, which a door looks into.
pub const SENT_MAX: u32 = 1_000;

/// With what a page of `Door.Inbox` ends: so many texts, or so many bytes of them. A text by IM has at most 16 KiB.
pub const INBOX_PAGE: (usize, usize) = (256, 64 * 1024);

/// Texts that one `Messaging.List` answers at most.
pub const LIST_MAX: u32 = 1_000;

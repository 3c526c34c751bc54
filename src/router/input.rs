//! What goes into the router and what comes out.

use crate::model::{
    Bearer, Cause, FallbackPolicy, LeaseId, LineId, PeerPolicy, PhoneNumber, Question, SmsAttempt, Text, TextId,
};
use std::time::Duration;

/// What kind of address a text goes to; the core finds it by the line's country, the emergency
/// numbers and the config's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An emergency number: SMS at once, before everything.
    Emergency,
    /// On the ROM's SMS-only list.
    SmsOnlyList,
    /// A short code, a name, or no plausible mobile number.
    ShortCode,
    /// A plausible mobile number.
    Mobile,
}

/// The connection to the cloud, as far as routing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// None, and none expected within a probe's budget.
    #[default]
    Down,
    /// Coming up for the first time since the switch went on or the daemon started.
    Connecting,
    /// Up.
    Up,
}

/// The state of the world that routing depends on; the core sends the whole at each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// The switch.
    pub on: bool,
    /// An account is imported.
    pub account: bool,
    /// The connection to the cloud.
    pub link: Link,
    /// The line has a usable SIM.
    pub sim: bool,
    /// The line is roaming.
    pub roaming: bool,
    /// The connection is metered.
    pub metered: bool,
    /// IM while roaming is allowed.
    pub allow_roaming: bool,
    /// IM over a metered connection is allowed.
    pub allow_metered: bool,
    /// How long a receipt may take.
    pub fallback_after: Duration,
    /// What then.
    pub fallback: FallbackPolicy,
}

impl Default for Conditions {
    /// Off, and nothing known.
    fn default() -> Self {
        Self {
            on: false,
            account: false,
            link: Link::Down,
            sim: true,
            roaming: false,
            metered: false,
            allow_roaming: false,
            allow_metered: true,
            fallback_after: Duration::from_secs(10),
            fallback: FallbackPolicy::Always,
        }
    }
}

/// What the store knows of a peer that routing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerFacts {
    /// The user's policy.
    pub policy: PeerPolicy,
    /// Nothing from them is shown or answered; nothing goes to them by IM.
    pub blocked: bool,
    /// Their identity key changed and the user has not confirmed it.
    pub key_changed: bool,
    /// The user wrote to them: `mutual` grants them a lease.
    pub wrote_to: bool,
}

impl Default for PeerFacts {
    fn default() -> Self {
        Self { policy: PeerPolicy::Auto, blocked: false, key_changed: false, wrote_to: false }
    }
}

/// What came of an SMS at the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmsOutcome {
    /// The object exists; nothing was sent.
    Prepared(SmsAttempt),
    /// Sent, by the modem's own word.
    Sent {
        /// Message references for status reports.
        references: Vec<u8>,
    },
    /// Provably nothing left; worth another try.
    Later(Cause),
    /// Provably nothing left; another try would end alike.
    Never(Cause),
    /// It may have left.
    Unknown(Cause),
    /// The status report says that it was delivered.
    Delivered,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The switch, the link, a setting or the network changed.
    Conditions(Conditions),
    /// Which line has the account's number, as far as is known. Nothing goes by IM from another one: it would come
    /// from a number that is not that line's.
    AccountLine(Option<LineId>),
    /// What is known of a peer changed.
    Peer(PhoneNumber, PeerFacts),
    /// At start: every text that is not final, in the order they were handed over.
    Restore(Vec<(Text, Class)>),
    /// A text was handed over; its state is `Queued`, its ordinal is given.
    Submit(Box<Text>, Class),
    /// Something came of an SMS.
    Sms(TextId, SmsOutcome),
    /// The server took responsibility for an envelope.
    Accepted(TextId),
    /// An envelope could not be made (in the same transaction that asked for it): nothing left.
    NotSealed(TextId),
    /// An envelope came back or was lost with the stream.
    Bounced(TextId),
    /// The peer's sealed receipt.
    Receipt {
        /// For which text.
        id: TextId,
        /// Read, not just shown.
        read: bool,
    },
    /// The peer's sealed answer to a revoke.
    RevokeAnswer {
        /// For which text.
        id: TextId,
        /// It was shown; or it was not and never will be.
        shown: bool,
    },
    /// A peer granted a lease.
    Granted {
        /// Who.
        peer: PhoneNumber,
        /// Its id.
        lease: LeaseId,
        /// How long from now.
        ends_in: Duration,
    },
    /// No bundle under the peer's pseudonym.
    NotEnrolled(PhoneNumber),
    /// A peer that was to be found has a bundle.
    Found(PhoneNumber),
    /// The probe could not be sent now (directory or bundle out of reach, budget used up).
    ProbeFailed(PhoneNumber),
    /// The peer ended its lease, or the server reported its disconnect.
    Gone(PhoneNumber),
    /// Somebody looks at this peer's icon.
    Watch(PhoneNumber),
    /// Nobody does any more.
    Unwatch(PhoneNumber),
    /// A deadline passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send an emergency SMS at once; before any commit.
    SmsNow(Box<Text>),
    /// Store the record, in this answer's transaction.
    Save(Box<Text>),
    /// Tell apps of the record's new state, after the commit.
    Announce(Box<Text>),
    /// In the same transaction: make the text's envelope and store it; after the commit write it.
    SealText(TextId),
    /// Send the text's stored envelope again, byte for byte: the link was away in between.
    Resend(TextId),
    /// Seal and send a revoke for the text.
    Revoke(TextId),
    /// Find out whether the peer is online: pseudonym, bundle, session, probe.
    Probe(PhoneNumber),
    /// Find out whether the peer is enrolled, without a word to it; answered by `Found`, `NotEnrolled` or `ProbeFailed`.
    Find(PhoneNumber),
    /// Make the SMS object for the text's [`wire_body`](super::wire_body).
    SmsCreate {
        /// Which text.
        id: TextId,
        /// With the twin mark.
        marked: bool,
    },
    /// Send the object; "Send issued" is committed.
    SmsSend(TextId),
    /// After a restart: what does the modem say of the attempt?
    SmsProve(TextId),
    /// Delete the object, which is not or no longer needed.
    SmsDelete {
        /// The text's line, while the text is known.
        line: Option<LineId>,
        /// The object.
        sms: SmsAttempt,
    },
    /// Ask the user.
    Ask(TextId, Question),
}

impl Class {
    /// The bearer a text to this class may use at all.
    #[must_use]
    pub fn sms_only(self) -> Option<Bearer> {
        (self != Self::Mobile).then_some(Bearer::Sms)
    }
}

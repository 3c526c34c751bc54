//! Texts: their ids, states and records, both ways.

use super::{Address, Encoding, LineId, PhoneNumber, Timestamp};
use std::fmt;

/// A text's id: UUIDv7 (RFC 9562 §5.7), the same on both phones and over every resend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(pub [u8; 16]);

impl TextId {
    /// The id for a text made at `at`, from ten random bytes.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let ms = u64::try_from(at.0).unwrap_or(0).to_be_bytes();
        let mut id = [0; 16];
        let (time, rest) = id.split_at_mut(6);
        time.copy_from_slice(ms.last_chunk::<6>().unwrap_or(&[0; 6]));
        rest.copy_from_slice(&random);
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
        *version = (*version & 0x0f) | 0x70;
        *variant = (*variant & 0x3f) | 0x80;
        Self(id)
    }

    /// Thirty-two lower-case hex digits, as in object paths.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The inverse of [`Self::to_hex`].
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        if hex.len() != 32 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(hex, 16).ok().map(|id| Self(id.to_be_bytes()))
    }
}

/// A text as the user wrote it. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(pub Box<str>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// How a text travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bearer {
    /// Instant message, end-to-end encrypted.
    Im,
    /// The SMS it would have been.
    Sms,
}

impl Bearer {
    /// The D-Bus token: `im` or `sms`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Im => "im",
            Self::Sms => "sms",
        }
    }

    /// The inverse of [`Self::token`].
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Im, Self::Sms].into_iter().find(|b| b.token() == token)
    }
}

/// A type whose values are tokens on D-Bus and small numbers in the store.
macro_rules! tokens {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $token:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in order of code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The token that testers and apps see.
            #[must_use]
            pub fn token(self) -> &'static str {
                match self { $(Self::$variant => $token,)* }
            }

            /// The inverse of [`Self::token`].
            #[must_use]
            pub fn from_token(token: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.token() == token)
            }

            /// The store's number for it; never reused.
            #[must_use]
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The inverse of [`Self::code`].
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.code() == code)
            }
        }
    };
}

pub(in crate::model) use tokens;

tokens! {
    /// Why a text takes its bearer (design.md, D-Bus, `Route`).
    Reason {
        /// A live lease, or the peer is answered a probe just now.
        Online = 1 "online",
        /// Enrolled, but grants no lease now.
        RegisteredOffline = 2 "registered-offline",
        /// No bundle under that pseudonym.
        NotEnrolled = 3 "not-enrolled",
        /// The switch is off.
        SwitchOff = 4 "switch-off",
        /// No connection to the cloud.
        LinkDown = 5 "link-down",
        /// Roaming, and that is not allowed.
        Roaming = 6 "roaming",
        /// An emergency number.
        Emergency = 7 "emergency",
        /// A short code, a name, or no plausible mobile number.
        ShortCode = 8 "short-code",
        /// On the ROM's SMS-only list.
        SmsOnlyList = 9 "sms-only-list",
        /// The peer's policy, or the caller's `bearer` option, says so.
        Policy = 10 "policy",
        /// The connection is metered, and that is not allowed.
        Metered = 11 "metered",
        /// No usable SIM on that line.
        NoSim = 12 "no-sim",
        /// The clock was never set: certificates cannot be judged.
        ClockUnset = 13 "clock-unset",
        /// The store is unusable.
        Store = 14 "store",
        /// The peer's identity key changed and is not confirmed.
        KeyChanged = 15 "key-changed",
        /// Enrolled, and never written to: whether it is online is asked with the first text, which shows it the number.
        Enrolled = 18 "enrolled",
        /// Nothing is known yet; a probe would tell.
        Unknown = 16 "unknown",
        /// The line that it goes from is not the account's.
        OtherLine = 17 "other-line",
    }
}

tokens! {
    /// Why a text ended `failed` or `uncertain`.
    Cause {
        /// The modem or network refused it for good.
        Refused = 1 "refused",
        /// No network service (CMS 331), retries used up.
        NoNetwork = 2 "no-network",
        /// The network timed out (CMS 332): it may have been sent.
        NetworkTimeout = 3 "network-timeout",
        /// No SIM (CMS 310).
        NoSim = 4 "no-sim",
        /// The modem did not answer in time: it may have been sent.
        ModemMute = 5 "modem-mute",
        /// Modem or modem service went away between Send and its answer.
        ModemLost = 6 "modem-lost",
        /// No modem to send by.
        NoModem = 7 "no-modem",
        /// The text is longer than an SMS can be (255 segments).
        TooLong = 8 "too-long",
        /// The modem service cannot send such a text (oFono and characters beyond UCS-2).
        NotSendable = 9 "not-sendable",
        /// The user cancelled it.
        Cancelled = 10 "cancelled",
        /// IM left, no receipt came, and the fallback policy forbids the SMS.
        NoReceipt = 11 "no-receipt",
        /// The modem service denied it to us (polkit, bus policy).
        Denied = 12 "denied",
        /// The daemon restarted between Send and its answer, and the modem cannot prove the outcome.
        Restarted = 13 "restarted",
        /// The modem failed without saying whether the text left: it may have been sent.
        ModemError = 14 "modem-error",
    }
}

tokens! {
    /// What a held text waits for.
    Question {
        /// `im-only`: the peer is not online; `Resolve` with `sms`, or wait.
        PeerOffline = 1 "peer-offline",
        /// The IM's outcome is unknown: send the SMS, though it may show twice where marks are stripped?
        FallbackUnknown = 2 "fallback-unknown",
        /// Fallback is due while roaming, under `not-roaming`.
        FallbackRoaming = 3 "fallback-roaming",
        /// `im-only`, and the peer's key changed.
        KeyChanged = 4 "key-changed",
    }
}

tokens! {
    /// The user's policy towards one peer.
    PeerPolicy {
        /// IM when online, else SMS.
        Auto = 0 "auto",
        /// Never by SMS without being asked.
        ImOnly = 1 "im-only",
        /// Never by IM.
        SmsOnly = 2 "sms-only",
    }
}

tokens! {
    /// How far the user trusts a peer's pinned key.
    Trust {
        /// It was the first one seen, or the user accepted it after a change.
        Pinned = 0 "pinned",
        /// The user compared safety numbers.
        Verified = 1 "verified",
        /// The user had verified an earlier key and accepted this one, but has not compared it yet: no IM.
        Lapsed = 2 "lapsed",
    }
}

/// Where an outgoing text stands (protocol.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Committed; waits for earlier ones to the same peer, or for a probe.
    Queued,
    /// Sealed and committed; the frame may have been written to the wall.
    ImSending,
    /// The server acknowledged the stanza: not a delivery.
    ImAccepted,
    /// The peer's sealed receipt came: shown there.
    ImDelivered,
    /// The peer read it.
    ImRead,
    /// No receipt in time: the peer is asked whether it was shown, and told not to.
    Revoking,
    /// To go, or going, by SMS.
    SmsSending,
    /// The modem proved it sent.
    SmsSent,
    /// Its status report came.
    SmsDelivered,
    /// It did not leave the phone, for good.
    Failed(Cause),
    /// It may have arrived; nobody can know.
    Uncertain(Cause),
    /// Waits for the user's decision.
    Held(Question),
    /// Nothing of it left, and the program that handed it over sends it as its own SMS ([`Diverted`]).
    Released,
}

impl State {
    /// The D-Bus token, such as `im-delivered`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::ImSending => "im-sending",
            Self::ImAccepted => "im-accepted",
            Self::ImDelivered => "im-delivered",
            Self::ImRead => "im-read",
            Self::Revoking => "revoking",
            Self::SmsSending => "sms-sending",
            Self::SmsSent => "sms-sent",
            Self::SmsDelivered => "sms-delivered",
            Self::Failed(_) => "failed",
            Self::Uncertain(_) => "uncertain",
            Self::Held(_) => "held",
            Self::Released => "released",
        }
    }

    /// Whether nothing more will be done for the text by itself. A late receipt or status report may
    /// still refine it; `Held` is not final, the user is.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::ImDelivered
                | Self::ImRead
                | Self::SmsSent
                | Self::SmsDelivered
                | Self::Failed(_)
                | Self::Uncertain(_)
                | Self::Released
        )
    }
}

/// A lease's random id (protocol.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub [u8; 16]);

/// Keyed digest of a text's wording (protocol.md §2): never leaves the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordingKey(pub [u8; 32]);

/// What happened of a text by IM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImAttempt {
    /// The lease that the envelope names.
    pub lease: LeaseId,
    /// When the envelope was committed.
    pub at: Timestamp,
    /// The peer's sealed word that it was not shown and never will be.
    pub not_shown: bool,
}

/// What happened of a text by SMS: committed before `Send` is issued (protocol.md §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsAttempt {
    /// The modem service's name for the SMS object (a D-Bus path).
    pub object: Box<str>,
    /// The modem service's unique bus name when the object was made.
    pub owner: Box<str>,
    /// "Send issued": from here on the outcome must be proven.
    pub issued: bool,
    /// Message references (3GPP TS 23.040 §9.2.3.6) that status reports name, once sent.
    pub references: Vec<u8>,
}

/// A text that its app meant for the modem service, and that was diverted on the way there by the
/// app's door or a ROM's agent. That program waits for the outcome, and sends its own SMS where we let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diverted {
    /// The app's own SMS object, a D-Bus path; `/` where the service makes none (oFono, an agent).
    pub object: Box<str>,
    /// The unique bus name of the service that made it; empty where there is none.
    pub owner: Box<str>,
    /// Whether its plain SMS is still the other's to send.
    pub waits: bool,
    /// The app had a delivery report, and deleted it.
    pub report_deleted: bool,
}

/// An outgoing text's record: what the router decides on and the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its id.
    pub id: TextId,
    /// The line it was sent from.
    pub line: LineId,
    /// The recipient as the caller wrote it.
    pub to: Address,
    /// The recipient as E.164, where it is one.
    pub peer: Option<PhoneNumber>,
    /// What the user wrote.
    pub body: Body,
    /// When it was handed over.
    pub at: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Why it took the bearer it took (or waits).
    pub reason: Reason,
    /// The caller's `bearer` option: only that bearer.
    pub only: Option<Bearer>,
    /// The wording's key, and the ordinal n (protocol.md §2).
    pub wording: WordingKey,
    /// Lowest n not used towards the peer for this wording in 14 days; 0 for texts that can't go by IM.
    pub ordinal: u16,
    /// What happened by IM, if an envelope was committed.
    pub im: Option<ImAttempt>,
    /// What happened by SMS, if an object was made.
    pub sms: Option<SmsAttempt>,
    /// SMS attempts that provably left nothing.
    pub retries: u8,
    /// How it was or would be encoded as SMS, mark included.
    pub encoding: Encoding,
    /// The caller's idempotency token: a repeated one is the same text.
    pub token: Option<Box<str>>,
    /// A caller's wish for a delivery report.
    pub report: bool,
    /// The user took it back: it must not start on another bearer.
    pub cancelled: bool,
    /// Whose text it is, where an app wrote it to the modem service.
    pub diverted: Option<Diverted>,
}

impl Text {
    /// Whether its app is to be shown a delivery report of it.
    #[must_use]
    pub fn has_report(&self) -> bool {
        let delivered = matches!(self.state, State::ImDelivered | State::ImRead | State::SmsDelivered);
        delivered && self.report && self.diverted.as_ref().is_some_and(|diverted| !diverted.report_deleted)
    }
}

/// An incoming text's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The sender's id for an IM, one of our own for an SMS.
    pub id: TextId,
    /// The line it came to.
    pub line: LineId,
    /// Who sent it: E.164 where known, else as the network gave it.
    pub from: Address,
    /// What it says, mark stripped.
    pub body: Body,
    /// By which bearer it came.
    pub bearer: Bearer,
    /// When it was sent, by the sender's clock or the SMSC's.
    pub sent: Timestamp,
    /// When we committed it.
    pub at: Timestamp,
    /// An app took it: no longer listed.
    pub acknowledged: bool,
}

/// What the receiver remembers of a text it showed, for twins (protocol.md §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The text.
    pub id: TextId,
    /// The bearer that showed it.
    pub bearer: Bearer,
    /// When.
    pub at: Timestamp,
}

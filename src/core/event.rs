//! Everything that can happen to the core, as one type.

use crate::bus::{Refusal, Request};
use crate::model::{PhoneNumber, Text, TextId};
use crate::modem::ModemEvent;
use crate::router::SmsOutcome;
use crate::seal::{AccountError, AccountFile, Pseudonym, PseudonymError, SessionId};
use crate::sys::warden;
use crate::wall::FromUplink;

use super::account::Import;
use super::strangers::Stranger;

/// What happened.
pub(super) enum Event {
    /// At the modem.
    Modem(ModemEvent),
    /// Whether the connection is metered.
    Metered(bool),
    /// Something came of an SMS job.
    Sms(TextId, SmsOutcome),
    /// Somebody asks over D-Bus.
    Request(Box<Request>),
    /// An emergency text is with the modem already, and is to be recorded.
    Emergency(Box<Text>),
    /// A permitted frame came from the uplink.
    Wall(Box<FromUplink>),
    /// The wall broke or its other end closed.
    WallClosed,
    /// The uplink was started and the wall to it is open.
    UplinkStarted,
    /// The store failed; what was decided from now on is kept in memory alone.
    Degraded,
    /// The warden reports.
    Warden(warden::Event),
    /// A number's pseudonym was computed.
    Pseudonym(PhoneNumber, Result<Pseudonym, PseudonymError>),
    /// A first letter's caller proof was checked.
    Proof(Box<Stranger>, Result<PhoneNumber, Refusal>),
    /// What the directory answered to an enrolment's code was checked.
    Enrolled(SessionId, Box<AccountFile>, Result<(), AccountError>),
    /// An account file was checked.
    Account(Box<Import>, Result<(), AccountError>),
    /// The system will sleep (true), or woke.
    Sleep(bool),
    /// The daemons are asked to end.
    Leave,
    /// A deadline passed.
    Tick,
}

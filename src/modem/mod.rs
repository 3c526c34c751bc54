//! Modems: one trait, and a backend for each modem service.
//!
//! A backend reports lines and incoming SMS as [`ModemEvent`]s over a channel and carries out what
//! the core asks through [`Modem`]. It decides nothing: what a failure means for a text is said by
//! [`ModemError::retry`], what to do about it by the router.

pub mod agent;
mod bus;
mod error;
mod failure;
mod follow;
mod lines;
pub mod modemmanager;
pub mod ofono;
mod services;
mod sim;
pub(crate) mod stamp;

pub use error::{ModemError, Retry};
pub use services::{Services, Which};

use crate::model::{Address, Body, Line, LineId, Segments, SlotId, Timestamp};
use std::{rc::Rc, time::Duration};

/// Makes a line's name from its SIM's ICCID: a keyed digest, so that it says nothing to a reader.
pub type NameLine = Rc<dyn Fn(&str) -> LineId>;

/// Makes a slot's name from what the modem service calls the device.
fn name_slot(device: &str, name: &dyn Fn(&str) -> LineId) -> SlotId {
    SlotId(name(device).0)
}

/// How long the sending of one part may take: the network's own timers end within 45 s (TR1M, TS 24.011
/// §10). ModemManager gives up on a mute modem after 30 s, but after 300 s only when it fell silent
/// with the PDU in hand, and oFono never does; nobody waits that long for a word on his text.
const FIRST_PART: Duration = Duration::from_secs(60);

/// How much each further part adds.
const FURTHER_PART: Duration = Duration::from_secs(40);

/// How long the sending of a text may take.
fn patience(text: &str) -> Duration {
    FIRST_PART + FURTHER_PART * u32::from(Segments::of(text).count.saturating_sub(1))
}

/// An SMS object of the modem service. Its name alone proves nothing: ModemManager numbers objects
/// afresh after a restart, so the service's unique bus name belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SmsObject {
    /// The object, a D-Bus path.
    pub object: Box<str>,
    /// The modem service's unique bus name when the object was seen.
    pub owner: Box<str>,
}

/// An SMS to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSms {
    /// To whom; the backend writes it as the modem takes it ([`Address::dialable`]).
    pub to: Address,
    /// What; the twin mark included, if it has one.
    pub body: Body,
    /// Whether to ask for a status report (TS 23.040 §9.2.3.5).
    pub report: bool,
    /// How long the SMSC may keep it, in minutes (TS 23.040 §9.2.3.12.1: rounded up to the next of
    /// its steps, 63 weeks at most); `None` leaves it to the SMSC.
    pub validity_minutes: Option<u32>,
}

/// What the modem said of an SMS that it sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// Message references (TS 23.040 §9.2.3.6) that status reports will name: the last part's from
    /// ModemManager. Empty where the service tells none.
    pub references: Vec<u8>,
}

/// What the modem service can prove of an SMS whose `send` was issued and never answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It left.
    Sent(Sent),
    /// It did not leave, and will not.
    NotSent,
    /// Nothing can be proven: it may have left, or may be leaving.
    Unknown,
}

/// What an incoming SMS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text for the user.
    Plain,
    /// Data, a WAP push, a class 0 or voicemail message, or something without a sender: not ours to
    /// touch, left in the modem as it is.
    Other,
}

/// An SMS that the modem holds. The same SMS may be reported more than once (protocol.md §2): same
/// `from`, `stamp` and `body` mean the same SMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingSms {
    /// The line it came to.
    pub line: LineId,
    /// For `delete`, once it is committed.
    pub sms: SmsObject,
    /// The sender as the network gave it.
    pub from: Address,
    /// The text; empty unless [`Kind::Plain`].
    pub body: Body,
    /// When the SMSC took it, by its clock (TS 23.040 §9.2.3.11); `None` if unreadable.
    pub sent: Option<Timestamp>,
    /// The same as the service spelled it, for telling repeats.
    pub stamp: Box<str>,
    /// What it is.
    pub kind: Kind,
}

/// A status report (TS 23.040 §9.2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The line it came to.
    pub line: LineId,
    /// For `delete`, once it is committed.
    pub sms: SmsObject,
    /// The recipient of the SMS that it is about, as the network gave it.
    pub to: Address,
    /// The message reference that it names.
    pub reference: u8,
    /// Delivered, or not for good; `None`: the SMSC is still trying, or replaced it.
    pub delivered: Option<bool>,
}

/// What happens at the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModemEvent {
    /// A line is new or changed.
    Line(Line),
    /// A line's SIM or modem went away.
    LineGone(LineId),
    /// A modem is there and shows no SIM, told after the `LineGone` of one that was in it. May be told more than once;
    /// a `Line` ends it.
    NoSim {
        /// Where none is.
        slot: SlotId,
        /// Whether it has looked: oFono shows none either until it has read the SIM.
        sure: bool,
    },
    /// An SMS is complete. Those that the modem held at the start come this way too.
    Received(IncomingSms),
    /// Somebody, perhaps we, deleted an SMS that was reported. A modem's going away is none.
    Deleted(SmsObject),
    /// A status report came in.
    Report(StatusReport),
    /// The modem service came or went; `Line` precedes for each line that it had when it came, `LineGone` for each
    /// when it went.
    Service {
        /// Whether it is there.
        up: bool,
    },
}

/// What the core asks of a modem service. Everything runs on one thread, so nothing is `Send`.
#[allow(async_fn_in_trait)]
pub trait Modem {
    /// Makes an SMS object. Nothing leaves the phone, whatever the answer is: a failure may be
    /// retried by its [`Retry::before_send`].
    async fn create(&self, line: &LineId, sms: &NewSms) -> Result<SmsObject, ModemError>;

    /// Sends it. Commit "Send issued" first (protocol.md §1), and judge a failure by
    /// [`ModemError::retry`]. Takes as long as the network needs; a mute modem ends it in a minute.
    /// After a failure make a new object rather than send this one again; after [`ModemError::Mute`]
    /// `outcome` may still prove that it was sent in the end.
    async fn send(&self, line: &LineId, sms: &SmsObject) -> Result<Sent, ModemError>;

    /// After a restart: what became of an issued `send`, proven by the same service, object, number
    /// and text. May wait for up to a minute for a `send` that is still under way.
    async fn outcome(&self, line: &LineId, sms: &SmsObject, to: &Address, body: &Body) -> Outcome;

    /// Removes an SMS object; one that is gone already is no error. Nothing is removed if another
    /// instance of the service owns that name now.
    async fn delete(&self, line: &LineId, sms: &SmsObject) -> Result<(), ModemError>;

    /// The complete incoming SMS that the modem holds now.
    async fn list(&self, line: &LineId) -> Result<Vec<IncomingSms>, ModemError>;
}

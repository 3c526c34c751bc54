//! A line: a SIM with its number, in whatever modem it sits.

use super::{Home, PhoneNumber};

/// Names a line for the D-Bus API and the store: an opaque token that is stable for a SIM
/// (a keyed digest of its ICCID, never the ICCID) and says nothing to a reader.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(pub Box<str>);

/// Names the place that a SIM sits in: a keyed digest of what the modem service calls the device, the same after a reset
/// of the modem and a restart of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotId(pub Box<str>);

/// What a line's modem says of its SIM and network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimState {
    /// No SIM, or the modem cannot read it.
    Absent,
    /// Waits for a PIN or PUK.
    Locked,
    /// Usable, not registered on a network.
    Searching,
    /// Registered at home.
    Home,
    /// Registered abroad or on a partner's network.
    Roaming,
}

/// One line as the modem backend reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub id: LineId,
    /// The modem service's object that it is in, as apps name it; none where it has no such thing.
    pub modem: Option<Box<str>>,
    /// Where it sits.
    pub slot: SlotId,
    /// The SIM's own number, where the SIM or the user told it.
    pub number: Option<PhoneNumber>,
    /// SIM and registration.
    pub sim: SimState,
    /// Where national numbers belong: from the SIM's MCC, or the own number.
    pub home: Option<Home>,
    /// Emergency numbers that the SIM and network add to the standard list.
    pub emergency: Vec<Box<str>>,
}

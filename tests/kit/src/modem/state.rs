//! A modem's memory: registration, settings made by AT commands, stored SMS, things to announce.

use std::collections::{BTreeMap, VecDeque};

use crate::pdu::Pdu;

/// Where the modem is registered (3GPP TS 27.007 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Home network.
    #[default]
    Home,
    /// A partner's network.
    Roaming,
    /// None, and looking for one.
    Searching,
    /// None, and refused.
    Denied,
}

impl Registration {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Home => 1,
            Self::Searching => 2,
            Self::Denied => 3,
            Self::Roaming => 5,
        }
    }

    pub(super) fn has_network(self) -> bool {
        matches!(self, Self::Home | Self::Roaming)
    }
}

/// What the modem says unasked.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// At once.
    Line(String),
    /// A stored part: paced.
    Stored(u8),
    /// A status report: paced.
    Report(Pdu),
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) pdu: Pdu,
    pub(super) read: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) registration: Registration,
    pub(super) sim_absent: bool,
    pub(super) connected: bool,
    /// +CNMI's `mt` and `ds`.
    pub(super) announce: (u8, u8),
    /// The `n` of +CREG, +CGREG and +CEREG.
    pub(super) report_registration: BTreeMap<&'static str, u8>,
    /// +COPS's format: 0 long name, 2 digits.
    pub(super) operator_format: u8,
    pub(super) storage: BTreeMap<u8, Stored>,
    last_index: u8,
    pub(super) reference: u8,
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) commands: Vec<String>,
}

/// Slots of the storage, as `+CPMS` says.
pub(super) const CAPACITY: usize = 100;

impl State {
    /// Whether the network can hand over an SMS: registered, SIM in, and somebody asked for announcements.
    pub(super) fn attached(&self) -> bool {
        self.connected && !self.sim_absent && self.registration.has_network() && self.announce.0 > 0
    }

    /// A new connection starts from defaults; the storage stays.
    pub(super) fn reset_port(&mut self, connected: bool) {
        self.connected = connected;
        self.announce = (0, 0);
        self.report_registration.clear();
        self.operator_format = 0;
        self.outgoing.clear();
    }

    pub(super) fn take_text(&mut self, pdu: Pdu) -> bool {
        if self.storage.len() >= CAPACITY {
            return false;
        }
        if self.announce.0 == 2 {
            self.outgoing.push_back(Outgoing::Line(format!("+CMT: ,{}\r\n{}", pdu.length, pdu.hex)));
            return true;
        }
        let index = self.keep(pdu);
        self.outgoing.push_back(Outgoing::Stored(index));
        true
    }

    pub(super) fn take_report(&mut self, pdu: Pdu) -> bool {
        if self.announce.1 == 1 {
            self.outgoing.push_back(Outgoing::Report(pdu));
        }
        true
    }

    /// Stores a part. Slots are used in turn, so that a deletion under way never hits a newcomer.
    pub(super) fn keep(&mut self, pdu: Pdu) -> u8 {
        let mut index = self.last_index;
        loop {
            index = if index == u8::MAX { 1 } else { index + 1 };
            if !self.storage.contains_key(&index) {
                break;
            }
        }
        self.last_index = index;
        self.storage.insert(index, Stored { pdu, read: false });
        index
    }

    pub(super) fn register(&mut self, registration: Registration) {
        self.registration = registration;
        let lines: Vec<String> = self
            .report_registration
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(name, n)| format!("{name}: {}", place(name, registration, *n)))
            .collect();
        self.outgoing.extend(lines.into_iter().map(Outgoing::Line));
    }
}

/// The status with cell and access technology where mode 2 asked for it.
pub(super) fn place(name: &str, registration: Registration, mode: u8) -> String {
    let cell = if name == "+CREG" { r#""1234","001122BB",7"# } else { r#""31C5","0083F7CD",7"# };
    let code = registration.code();
    if mode > 1 && registration.has_network() { format!("{code},{cell}") } else { code.to_string() }
}

//! SMS from outside the simulated phones: banks, strangers, machines.

use std::time::SystemTime;

use crate::pdu::{Address, Deliver};
use crate::user_data::UserData;

/// An SMS to inject.
#[derive(Debug, Clone)]
pub struct Incoming {
    from: Address,
    body: Body,
    class: Option<u8>,
    pid: u8,
    stamp: Option<SystemTime>,
}

#[derive(Debug, Clone)]
enum Body {
    Text(String),
    Data(UserData),
    Parts(Vec<UserData>),
}

impl Incoming {
    /// A text in as many parts as it needs. The sender is a number (`+49…`), a short code, or a name.
    pub fn text(from: &str, text: &str) -> Self {
        Self::with(from, Body::Text(text.to_owned()))
    }

    /// Bytes without a header.
    pub fn data(from: &str, payload: &[u8]) -> Self {
        Self::with(from, Body::Data(UserData::of_bytes(payload)))
    }

    /// Bytes for an application port; 2948 is WAP push, which is how MMS are announced.
    pub fn to_port(from: &str, port: u16, payload: &[u8]) -> Self {
        Self::with(from, Body::Data(UserData::to_port(port, payload)))
    }

    /// Parts as given: for headers that no honest sender writes, or for a long text that misses some.
    pub fn of_parts(from: &str, parts: Vec<UserData>) -> Self {
        Self::with(from, Body::Parts(parts))
    }

    fn with(from: &str, body: Body) -> Self {
        Self { from: Address::new(from), body, class: None, pid: 0, stamp: None }
    }

    /// Sets the message class; 0 is shown at once and kept nowhere.
    pub fn class(mut self, class: u8) -> Self {
        self.class = Some(class);
        self
    }

    /// Sets TP-PID, for example 0x40: a silent SMS.
    pub fn pid(mut self, pid: u8) -> Self {
        self.pid = pid;
        self
    }

    /// Sets the SMSC's time stamp.
    pub fn at(mut self, stamp: SystemTime) -> Self {
        self.stamp = Some(stamp);
        self
    }

    pub(super) fn parts(&self, reference: u8) -> Vec<Deliver> {
        let parts = match &self.body {
            Body::Text(text) => UserData::parts_of(text, self.class, reference),
            Body::Data(data) => vec![data.clone()],
            Body::Parts(parts) => parts.clone(),
        };
        let stamp = self.stamp.unwrap_or_else(SystemTime::now);
        parts.into_iter().map(|data| Deliver { from: self.from.clone(), pid: self.pid, stamp, data }).collect()
    }
}

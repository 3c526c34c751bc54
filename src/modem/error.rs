//! Failures of a modem, and what each proves about the text that was to be sent.

use crate::model::Cause;

/// Why the modem service did not do what was asked. No variant holds a number or a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModemError {
    /// No modem with that line.
    #[error("no modem has this line: is the SIM in?")]
    NoModem,
    /// CMS 310 to 318: no SIM, or it waits for its PIN.
    #[error("no usable SIM: insert it, or enter its PIN")]
    NoSim,
    /// CMS 331: not registered on a network.
    #[error("no network service: try again where there is coverage")]
    NoNetwork,
    /// CMS 332: the network did not answer the modem.
    #[error("the network did not answer: the text may have been sent")]
    NetworkTimeout,
    /// The network is congested or out of order and said so (TS 24.011 annex E-2, temporary causes).
    #[error("the network cannot take it now: try again later")]
    Busy,
    /// The modem or network refused it: barred, unassigned number, FDN (CMS 302, TS 24.011 annex E-2).
    #[error("the network refused the text: ask the operator")]
    Refused,
    /// The modem service or modem cannot express such a text or address.
    #[error("the modem cannot send such a text or to such an address")]
    NotSendable,
    /// More than 255 parts.
    #[error("the text is longer than an SMS can be")]
    TooLong,
    /// The modem did not answer in time.
    #[error("the modem does not answer: the text may have been sent")]
    Mute,
    /// The modem's port, or the modem service, went away before it answered.
    #[error("the modem went away before it answered: the text may have been sent")]
    Lost,
    /// The bus could not deliver the call, or the object is no more: it never reached a modem.
    #[error("the modem service or its SMS object is gone")]
    Gone,
    /// The bus policy or polkit does not let us.
    #[error(
        "the modem service denied it: allow the core org.freedesktop.ModemManager1.Messaging (polkit), or org.ofono (bus policy)"
    )]
    Denied,
    /// The modem service found no polkit to ask.
    #[error("the modem service cannot ask polkit whether we may: is polkitd running?")]
    NoAuthority,
    /// Any other failure, which says nothing about whether the text left.
    #[error("the modem failed without saying whether the text left ({0})")]
    Unclear(Box<str>),
}

/// What a failed `send` allows. A definite refusal of one part of a multipart SMS counts as "nothing
/// left": the earlier parts alone show no text, and a new attempt brings its own reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// Nothing left, and nothing will by trying again.
    Never(Cause),
    /// Nothing left: try again, with back-off and an end.
    Later(Cause),
    /// It may have left: never again by itself.
    Unknown(Cause),
}

impl Retry {
    /// The same for a failure before any `send`: nothing can have left.
    pub fn before_send(self) -> Self {
        match self {
            Self::Unknown(cause) => Self::Later(cause),
            sure => sure,
        }
    }
}

impl ModemError {
    /// What this failure of `send` proves (protocol.md §1: only errors that prove that nothing left
    /// are retried).
    pub fn retry(&self) -> Retry {
        match self {
            Self::NoModem => Retry::Later(Cause::NoModem),
            Self::NoSim => Retry::Later(Cause::NoSim),
            Self::NoNetwork => Retry::Later(Cause::NoNetwork),
            Self::Busy => Retry::Later(Cause::Refused),
            Self::Gone => Retry::Later(Cause::ModemLost),
            Self::Refused => Retry::Never(Cause::Refused),
            Self::NotSendable => Retry::Never(Cause::NotSendable),
            Self::TooLong => Retry::Never(Cause::TooLong),
            Self::Denied => Retry::Never(Cause::Denied),
            Self::NoAuthority => Retry::Later(Cause::Denied),
            Self::NetworkTimeout => Retry::Unknown(Cause::NetworkTimeout),
            Self::Mute => Retry::Unknown(Cause::ModemMute),
            Self::Lost => Retry::Unknown(Cause::ModemLost),
            Self::Unclear(_) => Retry::Unknown(Cause::ModemError),
        }
    }
}

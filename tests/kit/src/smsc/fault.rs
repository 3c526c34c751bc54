//! What may go wrong with an `AT+CMGS`.

use std::time::Duration;

/// One submit's mishap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `+CMS ERROR: n` (3GPP TS 27.005 §3.2.5); the SMSC took nothing.
    Cms(u16),
    /// Plain `ERROR`; the SMSC took nothing.
    Error,
    /// The modem never answers, and nothing left.
    Mute,
    /// The modem never answers, though the SMSC took the text.
    MuteAfterTaking,
    /// Taken, and answered only after this while.
    Slow(Duration),
}

//! The words everything else is said in: numbers, lines, texts, times.
//!
//! Nothing but `std`, so that no word here can be serialised by accident: a number or a text that
//! is to leave the process must be spelled out by hand, in `seal` or in `store`. `Debug` redacts.

mod calendar;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod line;
mod number;
mod segments;
mod settings;
mod text;
mod time;

pub use calendar::Civil;
pub use line::{Line, LineId, SimState, SlotId};
pub use number::{Address, BadNumber, Destination, Home, PhoneNumber, emergency};
pub use segments::{Encoding, Segments};
pub use settings::{Consent, FallbackPolicy, PresencePolicy, Settings, Switched};
pub use text::{
    Arrived, Bearer, Body, Cause, Diverted, ImAttempt, LeaseId, PeerPolicy, Question, Reason, Shown, SmsAttempt, State,
    Text, TextId, Trust, WordingKey,
};
pub use time::{Instant, Now, Timestamp};

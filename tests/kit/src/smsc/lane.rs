//! What waits for one number.

use std::collections::VecDeque;

use crate::pdu::{Address, Deliver, StatusReport};

/// Store and forward towards one number, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) queue: VecDeque<Transit>,
    pub(super) held: bool,
    /// Parts that may go although the lane is held.
    pub(super) passes: usize,
    /// How often the next text part is delivered again.
    pub(super) repeats: usize,
    pub(super) last: Option<Deliver>,
}

#[derive(Debug, Clone)]
pub(super) enum Transit {
    Text { deliver: Deliver, receipt: Option<Receipt> },
    Report(StatusReport),
}

/// Who is told of a delivery.
#[derive(Debug, Clone)]
pub(super) struct Receipt {
    pub(super) to: String,
    pub(super) reference: u8,
    pub(super) recipient: Address,
}

//! The ledger: exactly what left the core for the uplink, and what the uplink counts below it.

use super::Core;
use super::turn::{Effect, Turn};
use crate::store::{LedgerEntry, StoreError};
use crate::wall::{Errand, Operator, ToUplink, encode};

impl Core {
    pub(super) fn totals(&self, turn: &Turn<'_, '_>) -> Result<Vec<(String, u64)>, StoreError> {
        let mut totals = Vec::new();
        for total in turn.tx.ledger_totals()? {
            totals.push((format!("frames-{}", total.kind), total.frames));
            totals.push((format!("bytes-{}", total.kind), total.bytes));
        }
        let counted = self.counted();
        totals.push(("network-sent".to_owned(), counted.sent));
        totals.push(("network-received".to_owned(), counted.received));
        totals.push(("network-connections".to_owned(), counted.connections));
        Ok(totals)
    }
}

/// What the ledger says of a turn: every frame that it hands over.
pub(super) fn entries(turn: &Turn<'_, '_>) -> Vec<LedgerEntry> {
    let entry = |effect: &Effect| match effect {
        Effect::Frame(frame) => Some(LedgerEntry {
            at: turn.now.wall,
            kind: kind(frame).into(),
            pseudonym: Core::addressee(frame).map_or("", |to| to.as_str()).into(),
            size: encode(frame).map_or(0, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        }),
        _ => None,
    };
    turn.effects.iter().filter_map(entry).collect()
}

fn kind(frame: &ToUplink) -> &'static str {
    match frame {
        ToUplink::Connect(_) => "connect",
        ToUplink::Visit(_) => "visit",
        ToUplink::Errand { errand, .. } => match errand {
            Errand::Start(_) => "enrol-start",
            Errand::Confirm(_) => "enrol-confirm",
            Errand::Renew(_) => "renew",
            Errand::Secret(_) => "new-secret",
            Errand::Withdraw => "withdraw",
        },
        ToUplink::Retry => "retry",
        ToUplink::Secrets { .. } => "secrets",
        ToUplink::Send { .. } => "send",
        ToUplink::Presence { .. } => "presence",
        ToUplink::Publish { .. } => "publish",
        ToUplink::Fetch { .. } => "fetch",
        ToUplink::Evaluate { by: Operator::First, .. } => "evaluate",
        ToUplink::Evaluate { by: Operator::Second, .. } => "evaluate-second",
        ToUplink::Ping { .. } => "ping",
        ToUplink::Close => "close",
    }
}

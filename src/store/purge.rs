//! What is forgotten, and when: all retention rules in one place.

use super::error::StoreError;
use super::open::Store;
use crate::model::Timestamp;
use rusqlite::params;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// An ordinal towards a peer is not used again for so long (protocol.md §2).
pub const ORDINALS: Duration = DAY.saturating_mul(14);
/// What was shown is remembered for so long, for twins (protocol.md §2).
pub const SHOWN: Duration = DAY.saturating_mul(7);
/// An IM is known by its id for so long: a sender may hold a text back, and send it again when it has a lease again.
pub const IM_SEEN: Duration = DAY.saturating_mul(90);
/// A repeated SMS is known for so long (`router::SMS_SEEN_FOR` says why).
pub const SMS_SEEN: Duration = DAY.saturating_mul(90);
/// Final outgoing texts; apps keep their own histories.
pub const SENT: Duration = DAY.saturating_mul(90);
/// Incoming texts that an app has taken. Those not taken stay for ever.
pub const TAKEN: Duration = DAY.saturating_mul(14);
/// The tokens of diverted texts that were let go of.
pub const RELEASED: Duration = DAY;
/// Peers that wrote to us, and whom the user never answered, blocked or set a policy for.
pub const STRANGERS: Duration = DAY.saturating_mul(180);
/// Frames in the ledger.
pub const LEDGER: Duration = DAY.saturating_mul(90);

/// Stores that were set aside, which nothing reads any more.
pub const ASIDE: Duration = DAY.saturating_mul(30);

/// Rows that one call takes from one table: it must not keep a text waiting.
const STEP: u32 = 500;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Purged {
    /// Nothing more is due.
    Done,
    /// More is due: call again when there is nothing better to do.
    More,
}

impl Store {
    /// Forgets a bounded number of rows that are past their time; call it daily and after a start. A clock that
    /// was never set forgets nothing.
    pub fn purge(&mut self, now: Timestamp) -> Result<Purged, StoreError> {
        if now < Timestamp::PLAUSIBLE {
            return Ok(Purged::Done);
        }
        // Nothing else waits for it.
        if let Err(error) = self.remove_aside(|at| at < now.minus(ASIDE)) {
            log::error!("a store that was set aside can't be removed: {error}");
        }
        self.transaction(|tx| {
            let mut full = false;
            for (statement, kept) in RULES {
                full |= tx.run(statement, params![now.minus(*kept).0, STEP])? >= STEP as usize;
            }
            for statement in ORPHANS {
                tx.run(statement, [])?;
            }
            Ok(if full { Purged::More } else { Purged::Done })
        })
    }
}

/// One statement a table: rows older than ?1, at most ?2 of them.
pub(super) const RULES: &[(&str, Duration)] = &[
    ("DELETE FROM ordinals WHERE (wording, n) IN (SELECT wording, n FROM ordinals WHERE at < ?1 LIMIT ?2)", ORDINALS),
    ("DELETE FROM shown WHERE (wording, n) IN (SELECT wording, n FROM shown WHERE at < ?1 LIMIT ?2)", SHOWN),
    ("DELETE FROM im_seen WHERE id IN (SELECT id FROM im_seen WHERE at < ?1 LIMIT ?2)", IM_SEEN),
    ("DELETE FROM sms_seen WHERE digest IN (SELECT digest FROM sms_seen WHERE at < ?1 LIMIT ?2)", SMS_SEEN),
    ("DELETE FROM texts WHERE seq IN (SELECT seq FROM texts WHERE live <> 1 AND at < ?1 LIMIT ?2)", SENT),
    ("DELETE FROM released WHERE token IN (SELECT token FROM released WHERE at < ?1 LIMIT ?2)", RELEASED),
    ("DELETE FROM arrived WHERE seq IN (SELECT seq FROM arrived WHERE acknowledged <> 0 AND at < ?1 LIMIT ?2)", TAKEN),
    ("DELETE FROM peers WHERE number IN (SELECT number FROM peers WHERE touched < ?1 LIMIT ?2)", STRANGERS),
    ("DELETE FROM ledger WHERE seq IN (SELECT seq FROM ledger WHERE at < ?1 LIMIT ?2)", LEDGER),
];

/// What has lost its reason. These tables hold a few rows a peer, and the unsettled texts' envelopes.
pub(super) const ORPHANS: &[&str] = &[
    "DELETE FROM sessions WHERE NOT EXISTS (SELECT 1 FROM peers WHERE peers.number = sessions.number)",
    "DELETE FROM envelopes WHERE NOT EXISTS (SELECT 1 FROM texts WHERE texts.id = envelopes.id AND live = 1)",
];

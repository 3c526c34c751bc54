//! The store: one SQLite file, columns sealed, every change one transaction that is on disk when it returns.
//!
//! # The data model
//!
//! In plain stand only random ids, times, states' coarse flags, and keyed digests to find rows by. Whatever says
//! a number, a text, a key, a pseudonym or a line is sealed (ChaCha20-Poly1305), bound to its table, row and
//! column, so that no cell can be moved to another. [`Store::purge`] holds all retention rules.
//!
//! - `meta`: a constant sealed under the key, which tells the wrong key from damage; the generation word that
//!   must match the file outside every backup. Never deleted.
//! - `blobs`: what [`Blob`] names, from the switch to the contacts handed over, each sealed whole. Deleted by Withdraw.
//! - `texts`: outgoing texts, the rowid being the order in which they were handed over. `live` while not final:
//!   what a start acts on again. `token` and `owner` are digests of the caller's idempotency token and of the unique bus
//!   name of the modem service whose object an app had written a diverted text to, `peer` the recipient's. `body` is
//!   written once, `record` with each step. A damaged one is set aside (`live` 2): found no more, in nobody's way.
//!   Deleted by the app's Delete, or 90 days after a final or damaged one was handed over.
//! - `sms_references`: digest of the recipient and message reference, by which a status report finds the text that
//!   asked for it. Goes with the text.
//! - `released`: digests of the tokens of diverted texts that were let go of, so that who asks again gets the same
//!   answer. Goes after a day; the text itself is gone at once.
//! - `ordinals`: the numbers in use for a wording towards a peer, so that two honest repeats never look alike.
//!   Stays when the text is deleted; goes after 14 days.
//! - `envelopes`: a text's sealed envelope, resent byte for byte. Goes once the text is final or gone.
//! - `arrived`: incoming texts, waiting until an app acknowledges them. The rowid of an IM is its number for apps
//!   that see it as an SMS, so it is never used again; `im` tells which those are, `peer` is their sender's digest. A
//!   damaged one is set aside (`acknowledged` 2). Deleted by the app's Delete, here or of the SMS in the modem service, or
//!   14 days after they came if they were acknowledged or set aside; never before.
//! - `shown`: what was shown for a wording and ordinal of a peer, for the twin that comes by the other bearer.
//!   Stays when the text is deleted; goes after 7 days.
//! - `im_seen`: ids of IMs that were shown or revoked: none is shown again, each revoke gets the same answer.
//!   Goes 90 days after the id was last seen: a sender may hold a text back for long, and then send it again.
//! - `sms_seen`: digests of incoming SMS, for those that modem or SMSC deliver again, and which text each became: it goes
//!   when the modem service tells that the SMS was deleted there. Goes 90 days after it was seen last.
//! - `peers`: what we know of a number, found by its digest. `said` stands only where the user set a policy, blocked or
//!   verified: a copy of just that, for the day on which the record is damaged. That the user wrote to it is not in it:
//!   without that the phone asks and grants less, until the next text to it says so again. `touched` stands only for
//!   strangers, who go after 180 days; whoever the user wrote to, blocked or set a policy for stays until Withdraw.
//! - `sessions`: up to four pickled sessions a peer, newest first. Go with the peer.
//! - `switches`: when the switch was turned, by whom, and what the user agreed to. The newest 100. Deleted by
//!   Withdraw.
//! - `ledger`: each frame handed towards the cloud. The newest 100,000, for at most 90 days.
//! - `ledger_totals`: frames and bytes by kind. Never deleted.
//!
//! A store that could not be used is set aside in a directory `aside-N`, which nothing reads any more: it is removed
//! after 30 days, or by Withdraw.
//!
//! Withdraw keeps texts that no app has taken or that are under way, and `released`, `shown`, `im_seen` and `sms_seen`:
//! keyed digests by which nothing is sent or shown twice; they go by their age.
//!
//! Every statement finds its rows by an index, whatever the store's size: a test reads SQLite's query plans.

mod arrived;
mod blobs;
mod error;
mod key;
mod ledger;
mod mark;
mod open;
mod peers;
mod purge;
mod record;
mod schema;
mod switches;
mod texts;
mod tx;
mod wipe;
mod witness;

#[cfg(test)]
mod tests;

pub use arrived::{ImFate, Inbox};
pub use blobs::{Blob, NetworkTotals, Switch};
pub use error::{Damage, KeyFault, StoreError, Unusable};
pub use key::{KeySource, StoreKey};
pub use ledger::{LEDGER_ROWS, LedgerEntry, LedgerTotal};
pub use mark::OnMark;
pub use open::{Store, exists, set_aside};
pub use peers::{AllPeers, MAX_SESSIONS, PeerRecord};
pub use purge::{ASIDE, IM_SEEN, LEDGER, ORDINALS, Purged, RELEASED, SENT, SHOWN, SMS_SEEN, STRANGERS, TAKEN};
pub use texts::{Cursor, Place};
pub use tx::Tx;

/// Makes a rename or a new file in that file's directory last.
fn sync_directory(file: &std::path::Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(std::path::Path::new(".")))?.sync_all()
}

//! All that is held about the user, as JSON text in parts that make one document.
//!
//! Keys and the account's secret are named, not shown: they say nothing about the user, and whoever held the
//! file could speak for the phone. Tables that hold keyed digests alone are counted.

use super::Core;
use super::turn::Turn;
use crate::bus::{Error, ExportPart};
use crate::model::{Arrived, Line, PhoneNumber, State, Text};
use crate::store::{Cursor, LedgerEntry, PeerRecord, StoreError, Switch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Rows in a part.
const PAGE: u32 = 200;

/// A part's text, and what follows it.
type Part = (Zeroizing<String>, Option<ExportPart>);

impl Core {
    pub(super) fn export(&self, turn: &Turn<'_, '_>, part: ExportPart) -> Result<Result<Part, Error>, StoreError> {
        if let Some(token) = self.degraded {
            return Ok(Err(Error::Store(token)));
        }
        let tx = turn.tx;
        Ok(Ok(match part {
            ExportPart::About => {
                let about = self.about(turn)?.to_string();
                // The document goes on with the lists.
                let open = about.strip_suffix('}').unwrap_or(&about);
                (Zeroizing::new(format!("{open},\n\"outgoing\":[\n")), Some(ExportPart::Outgoing(None)))
            }
            ExportPart::Outgoing(before) => list(
                (before, tx.list_texts(before, PAGE)?, outgoing),
                ExportPart::Outgoing,
                ("],\n\"incoming\":[\n", Some(ExportPart::Incoming(None))),
            ),
            ExportPart::Incoming(before) => list(
                (before, tx.list_arrived(before, PAGE)?, incoming),
                ExportPart::Incoming,
                ("],\n\"ledger\":[\n", Some(ExportPart::Ledger(None))),
            ),
            ExportPart::Ledger(before) => {
                list((before, tx.list_ledger(before, PAGE)?, frame), ExportPart::Ledger, ("]}\n", None))
            }
        }))
    }

    fn about(&self, turn: &Turn<'_, '_>) -> Result<Value, StoreError> {
        let settings = self.settings;
        let account = self.account.as_ref().map(|account| {
            json!({
                "number": account.number.as_e164(),
                "address": account.jid.to_string(),
                "certificate-issued": account.certificate.issued.0,
                "certificate-expires": account.certificate.expires.0,
                "servers": account.servers,
                "directory": account.directory,
                "secret": "held, not exported",
            })
        });
        let line = |line: &Line| json!({ "line": line.id.0, "number": line.number.as_ref().map(PhoneNumber::as_e164) });
        let peer = |(number, record): (&PhoneNumber, &PeerRecord)| {
            json!({
                "number": number.as_e164(),
                "policy": record.policy.token(),
                "blocked": record.blocked,
                "pseudonyms": record.pseudonyms,
                "key-known": record.pinned_identity.is_some(),
                "key-changed": record.new_identity.is_some(),
                "trust": record.trust.token(),
                "has-my-number": record.proof_known.is_some(),
                "wrote-to": record.wrote_to,
                "last-change": record.touched.0,
            })
        };
        Ok(json!({
            "format": "org.shunt.export",
            "version": 1,
            "time": turn.now.wall.0,
            "account": account,
            "identity-key": self.identity.as_ref().map(|identity| identity.key().to_text()),
            "enabled": self.enabled,
            "settings": {
                "fallback-after": settings.fallback_after,
                "fallback-policy": settings.fallback_policy.token(),
                "allow-roaming": settings.allow_roaming,
                "allow-metered": settings.allow_metered,
                "presence-policy": settings.presence_policy.token(),
                "read-receipts": settings.read_receipts,
            },
            "switches": turn.tx.switches()?.iter().map(switch).collect::<Vec<_>>(),
            "lines": self.lines.values().map(line).collect::<Vec<_>>(),
            "peers": self.peers.all().map(peer).collect::<Vec<_>>(),
            "contacts": self.contacts.numbers().collect::<Vec<_>>(),
            "totals": self.totals(turn)?.into_iter().collect::<BTreeMap<_, _>>(),
            "digests": turn.tx.digests()?.into_iter().collect::<BTreeMap<_, _>>(),
        }))
    }
}

/// A page of rows and what it goes on with, or the list's end.
fn list<T>(
    (before, rows, as_json): (Option<Cursor>, Vec<(Cursor, T)>, impl Fn(&T) -> Value),
    more: impl Fn(Option<Cursor>) -> ExportPart,
    (end, following): (&str, Option<ExportPart>),
) -> Part {
    let Some((last, _)) = rows.last() else { return (Zeroizing::new(end.to_owned()), following) };
    let next = more(Some(*last));
    let mut text = Zeroizing::new(String::new());
    for (place, (_, row)) in rows.iter().enumerate() {
        if place > 0 || before.is_some() {
            text.push_str(",\n");
        }
        text.push_str(&as_json(row).to_string());
    }
    (text, Some(next))
}

fn switch(switch: &Switch) -> Value {
    let by = switch.switched.as_ref();
    let consent = by.and_then(|by| by.consent.as_ref());
    json!({
        "on": switch.on,
        "time": by.map(|by| by.at.0),
        "uid": by.map(|by| by.uid),
        "unit": by.map(|by| &by.unit),
        "consent": consent.map(|consent| &consent.text),
        "locale": consent.map(|consent| &consent.locale),
    })
}

fn outgoing(text: &Text) -> Value {
    let cause = match text.state {
        State::Failed(cause) | State::Uncertain(cause) => Some(cause.token()),
        _ => None,
    };
    json!({
        "id": text.id.to_hex(),
        "line": text.line.0,
        "to": text.to.0,
        "peer": text.peer.as_ref().map(PhoneNumber::as_e164),
        "text": text.body.0,
        "time": text.at.0,
        "state": text.state.token(),
        "cause": cause,
        "reason": text.reason.token(),
        "token": text.token,
        "report": text.report,
    })
}

fn incoming(text: &Arrived) -> Value {
    json!({
        "id": text.id.to_hex(),
        "line": text.line.0,
        "from": text.from.0,
        "text": text.body.0,
        "bearer": text.bearer.token(),
        "sent": text.sent.0,
        "time": text.at.0,
        "acknowledged": text.acknowledged,
    })
}

fn frame(entry: &LedgerEntry) -> Value {
    json!({ "time": entry.at.0, "kind": entry.kind, "pseudonym": entry.pseudonym, "bytes": entry.size })
}

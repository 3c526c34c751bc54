//! All that is held about the user, as JSON text in parts that make one document.
//!
//! Keys and the account's secret are named, not shown: they say nothing about the user, and whoever held the
//! file could speak for the phone. Tables that hold keyed digests, sessions or envelopes alone are counted.

use super::Core;
use super::ended::Ended;
use super::enrolment::Enrolment;
use super::turn::Turn;
use crate::bus::{Error, ExportPart, UnverifiedEntry};
use crate::model::{
    Arrived, Bearer, Consent, Diverted, ImAttempt, Line, PhoneNumber, Settings, SmsAttempt, State, Switched, Text,
    Timestamp,
};
use crate::seal::AccountFile;
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
        let line = |line: &Line| json!({ "line": line.id.0, "number": line.number.as_ref().map(PhoneNumber::as_e164) });
        Ok(json!({
            "format": "org.shunt.export",
            "version": 1,
            "time": turn.now.wall.0,
            "account": self.account.as_ref().map(account),
            "account-lines": self.account_lines.told(),
            "lines-beside": self.account_lines.told_beside(),
            "account-slot": self.account_lines.told_slot(),
            "own-line": self.own.told(),
            "new-secret": self.secrets.is_wanted().then_some(HELD),
            "enrolment": self.enrolment.as_ref().map(Enrolment::told),
            "ended": self.ended.map(Ended::token),
            "withdrawing": self.withdrawal.is_some(),
            "identity-key": self.identity.as_ref().map(|identity| identity.key().to_text()),
            "enabled": self.enabled,
            "settings": settings(&self.settings),
            "switches": turn.tx.switches()?.iter().map(switch).collect::<Vec<_>>(),
            "lines": self.lines.values().map(line).collect::<Vec<_>>(),
            "peers": self.peers.all().map(peer).collect::<Vec<_>>(),
            "unverified": self.unverified.list(turn.now.wall).iter().map(unverified).collect::<Vec<_>>(),
            "contacts": self.contacts.numbers().collect::<Vec<_>>(),
            "totals": self.totals(turn)?.into_iter().collect::<BTreeMap<_, _>>(),
            "counted": turn.tx.counted()?.into_iter().collect::<BTreeMap<_, _>>(),
        }))
    }
}

/// What stands for a key or a proof.
const HELD: &str = "held, not exported";

// Each value is taken apart whole: a field that is new must be told, or named as one that is not.

fn account(account: &AccountFile) -> Value {
    let AccountFile { number, jid, secret: _, servers, directory, ca, keys, certificate, second, transcripts: _ } =
        account;
    let epochs: String = keys.epochs.iter().map(|key| key.epoch).collect();
    json!({
        "number": number.as_e164(),
        "address": jid.to_string(),
        "secret": HELD,
        "servers": servers,
        "directory": directory,
        "ca": ca,
        "epochs": epochs,
        "certificate-issued": certificate.issued.0,
        "certificate-expires": certificate.expires.0,
        "second-evaluator": second.as_ref().map(|second| &second.directory),
        "proof-of-number": HELD,
    })
}

fn settings(settings: &Settings) -> Value {
    let Settings { fallback_after, fallback_policy, allow_roaming, allow_metered, presence_policy, read_receipts } =
        settings;
    json!({
        "fallback-after": fallback_after,
        "fallback-policy": fallback_policy.token(),
        "allow-roaming": allow_roaming,
        "allow-metered": allow_metered,
        "presence-policy": presence_policy.token(),
        "read-receipts": read_receipts,
    })
}

fn peer((number, record): (&PhoneNumber, &PeerRecord)) -> Value {
    let PeerRecord {
        policy,
        blocked,
        pseudonyms,
        pinned_identity,
        trust,
        new_identity,
        certificate_issued,
        certificate_expires,
        bundle_dated,
        proof_known,
        wrote_to,
        touched,
    } = record;
    let time = |at: &Option<Timestamp>| at.map(|at| at.0);
    json!({
        "number": number.as_e164(),
        "policy": policy.token(),
        "blocked": blocked,
        "pseudonyms": pseudonyms,
        "key-known": pinned_identity.is_some(),
        "key-changed": new_identity.is_some(),
        "trust": trust.token(),
        "certificate-issued": time(certificate_issued),
        "certificate-expires": time(certificate_expires),
        "key-bundle-dated": time(bundle_dated),
        "has-my-number": proof_known.is_some(),
        "has-my-certificate-of": time(proof_known),
        "wrote-to": wrote_to,
        "last-change": touched.0,
    })
}

fn unverified(UnverifiedEntry { pseudonym, reason, times, at }: &UnverifiedEntry) -> Value {
    json!({ "pseudonym": pseudonym, "reason": reason.token(), "times": times, "last": at.0 })
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

fn switch(Switch { on, switched }: &Switch) -> Value {
    let Some(Switched { at, uid, unit, consent }) = switched else { return json!({ "on": on }) };
    let consent = consent.as_ref().map(|Consent { text, locale }| (text, locale));
    json!({
        "on": on,
        "time": at.0,
        "uid": uid,
        "unit": unit,
        "consent": consent.map(|(text, _)| text),
        "locale": consent.map(|(_, locale)| locale),
    })
}

fn outgoing(text: &Text) -> Value {
    let Text {
        id,
        line,
        to,
        peer,
        body,
        at,
        state,
        reason,
        only,
        // A keyed digest of the text.
        wording: _,
        ordinal,
        im,
        sms,
        retries,
        encoding,
        token,
        report,
        cancelled,
        diverted,
    } = text;
    let cause = match state {
        State::Failed(cause) | State::Uncertain(cause) => Some(cause.token()),
        _ => None,
    };
    // The lease that it went under was random, and is over.
    let im = im.as_ref().map(|ImAttempt { lease: _, at, not_shown }| json!({ "time": at.0, "not-shown": not_shown }));
    let sms = sms.as_ref().map(|SmsAttempt { object, owner, issued, references }| {
        json!({ "object": object, "service": owner, "issued": issued, "references": references })
    });
    let diverted = diverted
        .as_ref()
        .map(|Diverted { object, owner, waits, report_deleted }| {
            json!({ "object": object, "service": owner, "app-waits": waits, "report-deleted": report_deleted })
        });
    json!({
        "id": id.to_hex(),
        "line": line.0,
        "to": to.0,
        "peer": peer.as_ref().map(PhoneNumber::as_e164),
        "text": body.0,
        "time": at.0,
        "state": state.token(),
        "cause": cause,
        "reason": reason.token(),
        "only-by": only.map(Bearer::token),
        "repetition": ordinal,
        "im": im,
        "sms": sms,
        "retries": retries,
        "encoding": encoding.token(),
        "token": token,
        "report": report,
        "cancelled": cancelled,
        "diverted": diverted,
    })
}

fn incoming(Arrived { id, line, from, body, bearer, sent, at, acknowledged }: &Arrived) -> Value {
    json!({
        "id": id.to_hex(),
        "line": line.0,
        "from": from.0,
        "text": body.0,
        "bearer": bearer.token(),
        "sent": sent.0,
        "time": at.0,
        "acknowledged": acknowledged,
    })
}

fn frame(LedgerEntry { at, kind, pseudonym, size }: &LedgerEntry) -> Value {
    json!({ "time": at.0, "kind": kind, "pseudonym": pseudonym, "bytes": size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::roots::Roots;
    use crate::model::Now;
    use crate::store::{Blob, Store};

    /// How the export tells of what is kept.
    enum Told {
        /// By this entry of the document.
        By(&'static str),
        /// By this list, which comes in parts of its own.
        List(&'static str),
        /// Not at all: it says nothing about the user, and why.
        Not(&'static str),
    }
    use Told::{By, List, Not};

    fn of_blob(blob: Blob) -> &'static str {
        match blob {
            Blob::Switch => "enabled",
            Blob::Settings => "settings",
            Blob::Network => "totals/network-sent",
            Blob::Identity => "identity-key",
            Blob::Account => "account",
            Blob::AccountLines => "account-lines",
            Blob::OwnLine => "own-line/number-proven",
            Blob::NewSecret => "new-secret",
            Blob::Enrolment => "enrolment",
            Blob::Ended => "ended",
            Blob::Withdrawal => "withdrawing",
            Blob::Contacts => "contacts",
        }
    }

    fn of_column(column: &str) -> Option<Told> {
        Some(match column {
            "meta.name" | "meta.value" => Not("the store's own check and generation"),
            "blobs.name" | "blobs.value" => Not("told one by one"),
            "texts.seq" | "arrived.seq" | "switches.seq" | "ledger.seq" => Not("the order of the list"),
            "texts.id" | "texts.at" | "texts.live" | "texts.peer" | "texts.token" | "texts.owner" | "texts.body"
            | "texts.record" => List("outgoing"),
            "arrived.id" | "arrived.at" | "arrived.im" | "arrived.acknowledged" | "arrived.peer" | "arrived.record" => {
                List("incoming")
            }
            "ledger.at" | "ledger.kind" | "ledger.size" | "ledger.pseudonym" => List("ledger"),
            "ledger_totals.kind" | "ledger_totals.frames" | "ledger_totals.bytes" => By("totals"),
            "switches.record" => By("switches"),
            "peers.number" | "peers.pseudonym" | "peers.touched" | "peers.said" | "peers.record" => By("peers"),
            "sessions.number" | "sessions.place" | "sessions.pickle" => By("counted/sessions"),
            "envelopes.id" | "envelopes.envelope" => By("counted/envelopes"),
            "released.token" | "released.at" => By("counted/released"),
            "sms_references.peer" | "sms_references.reference" | "sms_references.seq" => By("counted/sms-references"),
            "ordinals.wording" | "ordinals.n" | "ordinals.at" => By("counted/ordinals"),
            "shown.wording" | "shown.n" | "shown.id" | "shown.bearer" | "shown.at" => By("counted/shown"),
            "im_seen.id" | "im_seen.fate" | "im_seen.at" => By("counted/im-seen"),
            "sms_seen.digest" | "sms_seen.at" | "sms_seen.id" => By("counted/sms-seen"),
            _ => return None,
        })
    }

    #[test]
    fn everything_that_the_store_has_a_place_for_is_told_counted_or_named_as_no_ones() {
        let mut store = Store::volatile().unwrap();
        let core = Core::new(Config::default(), Roots::default(), Vec::new());
        let (columns, about) =
            store.transaction(|tx| Ok((tx.columns()?, core.about(&Turn::new(tx, Now::default()))?))).unwrap();
        let holds = |entry: &str| assert!(about.pointer(&format!("/{entry}")).is_some(), "{entry}: {about}");
        holds("unverified");
        assert!(columns.len() > 50, "{columns:?}");
        for column in &columns {
            match of_column(column).unwrap_or_else(|| panic!("{column} is new: what does the export tell of it?")) {
                By(entry) => holds(entry),
                List(list) => assert!(["outgoing", "incoming", "ledger"].contains(&list)),
                Not(why) => assert!(!why.is_empty()),
            }
        }
        Blob::ALL.into_iter().map(of_blob).for_each(holds);
    }
}

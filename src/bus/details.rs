//! Records as `a{sv}`, for `Get`, `Route` and the signals. The keys are part of the contract.

use super::options::MESSAGES;
use super::{Diagnosis, Published, Record, RouteAnswer};
use crate::model::{Arrived, Bearer, LineId, SimState, State, Text, TextId, Timestamp};
use std::collections::HashMap;
use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// An `a{sv}` as methods return it.
pub(super) type Details = HashMap<&'static str, Variant<'static>>;

/// A line in `Lines`: name, number, state, enrolled.
pub(super) type Line = (String, String, &'static str, bool);

/// The last switch: when (ms since 1970), uid, unit, consent text, its locale.
pub(super) type LastSwitch = (u64, u32, String, String, String);

/// The object path of a text.
pub(super) fn path(id: TextId) -> OwnedObjectPath {
    ObjectPath::from_string_unchecked(format!("{MESSAGES}{}", id.to_hex())).into()
}

/// A diverted text for `Sent` and `Settled`: itself, the app's object, whose that is, state, whether it has a report, when
/// it left by IM (else when it was handed over), recipient, line.
pub(super) type Sent = (OwnedObjectPath, OwnedObjectPath, String, &'static str, bool, i64, String, String);

/// The text as [`Sent`], where the app has an object for it.
pub(super) fn sent(text: &Text) -> Option<Sent> {
    let diverted = text.diverted.as_ref()?;
    let object = OwnedObjectPath::try_from(&*diverted.object).ok().filter(|object| object.as_str() != "/")?;
    let (owner, to, line) = (diverted.owner.to_string(), text.to.0.to_string(), text.line.0.to_string());
    let at = text.im.map_or(text.at, |im| im.at).0;
    Some((path(text.id), object, owner, text.state.token(), text.has_report(), at, to, line))
}

/// The lines that are in a modem, for `Door.Lines`: name, the modem service's object.
pub(super) fn seats(published: &Published) -> Vec<(String, OwnedObjectPath)> {
    let seat = |line: &super::LineEntry| {
        let modem = OwnedObjectPath::try_from(line.modem.as_deref()?).ok()?;
        Some((line.id.0.to_string(), modem))
    };
    published.lines.iter().filter_map(seat).collect()
}

/// The line that has the account's number: instant messages that came under earlier ones are shown there.
pub(super) fn accounts_line(published: &Published) -> Option<&LineId> {
    published.lines.iter().find(|line| line.enrolled).map(|line| &line.id)
}

/// `Diagnose`'s answer.
pub(super) fn diagnosis(found: &Diagnosis) -> Details {
    let mut details = Details::from([("epochs", found.epochs.clone().into())]);
    details.extend(found.store.map(|why| ("store", why.into())));
    details.extend(found.certificate.map(|at| ("certificate-expires", ms(at).into())));
    details.extend(found.ca.map(|at| ("ca-expires", ms(at).into())));
    details.extend(found.epoch.map(|epoch| ("epoch", epoch.to_string().into())));
    details
}

/// Milliseconds since 1970; a time before is 0.
pub(super) fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// The bearer that a text took or takes; none while that is open.
fn bearer_of(text: &Text) -> Option<Bearer> {
    match text.state {
        State::Queued | State::Held(_) => None,
        State::ImSending | State::ImAccepted | State::ImDelivered | State::ImRead | State::Revoking => Some(Bearer::Im),
        State::SmsSending | State::SmsSent | State::SmsDelivered | State::Released => Some(Bearer::Sms),
        State::Failed(_) | State::Uncertain(_) if text.sms.is_some() => Some(Bearer::Sms),
        State::Failed(_) | State::Uncertain(_) => text.im.is_some().then_some(Bearer::Im),
    }
}

/// What changes of an outgoing text: for `Changed`.
pub(super) fn progress(text: &Text) -> Details {
    let mut details = Details::from([
        ("state", text.state.token().into()),
        ("reason", text.reason.token().into()),
        ("bearer", bearer_of(text).map_or("", Bearer::token).into()),
    ]);
    match text.state {
        State::Failed(cause) | State::Uncertain(cause) => {
            details.insert("cause", cause.token().into());
        }
        State::Held(question) => {
            details.insert("question", question.token().into());
        }
        _ => {}
    }
    details
}

/// All that `Changed` tells of a text that was deleted.
pub(super) fn deleted() -> Details {
    Details::from([("deleted", true.into())])
}

fn outgoing(text: &Text) -> Details {
    let mut details = progress(text);
    details.extend([
        ("id", text.id.to_hex().into()),
        ("direction", "outgoing".into()),
        ("line", text.line.0.to_string().into()),
        ("to", text.to.0.to_string().into()),
        ("text", text.body.0.to_string().into()),
        ("time", ms(text.at).into()),
        ("encoding", text.encoding.token().into()),
        ("report", text.report.into()),
    ]);
    if let Some(peer) = &text.peer {
        details.insert("peer", peer.as_e164().to_owned().into());
    }
    if let Some(token) = &text.token {
        details.insert("token", token.to_string().into());
    }
    details
}

/// An incoming text: for `Received` and `Get`.
pub(super) fn incoming(text: &Arrived) -> Details {
    Details::from([
        ("id", text.id.to_hex().into()),
        ("direction", "incoming".into()),
        ("line", text.line.0.to_string().into()),
        ("from", text.from.0.to_string().into()),
        ("text", text.body.0.to_string().into()),
        ("bearer", text.bearer.token().into()),
        ("sent", ms(text.sent).into()),
        ("time", ms(text.at).into()),
        ("acknowledged", text.acknowledged.into()),
    ])
}

/// A text either way: for `Get`.
pub(super) fn record(record: &Record) -> Details {
    match record {
        Record::Outgoing(text) => outgoing(text),
        Record::Incoming(text) => incoming(text),
    }
}

/// `Route`'s answer.
pub(super) fn route(answer: RouteAnswer) -> (&'static str, &'static str, Details) {
    let mut details = Details::from([("verified", answer.verified.into())]);
    if let Some(segments) = answer.segments {
        details.insert("segments", u32::from(segments.count).into());
        details.insert("encoding", segments.encoding.token().into());
        details.insert("mark-segment", answer.mark_segment.into());
    }
    if let Some(ends) = answer.lease_ends {
        details.insert("lease-ends", ms(ends).into());
    }
    if !answer.rules.is_empty() {
        details.insert("rules", Variant::from(answer.rules));
    }
    (answer.bearer.token(), answer.reason.token(), details)
}

/// `Lines`; without numbers for those who may not send.
pub(super) fn lines(published: &Published, with_numbers: bool) -> Vec<Line> {
    let sim = |sim| match sim {
        SimState::Absent => "absent",
        SimState::Locked => "locked",
        SimState::Searching => "searching",
        SimState::Home => "home",
        SimState::Roaming => "roaming",
    };
    let shown = published.lines.iter().map(|line| {
        let number = line.number.as_ref().filter(|_| with_numbers).map_or("", |number| number.as_e164());
        (line.id.0.to_string(), number.to_owned(), sim(line.sim), line.enrolled)
    });
    shown.collect()
}

/// `LastSwitch`; all empty where the switch was never turned.
pub(super) fn last_switch(published: &Published) -> LastSwitch {
    let Some(switched) = &published.switched else { return LastSwitch::default() };
    let consent = switched.consent.as_ref();
    (
        ms(switched.at),
        switched.uid,
        switched.unit.to_string(),
        consent.map(|consent| consent.text.to_string()).unwrap_or_default(),
        consent.map(|consent| consent.locale.to_string()).unwrap_or_default(),
    )
}

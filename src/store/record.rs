//! Records as they are sealed: the model's words spelled out, so that none is serialised by accident.
//! Their order is the encoding: a change needs a new version in `tx` and an upgrader.

use super::blobs::Switch;
use super::error::StoreError;
use super::tx::UNREADABLE;
use crate::model::{
    Address, Arrived, Bearer, Body, Cause, Consent, Diverted, Encoding, FallbackPolicy, ImAttempt, LeaseId, LineId,
    PhoneNumber, PresencePolicy, Question, Reason, Settings, SmsAttempt, State, Switched, Text, TextId, Timestamp,
    WordingKey,
};
use serde::{Deserialize, Serialize};

/// Object, owner, issued, references.
type SmsRecord = (Box<str>, Box<str>, bool, Vec<u8>);
/// Object, owner, waits, report deleted.
type DivertedRecord = (Box<str>, Box<str>, bool, bool);
/// Text and locale.
type ConsentRecord = (Box<str>, Box<str>);

/// An outgoing text without its body, which stands in a column of its own and never changes.
#[derive(Serialize, Deserialize)]
pub(super) struct TextRecord {
    line: Box<str>,
    to: Box<str>,
    peer: Option<Box<str>>,
    at: i64,
    state: (u8, u8),
    reason: u8,
    only: Option<u8>,
    wording: [u8; 32],
    ordinal: u16,
    im: Option<([u8; 16], i64, bool)>,
    sms: Option<SmsRecord>,
    retries: u8,
    encoding: u8,
    token: Option<Box<str>>,
    report: bool,
    cancelled: bool,
    diverted: Option<DivertedRecord>,
}

impl From<&Text> for TextRecord {
    fn from(text: &Text) -> Self {
        Self {
            line: text.line.0.clone(),
            to: text.to.0.clone(),
            peer: text.peer.as_ref().map(|peer| peer.as_e164().into()),
            at: text.at.0,
            state: from_state(text.state),
            reason: text.reason.code(),
            only: text.only.map(bearer_code),
            wording: text.wording.0,
            ordinal: text.ordinal,
            im: text.im.map(|im| (im.lease.0, im.at.0, im.not_shown)),
            sms: text.sms.as_ref().map(|s| (s.object.clone(), s.owner.clone(), s.issued, s.references.clone())),
            retries: text.retries,
            encoding: match text.encoding {
                Encoding::Gsm7 => 0,
                Encoding::Ucs2 => 1,
            },
            token: text.token.clone(),
            report: text.report,
            cancelled: text.cancelled,
            diverted: text.diverted.as_ref().map(|d| (d.object.clone(), d.owner.clone(), d.waits, d.report_deleted)),
        }
    }
}

impl TextRecord {
    pub(super) fn into_text(self, id: TextId, body: Box<str>) -> Result<Text, StoreError> {
        Ok(Text {
            id,
            line: LineId(self.line),
            to: Address(self.to),
            peer: self.peer.map(|peer| number(&peer)).transpose()?,
            body: Body(body),
            at: Timestamp(self.at),
            state: to_state(self.state).ok_or(UNREADABLE)?,
            reason: Reason::from_code(self.reason).ok_or(UNREADABLE)?,
            only: self.only.map(bearer).transpose()?,
            wording: WordingKey(self.wording),
            ordinal: self.ordinal,
            im: self.im.map(|(lease, at, not_shown)| ImAttempt { lease: LeaseId(lease), at: Timestamp(at), not_shown }),
            sms: self.sms.map(|(object, owner, issued, references)| SmsAttempt { object, owner, issued, references }),
            retries: self.retries,
            encoding: match self.encoding {
                0 => Encoding::Gsm7,
                1 => Encoding::Ucs2,
                _ => return Err(UNREADABLE),
            },
            token: self.token,
            report: self.report,
            cancelled: self.cancelled,
            diverted: self.diverted.map(|(object, owner, waits, report_deleted)| Diverted {
                object,
                owner,
                waits,
                report_deleted,
            }),
        })
    }
}

/// An incoming text.
#[derive(Serialize, Deserialize)]
pub(super) struct ArrivedRecord {
    line: Box<str>,
    from: Box<str>,
    body: Box<str>,
    bearer: u8,
    sent: i64,
    at: i64,
}

impl From<&Arrived> for ArrivedRecord {
    fn from(arrived: &Arrived) -> Self {
        Self {
            line: arrived.line.0.clone(),
            from: arrived.from.0.clone(),
            body: arrived.body.0.clone(),
            bearer: bearer_code(arrived.bearer),
            sent: arrived.sent.0,
            at: arrived.at.0,
        }
    }
}

impl ArrivedRecord {
    pub(super) fn into_arrived(self, id: TextId, acknowledged: bool) -> Result<Arrived, StoreError> {
        Ok(Arrived {
            id,
            line: LineId(self.line),
            from: Address(self.from),
            body: Body(self.body),
            bearer: bearer(self.bearer)?,
            sent: Timestamp(self.sent),
            at: Timestamp(self.at),
            acknowledged,
        })
    }
}

/// The settings.
#[derive(Serialize, Deserialize)]
pub(super) struct SettingsRecord {
    fallback_after: u32,
    fallback_policy: u8,
    allow_roaming: bool,
    allow_metered: bool,
    presence_policy: u8,
    read_receipts: bool,
}

impl From<&Settings> for SettingsRecord {
    fn from(settings: &Settings) -> Self {
        Self {
            fallback_after: settings.fallback_after,
            fallback_policy: settings.fallback_policy.code(),
            allow_roaming: settings.allow_roaming,
            allow_metered: settings.allow_metered,
            presence_policy: settings.presence_policy.code(),
            read_receipts: settings.read_receipts,
        }
    }
}

impl SettingsRecord {
    pub(super) fn into_settings(self) -> Result<Settings, StoreError> {
        Ok(Settings {
            fallback_after: self.fallback_after,
            fallback_policy: FallbackPolicy::from_code(self.fallback_policy).ok_or(UNREADABLE)?,
            allow_roaming: self.allow_roaming,
            allow_metered: self.allow_metered,
            presence_policy: PresencePolicy::from_code(self.presence_policy).ok_or(UNREADABLE)?,
            read_receipts: self.read_receipts,
        })
    }
}

/// The switch.
#[derive(Serialize, Deserialize)]
pub(super) struct SwitchRecord {
    on: bool,
    switched: Option<(i64, u32, Box<str>, Option<ConsentRecord>)>,
}

impl From<&Switch> for SwitchRecord {
    fn from(switch: &Switch) -> Self {
        let consent = |consent: &Consent| (consent.text.clone(), consent.locale.clone());
        let switched = switch.switched.as_ref();
        Self {
            on: switch.on,
            switched: switched.map(|by| (by.at.0, by.uid, by.unit.clone(), by.consent.as_ref().map(consent))),
        }
    }
}

impl SwitchRecord {
    pub(super) fn into_switch(self) -> Switch {
        let switched = self.switched.map(|(at, uid, unit, consent)| Switched {
            at: Timestamp(at),
            uid,
            unit,
            consent: consent.map(|(text, locale)| Consent { text, locale }),
        });
        Switch { on: self.on, switched }
    }
}

pub(super) fn number(e164: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(e164).map_err(|_| UNREADABLE)
}

pub(super) fn bearer_code(bearer: Bearer) -> u8 {
    match bearer {
        Bearer::Im => 0,
        Bearer::Sms => 1,
    }
}

pub(super) fn bearer(code: u8) -> Result<Bearer, StoreError> {
    match code {
        0 => Ok(Bearer::Im),
        1 => Ok(Bearer::Sms),
        _ => Err(UNREADABLE),
    }
}

/// A state's number and its cause's or question's; never reused.
fn from_state(state: State) -> (u8, u8) {
    match state {
        State::Queued => (0, 0),
        State::ImSending => (1, 0),
        State::ImAccepted => (2, 0),
        State::ImDelivered => (3, 0),
        State::ImRead => (4, 0),
        State::Revoking => (5, 0),
        State::SmsSending => (6, 0),
        State::SmsSent => (7, 0),
        State::SmsDelivered => (8, 0),
        State::Failed(cause) => (9, cause.code()),
        State::Uncertain(cause) => (10, cause.code()),
        State::Held(question) => (11, question.code()),
        State::Released => (12, 0),
    }
}

fn to_state(code: (u8, u8)) -> Option<State> {
    Some(match code {
        (0, 0) => State::Queued,
        (1, 0) => State::ImSending,
        (2, 0) => State::ImAccepted,
        (3, 0) => State::ImDelivered,
        (4, 0) => State::ImRead,
        (5, 0) => State::Revoking,
        (6, 0) => State::SmsSending,
        (7, 0) => State::SmsSent,
        (8, 0) => State::SmsDelivered,
        (9, cause) => State::Failed(Cause::from_code(cause)?),
        (10, cause) => State::Uncertain(Cause::from_code(cause)?),
        (11, question) => State::Held(Question::from_code(question)?),
        (12, 0) => State::Released,
        _ => return None,
    })
}

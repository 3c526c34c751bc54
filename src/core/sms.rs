//! SMS, both ways, and the lines they travel on.

use super::Core;
use super::turn::{Effect, ModemJob, Turn};
use crate::model::{
    Address, Arrived, Bearer, Destination, Home, Line, LineId, PhoneNumber, Shown, SimState, SmsAttempt, Text, TextId,
    Timestamp, WordingKey,
};
use crate::modem::{IncomingSms, Kind, ModemEvent, NewSms, SmsObject, StatusReport};
use crate::router::{
    Class, Late, SMS_SEEN_FOR, SmsFacts, SmsVerdict, judge_sms, refine, split_mark, twin_remembered, wire_body,
};
use crate::store::StoreError;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long the SMSC may keep a fallback SMS (protocol.md §2).
const MARKED_VALIDITY_MINUTES: u32 = 24 * 60;
/// Status reports that wait for the outcome of their texts.
const EARLY_REPORTS: usize = 32;
/// Status reports are matched with texts of the last days only: references are a byte.
const REPORTS_WITHIN: Duration = Duration::from_secs(4 * 24 * 3600);

/// What a marked SMS is told by, and what was shown for it.
type Twin = (Option<(WordingKey, u16)>, Option<Shown>);

impl Core {
    pub(super) fn modem_event(&mut self, turn: &mut Turn<'_, '_>, event: ModemEvent) -> Result<(), StoreError> {
        match event {
            ModemEvent::Line(line) => {
                self.sim_shown(&line);
                self.lines.insert(line.id.clone(), line);
                self.lines_changed(turn)
            }
            ModemEvent::LineGone(id) => {
                self.lines.remove(&id);
                self.lines_changed(turn)
            }
            ModemEvent::NoSim { slot, sure } => self.no_sim(turn, &slot, sure),
            ModemEvent::Service { up } => {
                // When it came, what it knows of SIMs was told before.
                if !up {
                    self.forget_no_sim();
                }
                log::info!("the modem service is {}", if up { "there" } else { "gone" });
                if up {
                    return self.restore(turn);
                }
                // The next one names its objects anew, and they are reported anew.
                self.in_modem.clear();
                Ok(())
            }
            ModemEvent::Received(sms) => self.sms_came(turn, sms),
            ModemEvent::Deleted(sms) => self.sms_deleted(turn, &sms),
            ModemEvent::Report(report) => self.report_came(turn, report),
        }
    }

    fn home(&self, line: Option<&Line>) -> Option<Home> {
        let own = || self.account.as_ref().and_then(|account| Home::of(&account.number));
        line.and_then(|line| line.home).or_else(own)
    }

    /// What kind of address this is, seen from a line.
    pub(super) fn classify(&self, to: &Address, line: Option<&Line>) -> (Class, Option<PhoneNumber>) {
        let extra: Vec<Box<str>> = self.lines.values().flat_map(|line| line.emergency.iter().cloned()).collect();
        let sim = line.map_or(SimState::Absent, |line| line.sim);
        if crate::model::emergency::is_emergency(to, &extra, sim) {
            return (Class::Emergency, None);
        }
        let listed = |number: &str| self.config.route.sms_only.iter().any(|rule| rule.matches(number));
        match to.destination(self.home(line)) {
            Destination::Mobile(number) if listed(number.as_e164()) => (Class::SmsOnlyList, Some(number)),
            Destination::Mobile(number) => (Class::Mobile, Some(number)),
            Destination::SmsOnly | Destination::Unusable if listed(&to.0) => (Class::SmsOnlyList, None),
            Destination::SmsOnly | Destination::Unusable => (Class::ShortCode, None),
        }
    }

    pub(super) fn new_sms(text: &Text, marked: bool) -> NewSms {
        let body = wire_body(&text.body.0, text.ordinal, marked);
        let validity_minutes = marked.then_some(MARKED_VALIDITY_MINUTES);
        NewSms { to: text.to.clone(), body: crate::model::Body(body.into()), report: text.report, validity_minutes }
    }

    pub(super) fn sms_job(&self, id: TextId, marked: bool) -> Option<ModemJob> {
        let text = self.router.text(id)?;
        Some(ModemJob::Create { id, line: text.line.clone(), sms: Self::new_sms(text, marked) })
    }

    pub(super) fn send_job(&self, id: TextId) -> Option<ModemJob> {
        let text = self.router.text(id)?;
        Some(ModemJob::Send { id, line: text.line.clone(), sms: object(text.sms.as_ref()?) })
    }

    pub(super) fn prove_job(&self, id: TextId) -> Option<ModemJob> {
        let text = self.router.text(id)?;
        let sms = text.sms.as_ref()?;
        // Marked or not, the text went out as one of the two; the longer begins with the shorter.
        let marked = text.im.is_some_and(|im| !im.not_shown);
        let body = Self::new_sms(text, marked).body;
        Some(ModemJob::Prove { id, line: text.line.clone(), sms: object(sms), to: text.to.clone(), body })
    }

    pub(super) fn delete_job(&self, line: LineId, sms: &SmsAttempt) -> ModemJob {
        ModemJob::Delete { line, sms: object(sms) }
    }

    pub(super) fn sms_came(&mut self, turn: &mut Turn<'_, '_>, sms: IncomingSms) -> Result<(), StoreError> {
        if sms.kind != Kind::Plain || self.take_code(turn, &sms)? {
            return Ok(());
        }
        let now = turn.now.wall;
        let parts = [sms.from.0.as_bytes(), sms.stamp.as_bytes(), sms.body.0.as_bytes()];
        let told_by = unambiguous(&parts);
        let digest = turn.tx.digest("sms", &told_by);
        let from = self.sender_of(&sms.from, self.lines.get(&sms.line));
        let mark = split_mark(&sms.body.0);
        let (wording, twin) = self.twin_of(turn, from.as_ref(), mark)?;
        let seen = turn.tx.sms_seen(digest, now.minus(SMS_SEEN_FOR))?;
        let verdict = judge_sms(&SmsFacts { seen, twin });
        let mut text = None;
        match verdict {
            // As long as the modem holds it, it may be listed again.
            SmsVerdict::Repeat => {
                text = turn.tx.sms_text(digest)?;
                turn.write(move |tx| tx.touch_sms_seen(digest, now));
            }
            SmsVerdict::Twin => turn.write(move |tx| tx.put_sms_seen(digest, now)),
            SmsVerdict::Show => {
                let body = mark.map_or(&*sms.body.0, |(text, _)| text);
                let arrived = Arrived {
                    id: TextId::new(now, super::random()),
                    line: sms.line.clone(),
                    from: from.map_or_else(|| sms.from.clone(), |number| Address(number.as_e164().into())),
                    body: crate::model::Body(body.into()),
                    bearer: Bearer::Sms,
                    sent: sms.sent.unwrap_or(now),
                    at: now,
                    acknowledged: false,
                };
                let record = arrived.clone();
                text = Some(record.id);
                self.unkept.push((told_by, arrived.clone()));
                turn.write(move |tx| {
                    tx.put_sms_shown(digest, record.id, now)?;
                    if let Some((wording, n)) = wording {
                        tx.put_shown(wording, n, &Shown { id: record.id, bearer: Bearer::Sms, at: now })?;
                    }
                    tx.put_arrived(&record)
                });
                turn.effect(Effect::Received(Box::new(arrived)));
            }
        }
        // Without a store that keeps it, the modem must.
        if !self.config.modem.consume && twin.is_some_and(|twin| twin.bearer == Bearer::Im) {
            // One that is listed again has been left in the modem.
            self.twin_came(turn, sms.line, sms.sms);
        } else if self.config.modem.consume && self.degraded.is_none() {
            turn.effect(Effect::Modem(ModemJob::Delete { line: sms.line, sms: sms.sms }));
        } else if let Some(text) = text {
            self.in_modem.insert(sms.sms, text);
        }
        Ok(())
    }

    /// Whoever deletes an SMS where it is kept wants it gone, and has seen it: so does Chatty, which has taken it.
    fn sms_deleted(&mut self, turn: &mut Turn<'_, '_>, sms: &SmsObject) -> Result<(), StoreError> {
        let Some(id) = self.in_modem.remove(sms) else { return Ok(()) };
        if turn.tx.arrived(id)?.is_some() {
            turn.write(move |tx| tx.delete_arrived(id).map(drop));
            turn.effect(Effect::Deleted(Rc::new(Cell::new(vec![id]))));
        }
        Ok(())
    }

    /// What an incoming SMS with that mark is told by, and what was shown for it.
    pub(super) fn twin_of(
        &self,
        turn: &Turn<'_, '_>,
        from: Option<&PhoneNumber>,
        mark: Option<(&str, u16)>,
    ) -> Result<Twin, StoreError> {
        let (Some(peer), Some((text, n))) = (from, mark) else { return Ok((None, None)) };
        let wording = self.twin_key(turn, peer, text);
        let shown = turn.tx.shown(wording, n)?.filter(|twin| twin_remembered(twin.at, turn.now.wall));
        Ok((Some((wording, n)), shown))
    }

    /// Who sent it, where that is a number that could send an IM.
    pub(super) fn sender_of(&self, from: &Address, line: Option<&Line>) -> Option<PhoneNumber> {
        match from.destination(self.home(line)) {
            Destination::Mobile(number) => Some(number),
            Destination::SmsOnly | Destination::Unusable => None,
        }
    }

    pub(super) fn report_came(&mut self, turn: &mut Turn<'_, '_>, report: StatusReport) -> Result<(), StoreError> {
        let since = turn.now.wall.minus(REPORTS_WITHIN);
        let to = match report.to.destination(self.home(self.lines.get(&report.line))) {
            Destination::Mobile(number) => Address(number.as_e164().into()),
            Destination::SmsOnly | Destination::Unusable => report.to.clone(),
        };
        let Some(text) = turn.tx.text_by_sms_reference(&to, report.reference, since)? else {
            // A quick network reports before the modem service has told us the reference.
            if self.router.unsettled() > 0 && self.early_reports.len() < EARLY_REPORTS {
                self.early_reports.push(report);
            }
            return Ok(());
        };
        if report.delivered == Some(true) {
            self.refine(turn, text, Late::SmsDelivered);
        }
        if report.delivered.is_some() {
            // We asked for it, nobody else did.
            turn.effect(Effect::Modem(ModemJob::Delete { line: report.line, sms: report.sms }));
        }
        Ok(())
    }

    /// News about a text that the router has let go of.
    pub(super) fn refine(&mut self, turn: &mut Turn<'_, '_>, mut text: Text, news: Late) {
        if refine(&mut text, news) {
            let record = text.clone();
            turn.write(move |tx| tx.put_text(&record));
            turn.effect(Effect::Changed(Box::new(text)));
        }
    }

    /// What a twin is told by: peer, its key, wording. A new key is a new sender, whose ordinals
    /// begin anew.
    pub(super) fn twin_key(&self, turn: &Turn<'_, '_>, peer: &PhoneNumber, text: &str) -> WordingKey {
        let record = self.peers.get(peer);
        let key = record.and_then(|record| record.new_identity.or(record.pinned_identity)).unwrap_or([0; 64]);
        WordingKey(turn.tx.digest("twin", &[&turn.tx.wording(peer, text).0[..], &key[..]].concat()))
    }

    /// The earliest hand-over of a text whose wording may still collide.
    pub(super) fn ordinals_since(now: Timestamp) -> Timestamp {
        now.minus(crate::store::ORDINALS)
    }
}

fn object(sms: &SmsAttempt) -> SmsObject {
    SmsObject { object: sms.object.clone(), owner: sms.owner.clone() }
}

/// Parts with their lengths, so that no two lists read alike.
fn unambiguous(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

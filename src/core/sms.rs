//! SMS, both ways, and the lines they travel on.

use super::Core;
use super::account::ACCOUNT_LINE;
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
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the SMSC may keep a fallback SMS (protocol.md §2).
const MARKED_VALIDITY_MINUTES: u32 = 24 * 60;
/// Filed under when no line is known.
const NO_LINE: &str = "none";
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
                self.own.no_sim = false;
                self.lines.insert(line.id.clone(), line);
                self.lines_changed(turn)
            }
            ModemEvent::LineGone(id) => {
                self.lines.remove(&id);
                self.lines_changed(turn)
            }
            ModemEvent::NoSim => {
                self.own.no_sim = true;
                self.look_at_sim(turn);
                Ok(())
            }
            ModemEvent::Service { up } => {
                self.own.no_sim = false;
                log::info!("the modem service is {}", if up { "there" } else { "gone" });
                if up { self.restore(turn) } else { Ok(()) }
            }
            ModemEvent::Received(sms) => self.sms_came(turn, sms),
            ModemEvent::Report(report) => self.report_came(turn, report),
        }
    }

    fn lines_changed(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.find_account_line(turn)?;
        self.look_at_sim(turn);
        self.refresh_conditions(turn)
    }

    /// Finds the account's line anew, and keeps it for starts at which its modem comes late.
    pub(super) fn find_account_line(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let Some(account) = &self.account else { return Ok(()) };
        let found = accounts_line(&account.number, &self.lines, self.account_line.as_ref()).cloned();
        if found == self.account_line { Ok(()) } else { self.set_account_line(turn, found) }
    }

    pub(super) fn set_account_line(&mut self, turn: &mut Turn<'_, '_>, line: Option<LineId>) -> Result<(), StoreError> {
        self.account_line.clone_from(&line);
        let kept = line.clone();
        turn.write(move |tx| match kept {
            Some(line) => tx.put_blob(ACCOUNT_LINE, line.0.as_bytes()),
            None => tx.drop_blob(ACCOUNT_LINE),
        });
        self.route(turn, crate::router::Input::AccountLine(line))
    }

    /// The line a text goes from: the one named, else the account's, else the only or first one.
    pub(super) fn line(&self, named: Option<&LineId>) -> Option<&Line> {
        match named {
            Some(id) => self.lines.get(id),
            None => {
                let accounts = self.account_line.as_ref().filter(|_| self.account.is_some());
                accounts
                    .and_then(|id| self.lines.get(id))
                    .or_else(|| self.lines.values().find(|line| line.sim != SimState::Absent))
                    .or_else(|| self.lines.values().next())
            }
        }
    }

    /// Where the account's instant messages are filed: under its line, also while that is away.
    pub(super) fn filing_line(&self) -> LineId {
        let accounts = self.account_line.as_ref().filter(|_| self.account.is_some());
        let line = accounts.or_else(|| self.line(None).map(|line| &line.id));
        line.cloned().unwrap_or_else(|| LineId(NO_LINE.into()))
    }

    /// The line that a text is shown under: its own, or if none was known when it came, the one that is now.
    pub(super) fn shown_under(&self, filed: &LineId) -> LineId {
        if *filed.0 == *NO_LINE { self.filing_line() } else { filed.clone() }
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
        match verdict {
            // As long as the modem holds it, it may be listed again.
            SmsVerdict::Repeat => turn.write(move |tx| tx.touch_sms_seen(digest, now)),
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
                self.unkept.push((told_by, arrived.clone()));
                turn.write(move |tx| {
                    tx.put_sms_seen(digest, now)?;
                    if let Some((wording, n)) = wording {
                        tx.put_shown(wording, n, &Shown { id: record.id, bearer: Bearer::Sms, at: now })?;
                    }
                    tx.put_arrived(&record)
                });
                turn.effect(Effect::Received(Box::new(arrived)));
            }
        }
        // A door hides from its app what is ours; for other apps it would be the only copy.
        let ours = self.config.modem.consume || (verdict == SmsVerdict::Twin && self.doors.any());
        // Without a store that keeps it, the modem must.
        if ours && self.degraded.is_none() {
            turn.effect(Effect::Modem(ModemJob::Delete { line: sms.line, sms: sms.sms }));
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

/// Which line has that number: the one that says so; else the only one that knows no number. Where that is
/// ambiguous, or no line is there, it is the one that it was.
fn accounts_line<'l>(
    number: &PhoneNumber,
    lines: &'l BTreeMap<LineId, Line>,
    was: Option<&'l LineId>,
) -> Option<&'l LineId> {
    if let Some(line) = lines.values().find(|line| line.number.as_ref() == Some(number)) {
        return Some(&line.id);
    }
    let mut unknown = lines.values().filter(|line| line.number.is_none());
    match (unknown.next(), unknown.next()) {
        (Some(only), None) => Some(&only.id),
        _ => was.filter(|was| lines.get(was).is_none_or(|line| line.number.is_none())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "+4915112345601";

    fn lines(numbers: &[(&str, Option<&str>)]) -> BTreeMap<LineId, Line> {
        let line = |(id, number): &(&str, Option<&str>)| {
            let id = LineId((*id).into());
            let number = number.map(|number| PhoneNumber::from_e164(number).unwrap());
            (id.clone(), Line { id, number, sim: SimState::Home, home: None, emergency: Vec::new(), modem: None })
        };
        numbers.iter().map(line).collect()
    }

    fn found(numbers: &[(&str, Option<&str>)], was: Option<&str>) -> Option<String> {
        let was = was.map(|was| LineId(was.into()));
        let lines = lines(numbers);
        let own = PhoneNumber::from_e164(OWN).unwrap();
        accounts_line(&own, &lines, was.as_ref()).map(|line| line.0.to_string())
    }

    #[test]
    fn the_accounts_line_is_the_one_with_its_number() {
        const OTHER: Option<&str> = Some("+4915112345602");
        assert_eq!(found(&[("a", OTHER), ("b", Some(OWN))], Some("a")).as_deref(), Some("b"));
        assert_eq!(found(&[("a", None)], None).as_deref(), Some("a"), "many SIMs don't know their number");
        assert_eq!(found(&[("a", OTHER), ("b", None)], None).as_deref(), Some("b"));
        assert_eq!(found(&[("a", None), ("b", None)], None), None, "nobody knows which");
        assert_eq!(found(&[("a", None), ("b", None)], Some("b")).as_deref(), Some("b"), "known from before");
        assert_eq!(found(&[], Some("b")).as_deref(), Some("b"), "its modem is not there yet");
        assert_eq!(found(&[("a", OTHER)], Some("b")).as_deref(), Some("b"));
        assert_eq!(found(&[("a", OTHER)], Some("a")), None, "its SIM has another number now");
    }
}

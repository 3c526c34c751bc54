//! What is asked over D-Bus; the caller is authorised already.

use super::Core;
use super::turn::{Effect, Turn};
use crate::bus::{
    Error, Filter, INBOX_PAGE, LEDGER_PAGE, LedgerRow, PeerEntry, Record, Reply, Request, RouteAnswer, RouteOptions,
    SENT_MAX, SendOptions, Standing,
};
use crate::model::{Address, Bearer, Now, PeerPolicy, PhoneNumber, Reason, Segments, Switched, TextId, Trust};
use crate::router::{Class, Refused, RestInput, SwitchInput, marked};
use crate::seal::Payload;
use crate::store::StoreError;
use std::cell::Cell;
use std::rc::Rc;

impl Core {
    pub(super) fn request_came(&mut self, turn: &mut Turn<'_, '_>, request: Request) -> Result<(), StoreError> {
        match request {
            Request::Send { to, text, options, reply, .. } => self.send(turn, to, text, options, reply),
            Request::Route { to, options, reply } => {
                self.named_as(turn, &to, options.line.as_ref())?;
                let answer = self.route_answer(turn.now, &to, &options);
                turn.answer(reply, answer);
                Ok(())
            }
            Request::Watch { to, caller, reply } => self.watch(turn, &to, caller.name, reply),
            Request::Unwatch { to, caller, reply } => {
                let peer = self.classify(&to, self.line(None)).1;
                if let Some(peer) = peer {
                    self.unwatch(turn, &peer, &caller.name, Some(&to))?;
                }
                turn.answer(reply, Ok(()));
                Ok(())
            }
            Request::Divert { to, text, options, modem, diverted, caller, reply } => {
                let options = SendOptions { line: self.line_in(modem.as_deref()), ..options };
                self.divert(turn, (to, text), options, (diverted, caller), reply)
            }
            Request::Ask { to, modem, reply } => {
                self.named_as(turn, &to, self.line_in(modem.as_deref()).as_ref())?;
                let answer = self.worth_diverting(turn.now, &to, modem.as_deref());
                turn.answer(reply, answer);
                Ok(())
            }
            Request::Sent { owner, reply } => {
                let mut texts = turn.tx.diverted_texts(&owner, SENT_MAX)?;
                texts.iter_mut().for_each(|text| text.line = self.shown_under(&text.line));
                turn.answer(reply, Ok(texts));
                Ok(())
            }
            Request::DeleteReport { id, reply } => self.delete_report(turn, id, reply),
            Request::Inbox { after, caller, reply } => {
                self.door_came(turn, caller);
                let mut page = turn.tx.inbox(after, INBOX_PAGE)?;
                page.texts.iter_mut().for_each(|(_, text)| text.line = self.shown_under(&text.line));
                turn.answer(reply, Ok(page));
                Ok(())
            }
            Request::Twins { owner, caller, reply } => {
                self.door_came(turn, caller);
                turn.answer(reply, Ok(self.twins(&owner)));
                Ok(())
            }
            Request::Twin { from, text, caller, reply } => {
                self.door_came(turn, caller);
                let twin = self.is_twin(turn, self.line(None), &from, &text)?;
                turn.answer(reply, Ok(twin));
                Ok(())
            }
            Request::Incoming { sms, reply } => {
                let twin = self.is_twin(turn, self.lines.get(&sms.line), &sms.from, &sms.body)?;
                self.sms_came(turn, sms)?;
                turn.answer(reply, Ok(twin));
                Ok(())
            }
            Request::Report { report, reply } => {
                self.report_came(turn, report)?;
                turn.answer(reply, Ok(()));
                Ok(())
            }
            Request::CallerGone { name } => {
                self.door_left(turn, &name)?;
                let watched: Vec<PhoneNumber> = self.watches.keys().cloned().collect();
                watched.iter().try_for_each(|peer| self.unwatch(turn, peer, &name, None))
            }
            Request::List { filter, reply } => {
                let list = self.list(turn, &filter)?.ok_or(Error::NotFound("\"after\" names no text that is here"));
                turn.answer(reply, list);
                Ok(())
            }
            Request::Get { id, reply } => {
                let record = self.record(turn, id)?.ok_or(Error::NotFound("no such text"));
                turn.answer(reply, record);
                Ok(())
            }
            Request::Acknowledge { id, reply } => self.acknowledge(turn, id, reply),
            Request::Delete { id, reply } => self.delete(turn, id, reply),
            Request::Cancel { id, reply } => {
                let actions = self.router.cancel(turn.now, id);
                self.decided(turn, id, actions, reply)
            }
            Request::Resolve { id, bearer, reply } => {
                let actions = self.router.resolve(turn.now, id, bearer);
                self.decided(turn, id, actions, reply)
            }
            Request::SetEnabled { on, consent, caller, reply, .. } => {
                let switched = Switched { at: turn.now.wall, uid: caller.uid, unit: caller.unit, consent };
                self.set_enabled(turn, on, switched, reply)
            }
            Request::SetSetting { setting, reply, .. } => {
                self.settings = setting.applied(self.settings);
                self.keep_settings(turn);
                turn.promise(reply);
                self.refresh_conditions(turn)
            }
            Request::Diagnose { reply } => {
                turn.answer(reply, Ok(self.diagnosis()));
                Ok(())
            }
            Request::Identity { reply } => {
                let text = self.identity_text(turn);
                turn.answer(reply, text);
                Ok(())
            }
            Request::Import { file, reply, .. } => {
                self.import(turn, &file, reply);
                Ok(())
            }
            Request::Enrol { number, consent, caller, reply } => self.enrol(turn, number, (caller, consent), reply),
            Request::Withdraw { reply } => {
                self.withdraw(turn, reply);
                Ok(())
            }
            Request::ConfirmEnrolment { code, reply } => self.confirm_enrolment(turn, &code, reply),
            Request::Peers { reply } => {
                let mut peers: Vec<PeerEntry> =
                    self.peers.all().map(|(number, record)| entry(number, record)).collect();
                peers.sort_by(|a, b| a.number.cmp(&b.number));
                turn.answer(reply, Ok(peers));
                Ok(())
            }
            Request::Unverified { reply } => {
                turn.answer(reply, Ok(self.unverified.list(turn.now.wall)));
                Ok(())
            }
            Request::SetPolicy { peer, policy, reply } => {
                self.change_named_peer(turn, &peer, reply, |record| record.policy = policy)
            }
            Request::Block { peer, blocked, reply } => {
                // To whoever is blocked this phone goes offline.
                let number = self.classify(&peer, self.line(None)).1.filter(|_| blocked);
                if let Some(number) = number
                    && self.granting.block(&number)
                {
                    self.directed_presence(turn, &number, false);
                }
                self.change_named_peer(turn, &peer, reply, |record| record.blocked = blocked)
            }
            Request::Export { part, reply } => {
                let text = self.export(turn, part)?;
                turn.answer(reply, text);
                Ok(())
            }
            Request::SafetyNumber { peer, reply } => {
                let number = self.safety_number(&peer);
                turn.answer(reply, number);
                Ok(())
            }
            Request::Verify { peer, verified, reply } => self.verify(turn, &peer, verified, reply),
            Request::Accept { peer, number, reply } => self.accept(turn, &peer, &number, reply),
            Request::SetContacts { numbers, reply } => {
                self.set_contacts(turn, &numbers, reply);
                Ok(())
            }
            Request::LedgerRead { since, reply } => {
                let entries = turn.tx.ledger_since(since, LEDGER_PAGE)?;
                let row = |entry: crate::store::LedgerEntry| LedgerRow {
                    at: entry.at,
                    kind: entry.kind.into(),
                    pseudonym: entry.pseudonym.into(),
                    size: entry.size,
                };
                turn.answer(reply, Ok(entries.into_iter().map(row).collect()));
                Ok(())
            }
            Request::LedgerTotals { reply } => {
                let totals = self.totals(turn)?;
                turn.answer(reply, Ok(totals));
                Ok(())
            }
        }
    }

    /// Which way a text would go now; from memory alone, changes and sends nothing.
    pub(super) fn route_answer(&self, now: Now, to: &Address, options: &RouteOptions) -> Result<RouteAnswer, Error> {
        let line = self.line(options.line.as_ref());
        if options.line.is_some() && line.is_none() {
            return Err(Error::NotFound("no such line"));
        }
        if to.dialable().is_none() {
            return Err(Error::BadNumber);
        }
        let (class, peer) = self.classify(to, line);
        let explained = self.router.route(now, line.map(|line| &line.id), peer.as_ref(), class);
        let reason = match (self.degraded, explained.reason) {
            (Some(_), Reason::SwitchOff) => Reason::Store,
            (_, reason) => reason,
        };
        let segments = options.text.as_ref().map(|text| Segments::of(&text.0));
        let mark_segment = match (&options.text, segments) {
            (Some(text), Some(plain)) => Segments::of(&marked(&text.0, 0)).count > plain.count,
            _ => false,
        };
        let lease_ends = peer.as_ref().and_then(|peer| self.router.lease_ends(now, peer));
        let mut rules = Vec::new();
        if options.explain {
            rules.extend(explained.passed.iter().map(|(name, _)| (*name, "passed")));
            rules.push((explained.decided, reason.token()));
        }
        Ok(RouteAnswer {
            bearer: explained.bearer,
            reason,
            segments,
            mark_segment,
            lease_ends: lease_ends.map(|ends| now.wall.plus(ends.since(now.mono))),
            verified: peer.as_ref().is_some_and(|peer| self.verified(peer)),
            rules,
        })
    }

    fn record(&self, turn: &Turn<'_, '_>, id: TextId) -> Result<Option<Record>, StoreError> {
        if let Some(text) = self.router.text(id) {
            return Ok(Some(Record::Outgoing(Box::new(text.clone()))));
        }
        if let Some(text) = turn.tx.text(id)? {
            return Ok(Some(Record::Outgoing(Box::new(text))));
        }
        Ok(turn.tx.arrived(id)?.map(|arrived| Record::Incoming(Box::new(arrived))))
    }

    fn list(&self, turn: &Turn<'_, '_>, filter: &Filter) -> Result<Option<Vec<TextId>>, StoreError> {
        let peer = filter.peer.as_ref().map(|peer| match self.classify(peer, self.line(None)).1 {
            Some(number) => Address(number.as_e164().into()),
            None => peer.clone(),
        });
        super::listing::list(turn.tx, filter, peer.as_ref())
    }

    fn acknowledge(&mut self, turn: &mut Turn<'_, '_>, id: TextId, reply: Reply<()>) -> Result<(), StoreError> {
        let Some(arrived) = turn.tx.arrived(id)? else {
            turn.answer(reply, Err(Error::NotFound("no such incoming text")));
            return Ok(());
        };
        if !arrived.acknowledged {
            turn.write(move |tx| tx.acknowledge(id).map(drop));
            let peer = PhoneNumber::from_e164(&arrived.from.0).ok();
            if let Some(peer) = peer.filter(|_| arrived.bearer == Bearer::Im && self.settings.read_receipts)
                && self.granting.owes(turn.now.mono, &peer)
            {
                let theirs = Self::local_id(turn, &peer, id);
                self.post(turn, &peer, Payload::Receipt { id: theirs, read: true })?;
            }
        }
        turn.answer(reply, Ok(()));
        Ok(())
    }

    fn delete(&mut self, turn: &mut Turn<'_, '_>, id: TextId, reply: Reply<()>) -> Result<(), StoreError> {
        let answer = if self.router.text(id).is_some() {
            Err(Error::TooLate("the text is still under way; cancel it first"))
        } else if turn.tx.text(id)?.is_some() {
            turn.write(move |tx| tx.delete_text(id).map(drop));
            Ok(())
        } else if turn.tx.arrived(id)?.is_some() {
            turn.write(move |tx| tx.delete_arrived(id).map(drop));
            Ok(())
        } else {
            Err(Error::NotFound("no such text"))
        };
        if answer.is_ok() {
            turn.effect(Effect::Deleted(Rc::new(Cell::new(vec![id]))));
        }
        turn.answer(reply, answer);
        Ok(())
    }

    fn decided(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: TextId,
        actions: Result<Vec<crate::router::Action>, Refused>,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        match actions {
            Ok(actions) => {
                turn.answer(reply, Ok(()));
                self.carry_out(turn, actions)
            }
            Err(refused) => {
                let unknown = refused == Refused::Settled && self.record(turn, id)?.is_none();
                let error = match refused {
                    Refused::Settled if unknown => Error::NotFound("no such text"),
                    Refused::Settled => Error::TooLate("the text is settled"),
                    Refused::WithModem => Error::TooLate("the SMS is with the modem already"),
                    Refused::NotHeld => Error::TooLate("the text waits for no decision"),
                };
                turn.answer(reply, Err(error));
                Ok(())
            }
        }
    }

    fn set_enabled(
        &mut self,
        turn: &mut Turn<'_, '_>,
        on: bool,
        switched: Switched,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let refusal = match (on, self.degraded) {
            (true, Some(token)) => Some(Error::Store(token)),
            (true, None) if self.config.cloud.is_none() && self.account.is_none() => Some(Error::NotConfigured),
            _ => None,
        };
        if let Some(error) = refusal {
            turn.answer(reply, Err(error));
            return Ok(());
        }
        if self.enabled != on {
            log::info!("switched {} by uid {}", if on { "on" } else { "off" }, switched.uid);
        }
        self.enabled = on;
        let entry = crate::store::Switch { on, switched: Some(switched.clone()) };
        turn.write(move |tx| tx.log_switch(&entry));
        self.switched = Some(switched);
        self.keep_settings(turn);
        turn.promise(reply);
        if !on {
            // Nobody hears of us any more; and nobody tells us any more that the system woke.
            self.rest_event(turn, RestInput::Wakes { linked: false })?;
        }
        self.switch_event(turn, SwitchInput::Set(on))
    }

    fn change_named_peer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &Address,
        reply: Reply<()>,
        change: impl FnOnce(&mut crate::store::PeerRecord),
    ) -> Result<(), StoreError> {
        let (Class::Mobile | Class::SmsOnlyList, Some(peer)) = self.classify(peer, self.line(None)) else {
            turn.answer(reply, Err(Error::BadNumber));
            return Ok(());
        };
        self.change_peer(turn, &peer, change)?;
        turn.promise(reply);
        Ok(())
    }
}

fn entry(number: &PhoneNumber, record: &crate::store::PeerRecord) -> PeerEntry {
    let standing = match record {
        record if record.blocked => Standing::Blocked,
        record if record.new_identity.is_some() || record.trust == Trust::Lapsed => Standing::Changed,
        record if record.trust == Trust::Verified => Standing::Verified,
        record if record.pinned_identity.is_some() => Standing::Pinned,
        _ => Standing::Unknown,
    };
    let policy: PeerPolicy = record.policy;
    PeerEntry { number: number.clone(), policy, standing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_would_cost_a_segment_is_foreseen() {
        let long = "a".repeat(155);
        assert_eq!(Segments::of(&long).count, 1);
        assert_eq!(Segments::of(&marked(&long, 0)).count, 2);
    }
}

//! Letters that come in: opened, their sender proven, and answered only as far as we owe it.

use super::Core;
use super::peers::{key_from, vouched};
use super::turn::{Effect, Turn};
use crate::bus::Refusal;
use crate::model::{Address, Arrived, Bearer, PhoneNumber, Shown, TextId};
use crate::router::{ImFacts, ImVerdict, Input, Late, Link, Probed, judge_im, twin_remembered};
use crate::seal::{Expected, Jid, Letter, OpenError, Payload, Pseudonym, open};
use crate::store::{PeerRecord, StoreError};
use crate::wall::ToUplink;
use std::time::Duration;

impl Core {
    /// A sealed headline came from a JID of our domain.
    pub(super) fn letter_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: &str,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(pseudonym) = Pseudonym::from_wire(from) else { return Ok(()) };
        if self.strangers.keep(from, envelope) {
            return Ok(());
        }
        let Some(domain) = self.account.as_ref().map(|account| account.jid.domain().to_owned()) else { return Ok(()) };
        let Ok(jid) = Jid::new(pseudonym, &domain) else { return Ok(()) };
        match self.peers.by_pseudonym(from).cloned() {
            Some(peer) => self.known_peers_letter(turn, &peer, jid, envelope),
            None => {
                self.strangers_letter(turn, jid, envelope);
                Ok(())
            }
        }
    }

    fn known_peers_letter(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        jid: Jid,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let Some(record) = self.peers.get(peer) else { return Ok(()) };
        if record.blocked {
            log::debug!("a letter of somebody who is blocked is passed over");
            return Ok(());
        }
        let Some(pinned) = record.pinned_identity.as_ref().and_then(key_from) else {
            // Evaluated, never met: the first letter must prove its sender.
            self.strangers_letter(turn, jid, envelope);
            return Ok(());
        };
        self.load_sessions(turn, peer)?;
        let (Some(account), Some(identity), Some(sessions)) =
            (&self.account, &mut self.identity, self.sessions.get_mut(peer))
        else {
            return Ok(());
        };
        let expected = Expected { to: &account.jid, from: &jid, pinned: Some(pinned) };
        match open(identity, sessions, &expected, envelope) {
            Ok(opened) => {
                turn.changed_sessions(peer);
                let name = jid.pseudonym().as_str();
                if self.peers.at(name).is_none() {
                    // Its key says so: it has moved to another epoch.
                    self.change_peer(turn, peer, |record| record.found(name))?;
                }
                self.proof_repeated(turn, peer, &jid, &opened.letter)?;
                self.read(turn, peer, opened.letter)
            }
            Err(OpenError::IdentityChanged) => {
                self.strangers_letter(turn, jid, envelope);
                Ok(())
            }
            Err(error) => {
                log::debug!("a letter could not be opened: {error}");
                self.refused(turn, jid.pseudonym().as_str(), error);
                Ok(())
            }
        }
    }

    /// A known peer says again who it is: its certificate was renewed, or it lost our session. That
    /// the address is the number's was proven before.
    fn proof_repeated(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        jid: &Jid,
        letter: &Letter,
    ) -> Result<(), StoreError> {
        let (Some(proof), Some(account)) = (&letter.proof, &self.account) else { return Ok(()) };
        match proof.certified(jid, &letter.from.identity, &account.keys, turn.now.wall) {
            Ok(()) => self.certificate_seen(turn, peer, &proof.certificate).map(drop),
            Err(error) => {
                log::warn!("a caller proof is refused: {error}");
                self.refused(turn, jid.pseudonym().as_str(), error);
                Ok(())
            }
        }
    }

    /// A letter of a peer whose number and key are proven.
    pub(super) fn read(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        letter: Letter,
    ) -> Result<(), StoreError> {
        let carried = self.reaching.heard(peer);
        if self.router.peer(peer).blocked {
            return Ok(());
        }
        // What concerns texts of before counts whatever became of the key; nothing new does.
        let news = matches!(letter.payload, Payload::Probe | Payload::Answer { .. } | Payload::Text { .. });
        if news && !self.peers.get(peer).is_some_and(|record| vouched(record, turn.now.wall)) {
            log::debug!("a letter comes by a key that no valid certificate vouches for any more");
            // A key that was followed by another one is told by the peer's standing.
            let record = self.peers.get(peer).filter(|record| record.new_identity.is_none());
            if let Some(name) = record.and_then(PeerRecord::address).map(str::to_owned) {
                self.refused(turn, &name, Refusal::ExpiredCertificate);
            }
            return Ok(());
        }
        if matches!(letter.payload, Payload::Answer { .. }) && carried.is_some() {
            self.change_peer(turn, peer, |record| record.proof_known = record.proof_known.max(carried))?;
        }
        match letter.payload {
            Payload::Probe => self.probed(turn, peer),
            Payload::Answer { lease, ends_in_ms } => {
                let ends_in = Duration::from_millis(ends_in_ms.into());
                self.route(turn, Input::Granted { peer: peer.clone(), lease, ends_in })
            }
            Payload::Bye => self.route(turn, Input::Gone(peer.clone())),
            Payload::Receipt { id, read } => self.outcome(turn, peer, id, Input::Receipt { id, read }, Some(read)),
            Payload::RevokeAnswer { id, shown } => {
                self.outcome(turn, peer, id, Input::RevokeAnswer { id, shown }, shown.then_some(false))
            }
            Payload::Revoke { id } => self.revoked(turn, peer, id),
            Payload::Text { .. } => self.text_came(turn, peer, letter.payload),
        }
    }

    fn probed(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        let conditions = *self.router.conditions();
        let allowed =
            (!conditions.roaming || conditions.allow_roaming) && (!conditions.metered || conditions.allow_metered);
        let may = conditions.on
            && conditions.link == Link::Up
            && conditions.sim
            && allowed
            && self.may_grant(turn)?
            && self.rest.may_grant();
        let mut facts = self.router.peer(peer);
        facts.wrote_to |= self.contacts.has(peer);
        let lease = crate::model::LeaseId(super::random());
        let policy = self.settings.presence_policy;
        let Probed::Grant { lease, ends_in, first } = self.granting.probe(turn.now, peer, policy, facts, may, lease)
        else {
            return Ok(());
        };
        let ends_in_ms = u32::try_from(ends_in.as_millis()).unwrap_or(u32::MAX);
        if first {
            self.directed_presence(turn, peer, true);
        }
        self.post(turn, peer, Payload::Answer { lease, ends_in_ms })?;
        Ok(())
    }

    pub(super) fn directed_presence(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, available: bool) {
        let name = self.peers.get(peer).and_then(|record| record.address());
        if let Some(to) = name.and_then(|name| Pseudonym::from_wire(name).ok()) {
            self.notice(turn, ToUplink::Presence { to, available });
        }
    }

    /// A receipt or an answer to a revoke: it counts only from the text's own recipient.
    fn outcome(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        id: TextId,
        input: Input,
        shown: Option<bool>,
    ) -> Result<(), StoreError> {
        if let Some(text) = self.router.text(id) {
            return if text.peer.as_ref() == Some(peer) { self.route(turn, input) } else { Ok(()) };
        }
        match (turn.tx.text(id)?, shown) {
            (Some(text), Some(read)) if text.peer.as_ref() == Some(peer) => {
                self.refine(turn, text, Late::Shown { read });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An id is its sender's: what another peer says of the same id is about another text. Applied
    /// twice it gives the id back.
    pub(super) fn local_id(turn: &Turn<'_, '_>, peer: &PhoneNumber, id: TextId) -> TextId {
        let mask = turn.tx.digest("im", peer.as_e164().as_bytes());
        let mut local = id.0;
        for (byte, mask) in local.iter_mut().skip(6).zip(mask) {
            *byte ^= mask;
        }
        TextId(local)
    }

    fn revoked(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, id: TextId) -> Result<(), StoreError> {
        if !self.granting.owes(turn.now.mono, peer) {
            return Ok(());
        }
        let local = Self::local_id(turn, peer, id);
        let shown = turn.tx.im_shown(local)?;
        if !shown {
            let at = turn.now.wall;
            turn.write(move |tx| tx.put_revoked(local, at));
        }
        self.post(turn, peer, Payload::RevokeAnswer { id, shown })?;
        Ok(())
    }

    fn text_came(&mut self, turn: &mut Turn<'_, '_>, peer: &PhoneNumber, text: Payload) -> Result<(), StoreError> {
        let Payload::Text { id, lease, body, sent, ordinal } = text else { return Ok(()) };
        let local = Self::local_id(turn, peer, id);
        let wording = self.twin_key(turn, peer, &body.0);
        let now = turn.now.wall;
        let facts = ImFacts {
            lease: self.granting.under(turn.now.mono, peer, lease),
            // One that no app has taken yet is shown, however long ago.
            shown: turn.tx.im_shown(local)? || turn.tx.arrived(local)?.is_some(),
            revoked: turn.tx.is_revoked(local)?,
            twin: turn.tx.shown(wording, ordinal)?.filter(|twin| twin_remembered(twin.at, now)),
            blocked: false,
        };
        let verdict = judge_im(&facts);
        if verdict != ImVerdict::Silence {
            self.granting.texted(peer);
        }
        match verdict {
            ImVerdict::Silence => {}
            ImVerdict::Revoked => {
                self.post(turn, peer, Payload::RevokeAnswer { id, shown: false })?;
            }
            ImVerdict::Shown => {
                turn.write(move |tx| tx.put_im_shown(local, now));
                self.post(turn, peer, Payload::Receipt { id, read: false })?;
            }
            ImVerdict::Show => {
                let arrived = Arrived {
                    id: local,
                    line: self.filing_line(),
                    from: Address(peer.as_e164().into()),
                    body,
                    bearer: Bearer::Im,
                    sent,
                    at: now,
                    acknowledged: false,
                };
                let shown = Shown { id: local, bearer: Bearer::Im, at: now };
                let record = arrived.clone();
                turn.write(move |tx| {
                    tx.put_arrived(&record)?;
                    tx.put_shown(wording, ordinal, &shown)
                });
                turn.effect(Effect::Received(Box::new(arrived)));
                self.post(turn, peer, Payload::Receipt { id, read: false })?;
            }
        }
        Ok(())
    }
}

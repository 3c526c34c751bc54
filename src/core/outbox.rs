//! Letters on their way out: sealed in the turn's transaction, written after its commit.

use super::Core;
use super::peers::key_from;
use super::turn::{Effect, Turn};
use crate::model::{PhoneNumber, TextId};
use crate::seal::{CallerProof, Jid, Letter, Party, Payload, Pseudonym, Sealed, Session, seal};
use crate::store::StoreError;
use crate::wall::{MAX_OUTSTANDING, RequestId, ToUplink};
use std::collections::BTreeMap;

/// How long the uplink may take to answer what it can answer by itself.
pub(super) const UPLINK_ANSWERS: std::time::Duration = std::time::Duration::from_secs(60);

/// Peers whose sessions stay in memory, each up to 15 KB.
const SESSIONS_OF: usize = 16;

/// Envelopes of texts, by the request that each went with: the newest of a text, and as many in all as the uplink
/// remembers. What becomes of a text that is settled is of no interest to the router.
#[derive(Default)]
pub(super) struct Sends(BTreeMap<RequestId, TextId>);

impl Sends {
    fn sent(&mut self, request: RequestId, id: TextId) {
        self.0.retain(|_, sent| *sent != id);
        if self.0.len() >= MAX_OUTSTANDING {
            self.0.pop_first();
        }
        self.0.insert(request, id);
    }

    /// The server took it, and may still give it back.
    pub(super) fn accepted(&self, request: RequestId) -> Option<TextId> {
        self.0.get(&request).copied()
    }

    /// It came back, or was lost: once.
    pub(super) fn bounced(&mut self, request: RequestId) -> Option<TextId> {
        self.0.remove(&request)
    }

    /// The uplink is another one, and counts anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Core {
    /// Hands a frame to the uplink once the turn is committed. `None` if there is no uplink.
    pub(super) fn frame(
        &mut self,
        turn: &mut Turn<'_, '_>,
        make: impl FnOnce(RequestId) -> ToUplink,
    ) -> Option<RequestId> {
        if !self.wall_open {
            return None;
        }
        self.last_request += 1;
        let request = RequestId(self.last_request);
        turn.effect(Effect::Frame(make(request)));
        Some(request)
    }

    /// As [`Self::frame`], for requests that the uplink itself must answer in time: it is hung if not.
    pub(super) fn request(
        &mut self,
        turn: &mut Turn<'_, '_>,
        make: impl FnOnce(RequestId) -> ToUplink,
    ) -> Option<RequestId> {
        let request = self.frame(turn, make)?;
        self.answers_due.insert(request, turn.now.mono.plus(UPLINK_ANSWERS));
        Some(request)
    }

    /// Forgets the sessions in memory where they have become many. Only between turns: what a turn changed is in
    /// the store when it is over, and not before.
    pub(super) fn bound_sessions(&mut self) {
        if self.sessions.len() > SESSIONS_OF {
            self.sessions.clear();
        }
    }

    /// The sessions with a peer, from memory or the store.
    pub(super) fn load_sessions(&mut self, turn: &Turn<'_, '_>, peer: &PhoneNumber) -> Result<(), StoreError> {
        if self.sessions.contains_key(peer) {
            return Ok(());
        }
        let pickles = turn.tx.sessions(peer)?;
        let sessions = pickles.iter().filter_map(|pickle| Session::from_pickle(pickle).ok()).collect();
        self.sessions.insert(peer.clone(), sessions);
        Ok(())
    }

    /// Writes the sessions that the turn changed, as they are at its end: once, however many letters came and went.
    pub(super) fn keep_sessions(&self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        for peer in std::mem::take(&mut turn.sessions) {
            let sessions = self.sessions.get(&peer).map(Vec::as_slice).unwrap_or_default();
            let pickles = sessions.iter().map(Session::to_pickle).collect::<Result<Vec<_>, _>>();
            let pickles = pickles.map_err(|error| StoreError::Io(error.to_string()))?;
            turn.write(move |tx| tx.put_sessions(&peer, &pickles));
        }
        Ok(())
    }

    /// Seals a letter to the peer by the session it was heard on last. `None` if there is no session
    /// or it does not seal: then nothing leaves.
    pub(super) fn seal_letter(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        payload: Payload,
    ) -> Result<Option<(Pseudonym, Sealed)>, StoreError> {
        self.load_sessions(turn, peer)?;
        let (Some(account), Some(identity)) = (&self.account, &self.identity) else { return Ok(None) };
        let Some(record) = self.peers.get(peer) else { return Ok(None) };
        let (Some(name), Some(pinned)) = (record.address(), record.pinned_identity.as_ref().and_then(key_from)) else {
            return Ok(None);
        };
        let Ok(pseudonym) = Pseudonym::from_wire(name) else { return Ok(None) };
        let Ok(jid) = Jid::new(pseudonym.clone(), account.jid.domain()) else { return Ok(None) };
        let Some(session) = self.sessions.get_mut(peer).and_then(|sessions| Session::preferred(sessions)) else {
            return Ok(None);
        };
        // Until the peer has answered on it, a session's letters say who is calling; a probe does
        // where the peer is not known to have our newest certificate.
        let renewed = record.proof_known.is_none_or(|known| known < account.certificate.issued);
        let calling = !session.established() || (payload == Payload::Probe && renewed);
        let proof = calling.then(|| CallerProof {
            number: account.number.clone(),
            transcripts: account.transcripts.clone(),
            certificate: account.certificate.clone(),
        });
        let letter = Letter {
            from: Party { jid: account.jid.clone(), identity: identity.key() },
            to: Party { jid, identity: pinned },
            payload,
            proof,
        };
        match seal(session, &letter) {
            Ok(sealed) => {
                turn.changed_sessions(peer);
                Ok(Some((pseudonym, sealed)))
            }
            Err(error) => {
                log::warn!("a letter could not be sealed: {error}");
                Ok(None)
            }
        }
    }

    /// Seals and sends a letter that nothing depends on. Whether it went on its way.
    pub(super) fn post(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peer: &PhoneNumber,
        payload: Payload,
    ) -> Result<bool, StoreError> {
        if !self.wall_open {
            return Ok(false);
        }
        let Some((to, sealed)) = self.seal_letter(turn, peer, payload)? else { return Ok(false) };
        Ok(self.frame(turn, |request| ToUplink::Send { request, to, sealed }).is_some())
    }

    /// Makes, stores and sends the envelope of a text. Whether that was possible.
    pub(super) fn seal_text(&mut self, turn: &mut Turn<'_, '_>, id: TextId) -> Result<bool, StoreError> {
        let Some(text) = self.router.text(id) else { return Ok(false) };
        let (Some(peer), Some(im)) = (text.peer.clone(), text.im) else { return Ok(false) };
        let payload =
            Payload::Text { id, lease: im.lease, body: text.body.clone(), sent: text.at, ordinal: text.ordinal };
        let Some((to, sealed)) = self.seal_letter(turn, &peer, payload)? else { return Ok(false) };
        let envelope = sealed.as_bytes().to_vec();
        let Some(request) = self.frame(turn, |request| ToUplink::Send { request, to, sealed }) else {
            return Ok(false);
        };
        turn.write(move |tx| tx.put_envelope(id, &envelope));
        self.sends.sent(request, id);
        Ok(true)
    }

    /// Sends the text's stored envelope again, byte for byte.
    pub(super) fn resend(&mut self, turn: &mut Turn<'_, '_>, id: TextId) -> Result<(), StoreError> {
        let peer = self.router.text(id).and_then(|text| text.peer.as_ref());
        let name = peer.and_then(|peer| self.peers.get(peer)).and_then(|record| record.address());
        let Some(to) = name.and_then(|name| Pseudonym::from_wire(name).ok()) else { return Ok(()) };
        let Some(Ok(sealed)) = turn.tx.envelope(id)?.map(Sealed::again) else { return Ok(()) };
        if let Some(request) = self.frame(turn, |request| ToUplink::Send { request, to, sealed }) {
            self.sends.sent(request, id);
        }
        Ok(())
    }

    /// Asks whether a text was shown, and whether the uplink is still alive.
    pub(super) fn revoke(&mut self, turn: &mut Turn<'_, '_>, id: TextId) -> Result<(), StoreError> {
        let Some(peer) = self.router.text(id).and_then(|text| text.peer.clone()) else { return Ok(()) };
        self.post(turn, &peer, Payload::Revoke { id })?;
        self.request(turn, |request| ToUplink::Ping { request });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> TextId {
        TextId([n; 16])
    }

    #[test]
    fn an_envelope_that_the_server_took_may_still_come_back_and_once() {
        let mut sends = Sends::default();
        sends.sent(RequestId(1), id(1));
        assert_eq!(sends.accepted(RequestId(1)), Some(id(1)));
        assert_eq!((sends.bounced(RequestId(1)), sends.bounced(RequestId(1))), (Some(id(1)), None));
    }

    #[test]
    fn what_becomes_of_an_earlier_envelope_of_a_text_says_nothing_of_its_newest() {
        let mut sends = Sends::default();
        sends.sent(RequestId(1), id(1));
        sends.sent(RequestId(2), id(1));
        assert_eq!((sends.bounced(RequestId(1)), sends.bounced(RequestId(2))), (None, Some(id(1))));
    }

    #[test]
    fn envelopes_that_never_come_back_are_forgotten_in_the_end() {
        let mut sends = Sends::default();
        for n in 0..10_000_u64 {
            sends.sent(RequestId(n), TextId(u128::from(n).to_be_bytes()));
        }
        assert_eq!(sends.0.len(), MAX_OUTSTANDING);
        assert!(sends.accepted(RequestId(9_999)).is_some());
    }
}

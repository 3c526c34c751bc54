//! Strangers' letters: only a caller proof says who they are from. Checked one at a time, so many and no more.

use super::Core;
use super::event::Event;
use super::peers::Sighting;
use super::turn::{Effect, Turn};
use crate::bus::Refusal;
use crate::model::{Instant, PhoneNumber};
use crate::router::Allowance;
use crate::seal::{Envelope, Expected, Jid, Letter, OlmKind, Session, open};
use crate::store::StoreError;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// First letters whose proof (40 ms, 19 MiB) is being checked at one time; more wait.
const PROOFS_AT_ONCE: usize = 1;
/// Letters of one stranger that are looked into: each may cost half a millisecond, and 40 ms and 19 MiB where it
/// carries a certificate. So many at once, and fifteen an hour.
const OF_ONE: Allowance = Allowance::new(16, Duration::from_secs(240));
/// Of all strangers together: at most forty at once and sixty an hour, three seconds of work. Whoever is met with
/// silence here sends an SMS.
const OF_ALL: Allowance = Allowance::new(40, Duration::from_secs(60));
/// Strangers whose allowance is remembered.
const REMEMBERED: usize = 256;
/// First letters that wait for that, and further letters kept of one stranger meanwhile.
const STRANGERS: usize = 16;
const KEPT_OF_ONE: usize = 4;

/// Somebody whose number is not proven yet.
pub(super) struct Stranger {
    jid: Jid,
    letter: Letter,
    sessions: Vec<Session>,
}

/// Strangers in line.
pub(super) struct Strangers {
    of_all: Allowance,
    of_one: HashMap<String, Allowance>,
    waiting: VecDeque<Box<Stranger>>,
    checking: usize,
    /// Envelopes that came from them meanwhile.
    kept: HashMap<String, Vec<Vec<u8>>>,
}

impl Default for Strangers {
    fn default() -> Self {
        let (of_one, waiting, kept) = Default::default();
        Self { of_all: OF_ALL, of_one, waiting, checking: 0, kept }
    }
}

impl Strangers {
    /// Whether one more letter of that stranger is looked into.
    fn admit(&mut self, now: Instant, name: &str) -> bool {
        if self.of_one.len() >= REMEMBERED && !self.of_one.contains_key(name) {
            self.of_one.retain(|_, allowance| !allowance.is_full(now));
            if self.of_one.len() >= REMEMBERED {
                return false;
            }
        }
        self.of_one.entry(name.to_owned()).or_insert(OF_ONE).take(now) && self.of_all.take(now)
    }

    /// Keeps a further letter of somebody whose proof is being checked; whether it is such a one.
    pub(super) fn keep(&mut self, from: &str, envelope: &[u8]) -> bool {
        let Some(kept) = self.kept.get_mut(from) else { return false };
        if kept.len() < KEPT_OF_ONE {
            kept.push(envelope.to_vec());
        } else {
            passed_over();
        }
        true
    }
}

fn passed_over() {
    log::debug!("a stranger's letter is passed over");
}

impl Core {
    /// A letter on a session of its own: only its caller proof says who it is from.
    pub(super) fn strangers_letter(&mut self, turn: &mut Turn<'_, '_>, jid: Jid, envelope: &[u8]) {
        // Nobody but a first letter's sender can have a session of its own.
        let first = Envelope::decode(envelope).is_ok_and(|envelope| envelope.kind == OlmKind::PreKey);
        let (now, name) = (turn.now.mono, jid.pseudonym().as_str());
        if !first || self.strangers.kept.len() >= STRANGERS || !self.strangers.admit(now, name) {
            passed_over();
            self.refused(turn, name, if first { Refusal::NotChecked } else { Refusal::Unreadable });
            return;
        }
        let (Some(account), Some(identity)) = (&self.account, &mut self.identity) else { return };
        let mut sessions = Vec::new();
        let expected = Expected { to: &account.jid, from: &jid, pinned: None };
        match open(identity, &mut sessions, &expected, envelope) {
            Ok(opened) if opened.letter.proof.is_some() => {
                self.strangers.kept.insert(name.to_owned(), Vec::new());
                self.strangers.waiting.push_back(Box::new(Stranger { jid, letter: opened.letter, sessions }));
                self.check_next_stranger(turn);
            }
            Ok(_) => {
                log::debug!("a first letter without a caller proof is dropped");
                self.refused(turn, name, Refusal::NoProof);
            }
            Err(error) => {
                log::debug!("a stranger's letter could not be opened: {error}");
                self.refused(turn, name, error);
            }
        }
    }

    fn check_next_stranger(&mut self, turn: &mut Turn<'_, '_>) {
        while self.strangers.checking < PROOFS_AT_ONCE {
            let Some(stranger) = self.strangers.waiting.pop_front() else { return };
            let Some(keys) = self.account.as_ref().map(|account| account.keys.clone()) else { return };
            let now = turn.now.wall;
            self.strangers.checking += 1;
            turn.effect(Effect::Compute(Box::new(move || {
                let proof = stranger.letter.proof.as_ref().ok_or(Refusal::NoProof);
                let number = proof.and_then(|proof| {
                    let verdict = proof.verify(&stranger.jid, &stranger.letter.from.identity, &keys, now);
                    verdict.map_err(|error| {
                        log::warn!("a caller proof is refused: {error}");
                        error.into()
                    })
                });
                Event::Proof(stranger, number)
            })));
        }
    }

    /// A stranger's proof was checked.
    pub(super) fn stranger_checked(
        &mut self,
        turn: &mut Turn<'_, '_>,
        stranger: Stranger,
        number: Result<PhoneNumber, Refusal>,
    ) -> Result<(), StoreError> {
        self.strangers.checking = self.strangers.checking.saturating_sub(1);
        let name = stranger.jid.pseudonym().as_str().to_owned();
        let kept = self.strangers.kept.remove(&name).unwrap_or_default();
        self.check_next_stranger(turn);
        // The account may have ended meanwhile, and nothing is noted of anybody any more.
        let Some(own) = self.account.as_ref().map(|account| account.number.clone()) else { return Ok(()) };
        let peer = match number {
            Ok(ourselves) if ourselves == own => return Ok(()),
            Ok(peer) => peer,
            Err(reason) => {
                self.refused(turn, &name, reason);
                return Ok(());
            }
        };
        let Some(proof) = &stranger.letter.proof else { return Ok(()) };
        let sighting = self.certificate_seen(turn, &peer, &proof.certificate)?;
        if sighting != Sighting::Stale {
            self.change_peer(turn, &peer, |record| record.found(&name))?;
        }
        match sighting {
            Sighting::Known => {
                self.unverified.proven(&name);
                self.load_sessions(turn, &peer)?;
                let sessions = self.sessions.entry(peer.clone()).or_default();
                for session in stranger.sessions {
                    let _dropped = Session::add(sessions, session);
                }
                turn.changed_sessions(&peer);
                self.read(turn, &peer, stranger.letter)?;
                for envelope in kept {
                    self.letter_came(turn, &name, &envelope)?;
                }
                Ok(())
            }
            // Silence: its texts come by SMS until the user has confirmed the new key.
            Sighting::Changed => Ok(()),
            Sighting::Stale => {
                log::warn!("a caller proof carries an older certificate than the one seen last: refused");
                self.refused(turn, &name, Refusal::OlderCertificate);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_use_up_what_others_are_allowed() {
        let mut strangers = Strangers::default();
        let now = Instant(3_600_000);
        let mut admitted = |name: &str, at: Instant| (0..100).filter(|_| strangers.admit(at, name)).count();
        assert_eq!((admitted("a", now), admitted("b", now)), (16, 16));
        assert_eq!(admitted("c", now), 8, "forty of all");
        let later = Instant(now.0 + 3_600_000);
        assert_eq!(admitted("a", later), 15, "fifteen an hour");
        for n in 0..10_000_u64 {
            let _ = admitted(&n.to_string(), Instant(later.0 + n));
        }
        assert!(strangers.of_one.len() <= REMEMBERED);
    }
}

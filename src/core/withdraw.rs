//! Withdrawal (protocol.md §4): unsettled texts first, then the account at directory and XMPP server, then
//! everything here but the texts that no app has taken.

use super::Core;
use super::turn::{Effect, Turn};
use crate::bus::{Error, Reply};
use crate::model::Instant;
use crate::router::{Phase, Router, SwitchInput};
use crate::store::{Blob, StoreError, Tx};
use crate::wall::{Errand, ErrandError, RequestId, ToUplink};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long texts may take to settle: receipt, revoke and a slow modem.
const SETTLE: Duration = Duration::from_secs(90);
/// Between a denial and the next attempt: by then another token may be in use, or the account known to have ended.
const DENIED_AGAIN: Duration = Duration::from_secs(3);
/// Between attempts of a withdrawal that an earlier life began.
const AGAIN: Duration = Duration::from_secs(30);

/// How far it has come. From `Asking` on it survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Texts are under way, until then at the latest.
    Settling(Instant),
    /// The directory is to end the account, and was asked so, or is to be from then on.
    Asking(Option<RequestId>, Instant),
    /// There is no account any more; once the uplink is gone, all is wiped.
    Ended,
}

/// A withdrawal under way.
pub(super) struct Withdrawal {
    stage: Stage,
    reply: Option<Reply<()>>,
}

impl Withdrawal {
    /// When it goes on by the clock; `open`: there is an uplink to ask through.
    pub(super) fn deadline(&self, open: bool) -> Option<Instant> {
        match self.stage {
            Stage::Settling(by) => Some(by),
            Stage::Asking(None, from) if open => Some(from),
            _ => None,
        }
    }
}

impl Core {
    /// Takes up a withdrawal of an earlier life.
    pub(super) fn load_withdrawal(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let stage = match tx.blob(Blob::Withdrawal)?.as_ref().map(|stage| stage.as_slice()) {
            None => return Ok(()),
            Some(b"ended") => Stage::Ended,
            Some(_) => Stage::Asking(None, Instant(0)),
        };
        self.withdrawal = Some(Withdrawal { stage, reply: None });
        Ok(())
    }

    /// Begins it. Without an account there is nothing to end but what is here.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_, '_>, reply: Reply<()>) {
        let refusal = match self.degraded {
            Some(token) => Some(Error::Store(token)),
            None if self.withdrawal.is_some() => Some(Error::TooMany("a withdrawal is under way")),
            None if self.account.is_some() && !self.enabled => Some(Error::SwitchOff),
            None if self.account.is_some() && !self.wall_open => Some(Error::Unreachable),
            None => None,
        };
        if let Some(error) = refusal {
            return turn.answer(reply, Err(error));
        }
        let stage = Stage::Settling(turn.now.mono.plus(SETTLE));
        self.withdrawal = Some(Withdrawal { stage, reply: Some(reply) });
    }

    /// Goes on with it as far as it goes; at each turn's end.
    pub(super) fn withdrawal_step(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let Some(Withdrawal { stage, .. }) = &self.withdrawal else { return Ok(()) };
        match *stage {
            Stage::Settling(by) if self.router.unsettled() > 0 => {
                // Held texts wait for the user, who may wait for ever.
                if !self.router.in_flight() || by <= turn.now.mono {
                    self.withdrawal_failed(turn, Error::Unsettled);
                }
                Ok(())
            }
            Stage::Settling(_) if self.account.is_none() => self.account_ended(turn),
            Stage::Asking(None, from) if self.account.is_some() && from > turn.now.mono => Ok(()),
            Stage::Settling(_) | Stage::Asking(None, _) if self.wall_open && self.account.is_some() => {
                let errand = Errand::Withdraw;
                let request = self.request(turn, |request| ToUplink::Errand { request, errand });
                turn.write(|tx| tx.put_blob(Blob::Withdrawal, b"asking"));
                self.withdrawal_at(Stage::Asking(request, turn.now.mono));
                Ok(())
            }
            Stage::Asking(..) if self.account.is_none() => self.account_ended(turn),
            Stage::Ended if self.switch.phase() == Phase::Off => {
                self.wipe(turn);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn withdrawal_at(&mut self, stage: Stage) {
        if let Some(withdrawal) = &mut self.withdrawal {
            withdrawal.stage = stage;
        }
    }

    fn withdrawal_failed(&mut self, turn: &mut Turn<'_, '_>, error: Error) {
        turn.write(|tx| tx.drop_blob(Blob::Withdrawal));
        if let Some(reply) = self.withdrawal.take().and_then(|withdrawal| withdrawal.reply) {
            turn.answer(reply, Err(error));
        }
    }

    /// The uplink is gone: what was asked is asked again by the next one.
    pub(super) fn withdrawal_unasked(&mut self) {
        if self.withdrawal.as_ref().is_some_and(|withdrawal| matches!(withdrawal.stage, Stage::Asking(..))) {
            self.withdrawal_at(Stage::Asking(None, Instant(0)));
        }
    }

    /// The directory answered.
    pub(super) fn withdrawal_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: Result<(), ErrandError>,
    ) -> Result<(), StoreError> {
        let asked = self
            .withdrawal
            .as_ref()
            .is_some_and(|it| matches!(it.stage, Stage::Asking(Some(asked), _) if asked == request));
        match result {
            _ if !asked => Ok(()),
            Ok(()) => self.account_ended(turn),
            // It has ended already, or its answer was lost; or there is another token to ask by.
            Err(ErrandError::Denied) => {
                self.withdrawal_at(Stage::Asking(None, turn.now.mono.plus(DENIED_AGAIN)));
                self.token_denied(turn, request)
            }
            Err(error) => {
                log::warn!("the account could not be ended: {error:?}");
                if self.withdrawal.as_ref().is_some_and(|it| it.reply.is_some()) {
                    self.withdrawal_failed(turn, Error::Unreachable);
                } else {
                    // Nobody is there any more to be told: it has to end some time.
                    self.withdrawal_at(Stage::Asking(None, turn.now.mono.plus(AGAIN)));
                }
                Ok(())
            }
        }
    }

    /// Nothing is at the server any more; the uplink ends, then the rest goes.
    fn account_ended(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        turn.write(|tx| tx.put_blob(Blob::Withdrawal, b"ended"));
        self.withdrawal_at(Stage::Ended);
        self.forget_enrolment(turn, Err(Error::EnrolmentEnded("the phone was withdrawn")));
        self.account = None;
        self.enabled = false;
        self.keep_settings(turn);
        self.switch_event(turn, SwitchInput::Enrolling(false))?;
        self.switch_event(turn, SwitchInput::Account(false))?;
        self.switch_event(turn, SwitchInput::Set(false))?;
        self.withdrawal_step(turn)
    }

    /// Forgets everything, in memory and on disk.
    fn wipe(&mut self, turn: &mut Turn<'_, '_>) {
        log::info!("withdrawn");
        self.identity = None;
        self.ended = None;
        self.settings = self.config.defaults;
        self.switched = None;
        self.peers = super::peers::Peers::default();
        self.contacts = super::contacts::Contacts::default();
        self.sessions = std::collections::HashMap::new();
        self.strangers = super::strangers::Strangers::default();
        self.unverified = super::unverified::Unverified::default();
        self.granting.close_all();
        self.network = crate::store::NetworkTotals::default();
        self.published_at = None;
        self.own = super::own::Own::default();
        self.secrets = super::secret::Secrets::default();
        self.account_lines = super::lines::AccountLines::default();
        // Texts that came after the account's end are under way by SMS.
        if self.router.unsettled() == 0 {
            self.router = Router::new();
        }
        let gone = Rc::new(Cell::new(Vec::new()));
        let deleted = gone.clone();
        turn.write(move |tx| {
            deleted.set(tx.wipe()?);
            Ok(())
        });
        turn.effect(Effect::Deleted(gone));
        let reply = self.withdrawal.take().and_then(|withdrawal| withdrawal.reply);
        turn.effect(Effect::Compact(reply));
    }
}

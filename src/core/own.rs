//! The own account over time (protocol.md §4): is the number still this phone's, is the certificate fresh, has the
//! account ended.

use super::Core;
use super::ended::Ended;
use super::enrolment::Aim;
use super::turn::Turn;
use crate::model::{Instant, Line, SlotId, Timestamp};
use crate::router::{EnrolInput, Phase, Renewal, Sim, SwitchInput, Tenure};
use crate::seal::{AccountFile, Blinding, Certificate, Renewal as SignedRenewal};
use crate::store::{Blob, StoreError, Tx};
use crate::wall::{DirectoryError, Errand, ErrandError, Opaque, Operator, RequestId, ToUplink};
use rand_core::OsRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// How often renewal is thought of, at the most; while the switch is off never.
const LOOK: Duration = Duration::from_secs(6 * 3600);
/// How often a server that is only broken makes the directory be asked, at the most.
const CHECK_AGAIN: Duration = Duration::from_secs(3600);

/// The account's line. Its order is the encoding.
#[derive(Serialize, Deserialize)]
struct Kept {
    proven: i64,
    registered: i64,
    doubtful: bool,
    tried: i64,
    moving: i64,
}

/// The SIM that the number was proven by, and since when what is known of it.
#[derive(Default)]
pub(super) struct Own {
    tenure: Tenure,
    /// What modems said of having none, since a line was seen last.
    without: Sim,
    /// What the modem showed last.
    seen: Option<Sim>,
    look_at: Instant,
    renewing: Option<RequestId>,
    /// Whether the account still exists: by what the directory was asked, and when it may be asked again.
    checking: Option<RequestId>,
    check_again: Instant,
}

impl Own {
    /// For the export.
    pub(super) fn told(&self) -> Value {
        let Tenure { proven, registered, doubtful, tried, moving } = self.tenure;
        json!({
            "number-proven": proven.0,
            "registered": registered.0,
            "to-be-proven": doubtful,
            "renewal-tried": tried.0,
            "move-tried": moving.0,
        })
    }

    fn keep(&self, turn: &mut Turn<'_, '_>) {
        let Tenure { proven, registered, doubtful, tried, moving } = self.tenure;
        let kept = Kept { proven: proven.0, registered: registered.0, doubtful, tried: tried.0, moving: moving.0 };
        match postcard::to_allocvec(&kept) {
            Ok(bytes) => turn.write(move |tx| tx.put_blob(Blob::OwnLine, &bytes)),
            Err(error) => log::error!("the own line can't be stored: {error}"),
        }
    }
}

impl Core {
    /// Takes up what an earlier life knew. Unreadable counts as doubtful.
    pub(super) fn load_own(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let kept = tx.blob(Blob::OwnLine)?.and_then(|bytes| postcard::from_bytes::<Kept>(&bytes).ok());
        self.own = kept.map_or_else(Own::default, |kept| Own {
            tenure: Tenure {
                proven: Timestamp(kept.proven),
                registered: Timestamp(kept.registered),
                doubtful: kept.doubtful,
                tried: Timestamp(kept.tried),
                moving: Timestamp(kept.moving),
            },
            ..Own::default()
        });
        Ok(())
    }

    /// The number was proven just now, by the SIM that is there.
    pub(super) fn number_proven(&mut self, turn: &mut Turn<'_, '_>) {
        let Own { without, seen, .. } = self.own;
        self.own = Own { tenure: Tenure::proven(turn.now.wall), without, seen, ..Own::default() };
        self.own.keep(turn);
    }

    fn sim(&self) -> Sim {
        let number = self.account.as_ref().map(|account| &account.number);
        self.account_lines.sim(number, &self.lines, self.own.without)
    }

    /// A modem shows no SIM.
    pub(super) fn no_sim(&mut self, turn: &mut Turn<'_, '_>, slot: &SlotId, sure: bool) -> Result<(), StoreError> {
        self.own.without = self.account_lines.without(&self.lines, slot, sure, self.own.without);
        self.look_at_sim(turn)
    }

    /// A modem shows one.
    pub(super) fn sim_shown(&mut self, line: &Line) {
        if self.account_lines.ends_without(line) {
            self.forget_no_sim();
        }
    }

    /// What modems said of having no SIM holds no more.
    pub(super) fn forget_no_sim(&mut self) {
        self.own.without = Sim::Unknown;
    }

    /// Takes what the modem shows of the account's SIM. Without it nobody is to believe any longer that we have its
    /// number.
    pub(super) fn look_at_sim(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let sim = self.sim();
        if self.own.seen.replace(sim) != Some(sim) {
            // A SIM that is back may have to prove its number, and can now get the code.
            self.own.look_at = turn.now.mono;
            match sim {
                Sim::Gone if self.account.is_some() => {
                    log::info!("the account's SIM is not in this phone");
                    self.end_leases(turn)?;
                }
                Sim::Unread if self.account.is_some() => log::info!("the account's SIM has not been read"),
                _ => {}
            }
        }
        if self.account.is_some() && self.own.tenure.seen(turn.now.wall, sim) {
            self.own.keep(turn);
        }
        Ok(())
    }

    /// Whether others may believe that this phone has the number.
    pub(super) fn may_grant(&mut self, turn: &mut Turn<'_, '_>) -> Result<bool, StoreError> {
        self.look_at_sim(turn)?;
        Ok(self.own.tenure.may_grant(turn.now.wall, self.sim()))
    }

    /// When renewal is thought of next.
    pub(super) fn own_deadline(&self) -> Option<Instant> {
        // Else a renewal may go by the wrong token.
        let may = self.account.is_some() && self.switch.phase() == Phase::Online && self.secrets.settled();
        may.then_some(self.own.look_at)
    }

    /// Renews what is due.
    pub(super) fn look_after_account(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.own_deadline().is_none_or(|due| due > turn.now.mono) {
            return Ok(());
        }
        self.own.look_at = turn.now.mono.plus(LOOK);
        self.look_at_sim(turn)?;
        let (Some(account), Some(identity)) = (&self.account, &self.identity) else { return Ok(()) };
        let Certificate { issued, expires, .. } = account.certificate;
        let now = turn.now.wall;
        let (own, current) = (account.keys.epoch(account.jid.epoch()).copied(), account.keys.current().copied());
        let renewal = self.own.tenure.renewal(now, self.sim(), (issued, expires), own != current);
        let (key, aim) = match renewal {
            Renewal::None => return Ok(()),
            Renewal::Plain => {
                match SignedRenewal::sign(identity, &account.certificate, now) {
                    Ok(signed) => {
                        let errand = Errand::Renew(Opaque(signed));
                        self.own.renewing = self.request(turn, |request| ToUplink::Errand { request, errand });
                    }
                    Err(error) => log::error!("{error}"),
                }
                (None, Aim::Account)
            }
            Renewal::Proof | Renewal::Move if self.enrolment.is_some() => return Ok(()),
            Renewal::Proof => (own, Aim::Proof),
            Renewal::Move => (current, Aim::Move),
        };
        if let (Some(key), Some(account)) = (key, &self.account) {
            log::info!("the number is to be proven anew{}", if aim == Aim::Move { ", in another epoch" } else { "" });
            let number = account.number.clone();
            match self.begin(turn, &number, &key, aim) {
                Ok(()) => self.enrolment_event(turn, EnrolInput::Open)?,
                Err(error) => log::error!("{error}"),
            }
        }
        self.own.tenure.tries(now, renewal);
        self.own.keep(turn);
        Ok(())
    }

    /// The directory answered a renewal.
    pub(super) fn renewal_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: &Result<Opaque, ErrandError>,
    ) -> Result<(), StoreError> {
        if self.own.renewing != Some(request) {
            return Ok(());
        }
        self.own.renewing = None;
        match result {
            Ok(answer) => {
                let Some(account) = &self.account else { return Ok(()) };
                let successor = Certificate::decode(&answer.0).ok().filter(|certificate| {
                    let own = &account.certificate;
                    certificate.jid == own.jid
                        && certificate.identity == own.identity
                        && certificate.issued >= own.issued
                        && certificate.verify(&account.keys, turn.now.wall).is_ok()
                });
                let Some(certificate) = successor else {
                    log::error!("the renewed certificate does not hold");
                    return Ok(());
                };
                log::info!("the certificate is renewed");
                let file = AccountFile { certificate, ..account.clone() };
                self.keep_account(turn, file)?;
                self.want_secret(turn)?;
                self.publish_bundle(turn)
            }
            Err(ErrandError::Denied) => {
                self.token_denied(turn, request)?;
                // Where there is an account still, it was by an earlier token.
                self.own.tenure.tried = Timestamp(0);
                self.own.look_at = turn.now.mono;
                Ok(())
            }
            Err(ErrandError::Proof) => {
                self.own.tenure.doubtful = true;
                self.own.tenure.tried = Timestamp(0);
                self.own.look_at = turn.now.mono;
                self.own.keep(turn);
                Ok(())
            }
            Err(error) => {
                log::warn!("the certificate could not be renewed: {error:?}");
                Ok(())
            }
        }
    }

    /// The server has ended the session, or lets nobody in: the directory, which knows, is asked whether the account
    /// still exists, by evaluating its own number once more, blinded. That is counted there, so it is rare.
    pub(super) fn check_account(&mut self, turn: &mut Turn<'_, '_>) {
        let due = self.own.checking.is_none() && self.own.check_again <= turn.now.mono;
        let Some(account) = self.account.as_ref().filter(|_| due) else { return };
        let (Some(key), Ok((_, point))) = (account.keys.current(), Blinding::new(&account.number, &mut OsRng)) else {
            return;
        };
        let epoch = key.epoch;
        self.own.check_again = turn.now.mono.plus(CHECK_AGAIN);
        self.own.checking = self.request(turn, |request| ToUplink::Evaluate {
            request,
            by: Operator::First,
            epoch,
            blinded: vec![point],
        });
    }

    /// The directory answered; whether it was this check.
    pub(super) fn account_exists(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        error: Option<DirectoryError>,
    ) -> Result<bool, StoreError> {
        if self.own.checking != Some(request) {
            return Ok(false);
        }
        self.own.checking = None;
        match error {
            Some(DirectoryError::Denied) => {
                self.own.check_again = turn.now.mono;
                self.token_denied(turn, request)?;
            }
            // Nothing is known: the next loss asks again.
            Some(DirectoryError::Unavailable) => self.own.check_again = turn.now.mono,
            _ => {}
        }
        Ok(true)
    }

    /// The uplink is gone, and with it its answers.
    pub(super) fn own_unasked(&mut self) {
        self.own.renewing = None;
        self.own.checking = None;
    }

    /// The account has ended elsewhere: texts go by SMS from now on.
    pub(super) fn signed_out(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        log::warn!("signed out: the number was enrolled on another phone, or the account was ended");
        self.account = None;
        self.own = Own::default();
        self.strangers = super::strangers::Strangers::default();
        self.forget_enrolment(turn, Err(crate::bus::Error::NotEnrolled));
        turn.write(|tx| {
            tx.drop_blob(Blob::Account)?;
            tx.drop_blob(Blob::OwnLine)
        });
        self.forget_secret(turn)?;
        self.tell_ended(turn, Some(Ended::SignedOut));
        self.switch_event(turn, SwitchInput::Account(false))
    }
}

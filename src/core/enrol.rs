//! Enrolment (protocol.md §4): the number is proven by a code that comes by SMS, and an account comes back.
//! Everything that the next start needs is stored before it is sent.

use super::Core;
use super::ended::Ended;
use super::enrolment::{Aim, Enrolment, Kept, KeptConfirm};
use super::event::Event;
use super::turn::{Effect, ModemJob, Turn};
use crate::bus::{Caller, Error, Reply};
use crate::model::{Address, Consent, PhoneNumber, Switched, Timestamp};
use crate::modem::IncomingSms;
use crate::router::{Class, EnrolInput, EnrolStep, Enrolling, Stage, SwitchInput};
use crate::seal::{
    AccountError, AccountFile, Answer, AnswerKey, Blinding, Code, CodeSms, Confirm, DirectoryKeys, EpochKey, Identity,
    NewAccount, Purpose, SealedRequest, SessionId, Start,
};
use crate::store::{Blob, StoreError};
use crate::wall::{Errand, ErrandError, RequestId, ToUplink};
use rand_core::OsRng;

impl Core {
    /// Takes up an enrolment of an earlier life.
    pub(super) fn load_enrolment(&mut self, tx: &crate::store::Tx<'_>) -> Result<(), StoreError> {
        self.load_ended(tx)?;
        let Some(bytes) = tx.blob(Blob::Enrolment)? else { return Ok(()) };
        let Ok(kept) = postcard::from_bytes::<Kept>(&bytes) else {
            log::error!("the stored enrolment is unreadable: enrol again");
            return Ok(());
        };
        let stage = match (&kept.confirm, kept.asked) {
            (Some(_), _) => Stage::Confirming,
            (None, true) => Stage::Awaiting,
            (None, false) => Stage::Asking,
        };
        let life = Enrolling::new(crate::sys::now(), Timestamp(kept.begun), stage);
        self.enrolment = Some(Enrolment { kept, life, asked: None, waits: None });
        Ok(())
    }

    /// Begins an enrolment; an earlier one is forgotten.
    pub(super) fn enrol(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: Option<Address>,
        (caller, consent): (Caller, Option<Consent>),
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let begun = self.may_enrol(number).and_then(|(number, key)| {
            self.identity_text(turn)?;
            self.begin(turn, &number, &key, Aim::Account)
        });
        if let Err(error) = begun {
            turn.answer(reply, Err(error));
            return Ok(());
        }
        let entry = crate::store::Switch {
            on: true,
            switched: Some(Switched { at: turn.now.wall, uid: caller.uid, unit: caller.unit, consent }),
        };
        turn.write(move |tx| tx.log_switch(&entry));
        turn.promise(reply);
        log::info!("an enrolment begins");
        self.switch_event(turn, SwitchInput::Enrolling(true))?;
        // Else the uplink's start opens the way.
        if self.wall_open { self.enrolment_event(turn, EnrolInput::Open) } else { Ok(()) }
    }

    fn may_enrol(&self, number: Option<Address>) -> Result<(PhoneNumber, EpochKey), Error> {
        if let Some(token) = self.degraded {
            return Err(Error::Store(token));
        }
        if self.account.is_some() {
            return Err(Error::AlreadyEnrolled);
        }
        let key = self.pinned_keys().current().copied().ok_or(Error::NotConfigured)?;
        if !self.enabled {
            return Err(Error::SwitchOff);
        }
        let line = self.line(None);
        let number = match number {
            Some(written) => match self.classify(&written, line) {
                (Class::Mobile | Class::SmsOnlyList, Some(number)) => number,
                _ => return Err(Error::BadNumber),
            },
            None => line.and_then(|line| line.number.clone()).ok_or(Error::BadNumber)?,
        };
        Ok((number, key))
    }

    /// The keys that the integrator pinned.
    pub(super) fn pinned_keys(&self) -> DirectoryKeys {
        let cloud = self.config.cloud.as_ref();
        DirectoryKeys { epochs: cloud.iter().flat_map(|cloud| &cloud.epochs).map(EpochKey::from).collect() }
    }

    pub(super) fn begin(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: &PhoneNumber,
        key: &EpochKey,
        aim: Aim,
    ) -> Result<(), Error> {
        let identity = self.identity.as_ref().map(Identity::key).ok_or(Error::NotEnrolled)?;
        let session = SessionId::new(&mut OsRng);
        let renews = self.account.as_ref().map(|account| self.credentials(account).token.0);
        let start = Start { number: number.clone(), made: turn.now.wall, renews };
        let start = start.seal(session, identity, key).map_err(|error| {
            log::error!("{error}");
            Error::NotConfigured
        })?;
        let kept = Kept {
            session: *session.as_bytes(),
            number: number.as_e164().to_owned().into(),
            epoch: key.epoch,
            begun: turn.now.wall.0,
            asked: false,
            start: start.as_bytes().to_vec(),
            confirm: None,
            aim,
        };
        let life = Enrolling::new(turn.now, turn.now.wall, Stage::Asking);
        self.told(turn, Err(Error::EnrolmentEnded("another enrolment has begun")));
        let enrolment = Enrolment { kept, life, asked: None, waits: None };
        enrolment.keep(turn);
        self.enrolment = Some(enrolment);
        self.tell_ended(turn, None);
        Ok(())
    }

    /// Something happened to the enrolment under way, if there is one.
    pub(super) fn enrolment_event(&mut self, turn: &mut Turn<'_, '_>, input: EnrolInput) -> Result<(), StoreError> {
        let random = u32::from_ne_bytes(super::random());
        let Some(enrolment) = &mut self.enrolment else { return Ok(()) };
        if input == EnrolInput::Closed {
            enrolment.asked = None;
        }
        let Some(step) = enrolment.life.handle(turn.now.mono, random, input) else { return Ok(()) };
        let stored = match step {
            EnrolStep::Ask => Some(enrolment.kept.start.clone()),
            EnrolStep::Confirm => enrolment.kept.confirm.as_ref().map(|confirm| confirm.request.clone()),
            EnrolStep::Expire => return self.enrolment_over(turn, Ended::Expired),
        };
        let Some(Ok(sealed)) = stored.map(SealedRequest::again) else {
            return self.enrolment_over(turn, Ended::Refused);
        };
        let errand = if step == EnrolStep::Ask { Errand::Start(sealed) } else { Errand::Confirm(sealed) };
        let asked = self.request(turn, |request| ToUplink::Errand { request, errand }).map(|request| (request, step));
        if let Some(enrolment) = &mut self.enrolment {
            enrolment.asked = asked;
        }
        Ok(())
    }

    /// A code by hand.
    pub(super) fn confirm_enrolment(
        &mut self,
        turn: &mut Turn<'_, '_>,
        typed: &str,
        reply: Reply<()>,
    ) -> Result<(), StoreError> {
        let refusal = match (&self.enrolment, Code::from_typed(typed)) {
            (None, _) => Error::NoEnrolment,
            (Some(_), Err(_)) => Error::BadArgument("a code is the eight digits of the SMS"),
            (Some(it), Ok(_)) if it.life.stage() == Stage::Confirming => {
                Error::TooLate("a code is being tried already: StateReason says what came of it")
            }
            (Some(_), Ok(code)) => {
                return match self.code_came(turn, code)? {
                    Ok(()) => {
                        if let Some(enrolment) = &mut self.enrolment {
                            enrolment.waits = Some(reply);
                        }
                        self.enrolment_event(turn, EnrolInput::Code)
                    }
                    Err(error) => {
                        turn.answer(reply, Err(error));
                        Ok(())
                    }
                };
            }
        };
        turn.answer(reply, Err(refusal));
        Ok(())
    }

    /// Takes an SMS that is the pending session's code; any other is somebody's.
    pub(super) fn take_code(&mut self, turn: &mut Turn<'_, '_>, sms: &IncomingSms) -> Result<bool, StoreError> {
        let Some(enrolment) = &self.enrolment else { return Ok(false) };
        let session = SessionId::from_bytes(enrolment.kept.session);
        let Some(found) = CodeSms::parse(&sms.body.0).filter(|found| found.is_for(&session)) else { return Ok(false) };
        log::info!("the code came by SMS");
        turn.effect(Effect::Modem(ModemJob::Delete { line: sms.line.clone(), sms: sms.sms.clone() }));
        let tried = enrolment.life.stage() == Stage::Confirming;
        if !tried && self.code_came(turn, found.code)?.is_ok() {
            self.enrolment_event(turn, EnrolInput::Code)?;
        }
        Ok(true)
    }

    /// Makes and stores the confirmation.
    fn code_came(&mut self, turn: &mut Turn<'_, '_>, code: Code) -> Result<Result<(), Error>, StoreError> {
        let account = self.account.as_ref();
        let keys = account.map_or_else(|| self.pinned_keys(), |account| account.keys.clone());
        let token = account.map(|account| self.credentials(account).token.0);
        let (Some(enrolment), Some(identity)) = (&mut self.enrolment, &self.identity) else {
            return Ok(Err(Error::NoEnrolment));
        };
        let made = (|| {
            let number = PhoneNumber::from_e164(&enrolment.kept.number).ok()?;
            let key = keys.epoch(enrolment.kept.epoch)?;
            let (blinding, blinded) = Blinding::new(&number, &mut OsRng).ok()?;
            let purpose = match (token, enrolment.kept.aim) {
                (Some(token), Aim::Proof) => Purpose::Renew { token },
                _ => Purpose::Enrol { blinded },
            };
            let session = SessionId::from_bytes(enrolment.kept.session);
            let sealed = Confirm { number, code, purpose }.seal(session, identity.key(), key);
            let (request, key) = sealed.map_err(|error| log::error!("{error}")).ok()?;
            let request = request.as_bytes().to_vec();
            Some(KeptConfirm { request, answer_key: key.to_bytes(), blind: blinding.to_bytes() })
        })();
        let Some(confirm) = made else { return Ok(Err(Error::NotConfigured)) };
        enrolment.kept.confirm = Some(confirm);
        enrolment.keep(turn);
        Ok(Ok(()))
    }

    /// The directory answered. Whether the request was the enrolment's.
    pub(super) fn enrolment_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: Result<Vec<u8>, ErrandError>,
    ) -> Result<(), StoreError> {
        let Some(enrolment) = &mut self.enrolment else { return Ok(()) };
        let Some((_, step)) = enrolment.asked.filter(|(asked, _)| *asked == request) else { return Ok(()) };
        enrolment.asked = None;
        match (step, result) {
            (EnrolStep::Confirm, Ok(answer)) => self.account_came(turn, &answer),
            (_, Ok(_)) => {
                enrolment.kept.asked = true;
                enrolment.keep(turn);
                self.enrolment_event(turn, EnrolInput::Asked)
            }
            (_, Err(ErrandError::Unavailable)) => {
                self.told(turn, Err(Error::Unreachable));
                self.enrolment_event(turn, EnrolInput::Unreachable)
            }
            (_, Err(ErrandError::WrongCode)) => {
                enrolment.kept.confirm = None;
                enrolment.keep(turn);
                self.told(turn, Err(Error::WrongCode));
                self.enrolment_event(turn, EnrolInput::WrongCode)
            }
            (_, Err(error)) => {
                log::warn!("the directory refuses the enrolment: {error:?}");
                let ended = match error {
                    ErrandError::Spent => Ended::Spent,
                    ErrandError::NoSession => Ended::Expired,
                    ErrandError::Number => Ended::Number,
                    ErrandError::Limit(_) => Ended::Limited,
                    ErrandError::Epoch => Ended::Epoch,
                    ErrandError::Clock => Ended::Clock,
                    ErrandError::Closed => Ended::Closed,
                    _ => Ended::Refused,
                };
                self.enrolment_over(turn, ended)
            }
        }
    }

    fn account_came(&mut self, turn: &mut Turn<'_, '_>, answer: &[u8]) -> Result<(), StoreError> {
        let Some(Enrolment { kept, .. }) = &self.enrolment else { return Ok(()) };
        let session = SessionId::from_bytes(kept.session);
        let opened = kept.confirm.as_ref().map(|confirm| {
            Answer::open(&session, &AnswerKey::from_bytes(*confirm.answer_key), answer)
                .map(|answer| (answer, Blinding::from_bytes(*confirm.blind)))
        });
        let file = match opened {
            Some(Ok((Answer::Enrolled(new), blinding))) => self.account_of(kept, new, &blinding),
            Some(Ok((Answer::Renewed(certificate), _))) => {
                self.account.as_ref().map(|account| AccountFile { certificate, ..account.clone() })
            }
            Some(Err(error)) => {
                log::error!("{error}");
                None
            }
            None => None,
        };
        let key = self.identity.as_ref().map(Identity::key);
        let (Some(file), Some(key)) = (file, key) else { return self.enrolment_over(turn, Ended::Refused) };
        let (file, now) = (Box::new(file), turn.now.wall);
        turn.effect(Effect::Compute(Box::new(move || {
            let checked = file.check(&key, now);
            Event::Enrolled(session, file, checked)
        })));
        Ok(())
    }

    fn account_of(&self, kept: &Kept, new: NewAccount, blinding: &Blinding) -> Option<AccountFile> {
        let NewAccount { secret, certificate, evaluations } = new;
        let (jid, number) = (certificate.jid.clone(), PhoneNumber::from_e164(&kept.number).ok()?);
        let transcripts = evaluations.iter().map(|evaluation| blinding.transcript(evaluation)).collect();
        if let Some(old) = &self.account {
            return Some(AccountFile { number, jid, secret, certificate, transcripts, ..old.clone() });
        }
        let cloud = self.config.cloud.as_ref()?;
        Some(AccountFile {
            number,
            jid,
            secret,
            servers: cloud.servers.clone(),
            directory: cloud.directory.clone(),
            ca: self.roots.ca.clone()?,
            keys: self.pinned_keys(),
            certificate,
            second: self.roots.second.clone(),
            transcripts,
        })
    }

    /// The account of an answer was checked.
    pub(super) fn enrolled(
        &mut self,
        turn: &mut Turn<'_, '_>,
        session: SessionId,
        file: AccountFile,
        checked: &Result<(), AccountError>,
    ) -> Result<(), StoreError> {
        let pending = self.enrolment.as_ref().is_some_and(|it| it.kept.session == *session.as_bytes());
        if !pending {
            return Ok(());
        }
        if let Err(error) = checked {
            log::error!("the directory's answer does not hold: {error}");
            return self.enrolment_over(turn, Ended::Refused);
        }
        let aim = self.forget_enrolment(turn, Ok(()));
        self.keep_account(turn, file)?;
        if aim != Some(Aim::Proof) {
            self.forget_secret(turn)?;
        }
        // The directory made it.
        self.want_secret(turn)?;
        self.set_account_line(turn, None)?;
        self.find_account_line(turn)?;
        self.number_proven(turn);
        match aim {
            Some(Aim::Proof) => {
                log::info!("the number was proven anew");
                return self.publish_bundle(turn);
            }
            Some(Aim::Move) => {
                log::info!("the account is in the current epoch now");
                // The running uplink speaks for the old one.
                self.switch_event(turn, SwitchInput::Account(false))?;
            }
            _ => {
                log::info!("enrolled");
                self.tell_ended(turn, None);
                // The uplink that asked has no account; the next one has.
                self.switch_event(turn, SwitchInput::Enrolling(false))?;
            }
        }
        self.switch_event(turn, SwitchInput::Account(true))
    }

    /// It ended without an account; or without a proof or a newer account: that is tried again another day.
    fn enrolment_over(&mut self, turn: &mut Turn<'_, '_>, ended: Ended) -> Result<(), StoreError> {
        log::warn!("the enrolment is over: {}", ended.token());
        if self.forget_enrolment(turn, Err(ended.error())) != Some(Aim::Account) {
            return Ok(());
        }
        self.tell_ended(turn, Some(ended));
        self.switch_event(turn, SwitchInput::Enrolling(false))
    }

    /// Lets go of the enrolment. What it was for.
    pub(super) fn forget_enrolment(&mut self, turn: &mut Turn<'_, '_>, outcome: Result<(), Error>) -> Option<Aim> {
        self.told(turn, outcome);
        let enrolment = self.enrolment.take()?;
        turn.write(|tx| tx.drop_blob(Blob::Enrolment));
        Some(enrolment.aim())
    }

    /// Answers who waits for the code's outcome.
    fn told(&mut self, turn: &mut Turn<'_, '_>, outcome: Result<(), Error>) {
        if let Some(reply) = self.enrolment.as_mut().and_then(|enrolment| enrolment.waits.take()) {
            turn.answer(reply, outcome);
        }
    }
}

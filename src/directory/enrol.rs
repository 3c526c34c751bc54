//! Enrolment by the phone itself: `start` sends the code, `confirm` makes the account.
//!
//! The number is in memory while a `start` sends its SMS, and while a `confirm` is answered; between the
//! two nothing here knows it.

use super::accounts::{Known, TokenHash};
use super::alarm;
use super::api::Refusal;
use super::config::Enrolment;
use super::database::Database;
use super::evaluate::{Directory, unavailable};
use super::gateway::{Gateway, GatewayError};
use super::keys;
use super::limits::{Asked, Limit, Limits};
use super::number::{self, Enrollable, NumberError};
use super::service::{Service, now, to_its_end};
use super::sessions::{self, Attempt, Begun, Bound, Request, Salt, Sessions};
use crate::model::{PhoneNumber, Timestamp};
use crate::seal::{
    Answer, AnswerKey, Certificate, Code, Confirm, EnrolmentError, Header, Jid, NewAccount, Purpose, SessionId, Start,
    code_sms, slow_hash,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a `start` waits for the network's word on its SMS; without one the SMS may still come.
const SMS: Duration = Duration::from_secs(12);

/// How often what is over is deleted.
const SWEEP: Duration = Duration::from_secs(60);

/// What enrolments share.
pub(super) struct Enrolling {
    sessions: Sessions,
    limits: Limits,
    gateway: Gateway,
    pub(super) trusted_proxies: Vec<IpAddr>,
    alarm: Vec<String>,
}

/// A start, judged by itself.
struct Wanted {
    wanted: Enrollable,
    /// The account whose number it would prove anew, as the phone says.
    renews: Option<TokenHash>,
}

/// Why phones can't enrol by themselves.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrollingError {
    #[error("enrolment: `current_epoch` has no keys")]
    Epoch,
    #[error("enrolment.gateway: {0}")]
    Gateway(std::io::Error),
}

impl Enrolling {
    /// Must be called within the runtime.
    pub(super) fn start(config: &Enrolment, directory: &Directory, epoch: char) -> Result<Self, EnrollingError> {
        let database = directory.accounts.database();
        let key = directory.epochs.secrets(epoch).ok_or(EnrollingError::Epoch)?.enrolment.tag(&[b"code SMS"]);
        Ok(Self {
            sessions: Sessions::new(config.life, database.clone()),
            limits: Limits::new(config.limits, database.clone(), &key),
            gateway: Gateway::start(&config.gateway).map_err(EnrollingError::Gateway)?,
            trusted_proxies: config.trusted_proxies.clone(),
            alarm: config.alarm.clone(),
        })
    }

    /// Empties the database of what is over, for as long as the service runs.
    pub(super) async fn keep_forgetting(self: Arc<Self>, database: Database) {
        loop {
            let forgotten = async {
                self.sessions.forget(now()).await?;
                self.limits.forget(now()).await?;
                database.scrub().await
            };
            if let Err(error) = forgotten.await {
                log::error!("what is over could not be deleted, in a minute again: {error}");
            }
            tokio::time::sleep(SWEEP).await;
        }
    }

    /// What is known of a start already, and its answer.
    async fn known(&self, id: &SessionId, request: &Request) -> Result<Option<Result<u64, Refusal>>, Refusal> {
        let known = self.sessions.known(id, request, now()).await.map_err(unavailable)?;
        Ok(known.map(|begun| match begun {
            Begun::Again(left) => Ok(left),
            Begun::Conflict => Err(Refusal::SessionConflict),
        }))
    }

    /// Once a window; of what a single subscriber can cause once an hour, whichever number or block it was.
    async fn tell(&self, limit: Limit, country: &str) -> Result<(), Refusal> {
        if matches!(limit, Limit::Number | Limit::Block) && !self.limits.is_news(limit, now()).await? {
            log::info!("code SMS limited: {}", limit.token());
            return Ok(());
        }
        log::error!("ALARM: the {} limit of code SMS is reached (country {country})", limit.token());
        alarm::ring(&self.alarm, &[limit.token(), country]);
        Ok(())
    }
}

/// What a sealed request's failure is over HTTP.
fn refused(error: EnrolmentError) -> Refusal {
    match error {
        EnrolmentError::Date => Refusal::Clock,
        EnrolmentError::Epoch => Refusal::UnknownEpoch,
        EnrolmentError::Number => Refusal::NumberInvalid,
        _ => Refusal::BadRequest,
    }
}

/// Opens a request with its epoch's key.
fn header(request: &[u8], id: &SessionId) -> Result<Header, Refusal> {
    let header = Header::read(request).map_err(refused)?;
    if header.session == *id { Ok(header) } else { Err(Refusal::BadRequest) }
}

impl Service {
    fn enrolling(&self) -> Result<Arc<Enrolling>, Refusal> {
        self.enrolling.clone().ok_or(Refusal::EnrolmentClosed)
    }

    async fn allow(
        &self,
        enrolling: &Enrolling,
        phone: &Header,
        asked: &Wanted,
        client: IpAddr,
    ) -> Result<(), Refusal> {
        let Wanted { wanted, renews } = asked;
        let asked = Asked { country: &wanted.country, client };
        let slow = async |salt: Vec<u8>| {
            let number = wanted.number.clone();
            self.on_a_core(move |_| slow_hash(number.as_e164().as_bytes(), &salt).map_err(|error| failed(&error))).await
        };
        let Err(limited) = enrolling.limits.charge(asked, now(), slow).await? else { return Ok(()) };
        if limited.first {
            enrolling.tell(limited.limit, &wanted.country).await?;
        }
        if let Some(token) = renews
            && self.has_reserve(enrolling, phone, &wanted.number, token).await?
        {
            return Ok(());
        }
        Err(Refusal::EnrolmentLimit(limited.wait))
    }

    /// Whether the account of this token has a code of its own left, and is this phone's and this number's. Counted
    /// before the number is looked at, which costs more than a count.
    async fn has_reserve(
        &self,
        enrolling: &Enrolling,
        phone: &Header,
        number: &PhoneNumber,
        token: &TokenHash,
    ) -> Result<bool, Refusal> {
        let Directory { accounts, epochs, .. } = &*self.directory;
        let Some(Known { certificate, .. }) = accounts.known(token).await.map_err(unavailable)? else {
            return Ok(false);
        };
        let Certificate { jid, identity, .. } = certificate;
        Ok(identity == phone.identity
            && epochs.secrets(jid.epoch()).is_some()
            && enrolling.limits.charge_renewal(jid.pseudonym().as_str(), now()).await?
            && self.address(number, jid.epoch()).await? == jid)
    }

    /// The address of a number in an epoch.
    async fn address(&self, number: &PhoneNumber, epoch: char) -> Result<Jid, Refusal> {
        let (said, number) = (self.directory.ask_second(number, &[epoch], None).await, number.clone());
        let said = said.map_err(|error| failed(&error))?;
        let address =
            self.on_a_core(move |directory| directory.address(&number, epoch, &said).map_err(|error| failed(&error)));
        address.await.map(|(jid, _)| jid)
    }

    /// Sends a code; the seconds that it is good for.
    pub(super) async fn start(&self, id: SessionId, client: IpAddr, bytes: Vec<u8>) -> Result<u64, Refusal> {
        let enrolling = self.enrolling()?;
        let header = header(&bytes, &id)?;
        let request = sessions::digest_of(&bytes);
        if let Some(known) = enrolling.known(&id, &request).await? {
            return known;
        }
        let asked = self.on_a_core(move |directory| directory.wanted(header, &bytes)).await?;
        self.allow(&enrolling, &header, &asked, client).await?;
        let Wanted { wanted, .. } = asked;
        let bound = self.directory.bound(&header, &wanted.number)?;
        let made = enrolling.sessions.begin(&header, &request, &bound, now()).await.map_err(|error| failed(&error))?;
        let Some(salt) = made else {
            return enrolling.known(&id, &request).await?.unwrap_or(Err(Refusal::Unavailable));
        };
        let code = self.directory.code(&header, &salt, &wanted.number)?;
        let (number, life) = (wanted.number, enrolling.sessions.life());
        // It goes on when the phone hangs up: what became of the SMS must be known to the session.
        let sending = tokio::spawn(async move {
            let sent = enrolling.gateway.send(&number, code_sms(code, &id).into()).await;
            match &sent {
                Ok(()) => log::debug!("a code was sent"),
                Err(GatewayError::Mute) => log::warn!("nobody knows whether a code was sent"),
                Err(error) => {
                    log::error!("no code was sent: {error}");
                    if let Err(error) = enrolling.sessions.abandon(&id).await {
                        log::error!("{error}");
                    }
                }
            }
            sent
        });
        match timeout(SMS, sending).await {
            Ok(Ok(Ok(()) | Err(GatewayError::Mute))) | Err(_) => Ok(life),
            Ok(Ok(Err(_)) | Err(_)) => Err(Refusal::SmsFailed),
        }
    }

    /// Takes the code; the sealed answer.
    pub(super) async fn confirm(&self, id: SessionId, bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let enrolling = self.enrolling()?;
        let header = header(&bytes, &id)?;
        let request = sessions::digest_of(&bytes);
        let (confirm, key) = self
            .on_a_core(move |directory| {
                let secrets = directory.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
                let (_, confirm, key) = Confirm::open(&secrets.enrolment, &bytes).map_err(refused)?;
                Ok((confirm, key))
            })
            .await?;
        let is_right =
            |salt: &Salt| self.directory.code(&header, salt, &confirm.number).is_ok_and(|code| code == confirm.code);
        let bound = self.directory.bound(&header, &confirm.number)?;
        match enrolling.sessions.attempt(&header, &request, &bound, is_right, now()).await.map_err(unavailable)? {
            Attempt::Right => {
                let service = self.clone();
                // The phone's next try gets the answer.
                to_its_end(async move { service.answered(&enrolling, header, request, confirm, key).await }).await
            }
            Attempt::Again(answer) => Ok(answer),
            Attempt::Busy => Err(Refusal::Unavailable),
            Attempt::Wrong => Err(Refusal::CodeWrong),
            Attempt::Spent => Err(Refusal::CodeSpent),
            Attempt::Conflict => Err(Refusal::SessionConflict),
            Attempt::OtherNumber => Err(Refusal::NumberOther),
            Attempt::Unknown => Err(Refusal::SessionUnknown),
        }
    }

    async fn answered(
        &self,
        enrolling: &Enrolling,
        header: Header,
        request: Request,
        Confirm { number, purpose, .. }: Confirm,
        key: AnswerKey,
    ) -> Result<Vec<u8>, Refusal> {
        let id = header.session;
        let answered = async {
            let answer = match purpose {
                Purpose::Enrol { blinded } => self.enrolled(header, number, blinded).await?,
                Purpose::Renew { token } => {
                    let token = keys::token_hash(&token);
                    self.renewed_by_sms(header, number, &token).await?
                }
            };
            answer.seal(&id, &key).map_err(|_| Refusal::Unavailable)
        };
        let answered = timeout(sessions::WORK, answered).await.unwrap_or(Err(Refusal::Unavailable));
        let noted = match &answered {
            Ok(answer) => enrolling.sessions.finish(&id, &request, answer).await,
            Err(_) => enrolling.sessions.fail(&id).await,
        };
        // The phone has its answer; were it lost, its next try would make the account anew.
        if let Err(error) = noted {
            log::error!("{error}");
        }
        answered
    }

    async fn enrolled(&self, header: Header, number: PhoneNumber, blinded: [u8; 32]) -> Result<Answer, Refusal> {
        let Header { identity, epoch, .. } = header;
        let epochs = self.directory.epochs_from(epoch);
        let said = self.directory.ask_second(&number, &epochs, Some(blinded)).await.map_err(|error| failed(&error))?;
        let (account, evaluations) = self
            .on_a_core(move |directory| {
                let evaluator = &directory.epochs.secrets(epoch).ok_or(Refusal::UnknownEpoch)?.evaluator;
                let evaluation = evaluator.evaluate(blinded).map_err(|_| Refusal::BadPoint)?;
                let account = directory.prepare(epoch, &number, &identity, &said, now());
                let account = account.map_err(|error| failed(&error))?;
                Ok((account, [evaluation].into_iter().chain(said.phones).collect()))
            })
            .await?;
        self.directory.establish(&account, now()).await.map_err(|error| failed(&error))?;
        log::debug!("a phone enrolled");
        Ok(Answer::Enrolled(NewAccount { secret: account.secret, certificate: account.certificate, evaluations }))
    }

    /// A fresh proof for an account that stays as it is.
    async fn renewed_by_sms(&self, header: Header, number: PhoneNumber, token: &TokenHash) -> Result<Answer, Refusal> {
        let known = self.directory.account(token).await?;
        let jid = self.address(&number, header.epoch).await?;
        // Another phone's account, or another number's: that is an enrolment.
        if jid != known.certificate.jid || header.identity != known.certificate.identity {
            return Err(Refusal::UnknownToken);
        }
        if !self.directory.accounts.prove(token, now()).await.map_err(unavailable)? {
            return Err(Refusal::UnknownToken);
        }
        self.directory.recertify(token, &known).await.map(Answer::Renewed)
    }
}

pub(super) fn failed(error: &dyn std::error::Error) -> Refusal {
    log::error!("{error}");
    Refusal::Unavailable
}

impl Directory {
    /// The code of a session, for this number.
    fn code(&self, header: &Header, salt: &Salt, number: &PhoneNumber) -> Result<Code, Refusal> {
        let secrets = self.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
        Ok(secrets.enrolment.code(header, salt, number))
    }

    /// What a session is tied to this number by.
    fn bound(&self, header: &Header, number: &PhoneNumber) -> Result<Bound, Refusal> {
        Ok(self.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?.enrolment.bound(header, number))
    }

    /// What a start asks for, if its number can be enrolled.
    fn wanted(&self, header: Header, bytes: &[u8]) -> Result<Wanted, Refusal> {
        let secrets = self.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
        let (_, start) = Start::open(&secrets.enrolment, bytes).map_err(refused)?;
        start.is_of(Timestamp(now().saturating_mul(1000))).map_err(refused)?;
        match number::enrollable(start.number.as_e164()) {
            // Pseudonyms are of the exact digits: what we would write otherwise is none.
            Ok(wanted) if wanted.number == start.number => {
                Ok(Wanted { wanted, renews: start.renews.map(|token| keys::token_hash(&token)) })
            }
            Ok(_) | Err(NumberError::Unreadable | NumberError::Invalid) => Err(Refusal::NumberInvalid),
            Err(NumberError::NotMobile(_)) => Err(Refusal::NumberNotMobile),
        }
    }
}

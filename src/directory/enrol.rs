//! Enrolment by the phone itself: `start` sends the code, `confirm` makes the account.
//!
//! The number is in memory from `start` to `confirm`, or until the session's time is over.

use super::accounts::TokenHash;
use super::api::Refusal;
use super::config::Enrolment;
use super::evaluate::Directory;
use super::gateway::{Gateway, GatewayError};
use super::keys::{self, KeyError};
use super::limits::{Asked, Limited, Limits};
use super::number::{self, Enrollable, NumberError};
use super::provision::ProvisionError;
use super::service::{Service, now};
use super::sessions::{self, Attempt, Begun, Request, Sessions};
use crate::model::{PhoneNumber, Timestamp};
use crate::seal::{
    Answer, AnswerKey, Code, Confirm, EnrolmentError, Header, NewAccount, Purpose, SessionId, Start, code_sms,
};
use rand_core::OsRng;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a `start` waits for the network's word on its SMS; without one the SMS may still come.
const SMS: Duration = Duration::from_secs(12);

/// What enrolments share.
pub(super) struct Enrolling {
    sessions: Sessions,
    limits: Limits,
    gateway: Gateway,
    pub(super) trusted_proxies: Vec<IpAddr>,
    alarm: Vec<String>,
}

/// Why phones can't enrol by themselves.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrollingError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("enrolment.gateway: {0}")]
    Gateway(std::io::Error),
}

impl Enrolling {
    /// Must be called within the runtime.
    pub(super) fn start(config: &Enrolment) -> Result<Self, EnrollingError> {
        Ok(Self {
            sessions: Sessions::new(Duration::from_secs(config.life), &*keys::random()?),
            limits: Limits::new(config.limits, now())?,
            gateway: Gateway::start(&config.gateway).map_err(EnrollingError::Gateway)?,
            trusted_proxies: config.trusted_proxies.clone(),
            alarm: config.alarm.clone(),
        })
    }

    fn allow(&self, number: &Enrollable, client: IpAddr) -> Result<(), Refusal> {
        let Enrollable { number, country } = number;
        let asked = Asked { number: number.as_e164(), country, client };
        let charged = self.limits.charge(asked, now()).map_err(|error| {
            log::error!("{error}");
            Refusal::Unavailable
        })?;
        charged.map_err(|limited| {
            if limited.first {
                self.tell(limited, country);
            }
            Refusal::EnrolmentLimit(limited.wait)
        })
    }

    /// Once a window: what a single subscriber can cause is only noted.
    fn tell(&self, limited: Limited, country: &str) {
        use super::limits::Limit;
        match limited.limit {
            Limit::Number | Limit::Block => log::info!("code SMS limited: {}", limited.limit.token()),
            Limit::Country | Limit::Global => {
                log::error!("ALARM: the {} limit of code SMS is reached (country {country})", limited.limit.token());
                let Some((program, arguments)) = self.alarm.split_first() else { return };
                let mut command = Command::new(program);
                command.args(arguments).args([limited.limit.token(), country]).stdin(Stdio::null());
                match command.spawn() {
                    // It runs beside us; waiting for it keeps no zombie.
                    Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
                    Err(error) => log::error!("the alarm command can't be run: {error}"),
                }
            }
        }
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

    /// Sends a code; the seconds that it is good for.
    pub(super) async fn start(&self, id: SessionId, client: IpAddr, bytes: Vec<u8>) -> Result<u64, Refusal> {
        let enrolling = self.enrolling()?;
        let header = header(&bytes, &id)?;
        let request = sessions::request(&bytes);
        if let Some(known) = enrolling.sessions.known(&id, &request, Instant::now()) {
            return begun(&known, enrolling.sessions.life());
        }
        let wanted = self.on_a_core(move |directory| directory.wanted(header, &bytes)).await?;
        enrolling.allow(&wanted, client)?;
        let code = Code::new(&mut OsRng);
        let number = wanted.number;
        let made = enrolling.sessions.begin(header, request, number.clone(), code, Instant::now());
        if made != Begun::New {
            return begun(&made, enrolling.sessions.life());
        }
        let life = enrolling.sessions.life();
        let ending = Arc::clone(&enrolling);
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            ending.sessions.end(&id, Instant::now());
        });
        // It goes on when the phone hangs up: what became of the SMS must be known to the session.
        let sending = tokio::spawn(async move {
            let sent = enrolling.gateway.send(&number, code_sms(code, &id).into()).await;
            match &sent {
                Ok(()) => log::debug!("a code was sent"),
                Err(GatewayError::Mute) => log::warn!("nobody knows whether a code was sent"),
                Err(error) => {
                    log::error!("no code was sent: {error}");
                    enrolling.sessions.abandon(&id);
                }
            }
            sent
        });
        match timeout(SMS, sending).await {
            Ok(Ok(Ok(()) | Err(GatewayError::Mute))) | Err(_) => Ok(life.as_secs()),
            Ok(Ok(Err(_)) | Err(_)) => Err(Refusal::SmsFailed),
        }
    }

    /// Takes the code; the sealed answer.
    pub(super) async fn confirm(&self, id: SessionId, bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let enrolling = self.enrolling()?;
        let header = header(&bytes, &id)?;
        let request = sessions::request(&bytes);
        let (confirm, key) = self
            .on_a_core(move |directory| {
                let secrets = directory.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
                let (_, confirm, key) = Confirm::open(&secrets.enrolment, &bytes).map_err(refused)?;
                Ok((confirm, key))
            })
            .await?;
        match enrolling.sessions.attempt(&header, &request, confirm.code, Instant::now()) {
            Attempt::Right(number) => {
                let service = self.clone();
                // It goes on when the phone hangs up: its next try gets the answer.
                let working = tokio::spawn(async move {
                    service.answered(&enrolling, header, request, number, confirm.purpose, key).await
                });
                working.await.map_err(|_| Refusal::Unavailable)?
            }
            Attempt::Again(answer) => Ok(answer),
            Attempt::Busy => Err(Refusal::Unavailable),
            Attempt::Wrong => Err(Refusal::CodeWrong),
            Attempt::Spent => Err(Refusal::CodeSpent),
            Attempt::Conflict => Err(Refusal::SessionConflict),
            Attempt::Unknown => Err(Refusal::SessionUnknown),
        }
    }

    async fn answered(
        &self,
        enrolling: &Enrolling,
        header: Header,
        request: Request,
        number: PhoneNumber,
        purpose: Purpose,
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
        }
        .await;
        match &answered {
            Ok(answer) => enrolling.sessions.finish(&id, request, answer.clone()),
            Err(_) => enrolling.sessions.fail(&id),
        }
        answered
    }

    async fn enrolled(&self, header: Header, number: PhoneNumber, blinded: [u8; 32]) -> Result<Answer, Refusal> {
        let Header { identity, epoch, .. } = header;
        let (account, evaluation) = self
            .on_a_core(move |directory| {
                let evaluator = &directory.epochs.secrets(epoch).ok_or(Refusal::UnknownEpoch)?.evaluator;
                let evaluation = evaluator.evaluate(blinded).map_err(|_| Refusal::BadPoint)?;
                let account = directory.prepare(epoch, &number, &identity, now()).map_err(|error| failed(&error))?;
                Ok((account, evaluation))
            })
            .await?;
        self.directory.establish(&account, now()).await.map_err(|error| failed(&error))?;
        log::debug!("a phone enrolled");
        Ok(Answer::Enrolled(NewAccount {
            secret: account.secret,
            certificate: account.certificate,
            evaluations: vec![evaluation],
        }))
    }

    /// A fresh proof for an account that stays as it is.
    async fn renewed_by_sms(&self, header: Header, number: PhoneNumber, token: &TokenHash) -> Result<Answer, Refusal> {
        let known = self.directory.account(token).await?;
        let address =
            self.on_a_core(move |directory| directory.address(&number, header.epoch).map_err(|error| failed(&error)));
        let (jid, _) = address.await?;
        // Another phone's account, or another number's: that is an enrolment.
        if jid != known.certificate.jid || header.identity != known.certificate.identity {
            return Err(Refusal::UnknownToken);
        }
        self.directory.recertify(&known, true).await.map(Answer::Renewed)
    }
}

pub(super) fn failed(error: &ProvisionError) -> Refusal {
    log::error!("{error}");
    Refusal::Unavailable
}

fn begun(begun: &Begun, life: Duration) -> Result<u64, Refusal> {
    match begun {
        Begun::New => Ok(life.as_secs()),
        Begun::Again(left) => Ok(left.as_secs()),
        Begun::Conflict => Err(Refusal::SessionConflict),
        Begun::Full => Err(Refusal::Unavailable),
    }
}

impl Directory {
    /// The number that a start asks for, if it can be enrolled.
    fn wanted(&self, header: Header, bytes: &[u8]) -> Result<Enrollable, Refusal> {
        let secrets = self.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
        let (_, start) = Start::open(&secrets.enrolment, bytes).map_err(refused)?;
        start.is_of(Timestamp(now().saturating_mul(1000))).map_err(refused)?;
        match number::enrollable(start.number.as_e164()) {
            // Pseudonyms are of the exact digits: what we would write otherwise is none.
            Ok(wanted) if wanted.number == start.number => Ok(wanted),
            Ok(_) | Err(NumberError::Unreadable | NumberError::Invalid) => Err(Refusal::NumberInvalid),
            Err(NumberError::NotMobile(_)) => Err(Refusal::NumberNotMobile),
        }
    }
}

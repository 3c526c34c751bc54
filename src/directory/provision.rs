//! From a proven number and an identity key to an account, here and at the XMPP server.

use super::accounts::{Account, Budget};
use super::claims::ClaimError;
use super::config::{Config, Second};
use super::database::DatabaseError;
use super::ejabberd::EjabberdError;
use super::evaluate::Directory;
use super::keys::{self, KeyError};
use super::second::SecondError;
use crate::model::{PhoneNumber, Timestamp};
use crate::seal::{
    AccountError, AccountFile, BadJid, Blinding, Certificate, CertificateError, Evaluation, EvaluatorError,
    IdentityKey, Jid, Pseudonym, SecondEvaluator, Transcript, bearer_token, new_secret, second_token,
};
use rand_core::OsRng;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a certificate lives: what peers accept at most (protocol.md §4).
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProvisionError {
    #[error("{path}: the phones' CA can't be read: {source}")]
    Ca { path: PathBuf, source: std::io::Error },
    #[error("{0}: `current_epoch` has no keys")]
    Epoch(char),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    #[error("domain: {0}")]
    Domain(#[from] BadJid),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the configuration makes an account file that no phone would take: {0}")]
    AccountFile(#[from] AccountError),
    #[error(transparent)]
    Ejabberd(#[from] EjabberdError),
    #[error(transparent)]
    Second(#[from] SecondError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl ProvisionError {
    /// Whether what was asked of somebody else may still be done by them.
    pub(super) fn may_be_done_late(&self) -> bool {
        matches!(
            self,
            Self::Ejabberd(EjabberdError::Timeout)
                | Self::Second(SecondError::Timeout)
                | Self::Claim(ClaimError::CutOff)
        )
    }
}

/// An account that exists nowhere yet: all that can fail without the server has been done.
pub(super) struct Prepared {
    pub(super) jid: Jid,
    pub(super) secret: Zeroizing<String>,
    pub(super) certificate: Certificate,
    pub(super) transcripts: Vec<Transcript>,
    encoded: Vec<u8>,
    budget: Budget,
    /// The number's pseudonyms in the other epochs that are served: an account there is its old phone's.
    elsewhere: Vec<Pseudonym>,
}

/// What the second evaluator said about a number: nothing, where it has no part in the epoch.
#[derive(Default)]
pub(super) struct BySecond {
    /// By a blinding of ours, in each epoch.
    own: Vec<(char, Transcript)>,
    /// To the phone's own point.
    pub(super) phones: Option<Evaluation>,
}

impl Directory {
    /// The certificate of an address and a key, from now on.
    pub(super) fn certificate(
        &self,
        jid: &Jid,
        identity: &IdentityKey,
        now: i64,
    ) -> Result<Certificate, ProvisionError> {
        let secrets = self.epochs.secrets(jid.epoch()).ok_or(ProvisionError::Epoch(jid.epoch()))?;
        Ok(secrets.signer.issue(jid, identity, Timestamp(now.saturating_mul(1000)), LIFETIME)?)
    }

    /// Asks the second evaluator about a number in each of these epochs that it has a part in; in the first one
    /// also about the point that the number's phone has blinded.
    pub(super) async fn ask_second(
        &self,
        number: &PhoneNumber,
        epochs: &[char],
        phones: Option<[u8; 32]>,
    ) -> Result<BySecond, ProvisionError> {
        let mut said = BySecond::default();
        for (nth, epoch) in epochs.iter().enumerate() {
            let Some(second) = self.second_of(*epoch) else { continue };
            let (blinding, point) = Blinding::new(number, &mut OsRng).map_err(EvaluatorError::from)?;
            let points: Vec<_> = [point].into_iter().chain(phones.filter(|_| nth == 0)).collect();
            let mut evaluations = second.evaluate(*epoch, &points).await?.into_iter();
            said.own.extend(evaluations.next().map(|evaluation| (*epoch, blinding.transcript(&evaluation))));
            said.phones = said.phones.or(evaluations.next());
        }
        Ok(said)
    }

    /// All epochs, this one first.
    pub(super) fn epochs_from(&self, epoch: char) -> Vec<char> {
        [epoch].into_iter().chain(self.epochs.names().filter(|other| *other != epoch)).collect()
    }

    /// The address of a number in an epoch, with transcripts of our own. Blocks for 40 ms.
    pub(super) fn address(
        &self,
        number: &PhoneNumber,
        epoch: char,
        said: &BySecond,
    ) -> Result<(Jid, Vec<Transcript>), ProvisionError> {
        let secrets = self.epochs.secrets(epoch).ok_or(ProvisionError::Epoch(epoch))?;
        let seconds = said.own.iter().filter(|(of, _)| *of == epoch).map(|(_, transcript)| transcript.clone());
        let transcripts: Vec<_> =
            [secrets.evaluator.own_transcript(number, &mut OsRng)?].into_iter().chain(seconds).collect();
        let pseudonym = secrets.public().pseudonym(number, &transcripts, &self.domain);
        let pseudonym = pseudonym.map_err(EvaluatorError::from)?;
        Ok((Jid::new(pseudonym, &self.domain)?, transcripts))
    }

    /// Prepares the account of `number` in this epoch. Blocks for 40 ms an epoch.
    pub(super) fn prepare(
        &self,
        epoch: char,
        number: &PhoneNumber,
        identity: &IdentityKey,
        said: &BySecond,
        now: i64,
    ) -> Result<Prepared, ProvisionError> {
        let (jid, transcripts) = self.address(number, epoch, said)?;
        let certificate = self.certificate(&jid, identity, now)?;
        let encoded = certificate.encode()?;
        let secret = new_secret(&mut OsRng).map_err(KeyError::Random)?;
        let others = self.epochs.names().filter(|other| *other != epoch);
        let elsewhere = others.map(|other| self.address(number, other, said).map(|(jid, _)| jid.pseudonym().clone()));
        let elsewhere: Vec<Pseudonym> = elsewhere.collect::<Result<_, _>>()?;
        let budget = self.budget(jid.pseudonym(), &elsewhere)?;
        Ok(Prepared { jid, secret, certificate, transcripts, encoded, budget, elsewhere })
    }

    /// What a number of these pseudonyms is counted under: it follows from the one of the epoch of the first name,
    /// wherever the account is.
    fn budget(&self, here: &Pseudonym, elsewhere: &[Pseudonym]) -> Result<Budget, ProvisionError> {
        let first =
            elsewhere.iter().fold(here, |first, other| if other.as_str() < first.as_str() { other } else { first });
        let epoch = first.as_str().chars().next().unwrap_or_default();
        let secrets = self.epochs.secrets(epoch).ok_or(ProvisionError::Epoch(epoch))?;
        Ok(secrets.enrolment.tag(&[b"look-up budget", first.as_str().as_bytes()]))
    }

    /// Makes it, ending those that the number had: first the old phone's session, keys and nodes end,
    /// then the new one's account is there. In all epochs nobody else works on the number's accounts meanwhile.
    /// What a phone has in another epoch itself stays: it may never get the answer. It ends when the phone has changed
    /// the new account's secret ([`Service::change_secret`](super::service::Service)).
    ///
    /// Cut off between server and database, the account is one that the directory does not know; doing
    /// it again mends it.
    pub(super) async fn establish(&self, account: &Prepared, now: i64) -> Result<(), ProvisionError> {
        let pseudonyms = [account.jid.pseudonym()].into_iter().chain(&account.elsewhere).map(Pseudonym::as_str);
        self.claims.alone(pseudonyms.collect(), self.establish_alone(account, now)).await
    }

    async fn establish_alone(&self, account: &Prepared, now: i64) -> Result<(), ProvisionError> {
        for old in &account.elsewhere {
            let Some(certificate) = self.accounts.certificate(old.as_str()).await? else { continue };
            let moves = Certificate::decode(&certificate).is_ok_and(|old| old.identity == account.certificate.identity);
            if moves {
                self.accounts.count_under(old.as_str(), &account.budget).await?;
            } else {
                self.end_alone(old.as_str()).await?;
            }
        }
        let pseudonym = account.jid.pseudonym().as_str();
        if let Some(second) = self.second_of(account.jid.epoch()) {
            second.register(pseudonym, &keys::token_hash(&second_token(&account.secret))).await?;
        }
        self.ejabberd.register(pseudonym, &self.domain, &account.secret).await?;
        let token = keys::token_hash(&bearer_token(&account.secret));
        let Prepared { budget, encoded: certificate, .. } = account;
        self.accounts.put(&Account { pseudonym, token: &token, budget, certificate }, now).await?;
        Ok(())
    }
}

impl Directory {
    /// Ends an account, at the second evaluator, at the XMPP server and here, if `still` says so once nobody else works
    /// on it. Whether it ended one that was here. Cut off between them, it is the same account that is ended again.
    pub(super) async fn end(
        &self,
        pseudonym: &str,
        still: impl AsyncFnOnce() -> Result<bool, DatabaseError>,
    ) -> Result<bool, ProvisionError> {
        let work = async { Ok(still().await? && self.end_alone(pseudonym).await?) };
        self.claims.alone(vec![pseudonym], work).await
    }

    pub(super) async fn end_alone(&self, pseudonym: &str) -> Result<bool, ProvisionError> {
        let alone = |epoch| self.epochs.secrets(epoch).is_some_and(|secrets| secrets.second.is_none());
        if let Some(second) = self.second.as_ref().filter(|_| !pseudonym.chars().next().is_some_and(alone)) {
            second.unregister(pseudonym).await?;
        }
        self.ejabberd.unregister(pseudonym, &self.domain).await?;
        Ok(self.accounts.remove(pseudonym).await?)
    }
}

/// Makes the account of `number` in the current epoch, and gives back the account file: the only copy
/// of its secret. `now` is in seconds since 1970.
pub(super) async fn provision(
    config: &Config,
    number: &PhoneNumber,
    identity: &IdentityKey,
    now: i64,
) -> Result<Zeroizing<String>, ProvisionError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|source| ProvisionError::Ca { path: path.clone(), source })
    };
    let second = |second: &Second| {
        Ok::<_, ProvisionError>(SecondEvaluator { directory: second.directory.clone(), ca: read(&second.ca)? })
    };
    let (ca, second) = (read(&config.phones.ca)?, config.second.as_ref().map(second).transpose()?);
    let directory = Directory::open(config).await?;
    let epochs = directory.epochs_from(config.current_epoch);
    let said = directory.ask_second(number, &epochs, None).await?;
    let account = directory.prepare(config.current_epoch, number, identity, &said, now)?;
    let file = AccountFile {
        number: number.clone(),
        jid: account.jid.clone(),
        secret: account.secret.clone(),
        servers: config.phones.servers.clone(),
        directory: config.phones.directory.clone(),
        ca,
        keys: directory.epochs.public(config.current_epoch),
        certificate: account.certificate.clone(),
        second,
        transcripts: account.transcripts.clone(),
    };
    let file = file.to_json()?;
    AccountFile::parse(file.as_bytes())?;
    directory.establish(&account, now).await?;
    Ok(file)
}

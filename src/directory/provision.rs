//! An enrolment's second half: from a proven number and an identity key to an account file.

use super::accounts::{Account, Accounts, AccountsError};
use super::config::Config;
use super::ejabberd::{Ejabberd, EjabberdError};
use super::keys::{self, Epochs, KeyError};
use crate::model::{PhoneNumber, Timestamp};
use crate::seal::{
    AccountError, AccountFile, BadJid, CertificateError, EvaluatorError, IdentityKey, Jid, bearer_token, new_secret,
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
    Accounts(#[from] AccountsError),
}

/// Makes the account of `number` in the current epoch, ending one that it may have had, and gives
/// back the account file: the only copy of its secret. `now` is in seconds since 1970.
///
/// Nothing is changed before all that can fail without the server has been done. Cut off between
/// server and database, the account is one that the directory does not know; doing it again mends it.
pub(super) async fn provision(
    config: &Config,
    number: &PhoneNumber,
    identity: &IdentityKey,
    now: i64,
) -> Result<Zeroizing<String>, ProvisionError> {
    let ca = std::fs::read_to_string(&config.phones.ca)
        .map_err(|source| ProvisionError::Ca { path: config.phones.ca.clone(), source })?;
    let epoch = config.current_epoch;
    let epochs = Epochs::load(&config.epochs)?;
    let secrets = epochs.secrets(epoch).ok_or(ProvisionError::Epoch(epoch))?;
    let accounts = Accounts::open(&config.database)?;
    let ejabberd = Ejabberd::new(&config.ejabberd.api)?;

    let (pseudonym, transcript) = secrets.evaluator.own_transcript(number, &config.domain, &mut OsRng)?;
    let jid = Jid::new(pseudonym.clone(), &config.domain)?;
    let certificate = secrets.signer.issue(&jid, identity, Timestamp(now.saturating_mul(1000)), LIFETIME)?;
    let encoded = certificate.encode()?;
    let secret = new_secret(&mut OsRng).map_err(KeyError::Random)?;
    let token = keys::token_hash(&bearer_token(&secret));
    let file = AccountFile {
        number: number.clone(),
        jid,
        secret: secret.clone(),
        servers: config.phones.servers.clone(),
        directory: config.phones.directory.clone(),
        ca,
        keys: epochs.public(epoch),
        certificate,
        transcript,
    };
    let file = file.to_json()?;
    AccountFile::parse(file.as_bytes())?;

    ejabberd.register(pseudonym.as_str(), &config.domain, &secret).await?;
    accounts.put(&Account { pseudonym: pseudonym.as_str(), token: &token, certificate: &encoded }, now)?;
    Ok(file)
}

//! The account's secret over time (protocol.md §4; `router::rotation` has the rules): a new one after an import, since
//! the operator has seen that one, and with each new certificate; and what is done when a server does not know us.

use super::Core;
use super::enrolment::Enrolment;
use super::turn::Turn;
use crate::model::Instant;
use crate::router::{Rotation, SecretInput, SecretStep};
use crate::seal::{AccountFile, Identity, NewSecret, SessionId, bearer_token, new_secret, second_token};
use crate::store::{Blob, StoreError, Tx};
use crate::wall::{Errand, ErrandError, Opaque, RequestId, Secret, ToUplink};
use rand_core::OsRng;
use zeroize::Zeroizing;

/// The secrets beside the account's own.
pub(super) struct Secrets {
    rotation: Rotation,
    new: Option<Zeroizing<String>>,
    /// By what the directory is told.
    told: Option<RequestId>,
    /// Requests up to here went by an earlier token: that it is denied means nothing any more.
    earlier: RequestId,
}

/// As whom the uplink speaks.
pub(super) struct Credentials {
    /// The password at the XMPP server.
    pub(super) secret: Secret,
    /// The token at the directory.
    pub(super) token: Secret,
    /// The token at the second evaluator.
    pub(super) second: Secret,
}

impl Secrets {
    fn with(new: Option<Zeroizing<String>>) -> Self {
        Self { rotation: Rotation::new(new.is_some()), new, told: None, earlier: RequestId(0) }
    }

    /// Whether there is a new one beside the account's.
    pub(super) fn is_wanted(&self) -> bool {
        self.new.is_some()
    }

    /// Whether it is known by which token the directory knows us.
    pub(super) fn settled(&self) -> bool {
        !self.is_told() && !self.rotation.in_doubt()
    }

    /// Whether the directory is being told one.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Whether a request went by an earlier token than today's.
    pub(super) fn by_earlier_token(&self, request: RequestId) -> bool {
        request <= self.earlier
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.rotation.due()
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::with(None)
    }
}

impl Core {
    /// Takes up a change of an earlier life.
    pub(super) fn load_secret(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let new = tx.blob(Blob::NewSecret)?.and_then(|bytes| std::str::from_utf8(&bytes).map(str::to_owned).ok());
        self.secrets = Secrets::with(new.map(Zeroizing::new));
        Ok(())
    }

    /// Wants a new secret for the account, unless one is wanted already. In the turn that stores the reason.
    pub(super) fn want_secret(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.secrets.rotation.wanted() {
            return Ok(());
        }
        let new = match new_secret(&mut OsRng) {
            Ok(new) => new,
            Err(error) => {
                log::error!("no new secret can be drawn: {error}");
                return Ok(());
            }
        };
        let kept = new.clone();
        turn.write(move |tx| tx.put_blob(Blob::NewSecret, kept.as_bytes()));
        self.secrets.new = Some(new);
        self.secrets.told = None;
        self.secret_event(turn, SecretInput::Wanted)
    }

    /// Another account, or none: what was wanted for the last one is void.
    pub(super) fn forget_secret(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        turn.write(|tx| tx.drop_blob(Blob::NewSecret));
        self.secrets = Secrets { earlier: RequestId(self.last_request), ..Secrets::default() };
        if self.wall_open { self.secret_event(turn, SecretInput::Open) } else { Ok(()) }
    }

    /// What the uplink is to use.
    pub(super) fn credentials(&self, account: &AccountFile) -> Credentials {
        let Secrets { rotation, new, .. } = &self.secrets;
        let either = |by_new: bool| new.as_ref().filter(|_| by_new).unwrap_or(&account.secret);
        let known = either(rotation.token_of_new());
        Credentials {
            secret: Secret(either(rotation.login_by_new()).clone()),
            token: Secret(bearer_token(known)),
            second: Secret(second_token(known)),
        }
    }

    pub(super) fn secret_event(&mut self, turn: &mut Turn<'_, '_>, input: SecretInput) -> Result<(), StoreError> {
        for step in self.secrets.rotation.handle(turn.now.mono, u32::from_ne_bytes(super::random()), input) {
            match step {
                SecretStep::Adopt => self.adopt_secret(turn)?,
                SecretStep::Use => {
                    let Some(account) = &self.account else { continue };
                    let Credentials { secret, token, second } = self.credentials(account);
                    self.notice(turn, ToUplink::Secrets { secret, token, second });
                    self.secrets.earlier = RequestId(self.last_request);
                }
                SecretStep::Tell => {
                    self.secrets.told = match self.sealed_secret() {
                        Some(errand) => self.request(turn, |request| ToUplink::Errand { request, errand }),
                        None => None,
                    };
                }
                SecretStep::Ended if self.enrolment.as_ref().is_some_and(Enrolment::replaces) => {
                    log::info!("the old account has ended; the new one is on its way");
                }
                SecretStep::Ended => self.signed_out(turn)?,
            }
        }
        Ok(())
    }

    /// The secret that the servers are to have. Sealed anew each time: what counts is that it is the same secret.
    fn sealed_secret(&self) -> Option<Errand> {
        let account = self.account.as_ref()?;
        let secret = self.secrets.new.as_ref().unwrap_or(&account.secret);
        let (key, identity) = (account.keys.epoch(account.jid.epoch())?, self.identity.as_ref().map(Identity::key)?);
        let sealed = NewSecret(secret.clone()).seal(SessionId::new(&mut OsRng), identity, key);
        sealed.map(Errand::Secret).map_err(|error| log::error!("{error}")).ok()
    }

    fn adopt_secret(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let (Some(account), Some(secret)) = (&mut self.account, self.secrets.new.take()) else { return Ok(()) };
        account.secret = secret;
        let file = account.to_json().map_err(|error| StoreError::Io(error.to_string()))?;
        turn.write(move |tx| {
            tx.put_blob(Blob::Account, file.as_bytes())?;
            tx.drop_blob(Blob::NewSecret)
        });
        // What was asked before its answer went by the old token.
        self.secrets.earlier = RequestId(self.last_request);
        log::info!("the account has a new secret");
        Ok(())
    }

    /// The directory answered what it was told.
    pub(super) fn secret_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        request: RequestId,
        result: &Result<Opaque, ErrandError>,
    ) -> Result<(), StoreError> {
        if self.secrets.told != Some(request) {
            return Ok(());
        }
        self.secrets.told = None;
        let input = match result {
            Ok(_) => SecretInput::Done,
            Err(ErrandError::Denied) => SecretInput::Denied,
            Err(error) => {
                log::warn!("the directory could not be told the account's secret: {error:?}");
                SecretInput::Lost
            }
        };
        self.secret_event(turn, input)?;
        self.evaluate_denied(turn)
    }

    /// The directory does not know the token that a request went by: the account has ended, or there is another token
    /// to try. The directory is told the secret, and so asked.
    pub(super) fn token_denied(&mut self, turn: &mut Turn<'_, '_>, request: RequestId) -> Result<(), StoreError> {
        if self.secrets.by_earlier_token(request) { Ok(()) } else { self.secret_event(turn, SecretInput::Doubted) }
    }

    /// The uplink is gone, and with it its answers and the order of its requests.
    pub(super) fn secret_unasked(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.secrets.told = None;
        self.secrets.earlier = RequestId(0);
        self.secret_event(turn, SecretInput::Closed)
    }
}

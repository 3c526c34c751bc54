//! What a phone does with its account: renew its certificate, change its secret, end it.

use super::accounts::{Known, TokenHash};
use super::api::Refusal;
use super::enrol::failed;
use super::evaluate::{Directory, unavailable};
use super::keys;
use super::service::{Service, now};
use crate::model::Timestamp;
use crate::seal::{Certificate, Header, NewSecret, Renewal, bearer_token, second_token};

/// A number is proven by SMS at least this often, in days (protocol.md §4).
const PROOF: i64 = 90;

const DAY: i64 = 86_400;

impl Directory {
    pub(super) async fn account(&self, token: &TokenHash) -> Result<Known, Refusal> {
        self.accounts.known(token).await.map_err(unavailable)?.ok_or(Refusal::UnknownToken)
    }

    /// The certificate's successor, kept as the last one issued.
    pub(super) async fn recertify(&self, token: &TokenHash, known: &Known) -> Result<Certificate, Refusal> {
        let Certificate { jid, identity, .. } = &known.certificate;
        let certificate = self.certificate(jid, identity, now()).map_err(|error| failed(&error))?;
        let encoded = certificate.encode().map_err(|_| Refusal::Unavailable)?;
        let kept = self.accounts.certify(token, &encoded, now()).await.map_err(unavailable)?;
        if kept { Ok(certificate) } else { Err(Refusal::UnknownToken) }
    }
}

impl Service {
    /// A certificate for one that is the account's own, signed by its key.
    pub(super) async fn renew(&self, token: &TokenHash, request: Vec<u8>) -> Result<Certificate, Refusal> {
        let known = self.directory.account(token).await?;
        let now = now();
        let opened = self.on_a_core(move |_| {
            Renewal::open(&request, Timestamp(now.saturating_mul(1000))).map_err(|error| match error {
                crate::seal::EnrolmentError::Date => Refusal::Clock,
                _ => Refusal::BadRequest,
            })
        });
        let renewal = opened.await?;
        let Certificate { jid, identity, .. } = &renewal.certificate;
        if *jid != known.certificate.jid || *identity != known.certificate.identity {
            return Err(Refusal::ProofNeeded);
        }
        if now.div_euclid(DAY) - known.proven >= PROOF {
            return Err(Refusal::ProofNeeded);
        }
        self.directory.recertify(token, &known).await
    }

    /// Changes the secret here last: cut off before, the old token still names the account, and the same request
    /// mends it. In the current epoch the phone has its new account then: those that it had in others end.
    pub(super) async fn change_secret(&self, token: &TokenHash, request: Vec<u8>) -> Result<(), Refusal> {
        let known = self.directory.account(token).await?;
        let header = Header::read(&request).map_err(|_| Refusal::BadRequest)?;
        if header.identity != known.certificate.identity {
            return Err(Refusal::BadRequest);
        }
        let opened = self.on_a_core(move |directory| {
            let secrets = directory.epochs.secrets(header.epoch).ok_or(Refusal::UnknownEpoch)?;
            NewSecret::open(&secrets.enrolment, &request).map_err(|_| Refusal::BadRequest)
        });
        let (_, secret) = opened.await?;
        let jid = &known.certificate.jid;
        let pseudonym = jid.pseudonym().as_str();
        let Directory { ejabberd, domain, accounts, claims, current, .. } = &*self.directory;
        let moved = jid.epoch() == *current;
        let left = if moved { accounts.beside(pseudonym).await.map_err(unavailable)? } else { Vec::new() };
        let change = async {
            // A new phone may have enrolled meanwhile.
            if !accounts.knows_token(token).await? {
                return Ok(false);
            }
            if let Some(second) = self.directory.second_of(jid.epoch()) {
                second.register(pseudonym, &keys::token_hash(&second_token(&secret.0))).await?;
            }
            ejabberd.change_secret(pseudonym, domain, &secret.0).await?;
            let kept = accounts.set_token(token, &keys::token_hash(&bearer_token(&secret.0))).await?;
            for left in left.iter().filter(|_| kept) {
                self.directory.end_alone(left).await?;
            }
            Ok(kept)
        };
        let alone = [pseudonym].into_iter().chain(left.iter().map(String::as_str)).collect();
        let kept = claims.alone(alone, change).await.map_err(|error| failed(&error))?;
        if kept { Ok(()) } else { Err(Refusal::UnknownToken) }
    }

    /// Ends the account, and before it what its phone has left in other epochs: at the XMPP server first, so that
    /// nothing stays there unknown.
    pub(super) async fn withdraw(&self, token: &TokenHash) -> Result<(), Refusal> {
        let Directory { accounts, .. } = &*self.directory;
        let known = self.directory.account(token).await?;
        let pseudonym = known.certificate.jid.pseudonym().as_str();
        let mut all = accounts.beside(pseudonym).await.map_err(unavailable)?;
        all.push(pseudonym.to_owned());
        let mut ended = false;
        for pseudonym in &all {
            // A new phone may have enrolled before it is this one's turn.
            let still = async || accounts.knows_token(token).await;
            ended = self.directory.end(pseudonym, still).await.map_err(|error| failed(&error))?;
        }
        if ended { Ok(()) } else { Err(Refusal::UnknownToken) }
    }
}

//! Look-ups: one request from token to proofs.

use super::accounts::{Accounts, TokenHash};
use super::api::{Evaluation, Refusal};
use super::claims::Claims;
use super::config::Config;
use super::database::DatabaseError;
use super::ejabberd::Ejabberd;
use super::keys::Epochs;
use super::provision::ProvisionError;
use super::second::Second;
use super::service::{Service, now};
use crate::seal::Evaluator;

/// All that requests share.
pub(super) struct Directory {
    pub accounts: Accounts,
    pub claims: Claims,
    pub epochs: Epochs,
    /// The epoch that accounts are made in.
    pub current: char,
    pub ejabberd: Ejabberd,
    /// The XMPP domain.
    pub domain: String,
    /// The second operator's evaluator.
    pub second: Option<Second>,
}

impl Directory {
    pub(super) async fn open(config: &Config) -> Result<Self, ProvisionError> {
        let accounts = Accounts::open(&config.database).await?;
        Ok(Self {
            claims: Claims::of(accounts.database()),
            accounts,
            epochs: Epochs::load(&config.epochs)?,
            current: config.current_epoch,
            ejabberd: Ejabberd::new(&config.ejabberd.api)?,
            domain: config.domain.clone(),
            second: config.second.as_ref().map(Second::new).transpose()?,
        })
    }

    fn evaluator(&self, epoch: char) -> Result<&Evaluator, Refusal> {
        Ok(&self.epochs.secrets(epoch).ok_or(Refusal::UnknownEpoch)?.evaluator)
    }

    /// The second evaluator, if it has a part in this epoch.
    pub(super) fn second_of(&self, epoch: char) -> Option<&Second> {
        self.epochs.secrets(epoch)?.second.and(self.second.as_ref())
    }
}

/// Evaluates each point with a proof of its own. Blocks for 0.2 ms a point.
pub(super) fn evaluations(evaluator: &Evaluator, points: &[[u8; 32]]) -> Result<Vec<Evaluation>, Refusal> {
    let evaluate = |point: &[u8; 32]| {
        let (evaluated, proof) = evaluator.evaluate(*point).map_err(|_| Refusal::BadPoint)?;
        Ok(Evaluation::new(&evaluated, &proof))
    };
    points.iter().map(evaluate).collect()
}

impl Service {
    /// Evaluates all points, or none. They are charged when all of them are points, and before
    /// any is evaluated; who is charged and then cut off has spent them.
    pub(super) async fn evaluate(
        &self,
        token: &TokenHash,
        epoch: char,
        points: Vec<[u8; 32]>,
    ) -> Result<Vec<Evaluation>, Refusal> {
        let accounts = &self.directory.accounts;
        if !accounts.knows_token(token).await.map_err(unavailable)? {
            return Err(Refusal::UnknownToken);
        }
        self.directory.evaluator(epoch)?;
        let checked = self.on_a_core(move |_| points.iter().all(is_element).then_some(points).ok_or(Refusal::BadPoint));
        let points = checked.await?;
        let charged = accounts.charge(token, points.len(), now()).await.map_err(unavailable)?;
        charged.ok_or(Refusal::UnknownToken)?.map_err(|overdrawn| Refusal::Budget(overdrawn.wait))?;
        self.on_a_core(move |directory| evaluations(directory.evaluator(epoch)?, &points)).await
    }
}

/// Canonically encoded and not the identity (RFC 9497 §4.1, `DeserializeElement`).
pub(super) fn is_element(point: &[u8; 32]) -> bool {
    use curve25519_dalek::{ristretto::CompressedRistretto, traits::IsIdentity};
    CompressedRistretto(*point).decompress().is_some_and(|element| !element.is_identity())
}

pub(super) fn unavailable(error: DatabaseError) -> Refusal {
    log::error!("{error}");
    Refusal::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_elements_other_than_the_identity_are_points() {
        let base = curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED.to_bytes();
        assert!(is_element(&base));
        assert!(!is_element(&[0; 32]));
        assert!(!is_element(&[0xff; 32]));
        let mut negative = base;
        negative[0] ^= 1;
        assert!(!is_element(&negative));
        // The field's prime plus two: an encoding of 2 that is not the smallest (RFC 9496, A.2).
        let mut large = [0xff; 32];
        large[0] = 0xef;
        large[31] = 0x7f;
        assert!(!is_element(&large));
    }
}

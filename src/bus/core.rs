//! The bus's end of the way to the core, and what all interfaces share.

use super::access::Gate;
use super::{Error, Published, Reply, Request, Seat};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Shared by the interfaces.
pub(super) struct Shared {
    pub(super) gate: Arc<Gate>,
    pub(super) core: mpsc::Sender<Request>,
    pub(super) published: RwLock<Published>,
    /// Where an agent may sit, if one is configured.
    pub(super) seat: Option<Seat>,
    /// One account file is read at a time.
    pub(super) import: Arc<Semaphore>,
    /// One export is written at a time.
    pub(super) export: Arc<Semaphore>,
}

impl Shared {
    /// Asks the core, and waits for its answer.
    pub(super) async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.core.send(request(reply)).await.map_err(|_| Error::Stopping)?;
        answer.await.unwrap_or(Err(Error::Stopping))
    }

    /// What properties show now.
    pub(super) fn published(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }
}

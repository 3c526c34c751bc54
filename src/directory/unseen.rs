//! Accounts that nobody uses any more are deleted: a number that changed hands must not keep one. What was deleted,
//! then or before, goes out of the database's files as well.

use super::claims::ClaimError;
use super::evaluate::Directory;
use super::provision::ProvisionError;
use super::service::now;
use std::sync::Arc;
use std::time::Duration;

/// Days without a sign of the phone (protocol.md §4).
const DAYS: i64 = 180;

/// At the start, and then daily.
const PAUSE: Duration = Duration::from_secs(86_400);

/// Deletes what is unseen for too long, for as long as the service runs.
pub(super) async fn keep_forgetting(directory: Arc<Directory>) {
    loop {
        match forget(&directory).await {
            Ok(0) => {}
            Ok(ended) => log::info!("{ended} accounts were deleted: unseen for {DAYS} days"),
            Err(error) => log::error!("unseen accounts could not be deleted, tomorrow again: {error}"),
        }
        match directory.accounts.database().rewrite().await {
            Ok(()) => log::debug!("what was deleted is in no table's file"),
            Err(error) => log::warn!("what was deleted may be in PostgreSQL's files still, tomorrow again: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn forget(directory: &Directory) -> Result<usize, ProvisionError> {
    let mut ended = 0;
    for pseudonym in &directory.accounts.unseen(DAYS, now()).await? {
        match directory.end(pseudonym, async || directory.accounts.is_unseen(pseudonym, DAYS, now()).await).await {
            Ok(true) => ended += 1,
            // It was seen meanwhile, or another instance was faster; or it is worked on.
            Ok(false) | Err(ProvisionError::Claim(ClaimError::Taken)) => {
                log::debug!("an unseen account was left alone")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

//! What a request must pass before it costs anything: its body in time and within bounds, its token, a core that
//! is free for it.

use super::api::{MOST_BODY, Refusal};
use crate::sys::forget::wipe_stack;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a request waits for a core before it is told to come again.
const QUEUE: Duration = Duration::from_secs(10);

/// How much of a body that is too large is read: who sends more may be cut off before the answer.
const MOST_DISCARDED: usize = 1024 * 1024;

/// And for how long.
const LINGER: Duration = Duration::from_secs(1);

/// What the handlers of one process share.
#[derive(Clone)]
pub(super) struct Desk {
    /// One evaluation at a time on each core: more would only make all of them slower.
    cores: Arc<Semaphore>,
    body_timeout: Duration,
}

impl Desk {
    pub(super) fn new(body_timeout: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: Arc::new(Semaphore::new(cores)), body_timeout }
    }

    /// Runs one blocking piece of work as soon as a core is free for it.
    pub(super) async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let core = timeout(QUEUE, Arc::clone(&self.cores).acquire_owned()).await;
        let core = core.map_err(|_| Refusal::Unavailable)?.map_err(|_| Refusal::Unavailable)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            wipe_stack();
            drop(core);
            done
        });
        done.await.map_err(|_| Refusal::Unavailable)?
    }

    /// The whole body. Read before anything is refused: a client that is cut off while it sends sees no answer.
    pub(super) async fn body(&self, head: &Parts, mut body: Body) -> Result<Vec<u8>, Refusal> {
        let read = async {
            if announced(&head.headers) <= MOST_BODY as u64 {
                match Limited::new(&mut body, MOST_BODY).collect().await {
                    Ok(body) => return Ok(body.to_bytes().into()),
                    Err(error) if error.is::<LengthLimitError>() => {}
                    Err(_) => return Err(Refusal::BadRequest),
                }
            }
            let _ = timeout(LINGER, discard(&mut body)).await;
            Err(Refusal::TooLarge)
        };
        timeout(self.body_timeout, read).await.map_err(|_| Refusal::Timeout)?
    }
}

/// SHA-256 of the bearer token (RFC 6750 §2.1): the token itself goes no further than here.
pub(super) fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())?;
    Some(super::keys::token_hash(token))
}

/// Reads on, within a bound, what nobody wants.
async fn discard(body: &mut Body) {
    let mut left = MOST_DISCARDED;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len()));
        if left == 0 {
            return;
        }
    }
}

/// What `Content-Length` says; a body without one is bounded while it is read.
fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_bearer_token_is_taken_from_its_header_alone() {
        let token = Some(super::super::keys::token_hash("abc"));
        assert_eq!(bearer(&with("Bearer abc")), token);
        assert_eq!(bearer(&with("bearer  abc")), token);
        for other in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(&with(other)), None, "{other}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}

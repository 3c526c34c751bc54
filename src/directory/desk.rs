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

    /// The whole body. A client that still sends when it is refused reads the answer all the same (`listen`).
    pub(super) async fn body(&self, head: &Parts, body: Body) -> Result<Vec<u8>, Refusal> {
        if announced(&head.headers) > MOST_BODY as u64 {
            return Err(Refusal::TooLarge);
        }
        let read = timeout(self.body_timeout, Limited::new(body, MOST_BODY).collect()).await;
        match read.map_err(|_| Refusal::Timeout)? {
            Ok(body) => Ok(body.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Err(_) => Err(Refusal::BadRequest),
        }
    }
}

/// SHA-256 of the bearer token (RFC 6750 §2.1): the token itself goes no further than here.
pub(super) fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())?;
    Some(super::keys::token_hash(token))
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

//! The HTTP service: routes, and what a request must pass before it costs anything.

use super::api::{EvaluateResponse, MOST_BODY, Refusal, answer, field, json, parse};
use super::enrol::Enrolling;
use super::evaluate::{Directory, unavailable};
use crate::seal::SessionId;
use crate::sys::forget::wipe_stack;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use axum::routing::{delete, get, post, put};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a request waits for a core before it is told to come again.
const QUEUE: Duration = Duration::from_secs(10);

/// How much of a body that is too large is read: who sends more may be cut off before the answer.
const MOST_DISCARDED: usize = 1024 * 1024;

/// And for how long.
const LINGER: Duration = Duration::from_secs(1);

/// Whom a connection is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) directory: Arc<Directory>,
    /// `None`: phones can't enrol by themselves.
    pub(super) enrolling: Option<Arc<Enrolling>>,
    /// One evaluation at a time on each core: more would only make all of them slower.
    cores: Arc<Semaphore>,
    body_timeout: Duration,
}

impl Service {
    pub(super) fn new(directory: Arc<Directory>, enrolling: Option<Arc<Enrolling>>, body_timeout: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { directory, enrolling, cores: Arc::new(Semaphore::new(cores)), body_timeout }
    }

    pub(super) fn router(self) -> axum::Router {
        axum::Router::new()
            .route("/v1/health", get(health))
            .route("/v1/evaluate", post(evaluate))
            .route("/v1/enrolments/{id}", put(start))
            .route("/v1/enrolments/{id}/confirm", post(confirm))
            .route("/v1/certificate", post(renew))
            .route("/v1/account", delete(withdraw))
            .route("/v1/account/secret", put(change_secret))
            .fallback(async || Refusal::NotFound.response())
            .method_not_allowed_fallback(async || Refusal::MethodNotAllowed.response())
            .with_state(self)
    }

    /// Runs one blocking piece of work as soon as a core is free for it.
    pub(super) async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let core = timeout(QUEUE, Arc::clone(&self.cores).acquire_owned()).await;
        let core = core.map_err(|_| Refusal::Unavailable)?.map_err(|_| Refusal::Unavailable)?;
        let directory = Arc::clone(&self.directory);
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&directory);
            wipe_stack();
            drop(core);
            done
        });
        done.await.map_err(|_| Refusal::Unavailable)?
    }

    /// The whole body. Read before anything is refused: a client that is cut off while it sends sees no answer.
    async fn body(&self, head: &Parts, mut body: Body) -> Result<Vec<u8>, Refusal> {
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

    async fn evaluated(&self, request: Request<Body>) -> Result<EvaluateResponse, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.body(&head, body).await?;
        let token = bearer(&head.headers).ok_or(Refusal::UnknownToken)?;
        let (epoch, points) = parse(&body)?;
        let asked = points.len();
        let evaluations = self.evaluate(&token, epoch, points).await?;
        log::debug!("evaluated {asked} points");
        Ok(EvaluateResponse { evaluations })
    }
}

async fn evaluate(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    match service.evaluated(request).await {
        Ok(evaluated) => json(StatusCode::OK, &evaluated),
        Err(refusal) => refusal.response(),
    }
}

/// A session's id from a path, and the body's one field.
fn session(id: &str) -> Result<SessionId, Refusal> {
    SessionId::from_text(id).map_err(|_| Refusal::BadRequest)
}

/// The client's address: the balancer's word for it, where the balancer is trusted.
fn client(head: &Parts, trusted: &[IpAddr]) -> IpAddr {
    let peer = head.extensions.get::<Peer>().map_or(IpAddr::from([0; 4]), |peer| peer.0);
    if !trusted.contains(&peer.to_canonical()) {
        return peer;
    }
    let forwarded = head.headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok()).unwrap_or(peer)
}

async fn start(State(service): State<Service>, Path(id): Path<String>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let started = async {
        let id = session(&id)?;
        let sealed = field(&service.body(&head, body).await?, "sealed")?;
        let trusted = service.enrolling.as_ref().map_or(&[][..], |enrolling| &enrolling.trusted_proxies);
        service.start(id, client(&head, trusted), sealed).await
    };
    match started.await {
        Ok(seconds) => json(StatusCode::ACCEPTED, &serde_json::json!({ "expires": seconds })),
        Err(refusal) => refusal.response(),
    }
}

async fn confirm(State(service): State<Service>, Path(id): Path<String>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let confirmed = async {
        let id = session(&id)?;
        let sealed = field(&service.body(&head, body).await?, "sealed")?;
        service.confirm(id, sealed).await
    };
    match confirmed.await {
        Ok(sealed) => answer("sealed", &sealed),
        Err(refusal) => refusal.response(),
    }
}

async fn renew(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let renewed = async {
        let body = service.body(&head, body).await?;
        let token = bearer(&head.headers).ok_or(Refusal::UnknownToken)?;
        let renewal = field(&body, "renewal")?;
        let certificate = service.renew(&token, renewal).await?;
        certificate.encode().map_err(|_| Refusal::Unavailable)
    };
    match renewed.await {
        Ok(certificate) => answer("certificate", &certificate),
        Err(refusal) => refusal.response(),
    }
}

async fn change_secret(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let changed = async {
        let body = service.body(&head, body).await?;
        let token = bearer(&head.headers).ok_or(Refusal::UnknownToken)?;
        let sealed = field(&body, "sealed")?;
        service.change_secret(&token, sealed).await
    };
    done(changed.await)
}

async fn withdraw(State(service): State<Service>, headers: HeaderMap) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return Refusal::UnknownToken.response() };
    done(service.withdraw(&token).await)
}

fn done(done: Result<(), Refusal>) -> Response<Body> {
    match done {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({})),
        Err(refusal) => refusal.response(),
    }
}

async fn health(State(service): State<Service>) -> Response<Body> {
    match service.directory.accounts.knows_token(&[0; 32]).await {
        Ok(_) => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
        Err(error) => unavailable(error).response(),
    }
}

/// SHA-256 of the bearer token (RFC 6750 §2.1): the token itself goes no further than here.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
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

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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

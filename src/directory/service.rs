//! The HTTP service: routes.

use super::accounts::Accounts;
use super::api::{EvaluateResponse, Refusal, answer, field, json, parse};
use super::desk::{Desk, bearer};
use super::enrol::Enrolling;
use super::evaluate::{Directory, unavailable};
use crate::seal::SessionId;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::{delete, get, post, put};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whom a connection is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) directory: Arc<Directory>,
    /// `None`: phones can't enrol by themselves.
    pub(super) enrolling: Option<Arc<Enrolling>>,
    desk: Desk,
}

impl Service {
    pub(super) fn new(directory: Arc<Directory>, enrolling: Option<Arc<Enrolling>>, body_timeout: Duration) -> Self {
        Self { directory, enrolling, desk: Desk::new(body_timeout) }
    }

    pub(super) fn router(self) -> axum::Router {
        axum::Router::new()
            .route("/v1/health", get(async |State(service): State<Self>| health(&service.directory.accounts).await))
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
        let directory = Arc::clone(&self.directory);
        self.desk.on_a_core(move || work(&directory)).await
    }

    async fn evaluated(&self, request: Request<Body>) -> Result<EvaluateResponse, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.desk.body(&head, body).await?;
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
        let sealed = field(&service.desk.body(&head, body).await?, "sealed")?;
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
        let sealed = field(&service.desk.body(&head, body).await?, "sealed")?;
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
        let body = service.desk.body(&head, body).await?;
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
        let body = service.desk.body(&head, body).await?;
        let token = bearer(&head.headers).ok_or(Refusal::UnknownToken)?;
        let sealed = field(&body, "sealed")?;
        to_its_end(async move { service.change_secret(&token, sealed).await }).await
    };
    done(changed.await)
}

async fn withdraw(State(service): State<Service>, headers: HeaderMap) -> Response<Body> {
    let Some(token) = bearer(&headers) else { return Refusal::UnknownToken.response() };
    done(to_its_end(async move { service.withdraw(&token).await }).await)
}

/// Goes on when the phone hangs up: what stands in several places must not be left between them.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.map_err(|_| Refusal::Unavailable)?
}

/// What is answered where there is nothing to say.
pub(super) fn done(done: Result<(), Refusal>) -> Response<Body> {
    match done {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({})),
        Err(refusal) => refusal.response(),
    }
}

/// Whether the database answers.
pub(super) async fn health(accounts: &Accounts) -> Response<Body> {
    match accounts.knows_token(&[0; 32]).await {
        Ok(_) => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
        Err(error) => unavailable(error).response(),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

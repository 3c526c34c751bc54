//! What is served: look-ups, and the first operator's registrations.

use super::ceiling::{Ceiling, Reached};
use super::config::{Ceilings, EvaluatorConfig};
use crate::directory::accounts::{Account, Accounts, TokenHash};
use crate::directory::alarm;
use crate::directory::api::{EvaluateResponse, Refusal, field, json, parse};
use crate::directory::config::Location;
use crate::directory::database::DatabaseError;
use crate::directory::desk::{Desk, bearer};
use crate::directory::evaluate::{evaluations, is_element, unavailable};
use crate::directory::keys::{KeyError, evaluator, token_hash};
use crate::directory::service::{done, health, now};
use crate::seal::Evaluator;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Seconds for which the number of registrations is taken as known: counting them reads the whole table.
const COUNTED: i64 = 60;

/// Why it can't serve.
#[derive(Debug, thiserror::Error)]
pub(in crate::directory) enum RoleError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// What requests share.
#[derive(Clone)]
pub(in crate::directory) struct Role {
    shared: Arc<Shared>,
    desk: Desk,
}

struct Shared {
    devices: Accounts,
    evaluators: Vec<Evaluator>,
    operator: TokenHash,
    alarm: Vec<String>,
    /// When they were counted, and how many there were.
    registered: Mutex<(i64, u64)>,
    for_devices: Ceiling,
    for_operator: Ceiling,
    registrations: Ceiling,
}

impl Role {
    pub(in crate::directory) async fn open(config: &EvaluatorConfig) -> Result<Self, RoleError> {
        let Ceilings { evaluations, operator, registrations } = config.ceilings;
        let evaluators = config.epochs.iter().map(|epoch| evaluator(epoch.name, &epoch.voprf));
        let shared = Shared {
            devices: Accounts::open(&Location::File(config.database.clone())).await?,
            evaluators: evaluators.collect::<Result<_, _>>()?,
            operator: config.operator,
            alarm: config.alarm.clone(),
            registered: Mutex::default(),
            for_devices: Ceiling::new("evaluations", evaluations, Some(1)),
            for_operator: Ceiling::new("operator", operator, Some(100)),
            registrations: Ceiling::new("registrations", registrations, None),
        };
        Ok(Self { shared: Arc::new(shared), desk: Desk::new(Duration::from_secs(config.limits.read_timeout)) })
    }

    /// Deletes what is to be forgotten, for as long as the service runs.
    pub(in crate::directory) fn forgetting(&self) -> impl Future<Output = ()> + use<> {
        self.shared.devices.clone().keep_forgetting()
    }

    pub(in crate::directory) fn router(self) -> axum::Router {
        axum::Router::new()
            .route("/v1/health", get(async |State(role): State<Self>| health(&role.shared.devices).await))
            .route("/v1/evaluate", post(evaluate))
            .route("/v1/registrations/{id}", put(register).delete(unregister))
            .fallback(async || Refusal::NotFound.response())
            .method_not_allowed_fallback(async || Refusal::MethodNotAllowed.response())
            .with_state(self)
    }

    async fn evaluated(&self, request: Request<Body>) -> Result<EvaluateResponse, Refusal> {
        let (head, body) = request.into_parts();
        let body = self.desk.body(&head, body).await?;
        let token = bearer(&head.headers).ok_or(Refusal::UnknownToken)?;
        let (epoch, points) = parse(&body)?;
        let operator = token == self.shared.operator;
        if !operator && !self.shared.devices.knows_token(&token).await.map_err(unavailable)? {
            return Err(Refusal::UnknownToken);
        }
        self.shared.evaluator(epoch)?;
        let checked =
            self.desk.on_a_core(move || points.iter().all(is_element).then_some(points).ok_or(Refusal::BadPoint));
        let points = checked.await?;
        let ceiling = if operator { &self.shared.for_operator } else { &self.shared.for_devices };
        self.shared.room(ceiling, points.len()).await?;
        if !operator {
            self.shared.charge(&token, points.len()).await?;
        }
        ceiling.count(points.len(), now());
        let shared = Arc::clone(&self.shared);
        let evaluated = self.desk.on_a_core(move || evaluations(shared.evaluator(epoch)?, &points));
        let evaluations = evaluated.await?;
        log::debug!("evaluated {} points", evaluations.len());
        Ok(EvaluateResponse { evaluations })
    }
}

impl Shared {
    fn evaluator(&self, epoch: char) -> Result<&Evaluator, Refusal> {
        self.evaluators.iter().find(|evaluator| evaluator.epoch() == epoch).ok_or(Refusal::UnknownEpoch)
    }

    async fn charge(&self, token: &TokenHash, points: usize) -> Result<(), Refusal> {
        let charged = self.devices.charge(token, points, now()).await.map_err(unavailable)?;
        charged.ok_or(Refusal::UnknownToken)?.map_err(|overdrawn| Refusal::Budget(overdrawn.wait))?;
        Ok(())
    }

    async fn registered(&self) -> Result<u64, Refusal> {
        let counted = *self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if (counted.0..counted.0 + COUNTED).contains(&now()) {
            return Ok(counted.1);
        }
        let count = self.devices.count().await.map_err(unavailable)?;
        *self.registered.lock().unwrap_or_else(PoisonError::into_inner) = (now(), count);
        Ok(count)
    }

    async fn room(&self, ceiling: &Ceiling, wanted: usize) -> Result<(), Refusal> {
        let registered = self.registered().await?;
        ceiling.check(wanted, registered, now()).map_err(|Reached { wait, first }| {
            if first {
                log::error!("ALARM: the ceiling of {} an hour is reached ({registered} registrations)", ceiling.name);
                alarm::ring(&self.alarm, &[ceiling.name]);
            }
            Refusal::Ceiling(wait)
        })
    }

    fn operator(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if bearer(headers) == Some(self.operator) { Ok(()) } else { Err(Refusal::UnknownToken) }
    }
}

/// An id in the one form that the first operator makes.
fn registration(id: &str) -> Result<&str, Refusal> {
    let whole = BASE64URL.decode(id).is_ok_and(|bytes| bytes.len() == 32);
    if whole { Ok(id) } else { Err(Refusal::BadRequest) }
}

async fn evaluate(State(role): State<Role>, request: Request<Body>) -> Response<Body> {
    match role.evaluated(request).await {
        Ok(evaluated) => json(StatusCode::OK, &evaluated),
        Err(refusal) => refusal.response(),
    }
}

/// A registration that exists, or did, gets the new token and keeps its budget.
async fn register(State(role): State<Role>, Path(id): Path<String>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let registered = async {
        let body = role.desk.body(&head, body).await?;
        role.shared.operator(&head.headers)?;
        let pseudonym = registration(&id)?;
        let token: TokenHash = field(&body, "token")?.try_into().map_err(|_| Refusal::BadRequest)?;
        role.shared.room(&role.shared.registrations, 1).await?;
        role.shared.registrations.count(1, now());
        let device = Account { pseudonym, token: &token, budget: &token_hash(pseudonym), certificate: &[] };
        role.shared.devices.put(&device, now()).await.map_err(unavailable)
    };
    done(registered.await)
}

/// One that does not exist is no error: the first operator asks again when it was cut off.
async fn unregister(State(role): State<Role>, Path(id): Path<String>, headers: HeaderMap) -> Response<Body> {
    let unregistered = async {
        role.shared.operator(&headers)?;
        role.shared.devices.remove(registration(&id)?).await.map(drop).map_err(unavailable)
    };
    done(unregistered.await)
}

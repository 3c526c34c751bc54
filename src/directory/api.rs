//! What goes over HTTP, as `config/directory.openapi.yaml` describes it.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// Points in one request.
pub(super) const MOST_POINTS: usize = 100;

/// A request's body in bytes: 100 points are 4.8 KB, the rest is room for white space.
pub(super) const MOST_BODY: usize = 16 * 1024;

/// `POST /v1/evaluate`.
#[derive(Deserialize)]
pub(super) struct EvaluateRequest {
    /// Whose key.
    pub epoch: String,
    /// Base64 of 32 bytes each.
    pub blinded: Vec<String>,
}

/// Its answer: one for each point, in order.
#[derive(Serialize)]
pub(super) struct EvaluateResponse {
    /// The evaluations.
    pub evaluations: Vec<Evaluation>,
}

/// One evaluated point with its own proof.
#[derive(Serialize)]
pub(super) struct Evaluation {
    /// Base64 of 32 bytes.
    point: String,
    /// Base64 of 64 bytes.
    proof: String,
}

impl Evaluation {
    pub(super) fn new(point: &[u8; 32], proof: &[u8; 64]) -> Self {
        Self { point: BASE64.encode(point), proof: BASE64.encode(proof) }
    }
}

/// A body of one field, base64.
pub(super) fn field(body: &[u8], name: &str) -> Result<Vec<u8>, Refusal> {
    let body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|_| Refusal::BadRequest)?;
    let text = body.get(name).and_then(serde_json::Value::as_str).ok_or(Refusal::BadRequest)?;
    BASE64.decode(text).map_err(|_| Refusal::BadRequest)
}

/// An answer of one field, base64.
pub(super) fn answer(name: &str, bytes: &[u8]) -> Response<Body> {
    let body = serde_json::Map::from_iter([(name.to_owned(), BASE64.encode(bytes).into())]);
    json(StatusCode::OK, &body)
}

/// Why a request was refused: each is one `error` token with one status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// 400.
    #[error("the body is not what this path takes: see the directory's OpenAPI file")]
    BadRequest,
    /// 400.
    #[error("a point is not a canonical ristretto255 element, or is the identity: blind the number anew")]
    BadPoint,
    /// 403: there is no gateway here.
    #[error("this directory enrols no phones by itself: ask its operator for an account file")]
    EnrolmentClosed,
    /// 403: dated more than a day from now.
    #[error("the request is dated more than a day from now: set the phone's clock")]
    Clock,
    /// 403: four attempts are left at most.
    #[error("the code is wrong: try again with the digits of the last SMS")]
    CodeWrong,
    /// 403: the number must be proven anew.
    #[error("a fresh proof of the number is needed: enrol again, for a renewal")]
    ProofNeeded,
    /// 404.
    #[error("no such enrolment: it is over, or never was there; begin anew")]
    SessionUnknown,
    /// 409.
    #[error("this enrolment's id is another request's: begin anew under a new one")]
    SessionConflict,
    /// 410.
    #[error("five wrong codes: begin anew")]
    CodeSpent,
    /// 422.
    #[error("no such number exists in its country's numbering plan: check its digits")]
    NumberInvalid,
    /// 422.
    #[error("the enrolment was begun for another number: begin one for this number")]
    NumberOther,
    /// 422.
    #[error("that number can't be a mobile phone's: it could not get an SMS")]
    NumberNotMobile,
    /// 429, with the seconds until an SMS may be sent again.
    #[error("too many codes were sent: try again after the seconds in Retry-After")]
    EnrolmentLimit(u32),
    /// 502.
    #[error("the SMS with the code could not be sent: try again later")]
    SmsFailed,
    /// 401.
    #[error("send the device's token as `Authorization: Bearer …`; if it was accepted before, enrol again")]
    UnknownToken,
    /// 404.
    #[error("this epoch is not served (any more): renew the account to get the current one")]
    UnknownEpoch,
    /// 404.
    #[error("there is nothing here: see the directory's OpenAPI file")]
    NotFound,
    /// 405.
    #[error("this path takes another method")]
    MethodNotAllowed,
    /// 408.
    #[error("the request's body did not come in time: send it again")]
    Timeout,
    /// 413.
    #[error("the body is larger than 16 KiB: send at most 100 points")]
    TooLarge,
    /// 429, with the seconds until the whole request will be granted.
    #[error("the look-up budget is used up: nothing was evaluated, try again after the seconds in Retry-After")]
    Budget(u32),
    /// 429 of a second evaluator, with the seconds until the next hour.
    #[error("so many numbers are not evaluated in an hour, whoever asks: try again after the seconds in Retry-After")]
    Ceiling(u32),
    /// 503.
    #[error("the directory can't answer now: try again after the seconds in Retry-After")]
    Unavailable,
}

impl Refusal {
    fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request"),
            Self::BadPoint => (StatusCode::BAD_REQUEST, "bad-point"),
            Self::EnrolmentClosed => (StatusCode::FORBIDDEN, "enrolment-closed"),
            Self::Clock => (StatusCode::FORBIDDEN, "clock"),
            Self::CodeWrong => (StatusCode::FORBIDDEN, "code-wrong"),
            Self::ProofNeeded => (StatusCode::FORBIDDEN, "proof-needed"),
            Self::SessionUnknown => (StatusCode::NOT_FOUND, "session-unknown"),
            Self::SessionConflict => (StatusCode::CONFLICT, "session-conflict"),
            Self::CodeSpent => (StatusCode::GONE, "code-spent"),
            Self::NumberInvalid => (StatusCode::UNPROCESSABLE_ENTITY, "number-invalid"),
            Self::NumberOther => (StatusCode::UNPROCESSABLE_ENTITY, "number-other"),
            Self::NumberNotMobile => (StatusCode::UNPROCESSABLE_ENTITY, "number-not-mobile"),
            Self::EnrolmentLimit(_) => (StatusCode::TOO_MANY_REQUESTS, "enrolment-limit"),
            Self::SmsFailed => (StatusCode::BAD_GATEWAY, "sms-failed"),
            Self::UnknownToken => (StatusCode::UNAUTHORIZED, "unknown-token"),
            Self::UnknownEpoch => (StatusCode::NOT_FOUND, "unknown-epoch"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::Budget(_) => (StatusCode::TOO_MANY_REQUESTS, "budget"),
            Self::Ceiling(_) => (StatusCode::TOO_MANY_REQUESTS, "ceiling"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    /// Seconds for `Retry-After`.
    fn wait(self) -> Option<u32> {
        match self {
            Self::Budget(wait) | Self::EnrolmentLimit(wait) | Self::Ceiling(wait) => Some(wait),
            Self::Unavailable => Some(5),
            _ => None,
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct Told {
            error: &'static str,
            message: String,
        }
        let (status, error) = self.status();
        let mut response = json(status, &Told { error, message: self.to_string() });
        if let Some(wait) = self.wait() {
            response.headers_mut().insert(RETRY_AFTER, wait.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 names the scheme.
            response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // These are plain structs with string keys: serialising them can't fail.
    let mut response = Response::new(Body::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads a request's body and the points in it.
pub(super) fn parse(body: &[u8]) -> Result<(char, Vec<[u8; 32]>), Refusal> {
    let EvaluateRequest { epoch, blinded } = serde_json::from_slice(body).map_err(|_| Refusal::BadRequest)?;
    let mut name = epoch.chars();
    let (Some(epoch), None) = (name.next(), name.next()) else { return Err(Refusal::BadRequest) };
    if blinded.is_empty() || blinded.len() > MOST_POINTS {
        return Err(Refusal::BadRequest);
    }
    let points: Option<Vec<_>> = blinded.iter().map(|point| BASE64.decode(point).ok()?.try_into().ok()).collect();
    Ok((epoch, points.ok_or(Refusal::BadRequest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(epoch: &str, points: usize, bytes: usize) -> Vec<u8> {
        let blinded = vec![BASE64.encode(vec![1; bytes]); points];
        serde_json::to_vec(&serde_json::json!({ "epoch": epoch, "blinded": blinded })).unwrap()
    }

    #[test]
    fn one_to_a_hundred_points_are_read() {
        assert_eq!(parse(&body("a", 1, 32)), Ok(('a', vec![[1; 32]])));
        assert_eq!(parse(&body("b", 100, 32)).unwrap().1.len(), 100);
        assert!(body("a", 100, 32).len() < MOST_BODY);
    }

    #[test]
    fn anything_else_is_a_bad_request() {
        for bad in [
            body("a", 0, 32),
            body("a", 101, 32),
            body("a", 1, 31),
            body("a", 1, 33),
            body("", 1, 32),
            body("ab", 1, 32),
            b"".to_vec(),
            b"{}".to_vec(),
            b"[[[[".repeat(1000),
            br#"{"epoch":"a","blinded":["!!!!"]}"#.to_vec(),
            br#"{"epoch":1,"blinded":[]}"#.to_vec(),
        ] {
            assert_eq!(parse(&bad), Err(Refusal::BadRequest));
        }
    }

    proptest! {
        #[test]
        fn any_body_is_judged_without_a_panic(body: Vec<u8>, epoch: String, points: Vec<String>) {
            let _ = parse(&body);
            let _ = parse(&serde_json::to_vec(&serde_json::json!({ "epoch": epoch, "blinded": points })).unwrap());
        }
    }
}

//! HTTPS to the directory: blind evaluation of points, and errands for the own account; one connection for each
//! request.

use super::socket::{Meter, Socket};
use super::tls::Tls;
use crate::seal::SealedRequest;
use crate::wall::{DirectoryError, Errand, ErrandError, FromUplink, Opaque, Point, RequestId, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Method, Request, Response, StatusCode, Uri, body::Incoming};
use serde::{Deserialize, Serialize};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// How long a request may take in all.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most bytes of an answer: 100 evaluations in base64 with room.
const MAX_BODY: usize = 64 * 1024;
/// The wait when the directory names none, in seconds: one token's refill.
const DEFAULT_WAIT: u32 = 900;
/// Bytes of a proof (RFC 9497 §2.2.1).
const PROOF: usize = 64;

#[derive(Serialize)]
struct Question {
    epoch: char,
    blinded: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    evaluations: Vec<Evaluation>,
}

#[derive(Deserialize)]
struct Evaluation {
    point: String,
    proof: String,
}

/// Evaluated points with their proofs, in the order of the question.
pub(crate) type Evaluations = Vec<(Point, Vec<u8>)>;

/// The directory, and as whom it is asked.
#[derive(Clone)]
pub(crate) struct Directory {
    /// `https://host:port`.
    pub(crate) url: String,
    /// The account's bearer token, where there is an account.
    pub(crate) token: Option<Secret>,
    pub(crate) tls: Tls,
    pub(crate) meter: Arc<Meter>,
}

/// A request to it.
struct Ask {
    method: Method,
    path: String,
    /// Whether the token goes with it: an enrolment says nothing of an account.
    known: bool,
    body: Vec<u8>,
}

/// An answer: status, seconds to wait, body.
type Answered = (StatusCode, Option<u32>, Bytes);

/// Has points evaluated with an epoch's key.
pub(crate) async fn evaluate(
    directory: Arc<Directory>,
    epoch: char,
    blinded: Vec<Point>,
) -> Result<Evaluations, DirectoryError> {
    let asked = blinded.len();
    let body = serde_json::to_vec(&Question { epoch, blinded: blinded.iter().map(|b| STANDARD.encode(b)).collect() })
        .map_err(|_| DirectoryError::Refused)?;
    let path = "/v1/evaluate".to_owned();
    let ask = Ask { method: Method::POST, path, known: true, body };
    let (status, wait, body) = in_time(&directory, ask).await.ok_or(DirectoryError::Unavailable)?;
    judge(status, wait, &body, asked)
}

/// Does an errand for the own account; what the core is told.
pub(crate) async fn errand(directory: Arc<Directory>, request: RequestId, errand: Errand) -> FromUplink {
    FromUplink::Errand { request, result: done(&directory, errand).await }
}

async fn done(directory: &Directory, errand: Errand) -> Result<Opaque, ErrandError> {
    let (ask, answers) = errand_ask(errand).ok_or(ErrandError::Refused)?;
    let (status, wait, body) = in_time(directory, ask).await.ok_or(ErrandError::Unavailable)?;
    if !status.is_success() {
        return Err(refusal(status, wait, &body));
    }
    match answers {
        None => Ok(Opaque(Vec::new())),
        Some(field) => one_field(&body, field).map(Opaque).ok_or(ErrandError::Refused),
    }
}

async fn in_time(directory: &Directory, ask: Ask) -> Option<Answered> {
    let exchanged = timeout(DEADLINE, exchange(directory, ask)).await;
    exchanged
        .unwrap_or_else(|_| Err("no answer in time".into()))
        .map_err(|error| log::info!("the directory cannot be asked: {error}"))
        .ok()
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(directory: &Directory, ask: Ask) -> Result<Answered, Failure> {
    let url: Uri = directory.url.parse()?;
    let host = url.host().ok_or("the directory's address has no host")?;
    if url.scheme_str() != Some("https") {
        return Err("the directory's address is no https address".into());
    }
    let port = url.port_u16().unwrap_or(443);
    let socket = Socket::connect(&format!("{host}:{port}"), &directory.meter).await?;
    let stream = directory.tls.connect(host.trim_matches(['[', ']']), socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(Adaptor(stream)).await?;
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = directory.token.as_ref().filter(|_| ask.known) {
        let mut token = HeaderValue::try_from(format!("Bearer {}", token.0.as_str()))?;
        token.set_sensitive(true);
        request = request.header(AUTHORIZATION, token);
    }
    let request = request.body(Full::new(Bytes::from(ask.body)))?;
    let answered = async {
        let response = sender.send_request(request).await?;
        let (status, wait) = (response.status(), retry_after(&response));
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await?.to_bytes();
        Ok::<_, Failure>((status, wait, body))
    };
    tokio::pin!(answered);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answered => answer,
        // It ends before the answer is read when the directory closes behind it.
        ended = &mut connection => { ended?; answered.await }
    }
}

fn retry_after(response: &Response<Incoming>) -> Option<u32> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn judge(status: StatusCode, wait: Option<u32>, body: &[u8], asked: usize) -> Result<Evaluations, DirectoryError> {
    match status {
        StatusCode::OK => read(body).filter(|evaluations| evaluations.len() == asked).ok_or_else(|| {
            log::warn!("the directory's answer cannot be read");
            DirectoryError::Refused
        }),
        StatusCode::TOO_MANY_REQUESTS => Err(DirectoryError::Budget(wait.unwrap_or(DEFAULT_WAIT))),
        status => Err(match told(body).as_str() {
            "unknown-token" => DirectoryError::Denied,
            "unknown-epoch" => DirectoryError::Epoch,
            _ if status.is_client_error() && !is_anybodys(status) => DirectoryError::Refused,
            _ => DirectoryError::Unavailable,
        }),
    }
}

/// What an errand is over HTTP (`config/directory.openapi.yaml`), and the answer's field, if it has one.
fn errand_ask(errand: Errand) -> Option<(Ask, Option<&'static str>)> {
    let field = |name: &str, bytes: &[u8]| format!(r#"{{"{name}":"{}"}}"#, STANDARD.encode(bytes)).into_bytes();
    let session = |sealed: &SealedRequest| sealed.session().map(|session| session.to_text());
    let (method, path, known, body, answers) = match errand {
        Errand::Start(sealed) => {
            let path = format!("/v1/enrolments/{}", session(&sealed)?);
            (Method::PUT, path, false, field("sealed", sealed.as_bytes()), None)
        }
        Errand::Confirm(sealed) => {
            let path = format!("/v1/enrolments/{}/confirm", session(&sealed)?);
            (Method::POST, path, false, field("sealed", sealed.as_bytes()), Some("sealed"))
        }
        Errand::Renew(signed) => {
            (Method::POST, "/v1/certificate".into(), true, field("renewal", &signed.0), Some("certificate"))
        }
        Errand::Secret(sealed) => {
            (Method::PUT, "/v1/account/secret".into(), true, field("sealed", sealed.as_bytes()), None)
        }
        Errand::Withdraw => (Method::DELETE, "/v1/account".into(), true, Vec::new(), None),
    };
    Some((Ask { method, path, known, body }, answers))
}

/// An answer of one field, base64.
fn one_field(body: &[u8], field: &str) -> Option<Vec<u8>> {
    let answer: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    STANDARD.decode(answer.get(field)?.as_str()?).ok()
}

/// The error's token. Only that is the directory's own word.
fn told(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    serde_json::from_slice::<Told>(body).map(|told| told.error).unwrap_or_default()
}

/// Whether anything in front of the directory may answer so; without a token it says nothing about us.
fn is_anybodys(status: StatusCode) -> bool {
    use StatusCode as S;
    matches!(status, S::UNAUTHORIZED | S::FORBIDDEN | S::NOT_FOUND | S::REQUEST_TIMEOUT)
}

/// Why an errand was refused: by the error's token.
fn refusal(status: StatusCode, wait: Option<u32>, body: &[u8]) -> ErrandError {
    match told(body).as_str() {
        "code-wrong" => ErrandError::WrongCode,
        "code-spent" => ErrandError::Spent,
        "session-unknown" | "session-conflict" => ErrandError::NoSession,
        "number-invalid" | "number-not-mobile" => ErrandError::Number,
        "unknown-epoch" => ErrandError::Epoch,
        "clock" => ErrandError::Clock,
        "enrolment-closed" => ErrandError::Closed,
        "proof-needed" => ErrandError::Proof,
        "unknown-token" => ErrandError::Denied,
        _ if status == StatusCode::TOO_MANY_REQUESTS => ErrandError::Limit(wait.unwrap_or(DEFAULT_WAIT)),
        _ if status.is_server_error() || is_anybodys(status) => ErrandError::Unavailable,
        _ => ErrandError::Refused,
    }
}

fn read(body: &[u8]) -> Option<Evaluations> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let evaluation = |Evaluation { point, proof }: Evaluation| {
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == PROOF)?;
        Some((STANDARD.decode(point).ok()?.try_into().ok()?, proof))
    };
    answer.evaluations.into_iter().map(evaluation).collect()
}

/// tokio's streams as hyper's.
struct Adaptor<T>(T);

impl<T: AsyncRead + Unpin> Read for Adaptor<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // Copied once: handing hyper's own buffer on would need `unsafe`.
        let mut bytes = [0; 4096];
        let room = to.remaining().min(bytes.len());
        let mut buffer = ReadBuf::new(bytes.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        to.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for Adaptor<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(points: usize, proof: usize) -> Vec<u8> {
        let one =
            format!(r#"{{"point":"{}","proof":"{}"}}"#, STANDARD.encode([7; 32]), STANDARD.encode(vec![8; proof]));
        format!(r#"{{"evaluations":[{}]}}"#, vec![one; points].join(",")).into_bytes()
    }

    #[test]
    fn an_answer_has_as_many_points_as_were_asked() {
        assert_eq!(judge(StatusCode::OK, None, &answer(2, 64), 2), Ok(vec![([7; 32], vec![8; 64]); 2]));
        for (body, asked) in [(answer(2, 64), 3), (answer(1, 63), 1), (b"{}".to_vec(), 0), (b"<html>".to_vec(), 1)] {
            assert_eq!(judge(StatusCode::OK, None, &body, asked), Err(DirectoryError::Refused));
        }
    }

    #[test]
    fn an_errands_refusal_is_told_by_its_token_and_else_by_its_status() {
        let of = |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), Some(7), body.as_bytes());
        let told = |status, token: &str| of(status, &format!(r#"{{"error":"{token}","message":"…"}}"#));
        assert_eq!(told(403, "code-wrong"), ErrandError::WrongCode);
        assert_eq!(told(403, "proof-needed"), ErrandError::Proof);
        assert_eq!(told(410, "code-spent"), ErrandError::Spent);
        assert_eq!(told(422, "number-not-mobile"), ErrandError::Number);
        assert_eq!(told(429, "enrolment-limit"), ErrandError::Limit(7));
        assert_eq!(told(502, "sms-failed"), ErrandError::Unavailable);
        assert_eq!(
            [of(401, ""), of(403, "<html>"), of(404, "{}"), of(408, ""), of(500, "{}")],
            [ErrandError::Unavailable; 5],
            "what a proxy may say counts for nothing"
        );
        assert_eq!(told(401, "unknown-token"), ErrandError::Denied);
        assert_eq!(told(404, "unknown-epoch"), ErrandError::Epoch);
        assert_eq!(of(400, ""), ErrandError::Refused);
    }

    #[test]
    fn an_errands_answer_is_one_field() {
        assert_eq!(one_field(br#"{"sealed":"AQI="}"#, "sealed"), Some(vec![1, 2]));
        for bad in ["", "{}", "[]", r#"{"sealed":1}"#, r#"{"sealed":"?"}"#, r#"{"other":"AQI="}"#] {
            assert_eq!(one_field(bad.as_bytes(), "sealed"), None, "{bad}");
        }
    }

    #[test]
    fn every_refusal_has_its_name() {
        let of = |status: u16, wait, body: &str| {
            judge(StatusCode::from_u16(status).unwrap(), wait, body.as_bytes(), 1).unwrap_err()
        };
        let judged = |status, wait| of(status, wait, "");
        assert_eq!(judged(429, Some(17)), DirectoryError::Budget(17));
        assert_eq!(judged(429, None), DirectoryError::Budget(DEFAULT_WAIT));
        assert_eq!(of(401, None, r#"{"error":"unknown-token"}"#), DirectoryError::Denied);
        assert_eq!(of(404, None, r#"{"error":"unknown-epoch"}"#), DirectoryError::Epoch);
        for status in [401, 403, 404] {
            assert_eq!(of(status, None, "<html>"), DirectoryError::Unavailable, "what a proxy may say: {status}");
        }
        assert_eq!(judged(400, None), DirectoryError::Refused);
        assert_eq!(judged(301, None), DirectoryError::Unavailable);
        assert_eq!(judged(503, None), DirectoryError::Unavailable);
    }
}

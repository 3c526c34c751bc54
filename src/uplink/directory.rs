//! HTTPS to the directory: blind evaluation of points, one connection for each request.

use super::socket::{Meter, Socket};
use super::tls::Tls;
use crate::wall::{Connect, DirectoryError, Point};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, StatusCode, Uri, body::Incoming};
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

/// Has points evaluated with an epoch's key.
pub(crate) async fn evaluate(
    account: Arc<Connect>,
    tls: Tls,
    meter: Arc<Meter>,
    epoch: char,
    blinded: Vec<Point>,
) -> Result<Evaluations, DirectoryError> {
    let asked = blinded.len();
    let body = serde_json::to_vec(&Question { epoch, blinded: blinded.iter().map(|b| STANDARD.encode(b)).collect() })
        .map_err(|_| DirectoryError::Refused)?;
    let exchanged = timeout(DEADLINE, exchange(&account, &tls, &meter, body)).await;
    let (status, wait, body) = exchanged.unwrap_or_else(|_| Err("no answer in time".into())).map_err(|error| {
        log::info!("the directory cannot be asked: {error}");
        DirectoryError::Unavailable
    })?;
    judge(status, wait, &body, asked)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    account: &Connect,
    tls: &Tls,
    meter: &Arc<Meter>,
    body: Vec<u8>,
) -> Result<(StatusCode, Option<u32>, Bytes), Failure> {
    let directory: Uri = account.directory.parse()?;
    let host = directory.host().ok_or("the directory's address has no host")?;
    if directory.scheme_str() != Some("https") {
        return Err("the directory's address is no https address".into());
    }
    let port = directory.port_u16().unwrap_or(443);
    let socket = Socket::connect(&format!("{host}:{port}"), meter).await?;
    let stream = tls.connect(host.trim_matches(['[', ']']), socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(Adaptor(stream)).await?;
    let mut token = HeaderValue::try_from(format!("Bearer {}", account.token.0.as_str()))?;
    token.set_sensitive(true);
    let request = Request::post("/v1/evaluate")
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, token)
        .body(Full::new(Bytes::from(body)))?;
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
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(DirectoryError::Denied),
        StatusCode::NOT_FOUND => Err(DirectoryError::Epoch),
        status if status.is_client_error() => Err(DirectoryError::Refused),
        _ => Err(DirectoryError::Unavailable),
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
    fn every_refusal_has_its_name() {
        let judged = |status: u16, wait| judge(StatusCode::from_u16(status).unwrap(), wait, b"", 1).unwrap_err();
        assert_eq!(judged(429, Some(17)), DirectoryError::Budget(17));
        assert_eq!(judged(429, None), DirectoryError::Budget(DEFAULT_WAIT));
        assert_eq!(judged(401, None), DirectoryError::Denied);
        assert_eq!(judged(403, None), DirectoryError::Denied);
        assert_eq!(judged(404, None), DirectoryError::Epoch);
        assert_eq!(judged(400, None), DirectoryError::Refused);
        assert_eq!(judged(301, None), DirectoryError::Unavailable);
        assert_eq!(judged(503, None), DirectoryError::Unavailable);
    }
}

//! The second evaluator, as the directory speaks with it: to evaluate the number that is being enrolled, and to
//! say which devices it may know.

use super::accounts::TokenHash;
use super::config::Second as Config;
use super::files;
use super::tls::pinned;
use crate::seal::Evaluation;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use ring::hmac;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// More than this is a hang; a phone waits 20 s for what is behind it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Enough for any answer.
const MOST_ANSWER: usize = 64 * 1024;

/// Why the second evaluator did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecondError {
    /// A file can't be used.
    #[error("second: {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The address makes no sense.
    #[error("second.directory is wrong: write https://host or https://host:port")]
    Address,
    /// No connection, no TLS, or it broke.
    #[error("the second evaluator can't be reached: is its address, and its CA, right? ({0})")]
    Unreachable(String),
    /// No answer.
    #[error("the second evaluator does not answer: ask its operator")]
    Timeout,
    /// It does not know our token.
    #[error("the second evaluator does not know our token: give its operator what `operator-token` printed")]
    Denied,
    /// Another status, such as 429 when one of its ceilings is reached.
    #[error("the second evaluator refused with status {0}: ask its operator")]
    Refused(u16),
    /// Not what was asked for.
    #[error("the second evaluator's answer can't be read")]
    Garbled,
}

/// The second evaluator.
pub(super) struct Second {
    host: String,
    port: u16,
    tls: TlsConnector,
    token: Zeroizing<String>,
}

impl Second {
    pub(super) fn new(config: &Config) -> Result<Self, SecondError> {
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| SecondError::File { path, source }
        };
        let uri: Uri = config.directory.parse().map_err(|_| SecondError::Address)?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("https")).ok_or(SecondError::Address)?;
        let tls = std::fs::read(&config.ca).and_then(|ca| pinned(&ca)).map_err(failed(&config.ca))?;
        let token = files::read_private(&config.token).map_err(failed(&config.token))?;
        let token = std::str::from_utf8(token.trim_ascii()).map_err(std::io::Error::other);
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            tls: TlsConnector::from(Arc::new(tls)),
            token: Zeroizing::new(token.map_err(failed(&config.token))?.to_owned()),
        })
    }

    /// Evaluates these points, in their order.
    pub(super) async fn evaluate(&self, epoch: char, points: &[[u8; 32]]) -> Result<Vec<Evaluation>, SecondError> {
        let blinded: Vec<_> = points.iter().map(|point| BASE64.encode(point)).collect();
        let answer = self.call(Method::POST, "/v1/evaluate", json!({ "epoch": epoch, "blinded": blinded })).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| SecondError::Garbled)?;
        let read = |evaluation: &Value| {
            let bytes = |name| BASE64.decode(evaluation.get(name)?.as_str()?).ok();
            Some((bytes("point")?.try_into().ok()?, bytes("proof")?.try_into().ok()?))
        };
        let evaluations = answer.get("evaluations").and_then(Value::as_array).ok_or(SecondError::Garbled)?;
        let evaluations: Option<Vec<_>> = evaluations.iter().map(read).collect();
        evaluations.filter(|evaluations| evaluations.len() == points.len()).ok_or(SecondError::Garbled)
    }

    /// The device of this account is known by this token from now on, and by no earlier one.
    pub(super) async fn register(&self, pseudonym: &str, token: &TokenHash) -> Result<(), SecondError> {
        self.call(Method::PUT, &self.registration(pseudonym), json!({ "token": BASE64.encode(token) })).await.map(drop)
    }

    /// The device of this account is known no longer. One that was not is no error.
    pub(super) async fn unregister(&self, pseudonym: &str) -> Result<(), SecondError> {
        self.call(Method::DELETE, &self.registration(pseudonym), Value::Null).await.map(drop)
    }

    /// A name for the account that the second operator can't tell from chance.
    fn registration(&self, pseudonym: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.token.as_bytes());
        format!("/v1/registrations/{}", BASE64URL.encode(hmac::sign(&key, pseudonym.as_bytes())))
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Bytes, SecondError> {
        let (status, body) =
            timeout(PATIENCE, self.exchange(method, path, body)).await.map_err(|_| SecondError::Timeout)??;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => Err(SecondError::Denied),
            status => Err(SecondError::Refused(status.as_u16())),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Bytes), SecondError> {
        fn broken(error: impl std::fmt::Display) -> SecondError {
            SecondError::Unreachable(error.to_string())
        }
        let host = self.host.trim_matches(['[', ']']).to_owned();
        let stream = TcpStream::connect((host.as_str(), self.port)).await.map_err(broken)?;
        let name = ServerName::try_from(host).map_err(|_| SecondError::Address)?;
        let stream = self.tls.connect(name, stream).await.map_err(broken)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let mut authorization = header::HeaderValue::try_from(format!("Bearer {}", self.token.as_str()))
            .map_err(|_| SecondError::Denied)?;
        authorization.set_sensitive(true);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| SecondError::Address)?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_ANSWER).collect().await.map_err(broken)?;
            Ok((status, body.to_bytes()))
        };
        let answered = answered.await;
        driver.abort();
        answered
    }
}

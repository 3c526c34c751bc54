//! A phone's side of the HTTPS service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rand_core::OsRng;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use shunt::model::PhoneNumber;
use shunt::seal::Blinding;
use shunt_kit::directory::Directory;
use shunt_kit::private::note;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A device with its token.
#[derive(Clone)]
pub(super) struct Client {
    addr: SocketAddr,
    tls: Arc<ClientConfig>,
    token: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

pub(super) fn blinded(number: &PhoneNumber) -> (Blinding, [u8; 32]) {
    Blinding::new(number, &mut OsRng).unwrap()
}

/// Trusts this CA alone.
pub(super) fn pinning(ca: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(tls)
}

/// TLS with the server of that name.
pub(super) async fn tls(
    addr: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

impl Client {
    pub(super) fn of(directory: &Directory, ca: &str, token: &str) -> Self {
        Self::at(directory.addr(), ca, token)
    }

    pub(super) fn at(addr: SocketAddr, ca: &str, token: &str) -> Self {
        note(token);
        Self { addr, tls: pinning(ca), token: token.to_owned() }
    }

    pub(super) fn with_token(&self, token: &str) -> Self {
        note(token);
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same device, trusting another CA.
    pub(super) fn pinning(&self, ca: &str) -> Self {
        Self { tls: pinning(ca), ..self.clone() }
    }

    async fn try_connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        tls(self.addr, "localhost", &self.tls).await
    }

    /// A connection on which nothing was said yet.
    pub(super) async fn connect(&self) -> TlsStream<TcpStream> {
        self.try_connect().await.unwrap()
    }

    /// Whether it gets a connection, which is closed again.
    pub(super) async fn can_connect(&self) -> bool {
        self.try_connect().await.is_ok()
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (mut sender, connection) = handshake(TokioIo::new(self.connect().await)).await.unwrap();
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
        let body = serde_json::from_slice(&body).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    pub(super) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// A request whose body is one field in base64.
    pub(super) async fn field(&self, method: Method, path: &str, name: &str, bytes: &[u8]) -> Answer {
        self.call(method, path, json!({ name: BASE64.encode(bytes) }).to_string()).await
    }

    pub(super) async fn evaluate(&self, epoch: char, points: &[[u8; 32]]) -> Answer {
        let blinded: Vec<_> = points.iter().map(|point| BASE64.encode(point)).collect();
        let body = json!({ "epoch": epoch, "blinded": blinded }).to_string();
        self.call(Method::POST, "/v1/evaluate", body).await
    }
}

impl Answer {
    /// The evaluated points with their proofs; the request must have been granted.
    pub(super) fn evaluations(&self) -> Vec<([u8; 32], [u8; 64])> {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        let bytes = |value: &Value| BASE64.decode(value.as_str().unwrap()).unwrap();
        let list = self.body["evaluations"].as_array().unwrap().iter();
        list.map(|one| (bytes(&one["point"]).try_into().unwrap(), bytes(&one["proof"]).try_into().unwrap())).collect()
    }

    /// A granted answer's one field, base64.
    pub(super) fn field(&self, name: &str) -> Vec<u8> {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        BASE64.decode(self.body[name].as_str().unwrap()).unwrap()
    }

    /// Status and error token; the message must not be empty.
    pub(super) fn refusal(&self) -> (u16, &str) {
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()));
        (self.status.as_u16(), self.body["error"].as_str().unwrap())
    }
}

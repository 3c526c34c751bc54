//! The TLS listener: every wait on a stranger has an end, and nobody can take all the seats.

use super::config::{Limits, Tls};
use super::files;
use super::seats::{Seat, Seats};
use super::service::Peer;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a connection gets to end its last request.
const FAREWELL: Duration = Duration::from_secs(5);

/// For how long a client that has its last answer may go on sending, and how much: who sends more may be cut off before
/// it has read the answer.
const LINGER: Duration = Duration::from_secs(5);
const MOST_DISCARDED: u64 = 1024 * 1024;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// Not readable.
    #[error("{path}: can't be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// Not PEM, or nothing in it.
    #[error("{path}: holds no {what} in PEM form")]
    Pem { path: PathBuf, what: &'static str },
    /// They don't fit.
    #[error("the TLS certificate and key can't be used: {0}")]
    Refused(#[from] rustls::Error),
}

/// TLS 1.2 or newer with the certificate of the files.
pub(super) fn tls(files: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = std::fs::read(&files.certificate)
        .map_err(|source| TlsError::Read { path: files.certificate.clone(), source })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(TlsError::Pem { path: files.certificate.clone(), what: "certificate" });
    }
    let key = files::read_private(&files.key).map_err(|source| TlsError::Read { path: files.key.clone(), source })?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| TlsError::Pem { path: files.key.clone(), what: "private key" })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What each connection gets.
#[derive(Clone)]
struct Terms {
    router: Router,
    limits: Limits,
    end: watch::Receiver<bool>,
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the certificate again.
pub(super) async fn serve(
    listener: TcpListener,
    files: &Tls,
    router: Router,
    limits: Limits,
) -> Result<(), ServeError> {
    let mut acceptor = TlsAcceptor::from(tls(files)?);
    let seats = Seats::new(limits.connections, limits.connections_per_address);
    let mut connections = JoinSet::new();
    let (ending, end) = watch::channel(false);
    let terms = Terms { router, limits, end };
    let (mut hup, mut term, mut int) =
        (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    log::info!("listening on {}", listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match seats.take(from.ip()) {
                    Some(seat) => {
                        let terms = Terms { router: terms.router.clone().layer(Extension(Peer(from.ip()))), ..terms.clone() };
                        connections.spawn(connection(acceptor.clone(), stream, seat, terms));
                    }
                    // No words for it: they would need a handshake.
                    None => log::debug!("a connection was refused: no seat left for its address"),
                },
                Err(error) => {
                    // Out of file descriptors: the connections that end give some back.
                    log::warn!("can't accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = hup.recv() => match tls(files) {
                Ok(config) => {
                    acceptor = TlsAcceptor::from(config);
                    log::info!("the TLS certificate was read again");
                }
                Err(error) => log::error!("{error}: going on with the old certificate"),
            },
            _ = term.recv() => break,
            _ = int.recv() => break,
        }
    }
    drop(listener);
    let _ = ending.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, all).await;
    log::info!("ended");
    Ok(())
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    /// No certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No signals or no socket.
    #[error("the system refused: {0}")]
    Io(#[from] std::io::Error),
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, _seat: Seat, terms: Terms) {
    let read = Duration::from_secs(terms.limits.read_timeout);
    let _ = stream.set_nodelay(true);
    let Ok(Ok(mut stream)) = timeout(read, acceptor.accept(stream)).await else {
        return log::debug!("a TLS handshake failed");
    };
    serve_requests(&mut stream, read, terms).await;
    let _ = timeout(LINGER, hang_up(&mut stream)).await;
}

/// Ends a connection for the client too. Closed with something of the client's unread it would be reset, and the last
/// answer perhaps lost with it (RFC 9112 §9.6).
async fn hang_up(stream: &mut TlsStream<TcpStream>) -> std::io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_DISCARDED), &mut tokio::io::sink()).await
}

async fn serve_requests(stream: &mut TlsStream<TcpStream>, read: Duration, mut terms: Terms) {
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(read)
            .max_buf_size(32 * 1024)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(terms.router))
    );
    tokio::select! {
        _ = serving.as_mut() => return,
        () = tokio::time::sleep(Duration::from_secs(terms.limits.connection_life)) => {}
        _ = terms.end.wait_for(|end| *end) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(FAREWELL, serving).await;
}

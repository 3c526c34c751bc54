//! From an address to a bound session: TCP, TLS, SASL, then resume or bind.

use super::element::{Element, NS_CLIENT, NS_SM};
use super::frames::Frame;
use super::session::{Session, closed, ended_by};
use super::sm::StreamManagement;
use super::socket::{Meter, Socket};
use super::stanza;
use super::stream::{Io, Stream};
use super::tls::{Tls, TlsError};
use crate::wall::{Connect, Offline, RequestId};
use data_encoding::HEXLOWER;
use rand_core::{OsRng, RngCore};
use sasl::common::Credentials;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::time::timeout;
use tokio_xmpp::error::AuthError;
use tokio_xmpp::parsers::sasl::DefinedCondition;
use tokio_xmpp::parsers::stream_features::StreamFeatures;
use tokio_xmpp::xmlstream::{
    PendingFeaturesRecv, RecvFeaturesError, StreamHeader, Timeouts, XmppStream, initiate_stream,
};

/// How long one server address may take from TCP to features, and then all to a bound session.
const ADDRESS: Duration = Duration::from_secs(20);
const SESSION: Duration = Duration::from_secs(20);
/// The id of the one request before the session.
const BIND: &str = "bind";

/// What came of an attempt.
pub(crate) struct Attempt {
    /// The session, or why there is none.
    pub(crate) result: Result<Opened, Offline>,
    /// The old session's state, while it may still be resumed.
    pub(crate) previous: Option<StreamManagement>,
    /// Requests whose outcome nobody will ever tell: the old session is gone.
    pub(crate) lost: Vec<RequestId>,
}

/// A session at work.
pub(crate) struct Opened {
    pub(crate) session: Box<Session>,
    pub(crate) resumed: bool,
    /// Requests that the server turned out to have taken.
    pub(crate) accepted: Vec<RequestId>,
}

/// Tries the account's servers in their order, once.
pub(crate) async fn attempt(
    account: Arc<Connect>,
    tls: Tls,
    meter: Arc<Meter>,
    mut previous: Option<StreamManagement>,
) -> Attempt {
    let mut lost = Vec::new();
    let result = match authenticate(&account, &tls, &meter).await {
        Ok((io, features)) => match timeout(SESSION, open(io, &features, &mut previous, &mut lost)).await {
            Ok(result) => result,
            Err(_) => Err(Offline::Timeout),
        },
        Err(reason) => Err(reason),
    };
    Attempt { result, previous, lost }
}

async fn authenticate(account: &Connect, tls: &Tls, meter: &Arc<Meter>) -> Result<(Io, StreamFeatures), Offline> {
    let mut reason = Offline::Unreachable;
    for server in &account.servers {
        let one = timeout(ADDRESS, authenticate_at(server, account, tls, meter)).await;
        match one.unwrap_or(Err(Offline::Timeout)) {
            Ok(authenticated) => return Ok(authenticated),
            // The account is the same at all of them.
            Err(Offline::Auth) => return Err(Offline::Auth),
            // The address that answered says more than the one that did not.
            Err(other) if reason == Offline::Unreachable => reason = other,
            Err(_) => {}
        }
    }
    Err(reason)
}

async fn authenticate_at(
    server: &str,
    account: &Connect,
    tls: &Tls,
    meter: &Arc<Meter>,
) -> Result<(Io, StreamFeatures), Offline> {
    let socket = Socket::connect(server, meter).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Offline::Timeout,
        _ => {
            log::debug!("a server address cannot be reached: {error}");
            Offline::Unreachable
        }
    })?;
    let stream = tls.connect(&account.domain, socket).await.map_err(|error| {
        log::info!("{error}");
        if matches!(error, TlsError::Broken(_)) { Offline::Broken } else { Offline::Tls }
    })?;
    let header = || StreamHeader { to: Some(Cow::Borrowed(account.domain.as_str())), from: None, id: None };
    // The deadline around all this is the one that counts.
    let timeouts = Timeouts { read_timeout: ADDRESS, response_timeout: ADDRESS };
    let io = BufReader::with_capacity(4096, stream);
    let pending = initiate_stream(io, NS_CLIENT, header(), timeouts).await.map_err(|error| broken(&error))?;
    let (features, stream) = features(pending).await?;
    // Never PLAIN: the server keeps a verifier, and shall not see the secret.
    let scram: BTreeSet<String> =
        features.sasl_mechanisms.into_iter().filter(|mechanism| mechanism.starts_with("SCRAM-")).collect();
    let credentials =
        Credentials::default().with_username(account.account.as_str()).with_password(account.secret.0.as_str());
    let stream = tokio_xmpp::client_login(stream, scram, credentials).await.map_err(refused)?;
    let pending = stream.send_header(header()).await.map_err(|error| broken(&error))?;
    let (features, stream) = self::features(pending).await?;
    Ok((stream.into_inner(), features))
}

async fn features(pending: PendingFeaturesRecv<Io>) -> Result<(StreamFeatures, XmppStream<Io>), Offline> {
    pending.recv_features().await.map_err(|error| match error {
        RecvFeaturesError::Io(error) => broken(&error),
        RecvFeaturesError::StreamError(error) => {
            log::info!("the server refuses the stream: {error}");
            Offline::Broken
        }
    })
}

fn broken(error: &io::Error) -> Offline {
    log::debug!("the stream broke: {error}");
    match error.get_ref() {
        // With TLS 1.3 some refusals come only after the handshake.
        Some(inner) if inner.is::<rustls::Error>() => Offline::Tls,
        _ => Offline::Broken,
    }
}

fn refused(error: tokio_xmpp::Error) -> Offline {
    log::info!("the server does not let us in: {error}");
    match error {
        tokio_xmpp::Error::Auth(AuthError::Fail(DefinedCondition::TemporaryAuthFailure)) => Offline::Broken,
        tokio_xmpp::Error::Auth(_) => Offline::Auth,
        tokio_xmpp::Error::Io(error) => broken(&error),
        _ => Offline::Broken,
    }
}

async fn open(
    io: Io,
    features: &StreamFeatures,
    previous: &mut Option<StreamManagement>,
    lost: &mut Vec<RequestId>,
) -> Result<Opened, Offline> {
    if features.stream_management.is_none() || !features.can_bind() {
        log::error!("the server offers no stream management: it cannot be used");
        return Err(Offline::Broken);
    }
    let mut stream = Stream::new(io);
    if let Some(xml) = previous.as_ref().and_then(|sm| Some(stanza::resume(sm.id()?, sm.received()))) {
        stream.say(&xml);
        let answer = answer(&mut stream, |answer| answer.is(NS_SM, "resumed") || answer.is(NS_SM, "failed")).await?;
        if let Some(h) = answer.h.filter(|_| answer.is(NS_SM, "resumed"))
            && let Some(mut sm) = previous.take()
        {
            let Ok((accepted, again)) = sm.resume(h) else {
                log::warn!("the server resumed a session of which it knows too much");
                lost.extend(sm.lost());
                return Err(Offline::Broken);
            };
            let mut session = Session::new(stream, sm);
            for (request, xml) in again {
                session.send(&xml, request, true);
            }
            return Ok(Opened { session: Box::new(session), resumed: true, accepted });
        }
    }
    // A server that crashed, or waited too long, knows nothing of the old session.
    lost.extend(previous.take().into_iter().flat_map(StreamManagement::lost));
    let mut random = [0; 16];
    OsRng.fill_bytes(&mut random);
    stream.say(&stanza::bind(BIND, &HEXLOWER.encode(&random)));
    let bound = answer(&mut stream, |answer| answer.id.as_deref() == Some(BIND)).await?;
    if bound.kind.as_deref() != Some("result") {
        log::warn!("the server refuses to bind a resource");
        return Err(Offline::Broken);
    }
    stream.say(&format!("<enable xmlns='{NS_SM}' resume='true'/>"));
    let enabled = answer(&mut stream, |answer| answer.is(NS_SM, "enabled") || answer.is(NS_SM, "failed")).await?;
    if !enabled.is(NS_SM, "enabled") {
        log::warn!("the server refuses stream management");
        return Err(Offline::Broken);
    }
    let mut session = Session::new(stream, StreamManagement::new(enabled.id.filter(|_| enabled.resume)));
    session.send(&stanza::presence(None, true), None, false);
    Ok(Opened { session: Box::new(session), resumed: false, accepted: Vec::new() })
}

/// Waits for the element that is meant; the rest has no meaning yet.
async fn answer(stream: &mut Stream, meant: impl Fn(&Element) -> bool) -> Result<Element, Offline> {
    loop {
        match stream.next().await.map_err(|broken| closed(&broken).reason)? {
            Frame::Element(bytes) => match Element::parse(&bytes) {
                Ok(element) if meant(&element) => return Ok(element),
                Ok(element) => {
                    if let Some(condition) = element.stream_error() {
                        return Err(ended_by(condition).reason);
                    }
                }
                Err(malformed) => log::debug!("{malformed}"),
            },
            Frame::Oversized(_) => {}
            Frame::Footer => return Err(Offline::Broken),
        }
    }
}

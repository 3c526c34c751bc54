//! A ROM's agent: who may be it, its own socket, and its leaving.

use super::access::Caller;
use super::core::Shared;
use super::interface::{Agents, Hello};
use super::signal::PATH;
use super::{Bus, Request};
use crate::modem::agent::Port;
use futures_util::StreamExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;
use zbus::connection::Builder;
use zbus::{Connection, Guid, MessageStream};

/// Where an agent may sit, and who may take it.
pub struct Seat {
    /// The modem backend's end.
    pub port: Arc<Port>,
    /// Beside root.
    pub uids: Vec<u32>,
}

impl Seat {
    pub(super) fn lets(&self, uid: u32) -> bool {
        uid == 0 || self.uids.contains(&uid)
    }
}

impl Bus {
    /// Serves `org.shunt.Shunt1.Agents` to those who connect to a socket of our own, peer to peer; for ever, unless the
    /// socket fails. Whoever may not be the agent is hung up on.
    pub fn serve_agents(&self, socket: Option<UnixListener>) -> impl Future<Output = std::io::Result<()>> + use<> {
        let shared = self.shared.clone();
        async move {
            match socket {
                Some(socket) => accept(socket, shared).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// After a failed `accept`, such as for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

async fn accept(socket: UnixListener, shared: Arc<Shared>) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixListener::from_std(socket)?;
    let (mut count, mut refused) = (0_u64, None);
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("an agent's connection can't be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // What the kernel noted when it connected, whatever it says of itself in D-Bus.
        let Ok(peer) = stream.peer_cred() else { continue };
        let uid = peer.uid();
        if !shared.seat.as_ref().is_some_and(|seat| seat.lets(uid)) {
            // Once in a row: a stranger must not fill the journal.
            if refused.replace(uid) != Some(uid) {
                log::warn!("uid {uid} connected as an agent: add it to [agent] uids if it is one");
            }
            continue;
        }
        count += 1;
        let peer = Caller { name: format!("agent-{count}").into(), uid, unit: "".into() };
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, shared, peer).await {
                log::warn!("an agent's connection failed: {error}");
            }
        });
    }
}

async fn serve(stream: tokio::net::UnixStream, shared: Arc<Shared>, peer: Caller) -> zbus::Result<()> {
    let connection = Builder::unix_stream(stream.into_std()?)
        .server(Guid::generate())
        .p2p()
        .serve_at(PATH, Agents { shared, peer: Some(peer) })
        .serve_at("/org/freedesktop/DBus", Hello)
        .build()
        .await?;
    connection.closed().await;
    Ok(())
}

/// When the agent's connection ends, so does its registration, and what it waited for is the core's.
pub(super) fn forget_when_gone(
    shared: &Arc<Shared>,
    port: Arc<Port>,
    name: Box<str>,
    connection: Connection,
    leaving: Option<MessageStream>,
) {
    let core = shared.core.clone();
    tokio::spawn(async move {
        match leaving {
            Some(mut leaving) => drop(leaving.next().await),
            None => connection.closed().await,
        }
        port.left(&name);
        if core.send(Request::CallerGone { name }).await.is_err() {
            log::debug!("an agent left while the daemon stops");
        }
    });
}

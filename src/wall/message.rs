//! What may cross the wall. No variant can name a number or a text: `Sealed` and `Pseudonym` are
//! made by `seal` alone, the rest is points, public keys and the account's own addresses.

use crate::seal::{Pseudonym, Sealed, SealedRequest};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Pairs a request with its answer; counts up from 1 within one uplink's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// An encoded, blinded ristretto255 point or an evaluation of one (RFC 9497).
pub type Point = [u8; 32];

/// The account's secret on its way to the uplink. `Debug` shows nothing; wiped on drop.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Bytes from the network that nobody has judged yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque(pub Vec<u8>);

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

/// A public key bundle for PEP, encoded and signed by `seal` (protocol.md §5).
pub type Bundle = Opaque;

/// The first frame where there is no account: this uplink speaks with the directory alone, and does not know for
/// whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// `https://host:port` of the directory.
    pub directory: String,
    /// The pinned CA, PEM; the only root trusted.
    pub ca: String,
}

/// What the directory is asked about the own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// Send a code by SMS. Goes without the token, as the next.
    Start(SealedRequest),
    /// Here is the code.
    Confirm(SealedRequest),
    /// A new certificate, which the identity key signed for.
    Renew(Opaque),
    /// Here is a new account secret.
    Secret(SealedRequest),
    /// End the account: at the directory and the XMPP server.
    Withdraw,
}

/// Why the directory did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrandError {
    /// No answer could be had now.
    Unavailable,
    /// Too many codes; seconds to wait.
    Limit(u32),
    /// It does not know the token: the account has ended.
    Denied,
    /// Not the code; there are attempts left.
    WrongCode,
    /// Not the code, and it was the last attempt.
    Spent,
    /// No such session, or no longer.
    NoSession,
    /// It sends no codes to that number.
    Number,
    /// It does not serve the epoch.
    Epoch,
    /// The request is dated more than a day from now.
    Clock,
    /// It enrols no phones by itself.
    Closed,
    /// A renewal needs a fresh proof by SMS.
    Proof,
    /// It refused for another reason, or garbled its answer.
    Refused,
}

/// The second operator's evaluator, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// `https://host:port`.
    pub directory: String,
    /// Bearer token for it, which is none for the directory.
    pub token: Secret,
    /// Its pinned CA, PEM; the only root trusted there.
    pub ca: String,
}

/// Which operator evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The directory's.
    First,
    /// The second, where there is one.
    Second,
}

/// All that the uplink ever learns of the phone; the first frame, and the only one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The account's localpart.
    pub account: Pseudonym,
    /// The XMPP domain.
    pub domain: String,
    /// SCRAM password.
    pub secret: Secret,
    /// `host:port` of the XMPP server, tried in this order.
    pub servers: Vec<String>,
    /// `https://host:port` of the directory.
    pub directory: String,
    /// Bearer token for the directory.
    pub token: Secret,
    /// The second evaluator, where there is one.
    pub second: Option<Second>,
    /// The pinned CA, PEM; the only root trusted, for both.
    pub ca: String,
    /// Seconds between keep-alives on an idle connection; 0 leaves it to the server.
    pub keep_alive: u32,
    /// The PEP node of this device's bundle.
    pub node: String,
}

/// What the core may ask of the uplink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToUplink {
    /// First, once: connect and stay connected. Back-off is the core's: after `Offline` the uplink
    /// waits for `Retry`.
    Connect(Box<Connect>),
    /// First instead, where there is no account: only [`Errand::Start`], [`Errand::Confirm`] and `Close` follow.
    Visit(Box<Visit>),
    /// Try again now.
    Retry,
    /// Use these from now on, in place of those in [`Connect`].
    Secrets {
        /// SCRAM password.
        secret: Secret,
        /// Bearer token for the directory.
        token: Secret,
        /// Bearer token for the second evaluator, where there is one.
        second: Secret,
    },
    /// A sealed headline to the peer's bare JID.
    Send {
        /// Answered by `Accepted` or `Bounced`.
        request: RequestId,
        /// Whom to.
        to: Pseudonym,
        /// What.
        sealed: Sealed,
    },
    /// Directed presence.
    Presence {
        /// Whom to.
        to: Pseudonym,
        /// `available` while they hold a lease, then `unavailable`.
        available: bool,
    },
    /// Publish this device's bundle on PEP, open to read.
    Publish {
        /// Answered by `Published`.
        request: RequestId,
        /// The signed bundle.
        bundle: Bundle,
    },
    /// Fetch a peer's bundle.
    Fetch {
        /// Answered by `Fetched`.
        request: RequestId,
        /// Whose.
        of: Pseudonym,
    },
    /// Have an evaluator evaluate blinded points, 1 to 100.
    Evaluate {
        /// Answered by `Evaluated`.
        request: RequestId,
        /// By whom.
        by: Operator,
        /// The epoch whose key is wanted.
        epoch: char,
        /// The points.
        blinded: Vec<Point>,
    },
    /// Ask the directory about the own account.
    Errand {
        /// Answered by `Errand`.
        request: RequestId,
        /// What.
        errand: Errand,
    },
    /// Is the connection alive? (after resume)
    Ping {
        /// Answered by `Pong`, or `Link(Offline)`.
        request: RequestId,
    },
    /// Leave politely: unavailable, close the stream, exit.
    Close,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offline {
    /// No server address could be reached.
    Unreachable,
    /// TLS failed: not the pinned CA, wrong name, expired.
    Tls,
    /// The server refused the account's secret.
    Auth,
    /// Another session of the account took over.
    Conflict,
    /// The server closed or broke the stream.
    Broken,
    /// Nothing came back in time.
    Timeout,
}

/// State of the connection to the XMPP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// Trying.
    Connecting,
    /// Bound; `resumed` when the old stream went on and nothing was lost.
    Online {
        /// Whether stream management resumed the old session.
        resumed: bool,
    },
    /// Not connected; waits for `Retry`.
    Offline(Offline),
}

/// Why a bundle could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchError {
    /// No such account or node: not enrolled.
    NotFound,
    /// No answer could be had now.
    Unavailable,
}

/// Why an evaluator did not evaluate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryError {
    /// The budget is used up; seconds to wait (HTTP 429).
    Budget(u32),
    /// It does not know the token.
    Denied,
    /// It does not know the epoch.
    Epoch,
    /// No answer could be had now.
    Unavailable,
    /// It refused or garbled the request.
    Refused,
}

/// Bytes and frames below the ledger: TLS, SASL, keep-alive and resends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes written to network sockets.
    pub sent: u64,
    /// Bytes read from them.
    pub received: u64,
    /// Connections opened.
    pub connections: u32,
}

/// What the uplink may tell the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromUplink {
    /// First: confined and listening. What the confinement lacks, as tokens.
    Ready {
        /// For `Confinement`.
        lacks: Vec<String>,
    },
    /// The connection's state changed.
    Link(LinkState),
    /// The server took responsibility for the stanza: not a delivery.
    Accepted {
        /// Which `Send`.
        request: RequestId,
    },
    /// The stanza came back, or was lost with the stream: outcome unknown.
    Bounced {
        /// Which `Send`.
        request: RequestId,
    },
    /// A sealed headline came in.
    Received {
        /// The sender's localpart as the server vouches for it; same domain.
        from: String,
        /// The envelope.
        sealed: Opaque,
    },
    /// A directed presence came in.
    Presence {
        /// The sender's localpart.
        from: String,
        /// Available or not.
        available: bool,
    },
    /// The bundle is published, or not.
    Published {
        /// Which `Publish`.
        request: RequestId,
        /// Whether it is.
        ok: bool,
    },
    /// A peer's bundle.
    Fetched {
        /// Which `Fetch`.
        request: RequestId,
        /// The bundle as published.
        result: Result<Bundle, FetchError>,
    },
    /// Evaluations, in order, each with its own proof (64 bytes, RFC 9497 §2.2.1).
    Evaluated {
        /// Which `Evaluate`.
        request: RequestId,
        /// Evaluated point and proof for each blinded one.
        result: Result<Vec<(Point, Vec<u8>)>, DirectoryError>,
    },
    /// The directory's answer to an errand; empty where there is nothing to say.
    Errand {
        /// Which `Errand`.
        request: RequestId,
        /// The answer, or why there is none.
        result: Result<Opaque, ErrandError>,
    },
    /// The connection is alive.
    Pong {
        /// Which `Ping`.
        request: RequestId,
    },
    /// How much has passed below the ledger; sent with each change of the link and
    /// each `Pong`, and behind other messages when they changed.
    Counters(Counters),
}

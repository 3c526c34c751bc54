//! The core's side of the wall, and the real uplink behind it.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shunt::seal::{Pseudonym, Sealed};
use shunt::wall::{
    Channel, Connect, Counters, FromUplink, LinkState, Offline, Opaque, Permit, RequestId, Secret, ToUplink,
};
use shunt_kit::cloud::Cloud;
use shunt_kit::process::Process;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// Nothing here takes so long; it only keeps a fault from hanging the run.
const PATIENCE: Duration = Duration::from_secs(40);

/// The PEP node of every device here.
pub const NODE: &str = "urn:shunt:1:keys:0";

/// As the uplink gets one: off the wall.
pub fn off_the_wall<T: DeserializeOwned>(value: impl Serialize) -> Result<T> {
    Ok(postcard::from_bytes(&postcard::to_allocvec(&value)?)?)
}

pub fn pseudonym(local: &str) -> Result<Pseudonym> {
    off_the_wall(local)
}

pub fn sealed(bytes: &[u8]) -> Result<Sealed> {
    off_the_wall(bytes)
}

pub fn secret(text: &str) -> Secret {
    Secret(Zeroizing::new(text.to_owned()))
}

/// What an account of this cloud connects with.
pub fn account(cloud: &Cloud, local: &str) -> Result<Connect> {
    Ok(Connect {
        account: pseudonym(local)?,
        domain: cloud.domain().to_owned(),
        secret: secret(&password(local)),
        servers: vec![cloud.xmpp_addr().to_string()],
        directory: "https://127.0.0.1:1".to_owned(),
        token: secret("token"),
        second: None,
        ca: cloud.ca_pem().to_owned(),
        keep_alive: 0,
        node: NODE.to_owned(),
    })
}

pub fn password(local: &str) -> String {
    format!("the secret of {local}")
}

/// A core with its uplink. The permit table judges every frame both ways.
pub struct Core {
    wall: Option<Channel<ToUplink, FromUplink>>,
    permit: Permit,
    pub process: Process,
    _log: NamedTempFile,
    last: u64,
    /// What came while something else was waited for.
    pub passed: Vec<FromUplink>,
    pub counters: Counters,
}

impl Core {
    /// Starts an uplink and says `Connect`.
    pub async fn start(connect: Connect) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs.into_std()?);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_shuntd-uplink")]);
        command.env("SHUNT_LOG", "debug");
        let log = NamedTempFile::new()?;
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(log.reopen()?);
        let process = Process::start_as_is("shuntd-uplink", command, Some(log.path().to_owned()))?.ours()?;
        let mut core = Self {
            wall: Some(Channel::from_stream(ours)),
            permit: Permit::new(),
            process,
            _log: log,
            last: 0,
            passed: Vec::new(),
            counters: Counters::default(),
        };
        core.until("ready", |message| matches!(message, FromUplink::Ready { .. })).await?;
        core.say(ToUplink::Connect(Box::new(connect))).await?;
        Ok(core)
    }

    /// An account of this cloud, registered and online.
    pub async fn online(cloud: &Cloud, local: &str) -> Result<Self> {
        cloud.register(local, &password(local)).await?;
        let mut core = Self::start(account(cloud, local)?).await?;
        core.link(LinkState::Online { resumed: false }).await?;
        Ok(core)
    }

    pub async fn say(&mut self, message: ToUplink) -> Result<()> {
        self.permit.sent(&message)?;
        Ok(self.wall.as_mut().context("the wall is closed")?.send(&message).await?)
    }

    pub fn request(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    /// Sends a headline.
    pub async fn send(&mut self, to: &str, bytes: &[u8]) -> Result<RequestId> {
        let request = self.request();
        self.say(ToUplink::Send { request, to: pseudonym(to)?, sealed: sealed(bytes)? }).await?;
        Ok(request)
    }

    pub async fn ping(&mut self) -> Result<RequestId> {
        let request = self.request();
        self.say(ToUplink::Ping { request }).await?;
        Ok(request)
    }

    pub async fn presence(&mut self, to: &str, available: bool) -> Result<()> {
        self.say(ToUplink::Presence { to: pseudonym(to)?, available }).await
    }

    /// The next frame; `None` when the uplink closed the wall.
    pub async fn next(&mut self) -> Result<Option<FromUplink>> {
        let wall = self.wall.as_mut().context("the wall is closed")?;
        let Some(message) = tokio::time::timeout(PATIENCE, wall.recv()).await.context("nothing comes")?? else {
            return Ok(None);
        };
        self.permit.check(&message).with_context(|| format!("{message:?}"))?;
        if let FromUplink::Counters(counters) = message {
            self.counters = counters;
        }
        Ok(Some(message))
    }

    /// Waits for a frame; the others are kept in `passed`.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&FromUplink) -> bool) -> Result<FromUplink> {
        let waiting = async {
            loop {
                match self.next().await? {
                    Some(message) if wanted(&message) => return Ok(message),
                    Some(message) => self.passed.push(message),
                    None => bail!("the uplink went away"),
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await.context("it never comes").flatten();
        waited.with_context(|| format!("waiting for {what}; passed: {:?}; {}", self.passed, self.process.log_tail()))
    }

    pub async fn link(&mut self, state: LinkState) -> Result<()> {
        let link = FromUplink::Link(state);
        self.until(&format!("{state:?}"), |message| *message == link).await?;
        // The counters come with each change of the link.
        self.until("counters", |message| matches!(message, FromUplink::Counters(_))).await.map(drop)
    }

    pub async fn offline(&mut self) -> Result<Offline> {
        let offline =
            self.until("offline", |message| matches!(message, FromUplink::Link(LinkState::Offline(_)))).await?;
        self.until("counters", |message| matches!(message, FromUplink::Counters(_))).await?;
        match offline {
            FromUplink::Link(LinkState::Offline(reason)) => Ok(reason),
            other => bail!("{other:?}"),
        }
    }

    pub async fn accepted(&mut self, request: RequestId) -> Result<()> {
        self.until("accepted", |message| *message == FromUplink::Accepted { request }).await.map(drop)
    }

    pub async fn bounced(&mut self, request: RequestId) -> Result<()> {
        self.until("bounced", |message| *message == FromUplink::Bounced { request }).await.map(drop)
    }

    pub async fn received(&mut self, from: &str, bytes: &[u8]) -> Result<()> {
        let received = FromUplink::Received { from: from.to_owned(), sealed: Opaque(bytes.to_vec()) };
        if let Some(place) = self.passed.iter().position(|message| *message == received) {
            self.passed.remove(place);
            return Ok(());
        }
        self.until("a headline", |message| *message == received).await.map(drop)
    }

    /// A round trip to the server: all that it had for us is here.
    pub async fn settled(&mut self) -> Result<()> {
        let request = self.ping().await?;
        self.until("pong", |message| *message == FromUplink::Pong { request }).await?;
        self.until("counters", |message| matches!(message, FromUplink::Counters(_))).await.map(drop)
    }

    /// How many frames passed that match.
    pub fn count(&self, wanted: impl Fn(&FromUplink) -> bool) -> usize {
        self.passed.iter().filter(|message| wanted(message)).count()
    }

    /// Closes the wall without a word.
    pub fn hang_up(&mut self) {
        self.wall = None;
    }
}

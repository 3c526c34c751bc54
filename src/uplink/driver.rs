//! The loop between the wall and the network. Back-off is the core's: after a failure nothing is tried
//! before `Retry`.

use super::UplinkError;
use super::directory::{self, Directory};
use super::incoming::{self, Heard, Peers};
use super::login::{self, Attempt, Opened};
use super::requests::{Asked, Iqs, Sends};
use super::session::{Closed, Event, Session};
use super::sm::StreamManagement;
use super::socket::Meter;
use super::stanza;
use super::tls::Tls;
use crate::seal::{Pseudonym, Sealed};
use crate::wall::{
    Connect, Counters, DirectoryError, FetchError, FromUplink, LinkState, Offline, Operator, Point, RequestId, Secret,
    ToUplink, UplinkPermit,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The most bytes of an envelope or a bundle either way; in base64 and wrapped it stays below the
/// server's `max_stanza_size` of 64 KiB.
pub(crate) const MAX_SEALED: usize = 47 * 1024;
/// Stanzas unacknowledged, and bytes unwritten, beyond which nothing more is taken on.
const MAX_BACKLOG: (usize, usize) = (4096, 1024 * 1024);
/// Requests under way at one time, for each operator.
const MAX_ASKED: usize = 8;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

enum Link {
    /// Waits for `Retry`; the old session may still be resumed.
    Idle(Option<StreamManagement>),
    Connecting(Boxed<Attempt>),
    Online(Box<Session>),
}

enum LinkEvent {
    Attempted(Attempt),
    Session(Result<Event, Closed>),
}

impl Link {
    async fn next(&mut self) -> LinkEvent {
        match self {
            Self::Idle(_) => pending().await,
            Self::Connecting(attempt) => LinkEvent::Attempted(attempt.await),
            Self::Online(session) => LinkEvent::Session(session.next().await),
        }
    }
}

/// All that the uplink knows, from `Connect` on.
struct Uplink {
    account: Arc<Connect>,
    tls: Tls,
    meter: Arc<Meter>,
    /// The counters as last told.
    told: Counters,
    link: Link,
    state: LinkState,
    sends: Sends,
    iqs: Iqs,
    /// Pings that came while connecting: the attempt's outcome answers them.
    pings: Vec<RequestId>,
    peers: Peers,
    directory: Arc<Directory>,
    /// The second evaluator.
    second: Option<Arc<Directory>>,
    /// What the directory is asked, each with its answer to the core.
    asked: FuturesUnordered<Boxed<FromUplink>>,
    out: Vec<FromUplink>,
}

/// Serves the core until it closes the wall or says `Close`.
pub(crate) async fn serve(mut wall: super::Wall, lacks: &[&'static str], settled: fn()) -> Result<(), UplinkError> {
    wall.send(&FromUplink::Ready { lacks: lacks.iter().map(|token| (*token).to_owned()).collect() }).await?;
    let mut permit = UplinkPermit::new();
    let Some(first) = wall.recv().await? else { return Ok(()) };
    permit.check(&first)?;
    let account = match first {
        ToUplink::Connect(account) => account,
        ToUplink::Visit(visit) => return super::visit::serve(wall, permit, *visit).await,
        _ => return Ok(()),
    };
    let mut uplink = Uplink::new(*account);
    uplink.connect();
    loop {
        uplink.recount();
        for message in uplink.out.drain(..) {
            wall.send(&message).await?;
        }
        let deadline = uplink.deadline();
        tokio::select! {
            message = wall.recv() => {
                let Some(message) = message? else { return Ok(()) };
                permit.check(&message)?;
                match message {
                    ToUplink::Close => {
                        uplink.close().await;
                        return Ok(());
                    }
                    message => uplink.command(message),
                }
            }
            event = uplink.link.next() => {
                let before = uplink.state;
                uplink.event(event);
                if uplink.state != before {
                    settled();
                }
            }
            Some(answer) = uplink.asked.next() => uplink.out.push(answer),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => uplink.look_after(),
        }
    }
}

impl Uplink {
    fn new(account: Connect) -> Self {
        let (tls, meter) = (Tls::pinned(&account.ca), Arc::<Meter>::default());
        let directory = Directory {
            url: account.directory.clone(),
            token: Some(account.token.clone()),
            tls: tls.clone(),
            meter: meter.clone(),
        };
        let second = account.second.as_ref().map(|second| {
            let (tls, meter) = (Tls::pinned(&second.ca), meter.clone());
            Arc::new(Directory { url: second.directory.clone(), token: Some(second.token.clone()), tls, meter })
        });
        Self {
            tls,
            account: Arc::new(account),
            meter,
            directory: Arc::new(directory),
            second,
            told: Counters::default(),
            link: Link::Idle(None),
            state: LinkState::Connecting,
            sends: Sends::default(),
            iqs: Iqs::default(),
            pings: Vec::new(),
            peers: Peers::default(),
            asked: FuturesUnordered::new(),
            out: Vec::new(),
        }
    }

    fn command(&mut self, message: ToUplink) {
        match message {
            ToUplink::Connect(_) | ToUplink::Visit(_) | ToUplink::Close => {}
            ToUplink::Retry => self.connect(),
            ToUplink::Secrets { secret, token, second } => {
                let by = |token: Secret, it: &Directory| Arc::new(Directory { token: Some(token), ..it.clone() });
                self.directory = by(token.clone(), &self.directory);
                self.second = self.second.take().map(|it| by(second, &it));
                self.account = Arc::new(Connect { secret, token, ..(*self.account).clone() });
            }
            ToUplink::Send { request, to, sealed } => self.send(request, &to, &sealed),
            ToUplink::Presence { to, available } => self.presence(&to, available),
            ToUplink::Publish { request, bundle } => {
                let xml = stanza::publish(&iq_id(request), &self.account.node, &bundle.0);
                if bundle.0.len() > MAX_SEALED || !self.ask(request, Asked::Publish, &xml) {
                    self.out.push(FromUplink::Published { request, ok: false });
                }
            }
            ToUplink::Fetch { request, of } => {
                let xml = stanza::fetch(&iq_id(request), &self.jid(&of), &self.account.node);
                if !self.ask(request, Asked::Fetch(of.as_str().to_owned()), &xml) {
                    self.out.push(FromUplink::Fetched { request, result: Err(FetchError::Unavailable) });
                }
            }
            ToUplink::Evaluate { request, by, epoch, blinded } => self.evaluate(request, by, epoch, blinded),
            ToUplink::Errand { request, errand } => {
                self.asked.push(Box::pin(directory::errand(self.directory.clone(), request, errand)));
            }
            ToUplink::Ping { request } => self.ping(request),
        }
    }

    fn connect(&mut self) {
        if let Link::Idle(previous) = &mut self.link {
            let previous = previous.take();
            let attempt = login::attempt(self.account.clone(), self.tls.clone(), self.meter.clone(), previous);
            self.link = Link::Connecting(Box::pin(attempt));
            self.report(LinkState::Connecting);
        }
    }

    fn send(&mut self, request: RequestId, to: &Pseudonym, sealed: &Sealed) {
        let xml = stanza::headline(&message_id(request), &self.jid(to), sealed.as_bytes());
        match self.session() {
            Some(session) if sealed.as_bytes().len() <= MAX_SEALED => {
                session.send(&xml, Some(request), true);
                self.sends.sent(request, to.as_str());
            }
            _ => self.out.push(FromUplink::Bounced { request }),
        }
    }

    /// Lost when there is no connection: the core says it anew when there is one.
    fn presence(&mut self, to: &Pseudonym, available: bool) {
        let xml = stanza::presence(Some(&self.jid(to)), available);
        if let Some(session) = self.session() {
            session.send(&xml, None, true);
        }
    }

    fn evaluate(&mut self, request: RequestId, by: Operator, epoch: char, blinded: Vec<Point>) {
        let room = MAX_ASKED * (1 + usize::from(self.second.is_some()));
        let directory = match by {
            _ if self.asked.len() >= room => Err(DirectoryError::Unavailable),
            Operator::First => Ok(self.directory.clone()),
            Operator::Second => self.second.clone().ok_or(DirectoryError::Refused),
        };
        let directory = match directory {
            Ok(directory) => directory,
            Err(error) => return self.out.push(FromUplink::Evaluated { request, result: Err(error) }),
        };
        self.asked.push(Box::pin(async move {
            FromUplink::Evaluated { request, result: directory::evaluate(directory, epoch, blinded).await }
        }));
    }

    fn ping(&mut self, request: RequestId) {
        match &self.link {
            Link::Idle(_) => self.report(self.state),
            Link::Connecting(_) => self.pings.push(request),
            Link::Online(_) => {
                let xml = stanza::ping(&iq_id(request), &self.account.domain);
                if !self.ask(request, Asked::Ping, &xml) {
                    self.closed(Closed { reason: Offline::Timeout, resumable: true });
                }
            }
        }
    }

    /// Sends an IQ; false where there is no connection to send it over.
    fn ask(&mut self, request: RequestId, asked: Asked, xml: &str) -> bool {
        let Some(session) = self.session() else { return false };
        session.send(xml, None, false);
        self.iqs.sent(request, asked);
        true
    }

    fn event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Attempted(attempt) => self.attempted(attempt),
            LinkEvent::Session(Ok(Event::Acknowledged(requests))) => self.accepted(requests),
            LinkEvent::Session(Ok(Event::Stanza(element))) => {
                let heard = incoming::judge(&element, &self.account, &mut self.peers, &mut self.sends, &mut self.iqs);
                self.heard(heard);
            }
            LinkEvent::Session(Err(closed)) => self.closed(closed),
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Tell(message) => {
                let pong = matches!(message, FromUplink::Pong { .. });
                self.out.push(message);
                if pong {
                    self.count();
                }
            }
            Heard::Answer(xml) => {
                if let Some(session) = self.session() {
                    session.send(&xml, None, false);
                }
            }
            Heard::Expected => {}
            Heard::Ignore => {
                if let Link::Online(session) = &mut self.link {
                    session.ignore();
                }
            }
        }
    }

    fn attempted(&mut self, Attempt { result, previous, lost }: Attempt) {
        self.lost(lost);
        match result {
            Ok(Opened { session, resumed, accepted }) => {
                self.link = Link::Online(session);
                self.report(LinkState::Online { resumed });
                self.accepted(accepted);
                let pings = std::mem::take(&mut self.pings);
                self.out.extend(pings.into_iter().map(|request| FromUplink::Pong { request }));
            }
            Err(reason) => {
                self.link = Link::Idle(previous);
                self.offline(reason);
            }
        }
    }

    fn closed(&mut self, Closed { reason, resumable }: Closed) {
        let Link::Online(session) = std::mem::replace(&mut self.link, Link::Idle(None)) else { return };
        let sm = session.into_stream_management();
        if resumable && sm.id().is_some() {
            self.link = Link::Idle(Some(sm));
        } else {
            self.lost(sm.lost());
        }
        self.out.append(&mut self.iqs.failed());
        self.offline(reason);
    }

    fn offline(&mut self, reason: Offline) {
        self.pings.clear();
        self.report(LinkState::Offline(reason));
    }

    fn accepted(&mut self, requests: Vec<RequestId>) {
        self.out.extend(requests.into_iter().filter_map(|request| self.sends.accepted(request)));
    }

    fn lost(&mut self, requests: Vec<RequestId>) {
        self.out.extend(requests.into_iter().filter_map(|request| self.sends.lost(request)));
    }

    fn report(&mut self, state: LinkState) {
        self.state = state;
        self.out.push(FromUplink::Link(state));
        self.count();
    }

    fn count(&mut self) {
        self.told = self.meter.read();
        self.out.push(FromUplink::Counters(self.told));
    }

    /// Adds the counters to what goes to the core anyway: they alone are no reason to wake it.
    fn recount(&mut self) {
        if !self.out.is_empty() && self.meter.read() != self.told {
            self.count();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let keep_alive = Duration::from_secs(self.account.keep_alive.into());
        let session = match &self.link {
            Link::Online(session) => session.deadline(keep_alive),
            Link::Idle(_) | Link::Connecting(_) => None,
        };
        [session, self.iqs.deadline()].into_iter().flatten().min()
    }

    fn look_after(&mut self) {
        let (answers, ping) = self.iqs.expired();
        self.out.extend(answers);
        let due = self.deadline().is_some_and(|deadline| deadline <= Instant::now());
        let looked = match &mut self.link {
            _ if ping => Err(Closed { reason: Offline::Timeout, resumable: true }),
            Link::Online(session) if due => session.look_after(),
            _ => Ok(()),
        };
        if let Err(closed) = looked {
            self.closed(closed);
        }
    }

    async fn close(self) {
        if let Link::Online(session) = self.link {
            session.close().await;
        }
    }

    /// The session, if there is one that still moves.
    fn session(&mut self) -> Option<&mut Session> {
        match &mut self.link {
            Link::Online(session) => {
                let (stanzas, bytes) = session.backlog();
                (stanzas < MAX_BACKLOG.0 && bytes < MAX_BACKLOG.1).then_some(&mut **session)
            }
            Link::Idle(_) | Link::Connecting(_) => None,
        }
    }

    fn jid(&self, of: &Pseudonym) -> String {
        format!("{}@{}", of.as_str(), self.account.domain)
    }
}

/// The stanza id of a `Send`.
pub(crate) fn message_id(RequestId(request): RequestId) -> String {
    format!("m{request}")
}

/// The stanza id of any other request.
pub(crate) fn iq_id(RequestId(request): RequestId) -> String {
    format!("q{request}")
}

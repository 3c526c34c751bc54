//! A bound session with stream management: stanzas out, events in, and the deadlines that tell a dead
//! connection from a quiet one.

use super::element::{Element, NS_SM, is_stanza};
use super::frames::Frame;
use super::sm::StreamManagement;
use super::stanza;
use super::stream::{Broken, Stream};
use crate::wall::{Offline, RequestId};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the server may take for any sign of life once it was asked for one.
pub(crate) const RESPONSE: Duration = Duration::from_secs(20);
/// How long a polite end may take.
const CLOSE: Duration = Duration::from_secs(2);

/// What a session has to tell.
pub(crate) enum Event {
    /// A stanza came in.
    Stanza(Element),
    /// The server has taken these.
    Acknowledged(Vec<RequestId>),
}

/// Why a session ended, and whether it can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) reason: Offline,
    pub(crate) resumable: bool,
}

/// A session.
pub(crate) struct Session {
    stream: Stream,
    sm: StreamManagement,
    ask: bool,
    heard: Instant,
    /// Since when the server owes us a sign of life.
    owed: Option<Instant>,
    ignored: u64,
}

impl Session {
    pub(crate) fn new(stream: Stream, sm: StreamManagement) -> Self {
        Self { stream, sm, ask: false, heard: Instant::now(), owed: None, ignored: 0 }
    }

    /// Sends a stanza; `again` says whether it is still of use after a resume.
    pub(crate) fn send(&mut self, xml: &str, request: Option<RequestId>, again: bool) {
        self.stream.say(xml);
        self.sm.count_sent(request, again.then_some(xml));
        self.ask = true;
    }

    /// Stanzas that the server has not acknowledged, and bytes that were not even written.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.sm.waiting(), self.stream.unsaid())
    }

    /// A stanza that was no use to us. Strangers can send any number, so one line tells of many.
    pub(crate) fn ignore(&mut self) {
        self.ignored += 1;
        if self.ignored.is_power_of_two() {
            log::info!("{} stanzas from strangers were ignored", self.ignored);
        }
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, Closed> {
        loop {
            if std::mem::take(&mut self.ask) {
                self.ask_for_life();
            }
            let frame = self.stream.next().await.map_err(|broken| closed(&broken))?;
            self.heard = Instant::now();
            self.owed = None;
            let bytes = match frame {
                Frame::Element(bytes) => bytes,
                Frame::Oversized(start) => {
                    self.count(&start);
                    self.ignore();
                    continue;
                }
                Frame::Footer => return Err(Closed { reason: Offline::Broken, resumable: false }),
            };
            self.count(&bytes);
            let Ok(element) = Element::parse(&bytes) else {
                self.ignore();
                continue;
            };
            if let Some(condition) = element.stream_error() {
                return Err(ended_by(condition));
            }
            if element.is(NS_SM, "r") {
                self.stream.say(&format!("<a xmlns='{NS_SM}' h='{}'/>", self.sm.received()));
            } else if element.is(NS_SM, "a") {
                let accepted = element.h.map(|h| self.sm.acknowledge(h));
                match accepted {
                    Some(Ok(accepted)) => return Ok(Event::Acknowledged(accepted)),
                    Some(Err(error)) => {
                        log::warn!("{error}");
                        return Err(Closed { reason: Offline::Broken, resumable: false });
                    }
                    None => {}
                }
            } else {
                return Ok(Event::Stanza(element));
            }
        }
    }

    /// When to look after the connection, if nothing happens before.
    pub(crate) fn deadline(&self, keep_alive: Duration) -> Option<Instant> {
        match self.owed {
            Some(since) => Some(since + RESPONSE),
            None => (!keep_alive.is_zero()).then(|| self.heard + keep_alive),
        }
    }

    /// Looks after the connection at its deadline.
    pub(crate) fn look_after(&mut self) -> Result<(), Closed> {
        match self.owed {
            Some(since) if since.elapsed() >= RESPONSE => Err(Closed { reason: Offline::Timeout, resumable: true }),
            Some(_) => Ok(()),
            None => {
                self.ask_for_life();
                Ok(())
            }
        }
    }

    /// What a resume needs.
    pub(crate) fn into_stream_management(self) -> StreamManagement {
        self.sm
    }

    /// Leaves politely, so that no ghost of us stays online.
    pub(crate) async fn close(mut self) {
        self.stream.say(&stanza::presence(None, false));
        self.stream.say("</stream:stream>");
        let gone = async { while !matches!(self.stream.next().await, Ok(Frame::Footer) | Err(_)) {} };
        if timeout(CLOSE, gone).await.is_err() {
            log::info!("the server did not confirm our leave in time");
        }
    }

    fn ask_for_life(&mut self) {
        self.stream.say(&format!("<r xmlns='{NS_SM}'/>"));
        self.owed.get_or_insert_with(Instant::now);
    }

    fn count(&mut self, start: &[u8]) {
        if is_stanza(start) {
            self.sm.count_received();
        }
    }
}

/// What a broken stream means.
pub(crate) fn closed(broken: &Broken) -> Closed {
    log::debug!("{broken}");
    let timed_out = matches!(broken, Broken::Io(error) if error.kind() == std::io::ErrorKind::TimedOut);
    Closed { reason: if timed_out { Offline::Timeout } else { Offline::Broken }, resumable: true }
}

/// What a stream error means (RFC 6120 §4.9.3).
pub(crate) fn ended_by(condition: &str) -> Closed {
    log::info!("the server ended the stream: {condition}");
    let reason = match condition {
        "conflict" => Offline::Conflict,
        "not-authorized" => Offline::Auth,
        "connection-timeout" => Offline::Timeout,
        _ => Offline::Broken,
    };
    Closed { reason, resumable: false }
}

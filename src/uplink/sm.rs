//! Stream management (XEP-0198): what the server has taken, and what to say again after a resume.

use crate::wall::RequestId;
use std::collections::VecDeque;

/// A stanza that the server has not yet acknowledged.
#[derive(Debug)]
pub(crate) struct Unacked {
    /// The `Send` it carries out.
    pub(crate) request: Option<RequestId>,
    /// To be said again after a resume; nothing for what is of no use later.
    xml: Option<Box<str>>,
}

/// The state that outlives a connection.
#[derive(Debug)]
pub(crate) struct StreamManagement {
    /// To resume by; none where the server does not allow it.
    id: Option<String>,
    received: u32,
    acked: u32,
    unacked: VecDeque<Unacked>,
}

/// What is to be said again after a resume, with the `Send` that it carries out.
pub(crate) type Again = Vec<(Option<RequestId>, Box<str>)>;

/// The server acknowledged what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server acknowledged stanzas that were never sent")]
pub(crate) struct NeverSent;

impl StreamManagement {
    /// As enabled by the server.
    pub(crate) fn new(id: Option<String>) -> Self {
        Self { id, received: 0, acked: 0, unacked: VecDeque::new() }
    }

    /// What to resume by.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How many stanzas came in, modulo 2^32.
    pub(crate) fn received(&self) -> u32 {
        self.received
    }

    /// How many stanzas wait for an acknowledgement.
    pub(crate) fn waiting(&self) -> usize {
        self.unacked.len()
    }

    /// One more stanza came in.
    pub(crate) fn count_received(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// One more stanza goes out.
    pub(crate) fn count_sent(&mut self, request: Option<RequestId>, xml: Option<&str>) {
        self.unacked.push_back(Unacked { request, xml: xml.map(Into::into) });
    }

    /// The server has taken everything up to `h`: the requests that are thereby accepted.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<Vec<RequestId>, NeverSent> {
        let newly = usize::try_from(h.wrapping_sub(self.acked)).map_err(|_| NeverSent)?;
        if newly > self.unacked.len() {
            return Err(NeverSent);
        }
        self.acked = h;
        Ok(self.unacked.drain(..newly).filter_map(|stanza| stanza.request).collect())
    }

    /// Resumed: the server has taken everything up to `h`. The requests thereby accepted, and what to
    /// say again.
    pub(crate) fn resume(&mut self, h: u32) -> Result<(Vec<RequestId>, Again), NeverSent> {
        let accepted = self.acknowledge(h)?;
        let again = self.unacked.drain(..).filter_map(|stanza| Some((stanza.request, stanza.xml?))).collect();
        Ok((accepted, again))
    }

    /// The session is gone: the requests whose outcome nobody will ever tell.
    pub(crate) fn lost(self) -> Vec<RequestId> {
        self.unacked.into_iter().filter_map(|stanza| stanza.request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_three_sent() -> StreamManagement {
        let mut sm = StreamManagement::new(Some("id".to_owned()));
        sm.count_sent(Some(RequestId(1)), Some("<message/>"));
        sm.count_sent(None, None);
        sm.count_sent(Some(RequestId(2)), Some("<message id='2'/>"));
        sm
    }

    #[test]
    fn an_acknowledgement_accepts_what_came_before_it() {
        let mut sm = with_three_sent();
        assert_eq!(sm.acknowledge(2), Ok(vec![RequestId(1)]));
        assert_eq!(sm.acknowledge(2), Ok(vec![]));
        assert_eq!(sm.waiting(), 1);
        assert_eq!(sm.lost(), [RequestId(2)]);
    }

    #[test]
    fn more_than_was_sent_or_less_than_before_is_refused() {
        let mut sm = with_three_sent();
        assert_eq!(sm.acknowledge(4), Err(NeverSent));
        sm.acknowledge(2).unwrap();
        assert_eq!(sm.acknowledge(1), Err(NeverSent));
    }

    #[test]
    fn after_a_resume_only_what_is_still_of_use_is_said_again() {
        let mut sm = with_three_sent();
        let (accepted, again) = sm.resume(1).unwrap();
        assert_eq!(accepted, [RequestId(1)]);
        assert_eq!(again, [(Some(RequestId(2)), "<message id='2'/>".into())]);
        assert_eq!(sm.waiting(), 0);
    }

    #[test]
    fn the_counters_wrap() {
        let mut sm = StreamManagement::new(None);
        sm.acked = u32::MAX;
        sm.count_sent(Some(RequestId(7)), None);
        assert_eq!(sm.acknowledge(0), Ok(vec![RequestId(7)]));
        sm.received = u32::MAX;
        sm.count_received();
        assert_eq!(sm.received(), 0);
    }
}

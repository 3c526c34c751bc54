//! What was asked and is not answered yet: sends until nobody can bounce them, and IQs.

use super::session::RESPONSE;
use crate::wall::{FetchError, FromUplink, RequestId};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How long a ping may take: after a resume from suspend somebody waits for it.
const PING: Duration = Duration::from_secs(10);
/// How many sends are remembered; the oldest can no longer bounce.
const MAX_SENDS: usize = 1024;

struct SentTo {
    request: RequestId,
    to: String,
    accepted: bool,
}

/// Headlines on their way.
#[derive(Default)]
pub(crate) struct Sends(VecDeque<SentTo>);

impl Sends {
    /// One was sent.
    pub(crate) fn sent(&mut self, request: RequestId, to: &str) {
        if self.0.len() >= MAX_SENDS
            && let Some(oldest) = self.0.iter().position(|sent| sent.accepted)
        {
            self.0.remove(oldest);
        }
        self.0.push_back(SentTo { request, to: to.to_owned(), accepted: false });
    }

    /// The server took one: worth telling, unless it bounced before.
    pub(crate) fn accepted(&mut self, request: RequestId) -> Option<FromUplink> {
        let sent = self.0.iter_mut().find(|sent| sent.request == request && !sent.accepted)?;
        sent.accepted = true;
        Some(FromUplink::Accepted { request })
    }

    /// An error came back for one. A `from` that it was not sent to proves nothing.
    pub(crate) fn bounced(&mut self, request: RequestId, from: Option<&str>) -> Option<FromUplink> {
        let meant = |sent: &SentTo| sent.request == request && from.is_none_or(|from| from == sent.to);
        let place = self.0.iter().position(meant)?;
        self.0.remove(place);
        Some(FromUplink::Bounced { request })
    }

    /// One was lost with its session.
    pub(crate) fn lost(&mut self, request: RequestId) -> Option<FromUplink> {
        let place = self.0.iter().position(|sent| sent.request == request && !sent.accepted)?;
        self.0.remove(place);
        Some(FromUplink::Bounced { request })
    }
}

/// What an IQ was sent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Ping,
    Publish,
    /// A bundle of this account.
    Fetch(String),
}

struct Iq {
    request: RequestId,
    asked: Asked,
    until: Instant,
}

/// IQs on their way, oldest first.
#[derive(Default)]
pub(crate) struct Iqs(VecDeque<Iq>);

impl Iqs {
    /// One was sent now.
    pub(crate) fn sent(&mut self, request: RequestId, asked: Asked) {
        let patience = if asked == Asked::Ping { PING } else { RESPONSE };
        self.0.push_back(Iq { request, asked, until: Instant::now() + patience });
    }

    /// What `request` was for.
    pub(crate) fn asked(&self, request: RequestId) -> Option<&Asked> {
        self.0.iter().find(|iq| iq.request == request).map(|iq| &iq.asked)
    }

    /// It is answered.
    pub(crate) fn answered(&mut self, request: RequestId) {
        self.0.retain(|iq| iq.request != request);
    }

    /// When the first of them has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.iter().map(|iq| iq.until).min()
    }

    /// Answers for those that have waited long enough; whether a ping was among them.
    pub(crate) fn expired(&mut self) -> (Vec<FromUplink>, bool) {
        let now = Instant::now();
        let (expired, waiting) = self.0.drain(..).partition::<VecDeque<_>, _>(|iq| iq.until <= now);
        self.0 = waiting;
        let ping = expired.iter().any(|iq| iq.asked == Asked::Ping);
        (expired.into_iter().filter_map(unanswered).collect(), ping)
    }

    /// Answers for all: the session is gone.
    pub(crate) fn failed(&mut self) -> Vec<FromUplink> {
        self.0.drain(..).filter_map(unanswered).collect()
    }
}

fn unanswered(Iq { request, asked, .. }: Iq) -> Option<FromUplink> {
    match asked {
        // `Link(Offline)` is its answer.
        Asked::Ping => None,
        Asked::Publish => Some(FromUplink::Published { request, ok: false }),
        Asked::Fetch(_) => Some(FromUplink::Fetched { request, result: Err(FetchError::Unavailable) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: RequestId = RequestId(1);

    #[test]
    fn a_send_is_accepted_once_and_may_bounce_after() {
        let mut sends = Sends::default();
        sends.sent(ONE, "1b");
        assert_eq!(sends.bounced(ONE, Some("1c")), None, "a stranger's error proves nothing");
        assert_eq!(sends.accepted(ONE), Some(FromUplink::Accepted { request: ONE }));
        assert_eq!(sends.accepted(ONE), None);
        assert_eq!(sends.lost(ONE), None, "the server has it");
        assert_eq!(sends.bounced(ONE, Some("1b")), Some(FromUplink::Bounced { request: ONE }));
        assert_eq!(sends.bounced(ONE, Some("1b")), None);
    }

    #[test]
    fn what_bounced_before_its_acknowledgement_is_never_accepted() {
        let mut sends = Sends::default();
        sends.sent(ONE, "1b");
        assert!(sends.bounced(ONE, None).is_some());
        assert_eq!(sends.accepted(ONE), None);
    }

    #[test]
    fn unaccepted_sends_are_never_forgotten() {
        let mut sends = Sends::default();
        for n in 0..2000 {
            sends.sent(RequestId(n), "1b");
        }
        assert!((0..2000).all(|n| sends.accepted(RequestId(n)).is_some()));
        sends.sent(RequestId(2000), "1b");
        assert_eq!(sends.bounced(RequestId(0), None), None);
    }

    #[tokio::test]
    async fn a_lost_session_answers_every_question_but_the_ping() {
        let mut iqs = Iqs::default();
        iqs.sent(RequestId(1), Asked::Ping);
        iqs.sent(RequestId(2), Asked::Publish);
        iqs.sent(RequestId(3), Asked::Fetch("1b".to_owned()));
        iqs.answered(RequestId(9));
        let failed = iqs.failed();
        assert_eq!(failed.len(), 2);
        assert!(matches!(failed[0], FromUplink::Published { ok: false, .. }));
        assert!(matches!(failed[1], FromUplink::Fetched { result: Err(FetchError::Unavailable), .. }));
        assert_eq!(iqs.deadline(), None);
    }
}

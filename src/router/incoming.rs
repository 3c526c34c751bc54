//! What to do with a text that came in: shown exactly once, by one bearer or the other.

use super::granting::Obligation;
use crate::model::{Bearer, Shown, Timestamp};

/// What the store and the leases know when an IM comes in.
#[derive(Debug, Clone, Copy)]
pub struct ImFacts {
    /// What we owe its sender under the lease it names.
    pub lease: Obligation,
    /// Its id was shown before (also if deleted since).
    pub shown: bool,
    /// We told the sender that it never would be.
    pub revoked: bool,
    /// A text of this peer, wording and ordinal that was shown.
    pub twin: Option<Shown>,
    /// The peer is blocked.
    pub blocked: bool,
}

/// What becomes of an IM.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImVerdict {
    /// Commit it, show it, send a receipt.
    Show,
    /// It was shown before, as IM or as its twin: only send the receipt (again).
    Shown,
    /// It was revoked: say so again.
    Revoked,
    /// No live lease, or blocked: as if it had never come.
    Silence,
}

/// Judges an IM whose sender is proven.
pub fn judge_im(facts: &ImFacts) -> ImVerdict {
    let Obligation::Live { granted } = facts.lease else { return ImVerdict::Silence };
    if facts.blocked {
        return ImVerdict::Silence;
    }
    if facts.shown {
        return ImVerdict::Shown;
    }
    if facts.revoked {
        return ImVerdict::Revoked;
    }
    match facts.twin {
        // A forged SMS must not silence a later IM: only a lease older than the SMS lets it.
        Some(Shown { bearer: Bearer::Sms, at, .. }) if granted <= at => ImVerdict::Shown,
        _ => ImVerdict::Show,
    }
}

/// What the store knows when an SMS comes in.
#[derive(Debug, Clone, Copy)]
pub struct SmsFacts {
    /// The same SMS (sender, SMSC time stamp, content) was committed before.
    pub seen: bool,
    /// It ends in a mark, and this is what was shown under its peer, wording and ordinal.
    pub twin: Option<Shown>,
}

/// What becomes of an SMS.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsVerdict {
    /// Commit it and show it, mark stripped.
    Show,
    /// The network or a crash repeated it.
    Repeat,
    /// Its twin was shown as IM.
    Twin,
}

/// Judges an SMS.
pub fn judge_sms(facts: &SmsFacts) -> SmsVerdict {
    match facts {
        SmsFacts { seen: true, .. } => SmsVerdict::Repeat,
        SmsFacts { twin: Some(Shown { bearer: Bearer::Im, .. }), .. } => SmsVerdict::Twin,
        _ => SmsVerdict::Show,
    }
}

/// How long a committed SMS counts as seen. protocol.md §2 has 48 h, enough for what the network repeats; but
/// ModemManager keeps each SMS until somebody deletes it, and lists it again at its every start.
pub const SMS_SEEN_FOR: std::time::Duration = std::time::Duration::from_secs(90 * 24 * 3600);

/// Whether something shown at `at` is still remembered as a possible twin at `now`.
#[must_use]
pub fn twin_remembered(at: Timestamp, now: Timestamp) -> bool {
    at >= now.minus(std::time::Duration::from_secs(7 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TextId;

    const LIVE: Obligation = Obligation::Live { granted: Timestamp(1_000) };

    fn facts() -> ImFacts {
        ImFacts { lease: LIVE, shown: false, revoked: false, twin: None, blocked: false }
    }

    fn twin(bearer: Bearer, at: i64) -> Option<Shown> {
        Some(Shown { id: TextId([0; 16]), bearer, at: Timestamp(at) })
    }

    #[test]
    fn only_a_live_lease_shows_an_im() {
        assert_eq!(judge_im(&facts()), ImVerdict::Show);
        for lease in [Obligation::Closed, Obligation::None] {
            assert_eq!(judge_im(&ImFacts { lease, ..facts() }), ImVerdict::Silence);
        }
        assert_eq!(judge_im(&ImFacts { blocked: true, ..facts() }), ImVerdict::Silence);
    }

    #[test]
    fn a_resent_im_is_answered_again_and_not_shown_again() {
        assert_eq!(judge_im(&ImFacts { shown: true, ..facts() }), ImVerdict::Shown);
        assert_eq!(judge_im(&ImFacts { revoked: true, ..facts() }), ImVerdict::Revoked);
    }

    #[test]
    fn an_sms_twin_silences_only_an_im_of_an_older_lease() {
        assert_eq!(judge_im(&ImFacts { twin: twin(Bearer::Sms, 1_000), ..facts() }), ImVerdict::Shown);
        assert_eq!(judge_im(&ImFacts { twin: twin(Bearer::Sms, 999), ..facts() }), ImVerdict::Show);
        assert_eq!(judge_im(&ImFacts { twin: twin(Bearer::Im, 2_000), ..facts() }), ImVerdict::Show);
    }

    #[test]
    fn a_marked_sms_is_suppressed_only_by_an_im_shown_before() {
        let facts = |seen, twin| SmsFacts { seen, twin };
        assert_eq!(judge_sms(&facts(false, twin(Bearer::Im, 5))), SmsVerdict::Twin);
        assert_eq!(judge_sms(&facts(false, twin(Bearer::Sms, 5))), SmsVerdict::Show);
        assert_eq!(judge_sms(&facts(false, None)), SmsVerdict::Show);
        assert_eq!(judge_sms(&facts(true, None)), SmsVerdict::Repeat);
    }
}

//! What the daemon says of itself and of its health.

use super::Add;
use crate::ctl::doctor::finding::Verdict;
use crate::ctl::doctor::sight::{Daemon, Health};
use crate::ctl::output::time;
use crate::model::Timestamp;
use std::time::Duration;

/// It is renewed ten days before its end (`router::tenure`): by now that failed for long.
pub(super) const CERTIFICATE_LATE: Duration = Duration::from_secs(5 * 24 * 3600);
/// A firmware update that brings the CA's successor takes its time.
pub(super) const CA_LATE: Duration = Duration::from_secs(60 * 24 * 3600);

pub(super) fn says(daemon: &Daemon, add: &mut Add<'_>) {
    add("daemon", Verdict::Ok, &format!("version {}", daemon.version));
    if daemon.lacks.is_empty() {
        add("confinement", Verdict::Ok, "complete");
    } else {
        add("confinement", Verdict::Warning, &format!("lacks {}", daemon.lacks.join(", ")));
    }
    match daemon.lines.as_slice() {
        [] => add(
            "line",
            Verdict::Problem,
            "no SIM is seen: insert one, and see whether the modem service lists the modem",
        ),
        lines => {
            for (sim, enrolled) in lines {
                let (verdict, text) = match (sim.as_str(), enrolled) {
                    ("absent", _) => (Verdict::Problem, "its SIM is gone or can't be read"),
                    ("locked", _) => (Verdict::Problem, "its SIM waits for the PIN"),
                    ("searching", _) => (Verdict::Warning, "no network yet"),
                    (_, true) => (Verdict::Ok, "registered, enrolled"),
                    (_, false) => (Verdict::Warning, "registered, not enrolled: its texts go by SMS"),
                };
                add("line", verdict, text);
            }
        }
    }
    let (verdict, text) = match (daemon.state.as_str(), daemon.reason.as_str()) {
        ("off", "") => (Verdict::Ok, "the switch is off: not one packet leaves".to_owned()),
        ("online", _) => (Verdict::Ok, "reached".to_owned()),
        (_, "no-account") => (Verdict::Problem, "no account: enrol, or import an account file".to_owned()),
        (_, "unreachable") => {
            (Verdict::Problem, "no server of [cloud] servers answers: see network and config".to_owned())
        }
        (_, "tls") => (Verdict::Problem, "TLS fails: see [cloud] ca, and the clock".to_owned()),
        (_, "auth") => {
            (Verdict::Problem, "the server refuses the account: it was withdrawn or moved to another phone".to_owned())
        }
        (_, "conflict") => (Verdict::Problem, "another phone uses this account".to_owned()),
        (_, "uplink-died") => {
            (Verdict::Warning, "shuntd-uplink died, and is started again: its end is in the journal".to_owned())
        }
        (_, "broken") => (Verdict::Warning, "the server broke the connection: it is made again".to_owned()),
        (_, "timeout") => (Verdict::Warning, "the server did not answer: it is asked again".to_owned()),
        (_, why) if why.starts_with("store") => {
            (Verdict::Warning, "not asked while the store can't be used".to_owned())
        }
        (state, "") => (Verdict::Warning, format!("{state}: wait a moment")),
        (state, why) => (Verdict::Problem, format!("{state}: {why}")),
    };
    add("cloud", verdict, &text);
    add("switch", Verdict::Ok, if daemon.enabled { "on" } else { "off" });
}

pub(super) fn healthy(health: &Health, now: Timestamp, add: &mut Add<'_>) {
    match &health.store {
        None => add("store", Verdict::Ok, "in use"),
        Some(why) => {
            let text = format!("it can't be used ({why}): texts go by SMS; the journal says what to do");
            add("store", Verdict::Problem, &text);
        }
    }
    if let Some(end) = health.certificate {
        let date = time(end.0);
        if end <= now {
            let text = format!("ended {date}, and peers refuse it: it is renewed once the cloud is reached");
            add("certificate", Verdict::Problem, &text);
        } else if end.minus(CERTIFICATE_LATE) <= now {
            let text =
                format!("ends {date}, and should be renewed by now: switch on, and see that the cloud is reached");
            add("certificate", Verdict::Warning, &text);
        } else {
            add("certificate", Verdict::Ok, &format!("until {date}"));
        }
    }
    if let Some(end) = health.ca {
        let date = time(end.0);
        if end == Timestamp(0) {
            add("CA", Verdict::Problem, "no certificate can be read in [cloud] ca: the cloud is not trusted");
        } else if end <= now {
            add(
                "CA",
                Verdict::Problem,
                &format!("ended {date}: no cloud is trusted until [cloud] ca has its successor"),
            );
        } else if end.minus(CA_LATE) <= now {
            add("CA", Verdict::Warning, &format!("ends {date}: put its successor beside it in [cloud] ca"));
        } else {
            add("CA", Verdict::Ok, &format!("until {date}"));
        }
    }
    match &health.epoch {
        Some(own) if !health.epochs.contains(own) => {
            let text = format!("the account's, {own}, is not among those known ({}): enrol again", health.epochs);
            add("epochs", Verdict::Problem, &text);
        }
        Some(own) => add("epochs", Verdict::Ok, &format!("known: {}; the account's: {own}", health.epochs)),
        None if health.epochs.is_empty() => {
            add("epochs", Verdict::Warning, "none is pinned under [cloud] epochs: this phone can't enrol by itself");
        }
        None => add("epochs", Verdict::Ok, &format!("known: {}", health.epochs)),
    }
}

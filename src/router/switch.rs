//! The uplink's life: it exists only while the switch is on and there is an account or an enrolment, is started
//! again with back-off when it dies, and told to retry with back-off when the link is lost.

use super::backoff::Backoff;
use super::input::Link;
use crate::model::Instant;
use std::time::Duration;

/// `State` on D-Bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The switch is off and no uplink process exists.
    Off,
    /// The uplink starts or connects for the first time.
    Starting,
    /// There is no account yet, and the directory is asked for one.
    Enrolling,
    /// Connected.
    Online,
    /// On, but something is missing; the reason says what.
    Waiting,
    /// The switch is off, the uplink is not dead yet.
    Stopping,
}

/// `StateReason` on D-Bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// All is well.
    None,
    /// No account is imported.
    NoAccount,
    /// The uplink could not be started, or died.
    UplinkDied,
    /// No server address answers.
    Unreachable,
    /// TLS failed.
    Tls,
    /// The server refuses the account.
    Auth,
    /// Another session of the account took over.
    Conflict,
    /// The server broke the stream.
    Broken,
    /// Nothing came back in time.
    Timeout,
    /// The store cannot be used.
    Store,
}

/// What happened to switch, account, uplink or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchInput {
    /// The switch was set, and that is persisted.
    Set(bool),
    /// Whether there is an account.
    Account(bool),
    /// Whether an enrolment is under way.
    Enrolling(bool),
    /// The warden started the uplink.
    Started,
    /// It could not.
    StartFailed,
    /// The uplink is dead: stopped as asked, or by itself.
    Died,
    /// Bound to the server.
    Online,
    /// No connection; the uplink waits for a retry.
    Offline(Why),
    /// A deadline passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Have the warden start an uplink, then send it `Connect`.
    Start,
    /// Have the warden end it.
    Stop,
    /// Send it `Retry`.
    Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    None,
    Starting,
    Runs,
    Stopping,
}

/// The switch and what hangs on it.
#[derive(Debug)]
pub struct Switch {
    on: bool,
    account: bool,
    enrolling: bool,
    process: Process,
    online: bool,
    why: Why,
    deaths: Backoff,
    losses: Backoff,
    /// Refusals of the account in a row.
    refusals: u32,
    retry_at: Option<Instant>,
}

impl Default for Switch {
    fn default() -> Self {
        Self {
            on: false,
            account: false,
            enrolling: false,
            process: Process::None,
            online: false,
            why: Why::NoAccount,
            deaths: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            losses: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            refusals: 0,
            retry_at: None,
        }
    }
}

/// A server that is just starting refuses accounts that it does not know yet: so many refusals in a row may
/// be that.
const REFUSALS: u32 = 3;
/// Failures that time alone does not mend are tried again this much later.
const SLOW: u32 = 10;

impl Switch {
    /// Takes one input. `random` jitters a pause.
    #[must_use]
    pub fn handle(&mut self, now: Instant, random: u32, input: SwitchInput) -> Option<Step> {
        match input {
            SwitchInput::Set(on) => {
                self.on = on;
                self.fresh();
            }
            SwitchInput::Account(account) => {
                self.account = account;
                self.fresh();
            }
            SwitchInput::Enrolling(enrolling) => self.enrolling = enrolling,
            SwitchInput::Started => self.process = Process::Runs,
            // Its death may be told twice: by the wall's end and by the warden.
            SwitchInput::Died if matches!(self.process, Process::None | Process::Starting) => return None,
            SwitchInput::StartFailed | SwitchInput::Died => {
                let asked_for = self.process == Process::Stopping;
                self.process = Process::None;
                self.online = false;
                if !asked_for && self.wanted() {
                    self.why = Why::UplinkDied;
                    self.retry_at = Some(now.plus(self.deaths.next(random)));
                }
            }
            SwitchInput::Online => {
                self.online = true;
                self.why = Why::None;
                self.retry_at = None;
                self.deaths.reset();
                self.losses.reset();
                self.refusals = 0;
            }
            SwitchInput::Offline(why) => {
                self.online = false;
                self.why = why;
                self.refusals = if why == Why::Auth { self.refusals.saturating_add(1) } else { 0 };
                let slow = match why {
                    Why::Auth => self.refusals > REFUSALS,
                    Why::Tls | Why::Conflict => true,
                    _ => false,
                };
                let pause = self.losses.next(random).saturating_mul(if slow { SLOW } else { 1 });
                self.retry_at = Some(now.plus(pause));
            }
            SwitchInput::Tick if self.retry_at.is_some_and(|at| at <= now) => {
                self.retry_at = None;
                if self.process == Process::Runs {
                    return Some(Step::Retry);
                }
            }
            SwitchInput::Tick => return None,
        }
        self.next_step()
    }

    /// When [`SwitchInput::Tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// For `State`.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.process {
            Process::None if !self.on => Phase::Off,
            _ if !self.on => Phase::Stopping,
            _ if !self.account && self.enrolling => Phase::Enrolling,
            _ if !self.account => Phase::Waiting,
            _ if self.online => Phase::Online,
            _ if self.why == Why::None => Phase::Starting,
            _ => Phase::Waiting,
        }
    }

    /// For `StateReason`.
    #[must_use]
    pub fn why(&self) -> Why {
        match self.phase() {
            Phase::Off | Phase::Stopping => Why::None,
            _ if !self.account => Why::NoAccount,
            _ => self.why,
        }
    }

    /// For routing.
    #[must_use]
    pub fn link(&self) -> Link {
        match self.phase() {
            Phase::Online => Link::Up,
            Phase::Starting => Link::Connecting,
            Phase::Off | Phase::Enrolling | Phase::Waiting | Phase::Stopping => Link::Down,
        }
    }

    fn wanted(&self) -> bool {
        self.on && (self.account || self.enrolling)
    }

    /// The user did something: no pause from earlier failures applies.
    fn fresh(&mut self) {
        self.retry_at = None;
        self.deaths.reset();
        self.losses.reset();
        self.refusals = 0;
        if !self.online {
            self.why = Why::None;
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        match (self.wanted(), self.process) {
            (true, Process::None) if self.retry_at.is_none() => {
                self.process = Process::Starting;
                Some(Step::Start)
            }
            (false, Process::Runs) => {
                self.process = Process::Stopping;
                self.online = false;
                Some(Step::Stop)
            }
            _ => None,
        }
    }
}

impl Phase {
    /// The D-Bus token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Enrolling => "enrolling",
            Self::Online => "online",
            Self::Waiting => "waiting",
            Self::Stopping => "stopping",
        }
    }
}

impl Why {
    /// The D-Bus token; empty if there is nothing to say.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::None => "",
            Self::NoAccount => "no-account",
            Self::UplinkDied => "uplink-died",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Conflict => "conflict",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Store => "store",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(switch: &mut Switch, input: SwitchInput) -> Option<Step> {
        switch.handle(Instant(0), 0, input)
    }

    fn running() -> Switch {
        let mut switch = Switch::default();
        assert_eq!(step(&mut switch, SwitchInput::Account(true)), None);
        assert_eq!(step(&mut switch, SwitchInput::Set(true)), Some(Step::Start));
        assert_eq!(step(&mut switch, SwitchInput::Started), None);
        switch
    }

    #[test]
    fn new_is_off() {
        let switch = Switch::default();
        assert_eq!((switch.phase(), switch.link()), (Phase::Off, Link::Down));
    }

    #[test]
    fn on_without_an_account_waits_and_says_why() {
        let mut switch = Switch::default();
        assert_eq!(step(&mut switch, SwitchInput::Set(true)), None);
        assert_eq!((switch.phase(), switch.why()), (Phase::Waiting, Why::NoAccount));
        assert_eq!(step(&mut switch, SwitchInput::Account(true)), Some(Step::Start));
    }

    #[test]
    fn an_enrolment_has_an_uplink_of_its_own_and_the_account_another() {
        let mut switch = Switch::default();
        assert_eq!(step(&mut switch, SwitchInput::Enrolling(true)), None, "not while the switch is off");
        assert_eq!(step(&mut switch, SwitchInput::Set(true)), Some(Step::Start));
        assert_eq!((switch.phase(), switch.link()), (Phase::Enrolling, Link::Down));
        assert_eq!(step(&mut switch, SwitchInput::Started), None);
        assert_eq!(step(&mut switch, SwitchInput::Enrolling(false)), Some(Step::Stop));
        assert_eq!(step(&mut switch, SwitchInput::Account(true)), None);
        assert_eq!(step(&mut switch, SwitchInput::Died), Some(Step::Start));
        assert_eq!(switch.phase(), Phase::Starting);
    }

    #[test]
    fn off_is_reported_only_when_the_uplink_is_dead() {
        let mut switch = running();
        let _ = step(&mut switch, SwitchInput::Online);
        assert_eq!(step(&mut switch, SwitchInput::Set(false)), Some(Step::Stop));
        assert_eq!(switch.phase(), Phase::Stopping);
        assert_eq!(step(&mut switch, SwitchInput::Died), None);
        assert_eq!(switch.phase(), Phase::Off);
    }

    #[test]
    fn off_while_starting_stops_it_as_soon_as_it_runs() {
        let mut switch = Switch::default();
        let _ = step(&mut switch, SwitchInput::Account(true));
        let _ = step(&mut switch, SwitchInput::Set(true));
        assert_eq!(step(&mut switch, SwitchInput::Set(false)), None);
        assert_eq!(switch.phase(), Phase::Stopping);
        assert_eq!(step(&mut switch, SwitchInput::Started), Some(Step::Stop));
    }

    #[test]
    fn on_again_while_stopping_starts_anew_after_the_death() {
        let mut switch = running();
        let _ = step(&mut switch, SwitchInput::Set(false));
        assert_eq!(step(&mut switch, SwitchInput::Set(true)), None);
        assert_eq!(step(&mut switch, SwitchInput::Died), Some(Step::Start));
    }

    #[test]
    fn a_dying_uplink_is_started_again_with_growing_pauses() {
        let mut switch = running();
        let mut now = Instant(0);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            assert_eq!(switch.handle(now, u32::MAX, SwitchInput::Died), None);
            let due = switch.deadline().unwrap();
            pauses.push(due.since(now).as_secs());
            now = due;
            assert_eq!(switch.handle(now, 0, SwitchInput::Tick), Some(Step::Start));
            let _ = switch.handle(now, 0, SwitchInput::Started);
        }
        assert_eq!(pauses, [1, 2, 4, 8]);
    }

    #[test]
    fn a_lost_link_is_retried_and_a_wrong_certificate_much_later() {
        let mut switch = running();
        assert_eq!(step(&mut switch, SwitchInput::Offline(Why::Broken)), None);
        assert_eq!(switch.phase(), Phase::Waiting);
        let due = switch.deadline().unwrap();
        assert_eq!(switch.handle(due, 0, SwitchInput::Tick), Some(Step::Retry));
        let mut switch = running();
        let _ = switch.handle(Instant(0), u32::MAX, SwitchInput::Offline(Why::Tls));
        assert_eq!(switch.deadline(), Some(Instant(10_000)));
    }

    #[test]
    fn a_server_that_merely_restarts_is_not_taken_for_one_that_refuses_the_account() {
        let pauses = |switch: &mut Switch| -> Vec<u64> {
            let refused = |switch: &mut Switch| {
                let _ = switch.handle(Instant(0), u32::MAX, SwitchInput::Offline(Why::Auth));
                switch.deadline().unwrap().since(Instant(0)).as_secs()
            };
            (0..4).map(|_| refused(switch)).collect()
        };
        let mut switch = running();
        assert_eq!(pauses(&mut switch), [1, 2, 4, 80]);
        let _ = step(&mut switch, SwitchInput::Online);
        assert_eq!(pauses(&mut switch), [1, 2, 4, 80], "once it accepted, it begins anew");
    }
}

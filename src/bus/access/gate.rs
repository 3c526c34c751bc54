//! The gate: every call passes it. The only part of the bus that knows of dbus-daemon and polkit.

use super::callers::Callers;
use super::polkit::{self, Answer};
use super::{Caller, Polkit, Rules, Who};
use crate::bus::{Error, Request};
use futures_util::StreamExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};
use zbus::fdo::ConnectionCredentials;
use zbus::message::{Flags, Header, Type};
use zbus::{Connection, MatchRule, MessageStream};

/// What a caller wants to do; each has its polkit action and its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Send,
    Settings,
    Account,
}

impl Act {
    fn action(self) -> &'static str {
        match self {
            Self::Send => "org.shunt.Shunt1.send",
            Self::Settings => "org.shunt.Shunt1.settings",
            Self::Account => "org.shunt.Shunt1.account",
        }
    }

    fn verdict(self, answer: Answer) -> Result<(), Error> {
        Err(Error::Denied(match (self, answer) {
            (_, Answer::Allowed) => return Ok(()),
            (_, Answer::Challenge) => {
                "the user has to authenticate: call with interactive authorization allowed, or as root"
            }
            (_, Answer::Mute) => {
                "polkit does not answer: check that it runs and that org.shunt.Shunt1.policy is installed"
            }
            (Self::Send, Answer::Absent) => "add your uid or group to [access] send in the configuration",
            (Self::Settings, Answer::Absent) => "add your uid or group to [access] settings in the configuration",
            (Self::Account, Answer::Absent) => "add your uid or group to [access] account in the configuration",
            (Self::Account, _) => {
                "polkit refuses org.shunt.Shunt1.account: call from the active session, or add a rule"
            }
            (Self::Send, _) => "polkit refuses org.shunt.Shunt1.send: call from the active session, or add a rule",
            (Self::Settings, _) => {
                "polkit refuses org.shunt.Shunt1.settings: call from the active session, or add a rule"
            }
        }))
    }
}

/// A caller and what is needed to judge it.
struct Found {
    caller: Caller,
    gids: Vec<u32>,
}

/// Judges callers, remembers those that may send until they leave or polkit says `Changed`.
pub(in crate::bus) struct Gate {
    bus: Connection,
    rules: Rules,
    core: mpsc::Sender<Request>,
    callers: Mutex<Callers>,
    /// polkit has said something, or is another one.
    news: Notify,
}

impl Gate {
    /// A gate on a message bus. Returns once it would notice every change of polkit's.
    pub(in crate::bus) async fn new(
        bus: Connection,
        rules: Rules,
        core: mpsc::Sender<Request>,
    ) -> zbus::Result<Arc<Self>> {
        let asks_polkit = rules.polkit == Polkit::Auto;
        let gate = Arc::new(Self { bus, rules, core, callers: Mutex::default(), news: Notify::new() });
        if asks_polkit {
            let changed = MatchRule::builder()
                .msg_type(Type::Signal)
                .sender(polkit::NAME)
                .interface(polkit::AUTHORITY)
                .member("Changed")
                .build()?;
            gate.doubt_on(changed).await?;
            gate.doubt_on(owner_changed(polkit::NAME)?).await?;
        }
        Ok(gate)
    }

    async fn doubt_on(self: &Arc<Self>, rule: MatchRule<'static>) -> zbus::Result<()> {
        let mut signals = MessageStream::for_match_rule(rule, &self.bus, None).await?;
        let gate = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(signal) = signals.next().await {
                let Some(gate) = gate.upgrade() else { return };
                if signal.is_ok() {
                    gate.callers().doubt_all();
                    gate.news.notify_waiters();
                }
            }
        });
        Ok(())
    }

    pub(super) fn bus(&self) -> &Connection {
        &self.bus
    }

    /// Waits for news of polkit, from this call on.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    pub(super) fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a caller that may send, read texts and see routes.
    pub(in crate::bus) async fn may_send(self: &Arc<Self>, call: &Header<'_>) -> Result<(), Error> {
        let name = sender(call)?;
        if self.callers().is_granted(name) {
            return Ok(());
        }
        self.judge_in_order(name).await.map(|_| ())
    }

    /// As [`Self::may_send`], and tells who it is.
    pub(in crate::bus) async fn sender(self: &Arc<Self>, call: &Header<'_>) -> Result<Caller, Error> {
        let name = sender(call)?;
        {
            let callers = self.callers();
            if callers.is_granted(name)
                && let Some(caller) = callers.caller(name)
            {
                return Ok(caller);
            }
        }
        self.judge_in_order(name).await
    }

    /// As [`Self::sender`]; from now on the caller hears of texts.
    pub(in crate::bus) async fn listener(self: &Arc<Self>, call: &Header<'_>) -> Result<Caller, Error> {
        let caller = self.sender(call).await?;
        self.callers().listen(&caller.name);
        Ok(caller)
    }

    /// As [`Self::listener`], for a door: the core is told when it leaves, and it hears what its app's texts came to.
    /// One for which there is no room is refused: nobody would learn that it left.
    pub(in crate::bus) async fn door(self: &Arc<Self>, call: &Header<'_>) -> Result<Caller, Error> {
        let caller = self.listener(call).await?;
        let remembered = self.callers().is_door(&caller.name);
        if remembered { Ok(caller) } else { Err(Error::TooMany("connections; close one and try again")) }
    }

    /// Passes a caller that may turn the switch, change settings and policies, import.
    pub(in crate::bus) async fn may_set(self: &Arc<Self>, call: &Header<'_>) -> Result<Caller, Error> {
        self.may_now(call, Act::Settings).await
    }

    /// Passes a caller that may enrol, withdraw and export.
    pub(in crate::bus) async fn may_enrol(self: &Arc<Self>, call: &Header<'_>) -> Result<Caller, Error> {
        self.may_now(call, Act::Account).await
    }

    /// Never remembered: it is rare, and the user's authentication for it expires.
    async fn may_now(self: &Arc<Self>, call: &Header<'_>, act: Act) -> Result<Caller, Error> {
        let found = self.find(sender(call)?).await?;
        let interactive = call.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
        act.verdict(self.judge(&found, act, interactive).await)?;
        Ok(found.caller)
    }

    /// Judges one call of a caller after the other: none overtakes an earlier one.
    async fn judge_in_order(self: &Arc<Self>, name: &str) -> Result<Caller, Error> {
        let lane = self.callers().lane(name);
        let turn = lane.lock().await;
        let verdict = self.judge_and_remember(name).await;
        drop(turn);
        self.callers().leave_lane(name, lane);
        verdict
    }

    async fn judge_and_remember(self: &Arc<Self>, name: &str) -> Result<Caller, Error> {
        let (known, generation) = {
            let callers = self.callers();
            (callers.caller(name), callers.generation())
        };
        if known.is_some() {
            let (caller, answer) = self.judge_known(name).await?;
            return Act::Send.verdict(answer).map(|()| caller);
        }
        let found = self.find(name).await?;
        Act::Send.verdict(self.judge(&found, Act::Send, false).await)?;
        if !self.callers().has_room(found.caller.uid) {
            log::debug!("one caller more than can be remembered: each of its calls is judged anew");
            return Ok(found.caller);
        }
        // First listen for its leaving, then see whether it is still there: so that none stays for ever.
        if let Some(leaving) = self.leaving(name).await {
            self.find(name).await?;
            let mut callers = self.callers();
            let leaving = self.forget_on(leaving, name);
            callers.remember(found.caller.clone(), generation, leaving);
        }
        Ok(found.caller)
    }

    /// Judges one that is remembered, unless its judgement stands.
    pub(super) async fn judge_known(&self, name: &str) -> Result<(Caller, Answer), Error> {
        let generation = self.callers().generation();
        if self.callers().judgement_stands(name)
            && let Some(caller) = self.callers().caller(name)
        {
            return Ok((caller, Answer::Allowed));
        }
        let found = self.find(name).await?;
        let answer = self.judge(&found, Act::Send, false).await;
        if answer == Answer::Allowed {
            self.callers().regrant(name, generation);
            self.news.notify_waiters();
        }
        Ok((found.caller, answer))
    }

    /// polkit's answer; where there is none, the list's.
    async fn judge(&self, found: &Found, act: Act, interactive: bool) -> Answer {
        if found.caller.uid == 0 {
            return Answer::Allowed;
        }
        let answer = match self.rules.polkit {
            Polkit::Auto => polkit::check(&self.bus, &found.caller.name, act.action(), interactive).await,
            Polkit::Never => Answer::Absent,
        };
        let listed = match act {
            Act::Send => &self.rules.send,
            Act::Settings => &self.rules.settings,
            Act::Account => &self.rules.account,
        };
        if answer == Answer::Absent && listed.has(found) { Answer::Allowed } else { answer }
    }

    async fn find(&self, name: &str) -> Result<Found, Error> {
        let bus = "org.freedesktop.DBus";
        let reply = self
            .bus
            .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "GetConnectionCredentials", &name)
            .await
            .map_err(|_| Error::Denied("the caller has left the bus"))?;
        let body = reply.body();
        let credentials: ConnectionCredentials =
            body.deserialize().map_err(|_| Error::Denied("the bus does not say who calls"))?;
        let uid = credentials.unix_user_id().ok_or(Error::Denied("the bus does not say which user calls"))?;
        let unit = credentials.process_id().map(unit_of).unwrap_or_default();
        let gids = credentials.into_unix_group_ids().unwrap_or_default();
        Ok(Found { caller: Caller { name: name.into(), uid, unit }, gids })
    }

    /// Who calls, whatever it may.
    pub(in crate::bus) async fn who(&self, call: &Header<'_>) -> Result<Caller, Error> {
        self.find(sender(call)?).await.map(|found| found.caller)
    }

    /// Gives one signal when that caller leaves the bus.
    pub(in crate::bus) async fn leaving(&self, name: &str) -> Option<MessageStream> {
        let rule = owner_changed(name).ok()?;
        MessageStream::for_match_rule(rule, &self.bus, None).await.ok()
    }

    fn forget_on(self: &Arc<Self>, mut leaving: MessageStream, name: &str) -> tokio::task::AbortHandle {
        let gate = Arc::downgrade(self);
        let name: Box<str> = name.into();
        let task = tokio::spawn(async move {
            // A unique name's owner changes once: to nobody.
            if leaving.next().await.is_none() {
                return;
            }
            let Some(gate) = gate.upgrade() else { return };
            gate.forget(name);
        });
        task.abort_handle()
    }

    /// Forgets a caller that left or may no more, and what waits for it; tells the core if it watched something or is a door.
    pub(super) fn forget(&self, name: Box<str>) {
        if self.callers().forget(&name) {
            let core = self.core.clone();
            tokio::spawn(async move {
                if core.send(Request::CallerGone { name }).await.is_err() {
                    log::debug!("a caller left while the daemon stops");
                }
            });
        }
    }

    /// Enters a watch, within bounds.
    pub(in crate::bus) fn watch(&self, caller: &Caller, of: &str) -> Result<(), Error> {
        let fits = self.callers().watch(&caller.name, of);
        if fits { Ok(()) } else { Err(Error::TooMany("end some watches with Unwatch first")) }
    }

    /// Ends a watch.
    pub(in crate::bus) fn unwatch(&self, caller: &Caller, of: &str) -> Result<(), Error> {
        let was = self.callers().unwatch(&caller.name, of);
        if was { Ok(()) } else { Err(Error::NotFound("this connection does not watch that number")) }
    }
}

impl Who {
    fn has(&self, found: &Found) -> bool {
        self.uids.contains(&found.caller.uid) || found.gids.iter().any(|gid| self.gids.contains(gid))
    }
}

/// Who called: on a bus, always the sender that the bus vouches for.
fn sender<'m>(call: &'m Header<'_>) -> Result<&'m str, Error> {
    call.sender().map(|name| name.as_str()).ok_or(Error::Denied("the call has no sender"))
}

fn owner_changed(name: &str) -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")
        .path("/org/freedesktop/DBus")
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(0, name)
        .build()?;
    Ok(rule.into_owned())
}

/// The last part of a process's cgroup path, such as `chatty.service`: a hint for the record of the
/// switch, not proof; pids are reused.
fn unit_of(pid: u32) -> Box<str> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let unit = cgroups.lines().next().and_then(|line| line.rsplit('/').next()).unwrap_or_default();
    let plain = |c: &char| c.is_ascii_graphic();
    unit.chars().filter(plain).take(128).collect::<String>().into()
}

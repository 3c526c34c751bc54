//! What was seen, judged: pure.

use crate::ctl::output::time;
use crate::model::Timestamp;
use std::time::Duration;

/// It is renewed ten days before its end (`router::tenure`): by now that failed for long.
const CERTIFICATE_LATE: Duration = Duration::from_secs(5 * 24 * 3600);
/// A firmware update that brings the CA's successor takes its time.
const CA_LATE: Duration = Duration::from_secs(60 * 24 * 3600);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as it could.
    Warning,
    /// Something does not work.
    Problem,
    /// This user can't see it.
    Unseen,
}

impl Verdict {
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unseen => "unseen",
        }
    }
}

/// One line of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) verdict: Verdict,
    /// What is seen, and what to do.
    pub(super) text: String,
}

/// Whether something is there, as far as this user can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Yes,
    No,
    Unseen,
}

/// What the daemon says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Daemon {
    pub(super) version: String,
    pub(super) enabled: bool,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) lacks: Vec<String>,
    /// SIM state and whether enrolled, of each line.
    pub(super) lines: Vec<(String, bool)>,
}

/// What the daemon says of its own health.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// Why the store cannot be used.
    pub(super) store: Option<String>,
    pub(super) certificate: Option<Timestamp>,
    /// 1970 if it can't be read.
    pub(super) ca: Option<Timestamp>,
    /// The first characters of the epochs whose keys are known; the account's.
    pub(super) epochs: String,
    pub(super) epoch: Option<String>,
    /// With the agent backend: whether an agent is registered.
    pub(super) agent: Option<bool>,
}

/// Who owns what.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners {
    /// shunt-core's uid.
    pub(super) core: Option<u32>,
    /// shunt-uplink's.
    pub(super) uplink: Option<u32>,
    /// /var/lib/shunt: its owner and mode; `None` if there is none.
    pub(super) state: Option<(u32, u32)>,
    /// The uid of the bus name's owner.
    pub(super) name: Option<u32>,
}

/// All that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// Why there is no bus.
    pub(super) no_bus: Option<String>,
    /// `None`: nobody owns the name, or it does not answer.
    pub(super) daemon: Option<Daemon>,
    /// `None`: the daemon does not tell this user.
    pub(super) health: Option<Health>,
    pub(super) bus_policy: Seen,
    pub(super) modemmanager: bool,
    pub(super) ofono: bool,
    pub(super) polkit: bool,
    /// Our actions that polkit does not know.
    pub(super) missing_actions: Vec<&'static str>,
    pub(super) polkit_rule: Seen,
    /// Whether something starts the door at log-in: its user unit, or its autostart file.
    pub(super) door_unit: Seen,
    /// Whether somebody answers at the door's socket.
    pub(super) door: Seen,
    /// SMS apps of this user that run, and whether each goes through the door.
    pub(super) apps: Vec<(String, bool)>,
    pub(super) owners: Owners,
    pub(super) now: Timestamp,
}

/// Judges it, line by line.
pub(super) fn judge(sight: &Sight) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |what, verdict, text: &str| found.push(Finding { what, verdict, text: text.to_owned() });
    if let Some(why) = &sight.no_bus {
        add("bus", Verdict::Problem, &format!("the system bus can't be reached: {why}; is dbus-daemon running?"));
    } else {
        add("bus", Verdict::Ok, "reached");
        services(sight, &mut add);
    }
    owners(&sight.owners, &mut add);
    door(sight, &mut add);
    if sight.now < Timestamp::PLAUSIBLE {
        add("clock", Verdict::Problem, "it is not set: texts go by SMS until it is");
    } else {
        add("clock", Verdict::Ok, "set");
    }
    found
}

fn services(sight: &Sight, add: &mut impl FnMut(&'static str, Verdict, &str)) {
    match &sight.daemon {
        Some(daemon) => {
            daemon_says(daemon, add);
            match &sight.health {
                Some(health) => healthy(health, sight.now, add),
                None => add("health", Verdict::Unseen, "the daemon tells those who may send: ask as the phone's user"),
            }
        }
        None => {
            add(
                "daemon",
                Verdict::Problem,
                "org.shunt.Shunt1 is not on the bus: start shuntd; its journal says why not",
            );
            match sight.bus_policy {
                Seen::Yes => add("bus policy", Verdict::Ok, "installed"),
                Seen::No => {
                    add("bus policy", Verdict::Problem, "org.shunt.Shunt1.conf is not in dbus-1/system.d: install it")
                }
                Seen::Unseen => add("bus policy", Verdict::Unseen, "dbus-1/system.d can't be read by this user"),
            }
        }
    }
    let agent = sight.health.as_ref().and_then(|health| health.agent);
    match (sight.modemmanager, sight.ofono) {
        _ if agent == Some(true) => add("modem service", Verdict::Ok, "an agent is registered"),
        _ if agent == Some(false) => {
            add("modem service", Verdict::Problem, "no agent is registered, for which [modem] backend waits: start it")
        }
        (true, true) => {
            add("modem service", Verdict::Warning, "ModemManager and oFono both run: one of them should have the modem")
        }
        (true, false) => add("modem service", Verdict::Ok, "ModemManager"),
        (false, true) => add("modem service", Verdict::Ok, "oFono"),
        (false, false) => {
            add("modem service", Verdict::Problem, "neither ModemManager nor oFono is on the bus: start one")
        }
    }
    if !sight.polkit && agent.is_some() {
        add("polkit", Verdict::Warning, "it is not on the bus: [access] alone says who may use Shunt");
        return;
    }
    if !sight.polkit {
        // ModemManager lets nobody without it; our own lists go without.
        let verdict = if sight.ofono { Verdict::Warning } else { Verdict::Problem };
        add(
            "polkit",
            verdict,
            "it is not on the bus: ModemManager refuses everybody, and [access] alone says who may use Shunt",
        );
        return;
    }
    match sight.missing_actions.as_slice() {
        [] => add("polkit", Verdict::Ok, "knows our actions"),
        missing => {
            let text = format!("does not know {}: install org.shunt.Shunt1.policy", missing.join(", "));
            add("polkit", Verdict::Problem, &text);
        }
    }
    if agent.is_some() {
        // The rule is for the modem service.
        return;
    }
    match sight.polkit_rule {
        Seen::Yes => add("polkit rule", Verdict::Ok, "installed"),
        Seen::No if !sight.modemmanager => {
            add("polkit rule", Verdict::Warning, "not installed: ModemManager would refuse the core")
        }
        Seen::No => {
            add(
                "polkit rule",
                Verdict::Problem,
                "ModemManager refuses the core: install org.shunt.Shunt1.rules in polkit-1/rules.d",
            );
        }
        Seen::Unseen => add("polkit rule", Verdict::Unseen, "polkit-1/rules.d can't be read by this user: ask as root"),
    }
}

fn owners(owners: &Owners, add: &mut impl FnMut(&'static str, Verdict, &str)) {
    let create = "create it (init/ has files for sysusers and OpenRC), unless shuntd is told others";
    let mut sound = true;
    let mut wrong = |text: &str| {
        sound = false;
        add("owners", Verdict::Warning, text);
    };
    for (user, uid) in [("shunt-core", owners.core), ("shunt-uplink", owners.uplink)] {
        if uid.is_none() {
            wrong(&format!("there is no user {user}: {create}"));
        }
    }
    if let (Some(core), Some((uid, mode))) = (owners.core, owners.state)
        && (uid != core || mode != 0o700)
    {
        wrong(&format!("/var/lib/shunt has owner {uid} and mode {mode:03o}: make it shunt-core's, and 700"));
    }
    if let (Some(core), Some(uid)) = (owners.core, owners.name)
        && uid != core
    {
        wrong(&format!("user {uid} owns org.shunt.Shunt1, not shunt-core ({core}): see how shuntd is started"));
    }
    if sound {
        add("owners", Verdict::Ok, "shunt-core has name and store");
    }
}

fn daemon_says(daemon: &Daemon, add: &mut impl FnMut(&'static str, Verdict, &str)) {
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

fn healthy(health: &Health, now: Timestamp, add: &mut impl FnMut(&'static str, Verdict, &str)) {
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

fn door(sight: &Sight, add: &mut impl FnMut(&'static str, Verdict, &str)) {
    match sight.door_unit {
        Seen::Yes => add("door unit", Verdict::Ok, "installed"),
        Seen::No => {
            add("door unit", Verdict::Warning, "shunt-door.socket is not in systemd/user: nothing starts the door")
        }
        Seen::Unseen => add("door unit", Verdict::Unseen, "systemd/user can't be read by this user"),
    }
    match sight.door {
        Seen::Yes => add("door", Verdict::Ok, "its socket answers"),
        Seen::No => add(
            "door",
            Verdict::Warning,
            "nobody answers at shunt-door in XDG_RUNTIME_DIR: systemctl --user start shunt-door.socket",
        ),
        Seen::Unseen => add("door", Verdict::Unseen, "no XDG_RUNTIME_DIR: ask as the phone's user"),
    }
    for (app, through) in &sight.apps {
        if *through {
            add("app", Verdict::Ok, &format!("{app} goes through the door"));
        } else {
            add(
                "app",
                Verdict::Warning,
                &format!("{app} does not go through the door: its texts go by SMS until it is started again"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An installation to which nothing is lacking.
    fn sound() -> Sight {
        let daemon =
            Daemon { enabled: true, state: "online".into(), lines: vec![("home".into(), true)], ..Daemon::default() };
        Sight {
            no_bus: None,
            daemon: Some(daemon),
            health: Some(Health {
                store: None,
                certificate: Some(Timestamp::PLAUSIBLE.plus(2 * CERTIFICATE_LATE)),
                ca: Some(Timestamp::PLAUSIBLE.plus(2 * CA_LATE)),
                epochs: "ab".into(),
                epoch: Some("b".into()),
                agent: None,
            }),
            bus_policy: Seen::Yes,
            modemmanager: true,
            ofono: false,
            polkit: true,
            missing_actions: Vec::new(),
            polkit_rule: Seen::Yes,
            door_unit: Seen::Yes,
            door: Seen::Yes,
            apps: vec![("chatty".into(), true)],
            owners: Owners { core: Some(990), uplink: Some(991), state: Some((990, 0o700)), name: Some(990) },
            now: Timestamp::PLAUSIBLE,
        }
    }

    #[test]
    fn a_sound_installation_has_nothing_but_ok_on_one_screen() {
        let found = judge(&sound());
        assert!(found.len() <= 20 && found.iter().all(|finding| finding.text.len() < 100), "{found:?}");
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Ok), "{found:?}");
    }

    #[test]
    fn with_an_agent_no_modem_service_is_missed() {
        let mut sight = sound();
        (sight.modemmanager, sight.polkit_rule) = (false, Seen::No);
        sight.health.as_mut().unwrap().agent = Some(true);
        let found = judge(&sight);
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Ok), "{found:?}");
    }

    #[test]
    fn each_way_to_break_it_shows_in_its_own_line() {
        type Break = fn(&mut Sight);
        fn say(sight: &mut Sight, state: &str, reason: &str) {
            let daemon = sight.daemon.as_mut().unwrap();
            (daemon.state, daemon.reason) = (state.into(), reason.into());
        }
        fn health(sight: &mut Sight) -> &mut Health {
            sight.health.as_mut().unwrap()
        }
        fn ends(sight: &mut Sight, which: fn(&mut Health) -> &mut Option<Timestamp>, left: Duration) {
            *which(sight.health.as_mut().unwrap()) = Some(sight.now.plus(left));
        }
        let ways: [(&str, Verdict, Break); 42] = [
            ("bus", Verdict::Problem, |s| s.no_bus = Some("no".into())),
            ("daemon", Verdict::Problem, |s| s.daemon = None),
            ("bus policy", Verdict::Problem, |s| (s.daemon, s.bus_policy) = (None, Seen::No)),
            ("modem service", Verdict::Problem, |s| s.modemmanager = false),
            ("modem service", Verdict::Warning, |s| s.ofono = true),
            ("polkit", Verdict::Problem, |s| s.polkit = false),
            ("polkit", Verdict::Problem, |s| s.missing_actions = vec!["org.shunt.Shunt1.send"]),
            ("polkit rule", Verdict::Problem, |s| s.polkit_rule = Seen::No),
            ("polkit rule", Verdict::Unseen, |s| s.polkit_rule = Seen::Unseen),
            ("line", Verdict::Problem, |s| s.daemon.as_mut().unwrap().lines.clear()),
            ("line", Verdict::Problem, |s| s.daemon.as_mut().unwrap().lines = vec![("locked".into(), true)]),
            ("cloud", Verdict::Problem, |s| say(s, "waiting", "tls")),
            ("cloud", Verdict::Warning, |s| say(s, "off", "store-key-wrong")),
            ("cloud", Verdict::Problem, |s| say(s, "waiting", "no-account")),
            ("cloud", Verdict::Problem, |s| say(s, "waiting", "unreachable")),
            ("cloud", Verdict::Problem, |s| say(s, "waiting", "auth")),
            ("cloud", Verdict::Problem, |s| say(s, "waiting", "conflict")),
            ("cloud", Verdict::Warning, |s| say(s, "waiting", "uplink-died")),
            ("cloud", Verdict::Warning, |s| say(s, "waiting", "broken")),
            ("cloud", Verdict::Warning, |s| say(s, "waiting", "timeout")),
            ("health", Verdict::Unseen, |s| s.health = None),
            ("store", Verdict::Problem, |s| health(s).store = Some("store-full".into())),
            ("certificate", Verdict::Warning, |s| ends(s, |h| &mut h.certificate, CERTIFICATE_LATE)),
            ("certificate", Verdict::Problem, |s| ends(s, |h| &mut h.certificate, Duration::ZERO)),
            ("CA", Verdict::Warning, |s| ends(s, |h| &mut h.ca, CA_LATE)),
            ("CA", Verdict::Problem, |s| ends(s, |h| &mut h.ca, Duration::ZERO)),
            ("CA", Verdict::Problem, |s| health(s).ca = Some(Timestamp(0))),
            ("epochs", Verdict::Problem, |s| health(s).epochs = "a".into()),
            ("epochs", Verdict::Warning, |s| *health(s) = Health::default()),
            ("door unit", Verdict::Warning, |s| s.door_unit = Seen::No),
            ("door unit", Verdict::Unseen, |s| s.door_unit = Seen::Unseen),
            ("confinement", Verdict::Warning, |s| s.daemon.as_mut().unwrap().lacks = vec!["seccomp".into()]),
            ("door", Verdict::Warning, |s| s.door = Seen::No),
            ("app", Verdict::Warning, |s| s.apps = vec![("chatty".into(), false)]),
            ("clock", Verdict::Problem, |s| s.now = Timestamp(0)),
            ("modem service", Verdict::Problem, |s| health(s).agent = Some(false)),
            ("polkit", Verdict::Warning, |s| (s.polkit, health(s).agent) = (false, Some(true))),
            ("owners", Verdict::Warning, |s| s.owners.core = None),
            ("owners", Verdict::Warning, |s| s.owners.uplink = None),
            ("owners", Verdict::Warning, |s| s.owners.state = Some((990, 0o755))),
            ("owners", Verdict::Warning, |s| s.owners.state = Some((0, 0o700))),
            ("owners", Verdict::Warning, |s| s.owners.name = Some(0)),
        ];
        for (what, verdict, break_it) in ways {
            let mut sight = sound();
            break_it(&mut sight);
            let found = judge(&sight);
            assert!(found.iter().any(|f| f.what == what && f.verdict == verdict), "{what}: {found:?}");
        }
    }
}

//! What was seen, judged: pure.

mod daemon;
mod polkit;

use super::finding::{Finding, Verdict};
use super::sight::{Owners, Seen, Sight};
use crate::model::Timestamp;

/// Adds a line: what it is about, how bad it is, what is seen and what to do.
type Add<'a> = dyn FnMut(&'static str, Verdict, &str) + 'a;

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

fn services(sight: &Sight, add: &mut Add<'_>) {
    match &sight.daemon {
        Some(daemon) => {
            daemon::says(daemon, add);
            match &sight.health {
                Some(health) => daemon::healthy(health, sight.now, add),
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
    polkit::judge(sight, agent.is_some(), add);
}

fn owners(owners: &Owners, add: &mut Add<'_>) {
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

fn door(sight: &Sight, add: &mut Add<'_>) {
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
    use super::daemon::{CA_LATE, CERTIFICATE_LATE};
    use super::*;
    use crate::ctl::doctor::sight::{Daemon, Health, Polkit};
    use std::time::Duration;

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
            polkit: Some(Polkit {
                missing: Vec::new(),
                core: Seen::Yes,
                defaults_alike: Some(true),
                rights: Some((true, true)),
            }),
            door_unit: Seen::Yes,
            door: Seen::Yes,
            apps: vec![("chatty".into(), true)],
            owners: Owners { core: Some(990), uplink: Some(991), state: Some((990, 0o700)), name: Some(990) },
            now: Timestamp::PLAUSIBLE,
        }
    }

    fn polkit(sight: &mut Sight) -> &mut Polkit {
        sight.polkit.as_mut().unwrap()
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
        (sight.modemmanager, polkit(&mut sight).core) = (false, Seen::No);
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
        let ways: [(&str, Verdict, Break); 45] = [
            ("bus", Verdict::Problem, |s| s.no_bus = Some("no".into())),
            ("daemon", Verdict::Problem, |s| s.daemon = None),
            ("bus policy", Verdict::Problem, |s| (s.daemon, s.bus_policy) = (None, Seen::No)),
            ("modem service", Verdict::Problem, |s| s.modemmanager = false),
            ("modem service", Verdict::Warning, |s| s.ofono = true),
            ("polkit", Verdict::Problem, |s| s.polkit = None),
            ("polkit", Verdict::Warning, |s| (s.polkit, s.modemmanager, s.ofono) = (None, false, true)),
            ("polkit", Verdict::Problem, |s| polkit(s).missing = vec!["org.shunt.Shunt1.send"]),
            ("core's right", Verdict::Problem, |s| polkit(s).core = Seen::No),
            ("core's right", Verdict::Unseen, |s| polkit(s).core = Seen::Unseen),
            ("users' right", Verdict::Warning, |s| polkit(s).defaults_alike = Some(false)),
            ("users' right", Verdict::Warning, |s| polkit(s).rights = Some((true, false))),
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
            ("polkit", Verdict::Warning, |s| (s.polkit, health(s).agent) = (None, Some(true))),
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

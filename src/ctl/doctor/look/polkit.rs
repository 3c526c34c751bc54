//! Asks polkit. It answers root about everybody, and others about themselves.

use crate::bus::access::polkit::{AUTHORITY, Answer, NAME, PATH, check};
use crate::ctl::client::ROOT;
use crate::ctl::doctor::sight::{Polkit, Seen};
use std::collections::HashMap;
use zbus::Connection;

const SEND: &str = "org.shunt.Shunt1.send";
const ACTIONS: [&str; 3] = [SEND, "org.shunt.Shunt1.settings", "org.shunt.Shunt1.account"];
const MODEM_MANAGERS: &str = "org.freedesktop.ModemManager1.Messaging";

/// What polkit lets whom do by itself: anybody, who sits at an inactive session, who sits at the active one.
type Defaults = (u32, u32, u32);

pub(super) async fn look(bus: &Connection) -> Polkit {
    let known = actions(bus).await;
    let alike = |(ours, theirs)| ours == theirs;
    Polkit {
        missing: ACTIONS.into_iter().filter(|action| !known.contains_key(*action)).collect(),
        core: match core(bus).await {
            Some(Answer::Allowed) => Seen::Yes,
            Some(Answer::Refused | Answer::Challenge) => Seen::No,
            Some(Answer::Absent | Answer::Mute) | None => Seen::Unseen,
        },
        defaults_alike: known.get(SEND).zip(known.get(MODEM_MANAGERS)).map(alike),
        rights: own(bus).await,
    }
}

async fn actions(bus: &Connection) -> HashMap<String, Defaults> {
    type Action = (String, String, String, String, String, String, u32, u32, u32, HashMap<String, String>);
    let answer = bus.call_method(Some(NAME), PATH, Some(AUTHORITY), "EnumerateActions", &"").await;
    let known = answer.ok().and_then(|answer| answer.body().deserialize::<Vec<Action>>().ok()).unwrap_or_default();
    known.into_iter().map(|action| (action.0, (action.6, action.7, action.8))).collect()
}

/// Whether ModemManager may let the daemon text; `None` while there is no daemon.
async fn core(bus: &Connection) -> Option<Answer> {
    let dbus = Some("org.freedesktop.DBus");
    let owner = bus.call_method(dbus, "/org/freedesktop/DBus", dbus, "GetNameOwner", &ROOT).await.ok()?;
    let owner: String = owner.body().deserialize().ok()?;
    Some(check(bus, &owner, MODEM_MANAGERS, false).await)
}

/// What this user may: text by ModemManager, and by Shunt.
async fn own(bus: &Connection) -> Option<(bool, bool)> {
    let name = bus.unique_name()?.as_str();
    let mut may = [false; 2];
    for (may, action) in may.iter_mut().zip([MODEM_MANAGERS, SEND]) {
        *may = match check(bus, name, action, false).await {
            Answer::Allowed => true,
            Answer::Refused | Answer::Challenge => false,
            Answer::Absent | Answer::Mute => return None,
        };
    }
    Some(may.into())
}

//! What polkit says: whether it knows us, whether ModemManager lets the core text, and whether who may text by
//! ModemManager may by Shunt.

use super::Add;
use crate::ctl::doctor::finding::Verdict;
use crate::ctl::doctor::sight::{Polkit, Seen, Sight};

pub(super) fn judge(sight: &Sight, agent: bool, add: &mut Add<'_>) {
    let Some(polkit) = &sight.polkit else {
        absent(sight.ofono, agent, add);
        return;
    };
    match polkit.missing.as_slice() {
        [] => add("polkit", Verdict::Ok, "knows our actions"),
        missing => {
            let text = format!("does not know {}: install org.shunt.Shunt1.policy", missing.join(", "));
            add("polkit", Verdict::Problem, &text);
        }
    }
    // Neither an agent nor oFono asks polkit.
    if sight.modemmanager && !agent {
        rights(polkit, add);
    }
}

fn absent(ofono: bool, agent: bool, add: &mut Add<'_>) {
    let (verdict, text) = match (agent, ofono) {
        (true, _) => (Verdict::Warning, "it is not on the bus: [access] alone says who may use Shunt"),
        // ModemManager lets nobody without it; our own lists go without.
        (false, ofono) => (
            if ofono { Verdict::Warning } else { Verdict::Problem },
            "it is not on the bus: ModemManager refuses everybody, and [access] alone says who may use Shunt",
        ),
    };
    add("polkit", verdict, text);
}

fn rights(polkit: &Polkit, add: &mut Add<'_>) {
    let (verdict, text) = match polkit.core {
        Seen::Yes => (Verdict::Ok, "ModemManager lets it text"),
        Seen::No => (Verdict::Problem, "ModemManager refuses it: install org.shunt.Shunt1.rules in polkit-1/rules.d"),
        Seen::Unseen => (Verdict::Unseen, "polkit tells it root alone, while the daemon runs: ask as root"),
    };
    add("core's right", verdict, text);
    let (verdict, text) = match (polkit.defaults_alike, polkit.rights) {
        (_, Some((true, false))) => (
            Verdict::Warning,
            "this user may text by ModemManager and not by Shunt: see the rules for org.shunt.Shunt1.send",
        ),
        (_, Some((false, true))) => (
            Verdict::Warning,
            "this user may text by Shunt and not by ModemManager: see the rules for org.shunt.Shunt1.send",
        ),
        (Some(false), _) => {
            (Verdict::Warning, "polkit's defaults for org.shunt.Shunt1.send are not ModemManager's: make them so")
        }
        (_, None) => (Verdict::Unseen, "polkit does not judge texts by ModemManager, or by Shunt"),
        (_, Some(_)) => (Verdict::Ok, "who may text by ModemManager may by Shunt"),
    };
    add("users' right", verdict, text);
}

//! A line, read from what a modem's interfaces tell.

use super::bus::{CALLS, MESSAGES, NETWORK, SIM};
use crate::{
    model::{Home, Line, SimState},
    modem::{
        ModemError, NameLine,
        bus::{Place, Properties},
        name_slot,
        sim::{home, own_number},
    },
};

/// What a modem shows of its line.
pub(super) enum Found {
    /// No SIM whose identity is known.
    Nothing,
    /// No SIM, or none yet.
    NoSim,
    /// A line.
    Line(Line),
}

/// Reads the line of a modem with these interfaces. The ICCID goes into `name` and nowhere else.
pub(super) async fn read(modem: Place<'_>, interfaces: &[String], name: &NameLine) -> Result<Found, ModemError> {
    let has = |interface: &str| interfaces.iter().any(|known| known == interface);
    if !has(SIM) {
        return Ok(Found::Nothing);
    }
    let sim = modem.told(SIM).await?;
    if sim.flag("Present") != Some(true) {
        return Ok(Found::NoSim);
    }
    let Some(iccid) = sim.text("CardIdentifier").filter(|iccid| !iccid.is_empty()) else { return Ok(Found::Nothing) };
    // Registered or not, a modem that cannot text yet is of no use.
    let network = if has(NETWORK) && has(MESSAGES) { modem.told(NETWORK).await.ok() } else { None };
    let calls = if has(CALLS) { modem.told(CALLS).await.unwrap_or_default() } else { Properties::default() };
    let sim_home = [sim.text("SubscriberIdentity"), sim.text("MobileCountryCode")].into_iter().flatten().find_map(home);
    let number = sim.texts("SubscriberNumbers").iter().find_map(|own| own_number(own, sim_home));
    Ok(Found::Line(Line {
        id: name(iccid),
        modem: Some(modem.path.into()),
        slot: name_slot(modem.path, &**name),
        home: sim_home.or_else(|| number.as_ref().and_then(Home::of)),
        number,
        sim: sim_state(sim.text("PinRequired"), network.as_ref().and_then(|network| network.text("Status"))),
        emergency: calls.texts("EmergencyNumbers").into_iter().map(String::into_boxed_str).collect(),
    }))
}

/// From `SimManager.PinRequired` and `NetworkRegistration.Status`.
pub(super) fn sim_state(pin: Option<&str>, status: Option<&str>) -> SimState {
    match (pin, status) {
        (Some("pin" | "phone" | "firstphone" | "network" | "netsub" | "service" | "corp" | "puk"), _) => {
            SimState::Locked
        }
        (_, Some("registered")) => SimState::Home,
        (_, Some("roaming")) => SimState::Roaming,
        _ => SimState::Searching,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_tells_home_from_roaming() {
        assert_eq!(sim_state(Some("none"), Some("registered")), SimState::Home);
        assert_eq!(sim_state(Some("none"), Some("roaming")), SimState::Roaming);
        for status in [None, Some("unregistered"), Some("searching"), Some("denied"), Some("unknown")] {
            assert_eq!(sim_state(Some("none"), status), SimState::Searching);
        }
        assert_eq!(sim_state(Some("pin"), Some("registered")), SimState::Locked);
        assert_eq!(sim_state(Some("pin2"), Some("registered")), SimState::Home, "PIN2 guards no texts");
    }
}

//! A line, read from a modem's and its SIM's properties.

use super::bus::{MODEM_3GPP, SIM};
use crate::{
    model::{Home, Line, LineId, SimState, SlotId},
    modem::{
        ModemError,
        bus::{Place, Properties},
        name_slot,
        sim::{home, own_number},
    },
};

/// `MMModemState`.
const FAILED: i32 = -1;
const LOCKED: i32 = 2;
pub(super) const DISABLED: i32 = 3;
/// `MMModemStateFailedReason`.
const SIM_MISSING: u32 = 2;

/// Whether a modem has failed for want of a SIM; other failures say nothing of one.
pub(super) fn sim_is_missing(properties: &Properties) -> bool {
    properties.signed("State") == Some(FAILED) && properties.number("StateFailedReason") == Some(SIM_MISSING)
}

/// Where a modem's SIM sits. The device is the hardware's place or what its udev rule says, and stays when the modem is
/// probed anew.
pub(super) fn slot(modem: Place<'_>, properties: &Properties, name: &dyn Fn(&str) -> LineId) -> SlotId {
    name_slot(properties.text("Device").unwrap_or(modem.path), name)
}

/// Reads the line of a modem; `None` while it has no SIM whose identity is known, or cannot text.
/// The ICCID goes into `name` and nowhere else.
pub(super) async fn read(
    modem: Place<'_>,
    properties: &Properties,
    messaging: bool,
    name: &dyn Fn(&str) -> LineId,
) -> Result<Option<Line>, ModemError> {
    let state = properties.signed("State").unwrap_or(0);
    let Some(sim) = properties.path("Sim") else { return Ok(None) };
    if !messaging && state != LOCKED {
        return Ok(None);
    }
    let sim = Place { path: &sim, ..modem }.properties(SIM).await?;
    let Some(iccid) = sim.text("SimIdentifier").filter(|iccid| !iccid.is_empty()) else { return Ok(None) };
    let network = match state {
        FAILED | LOCKED => None,
        _ => modem.properties(MODEM_3GPP).await.ok(),
    };
    // The number may be written nationally, and home may have to be told from it.
    let own = properties.texts("OwnNumbers");
    let sim_home = [sim.text("Imsi"), sim.text("OperatorIdentifier")].into_iter().flatten().find_map(home);
    let number = own.iter().find_map(|own| own_number(own, sim_home));
    Ok(Some(Line {
        id: name(iccid),
        modem: Some(modem.path.into()),
        slot: slot(modem, properties, name),
        home: sim_home.or_else(|| number.as_ref().and_then(Home::of)),
        number,
        sim: sim_state(state, network.and_then(|network| network.number("RegistrationState"))),
        emergency: sim.texts("EmergencyNumbers").into_iter().map(String::into_boxed_str).collect(),
    }))
}

/// From `MMModemState` and `MMModem3gppRegistrationState`.
fn sim_state(state: i32, registration: Option<u32>) -> SimState {
    match (state, registration) {
        (FAILED, _) => SimState::Absent,
        (LOCKED, _) => SimState::Locked,
        // Home; home, SMS only; home, CSFB not preferred.
        (_, Some(1 | 6 | 9)) => SimState::Home,
        (_, Some(5 | 7 | 10)) => SimState::Roaming,
        // Idle, searching, denied, unknown, emergency calls only.
        _ => SimState::Searching,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_tells_home_from_roaming() {
        let registered = 8;
        for (registration, sim) in [
            (1, SimState::Home),
            (6, SimState::Home),
            (5, SimState::Roaming),
            (7, SimState::Roaming),
            (2, SimState::Searching),
            (8, SimState::Searching),
        ] {
            assert_eq!(sim_state(registered, Some(registration)), sim);
        }
        assert_eq!(sim_state(LOCKED, Some(1)), SimState::Locked);
        assert_eq!(sim_state(FAILED, None), SimState::Absent);
        assert_eq!(sim_state(DISABLED, None), SimState::Searching);
    }
}

//! The switch. While it is off no text is held, and the core is asked about none; what came by instant message before,
//! and what went as such, is shown on.
//!
//! What counts is what the core said last, also while it hangs or another one starts; until it has said something the
//! switch is off. Turned on, it is told here long before the link is up, without which no text goes by IM.

use super::{Desk, Purpose, names::*, objects::Dict};
use crate::door::{rules::Arg, wire::Message};
use zbus::OwnedVariant;

const ENABLED: &str = "Enabled";

impl Desk {
    pub(super) fn listen_to_switch(&mut self) {
        let rule = format!(
            "type='signal',sender='{CORE}',interface='{PROPERTIES}',member='PropertiesChanged',path='{CORE_PATH}',arg0='{CORE_SETTINGS}'"
        );
        self.call(Purpose::Forget, (BUS, BUS_PATH, BUS, "AddMatch"), &(rule,));
    }

    pub(super) fn ask_switch(&mut self) {
        self.call(Purpose::Switch, (CORE, CORE_PATH, PROPERTIES, "Get"), &(CORE_SETTINGS, ENABLED));
    }

    pub(super) fn found_switch(&mut self, message: &Message<'_>) {
        if let Some((value,)) = message.body::<(OwnedVariant,)>() {
            self.turn(&value);
        }
    }

    /// The core's settings changed.
    pub(super) fn switched(&mut self, message: &Message<'_>) -> Option<()> {
        let (interface, changed, _): (String, Dict, Vec<String>) = message.body()?;
        if let Some(value) = changed.get(ENABLED).filter(|_| interface == CORE_SETTINGS) {
            self.turn(value);
            // An answer that is still to come may have been read before.
            self.calls.retain(|_, purpose| !matches!(purpose, Purpose::Switch));
            self.settle();
        }
        self.unless_asked(message, CORE, &[Arg::Text(&interface), Arg::Other, Arg::Other])
    }

    fn turn(&mut self, value: &OwnedVariant) {
        if let Ok(on) = bool::try_from(value) {
            self.on = on;
        }
    }

    /// Whether the core is asked about texts. One that is not there is not waited for.
    pub(super) fn diverts(&self) -> bool {
        self.on && self.core.is_some()
    }
}

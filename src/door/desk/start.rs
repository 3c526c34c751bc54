//! Who owns which name, which modems there are, and what came before.

use super::{Desk, Phase, Purpose, names::*, objects::Dict};
use crate::door::{
    rules::{Arg, Signal},
    wire::Message,
};
use std::collections::HashMap;
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

pub(super) type Interfaces = HashMap<String, Dict>;
pub(super) type Objects = HashMap<OwnedObjectPath, Interfaces>;

impl Desk {
    /// Asks what must be known before the app's first call to a modem service passes.
    pub(super) fn start(&mut self) {
        self.phase = Phase::Starting(self.in_patience());
        for name in [MM, OFONO, CORE] {
            let rule = format!(
                "type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',path='{BUS_PATH}',arg0='{name}'"
            );
            self.call(Purpose::Forget, (BUS, BUS_PATH, BUS, "AddMatch"), &(rule,));
            self.call(Purpose::Owner(name), (BUS, BUS_PATH, BUS, "GetNameOwner"), &(name,));
        }
        let rule = format!("type='signal',sender='{MM}',interface='{OBJECTS}',path='{MM_PATH}'");
        self.call(Purpose::Forget, (BUS, BUS_PATH, BUS, "AddMatch"), &(rule,));
        self.listen_to_switch();
    }

    /// The start ends with its last answer.
    pub(super) fn settle(&mut self) {
        let open = |purpose: &Purpose| {
            matches!(
                purpose,
                Purpose::Owner(_)
                    | Purpose::Switch
                    | Purpose::Lines
                    | Purpose::Inbox { .. }
                    | Purpose::Sent
                    | Purpose::Twins
            )
        };
        if matches!(self.phase, Phase::Starting(_)) && !self.calls.values().any(open) {
            self.ready();
        }
    }

    /// What is known now the app reads by itself; what comes from now on it is told.
    pub(super) fn ready(&mut self) {
        self.phase = Phase::Ready;
        self.lines.all_told(true);
    }

    pub(super) fn owner(&mut self, name: &'static str, owner: Option<String>) {
        match name {
            MM => {
                self.mm = owner;
                // A new one numbers its objects afresh.
                self.sent.clear();
                self.reports.clear();
                self.hidden.clear();
                self.judged.clear();
                self.lines.forget_telling();
                self.ask_sent();
            }
            OFONO => {
                self.tell_incoming();
                self.ofono = owner;
            }
            _ => {
                self.core = owner;
                if self.core.is_some() {
                    self.ask_switch();
                    self.ask_inbox_anew();
                    self.ask_lines_anew();
                    self.ask_sent();
                    self.divert_again();
                }
            }
        }
    }

    /// Asks the core, where there is one, what of the modem service's objects it diverted, and which are twins.
    fn ask_sent(&mut self) {
        if let (Some(owner), true) = (self.mm.clone(), self.core.is_some()) {
            let options = HashMap::from([("owner", Variant::from(owner.as_str()))]);
            self.call_core(Purpose::Sent, "Sent", &(&options,));
            self.call_core(Purpose::Twins, "Twins", &(options,));
        }
    }

    pub(super) fn owner_changed(&mut self, message: &Message<'_>) -> Option<()> {
        let (name, old, new): (String, String, String) = message.body()?;
        let known = [MM, OFONO, CORE].into_iter().find(|known| *known == name);
        let args = [Arg::Text(&name), Arg::Text(&old), Arg::Text(&new)];
        if let Some(known) = known {
            self.owner(known, (!new.is_empty()).then(|| new.clone()));
        }
        self.unless_asked(message, BUS, &args)
    }

    /// Takes a signal that only the door asked for.
    pub(super) fn unless_asked(&self, message: &Message<'_>, known_as: &str, args: &[Arg<'_>]) -> Option<()> {
        let head = &message.head;
        let signal = Signal {
            sender: head.sender,
            known_as,
            path: head.path,
            interface: head.interface,
            member: head.member,
            args,
        };
        (head.destination.is_empty() && !self.rules.want(&signal)).then_some(())
    }
}

/// The modem that has this SMS.
pub(super) fn modem_of(objects: &Objects, sms: &str) -> Option<String> {
    let has = |interfaces: &Interfaces| {
        let messages: OwnedVariant = interfaces.get(MESSAGING)?.get("Messages")?.try_clone().ok()?;
        let messages: Vec<OwnedObjectPath> = messages.try_into().ok()?;
        messages.iter().any(|message| message.as_str() == sms).then_some(())
    };
    objects.iter().find(|(_, interfaces)| has(interfaces).is_some()).map(|(path, _)| path.to_string())
}

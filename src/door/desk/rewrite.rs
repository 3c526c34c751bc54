//! What ModemManager says, with what it doesn't know: instant messages among its own, texts that went as
//! such shown as sent, twins left out. Where nothing is to be changed, its own bytes pass.

use super::{
    Desk, MESSAGING, MM, MODEM_PATH, PROPERTIES, Purpose, SMS,
    local::Reply,
    objects::{Dict, reference, set},
    start::{Interfaces, Objects},
};
use crate::door::{
    header::{Head, Kind},
    rules::Arg,
    wire::{Message, write},
};
use crate::router::split_mark;
use std::collections::HashMap;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

/// A call of the app's whose answer is changed.
#[derive(Debug)]
pub(super) enum Tracked {
    All {
        path: String,
        interface: String,
    },
    One {
        path: String,
        interface: String,
        name: String,
    },
    List {
        modem: String,
    },
    Managed,
    /// Its place was taken by a Ping.
    Replied(Reply),
    /// The same for a Send: the object is shown as sent with it.
    Sent {
        sms: String,
    },
    /// The same for oFono's SendMessage.
    SentByOfono {
        modem: String,
        token: String,
    },
}

impl Desk {
    /// `None`: the answer passes as it is.
    pub(super) fn rewrite(&mut self, tracked: Tracked, message: &Message<'_>) -> Option<()> {
        let head = &message.head;
        let is_sent = matches!(tracked, Tracked::Sent { .. } | Tracked::SentByOfono { .. });
        if head.kind == Kind::Error && !is_sent {
            // The modem service is gone, or refuses: that is the answer. A text that left has left, though.
            return None;
        }
        match tracked {
            Tracked::Replied(reply) => match reply {
                Reply::Nothing => self.answer(head, "", &()),
                Reply::All(all) => self.answer(head, "", &(all,)),
                Reply::One(value) => self.answer(head, "", &(&*value,)),
                Reply::Text(text) => self.answer(head, "", &(text,)),
                Reply::Error(name, said) => self.answer(head, name, &(said,)),
            },
            Tracked::Sent { sms } => {
                self.answer(head, "", &())?;
                self.show_state(&sms, 5);
                Some(())
            }
            Tracked::SentByOfono { modem, token } => self.sent_by_ofono(head, &modem, &token),
            Tracked::All { path, interface } => {
                let (mut all,): (Dict,) = message.body()?;
                self.change(&path, &interface, &mut all)?;
                self.answer(head, "", &(all,))
            }
            Tracked::One { path, interface, name } => {
                let (value,): (OwnedVariant,) = message.body()?;
                // What a property becomes may hang on the others; the object's state is all that does.
                let mut all = Dict::from([(name.clone(), value)]);
                self.change(&path, &interface, &mut all)?;
                self.answer(head, "", &(&**all.get(&name)?,))
            }
            Tracked::List { modem } => {
                let (paths,): (Vec<OwnedObjectPath>,) = message.body()?;
                let merged = self.merged(&modem, &paths)?;
                self.answer(head, "", &(as_paths(&merged),))
            }
            Tracked::Managed => {
                let (mut objects,): (Objects,) = message.body()?;
                let mut changed = false;
                for (path, interfaces) in &mut objects {
                    changed |= self.change_modem(path, interfaces);
                }
                if changed { self.answer(head, "", &(objects,)) } else { None }
            }
        }
    }

    /// An object's properties of one interface; `None` where they stay as they are.
    fn change(&self, path: &str, interface: &str, all: &mut Dict) -> Option<()> {
        match interface {
            MESSAGING => {
                let paths: Vec<OwnedObjectPath> = all.get("Messages")?.try_clone().ok()?.try_into().ok()?;
                let merged = self.merged(path, &paths)?;
                set(all, "Messages", as_paths(&merged));
                Some(())
            }
            SMS => self.change_sms(path, all),
            _ => None,
        }
    }

    fn change_sms(&self, path: &str, all: &mut Dict) -> Option<()> {
        if let Some(sent) = self.sent.get(path) {
            if all.contains_key("State") {
                set(all, "State", sent.state);
            }
            if all.contains_key("MessageReference") {
                set(all, "MessageReference", reference(path));
            }
            return Some(());
        }
        // A fallback SMS may end in a mark, which is no part of its text.
        let text: String = all.get("Text")?.try_clone().ok()?.try_into().ok()?;
        let (shown, _) = split_mark(&text)?;
        set(all, "Text", shown);
        Some(())
    }

    fn change_modem(&self, path: &str, interfaces: &mut Interfaces) -> bool {
        let all = interfaces.get_mut(MESSAGING);
        path.starts_with(MODEM_PATH) && all.is_some_and(|all| self.change(path, MESSAGING, all).is_some())
    }

    /// A modem's messages with ours; `None` where they are the same.
    pub(super) fn merged(&self, modem: &str, real: &[OwnedObjectPath]) -> Option<Vec<String>> {
        // The first, where there are several: the core says of no message which line it came to.
        let here = self.modems.first().is_none_or(|first| first == modem);
        let ours: Vec<&String> = self.inbox.keys().chain(self.reports.keys()).filter(|_| here).collect();
        let kept = real.iter().map(|path| path.as_str()).filter(|path| !self.hidden.contains(*path));
        let kept: Vec<String> = kept.map(str::to_owned).collect();
        if ours.is_empty() && kept.len() == real.len() {
            return None;
        }
        Some(kept.into_iter().chain(ours.into_iter().cloned()).collect())
    }

    pub(super) fn properties_changed(&mut self, message: &Message<'_>) -> Option<()> {
        let (interface, mut all, invalid): (String, Dict, Vec<String>) = message.body()?;
        self.change(message.head.path, &interface, &mut all)?;
        self.pass_changed(&message.head, &(interface, all, invalid))
    }

    pub(super) fn interfaces_added(&mut self, message: &Message<'_>) -> Option<()> {
        let (path, mut interfaces): (OwnedObjectPath, Interfaces) = message.body()?;
        if path.starts_with(MODEM_PATH) {
            self.modems.insert(path.to_string());
        }
        self.unless_asked(message, MM, &[Arg::Path(&path), Arg::Other]).or_else(|| {
            self.change_modem(&path, &mut interfaces)
                .then(|| self.pass_changed(&message.head, &(&path, interfaces)))
                .flatten()
        })
    }

    pub(super) fn interfaces_removed(&mut self, message: &Message<'_>) -> Option<()> {
        let (path, interfaces): (OwnedObjectPath, Vec<String>) = message.body()?;
        if interfaces.iter().any(|interface| interface == "org.freedesktop.ModemManager1.Modem") {
            let was_first = self.modems.first().is_some_and(|first| first == path.as_str());
            self.modems.remove(path.as_str());
            if was_first {
                // Another shows them now, unless it is still to come and tells them itself.
                let ours = self.inbox.keys().chain(self.reports.keys()).cloned().collect();
                self.tell_at_first(ours, vec![]);
            }
        }
        self.unless_asked(message, MM, &[Arg::Path(&path), Arg::Other])
    }

    /// Tells the app a signal of the modem service's with another body.
    fn pass_changed<B: serde::Serialize + zbus::Type>(&mut self, head: &Head<'_>, body: &B) -> Option<()> {
        self.out.push(super::Action::ToApp(write(head, body)?));
        Some(())
    }

    /// A text that went as an instant message has this state now.
    pub(super) fn show_state(&mut self, sms: &str, state: u32) {
        let changed: HashMap<&str, Variant<'_>> = HashMap::from([("State", Variant::from(state))]);
        self.mm_signal(
            (sms, PROPERTIES, "PropertiesChanged"),
            &[Arg::Text(SMS), Arg::Other, Arg::Other],
            &(SMS, changed, Vec::<&str>::new()),
        );
    }

    /// Tells the app of objects that only the door shows, or shows no more.
    pub(super) fn tell(&mut self, modem: &str, came: Vec<String>, went: Vec<String>) {
        // A client lists from the Messages that it was told last, so they are told first; and only
        // ModemManager knows its own.
        let purpose = Purpose::Messages { modem: modem.to_owned(), came, went };
        self.call_mm(purpose, (modem, PROPERTIES, "Get"), &(MESSAGING, "Messages"));
    }

    pub(super) fn announce(&mut self, modem: &str, came: &[String], went: &[String], message: &Message<'_>) {
        let Some((value,)) = message.body::<(OwnedVariant,)>() else { return };
        let Ok(real) = Vec::<OwnedObjectPath>::try_from(value) else { return };
        let all = self.merged(modem, &real).unwrap_or_else(|| real.iter().map(ToString::to_string).collect());
        let changed: HashMap<&str, Variant<'_>> = HashMap::from([("Messages", Variant::from(as_paths(&all)))]);
        self.mm_signal(
            (modem, PROPERTIES, "PropertiesChanged"),
            &[Arg::Text(MESSAGING), Arg::Other, Arg::Other],
            &(MESSAGING, changed, Vec::<&str>::new()),
        );
        for path in came {
            let args = [Arg::Path(path), Arg::Other];
            self.mm_signal((modem, MESSAGING, "Added"), &args, &(super::object(path), true));
        }
        for path in went {
            self.mm_signal((modem, MESSAGING, "Deleted"), &[Arg::Path(path)], &(super::object(path),));
        }
    }
}

fn as_paths(paths: &[String]) -> Vec<ObjectPath<'_>> {
    paths.iter().map(|path| super::object(path)).collect()
}

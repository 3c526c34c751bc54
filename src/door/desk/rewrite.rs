//! What ModemManager says, with what it doesn't know: instant messages among its own, texts that went as
//! such shown as sent, twins left out. Where nothing is to be changed, its own bytes pass.

use super::{
    Desk,
    local::Reply,
    names::*,
    objects::{Dict, reference, set},
    sent::SENT,
    start::{Interfaces, Objects},
};
use crate::door::{
    header::{Head, Kind},
    rules::Arg,
    wire::{Message, write},
};
use crate::router::split_mark;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant};

/// What the bus says where its policy forbids a call.
const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";

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
    /// A call that was held and has passed: its answer passes too.
    Passed,
    /// [`Desk::ping`] took its place: what to answer, and in whose (unique) name if the bus itself refuses.
    Replied {
        reply: Reply,
        by: Option<String>,
    },
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

impl Tracked {
    /// Whether its answer stands where an error comes back. Else the modem service is gone, or refuses: that is the
    /// answer.
    fn outlives(&self, error: &str) -> bool {
        match self {
            // A text that left has left, and what failed has failed.
            Self::Sent { .. } | Self::SentByOfono { .. } | Self::Replied { reply: Reply::Error(..), .. } => true,
            // What stands in the call's place may be forbidden where the call is not.
            Self::Replied { .. } => error == ACCESS_DENIED,
            _ => false,
        }
    }
}

impl Desk {
    /// `None`: the answer passes as it is.
    pub(super) fn rewrite(&mut self, tracked: Tracked, message: &Message<'_>) -> Option<()> {
        let mut head = &message.head;
        if head.kind == Kind::Error && !tracked.outlives(head.error) {
            return None;
        }
        let by = match &tracked {
            Tracked::Replied { by, .. } => by.clone(),
            Tracked::Sent { .. } => self.mm.clone(),
            Tracked::SentByOfono { .. } => self.ofono.clone(),
            _ => None,
        };
        let named = by.as_deref().filter(|_| head.sender == BUS).map(|sender| Head { sender, ..*head });
        head = named.as_ref().unwrap_or(head);
        match tracked {
            Tracked::Passed => None,
            Tracked::Replied { reply, .. } => match reply {
                Reply::Nothing => self.answer(head, "", &()),
                Reply::All(all) => self.answer(head, "", &(all,)),
                Reply::One(value) => self.answer(head, "", &(&*value,)),
                Reply::Text(text) => self.answer(head, "", &(text,)),
                Reply::Error(name, said) => self.answer(head, name, &(said,)),
            },
            Tracked::Sent { sms } => {
                self.answer(head, "", &())?;
                self.show_state(&sms, SENT);
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
    fn change(&mut self, path: &str, interface: &str, all: &mut Dict) -> Option<()> {
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
        if self.sent.contains(path) {
            if all.contains_key("State") {
                set(all, "State", SENT);
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

    fn change_modem(&mut self, path: &str, interfaces: &mut Interfaces) -> bool {
        let all = interfaces.get_mut(MESSAGING);
        path.starts_with(MODEM_PATH) && all.is_some_and(|all| self.change(path, MESSAGING, all).is_some())
    }

    pub(super) fn properties_changed(&mut self, message: &Message<'_>) -> Option<()> {
        let (interface, mut all, invalid): (String, Dict, Vec<String>) = message.body()?;
        self.change(message.head.path, &interface, &mut all)?;
        self.pass_changed(&message.head, &(interface, all, invalid))
    }

    pub(super) fn interfaces_added(&mut self, message: &Message<'_>) -> Option<()> {
        let (path, mut interfaces): (OwnedObjectPath, Interfaces) = message.body()?;
        let texts = path.starts_with(MODEM_PATH) && interfaces.contains_key(MESSAGING);
        let passed = self.unless_asked(message, MM, &[Arg::Path(&path), Arg::Other]).or_else(|| {
            self.change_modem(&path, &mut interfaces)
                .then(|| self.pass_changed(&message.head, &(&path, interfaces)))
                .flatten()
        });
        if texts {
            self.modem_came(&path);
        }
        passed
    }

    pub(super) fn interfaces_removed(&mut self, message: &Message<'_>) -> Option<()> {
        let (path, interfaces): (OwnedObjectPath, Vec<String>) = message.body()?;
        if interfaces.iter().any(|interface| interface == MESSAGING) {
            self.modem_went(&path);
        }
        self.unless_asked(message, MM, &[Arg::Path(&path), Arg::Other])
    }

    /// Tells the app a signal of the modem service's with another body.
    fn pass_changed<B: serde::Serialize + zbus::Type>(&mut self, head: &Head<'_>, body: &B) -> Option<()> {
        self.out.push(super::Action::ToApp(write(head, body)?));
        Some(())
    }
}

/// As a value.
pub(super) fn as_paths(paths: &[String]) -> Vec<ObjectPath<'_>> {
    paths.iter().map(|path| super::object(path)).collect()
}

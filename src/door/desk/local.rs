//! The app's calls that the desk looks into, and those that it answers itself: a call to the modem service that
//! changes nothing goes in their place and its answer is rewritten, so that no answer overtakes an earlier one.

use super::{
    Action, Desk, Look, Phase, Purpose,
    held::Held,
    inbox::NOT_FOUND,
    names::*,
    object,
    objects::{Content, Dict, Report, im_number, is_ours, sms_number},
    order::changes_text,
    rewrite::Tracked,
};
use crate::door::{
    header::{Head, Kind},
    wire::{Message, write},
};
use zbus::OwnedObjectPath;

const PEER: &str = "org.freedesktop.DBus.Peer";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
pub(super) const CORE_FAILED: &str = "org.freedesktop.ModemManager1.Error.Core.Failed";
const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";

/// What the desk says in a call's place.
#[derive(Debug)]
pub(super) enum Reply {
    Nothing,
    All(Dict),
    One(zbus::OwnedVariant),
    Text(String),
    Error(&'static str, String),
}

/// Whether a call to a modem service is looked into.
pub(super) fn wanted(head: &Head<'_>) -> Look {
    let of = |interface: &str| head.interface.is_empty() || head.interface == interface;
    let is_sms = |path: &str| sms_number(path).is_some();
    let looked = match head.member {
        _ if changes_text(head) => true,
        "Get" | "GetAll" | "Set" => of(PROPERTIES) && (is_sms(head.path) || head.path.starts_with(MODEM_PATH)),
        "GetManagedObjects" => of(OBJECTS),
        "List" => of(MESSAGING) && head.path.starts_with(MODEM_PATH),
        "Introspect" => of(INTROSPECTABLE) && is_ours(head.path),
        "SendMessage" => of(OFONO_MESSAGES),
        _ => false,
    };
    if looked { Look::Whole } else { Look::Pass }
}

impl Desk {
    /// `None`: it passes.
    pub(super) fn app_said(&mut self, message: &Message<'_>) -> Option<()> {
        let head = &message.head;
        if head.destination == BUS {
            self.asks_bus(message);
            return None;
        }
        if self.wait_behind(message).is_some() {
            return Some(());
        }
        match head.member {
            _ if is_ours(head.path) => self.asks_ours(message),
            "Send" => self.hold(message),
            "SendMessage" => self.hold_ofono(message),
            "Delete" => self.delete(message),
            "GetAll" | "Get" | "GetManagedObjects" | "List" => {
                let tracked = match head.member {
                    "GetAll" => Tracked::All { path: head.path.to_owned(), interface: message.body::<(String,)>()?.0 },
                    "Get" => {
                        let (interface, name) = message.body()?;
                        Tracked::One { path: head.path.to_owned(), interface, name }
                    }
                    "List" => Tracked::List { modem: head.path.to_owned() },
                    _ => Tracked::Managed,
                };
                if !head.no_reply {
                    self.tracked.insert(head.serial, tracked);
                }
                None
            }
            _ => None,
        }
    }

    /// Rules are counted whether or not the bus takes them: it refuses only what is malformed.
    fn asks_bus(&mut self, message: &Message<'_>) {
        let text = message.body::<(String,)>().map(|(text,)| text);
        let named = text.clone().or_else(|| message.body::<(String, u32)>().map(|(name, _)| name)).unwrap_or_default();
        match (message.head.member, text) {
            ("BecomeMonitor", _) => return self.phase = Phase::Monitor,
            ("AddMatch", Some(rule)) => {
                self.rules.add(rule);
                self.ofono_due = self.ofono.is_some().then(|| self.in_patience());
            }
            ("RemoveMatch", Some(rule)) => self.rules.remove(&rule),
            _ => {}
        }
        if self.phase == Phase::Idle && (named.contains(MM) || named.contains(OFONO)) {
            self.start();
        }
    }

    /// A call to an object that only the door shows.
    fn asks_ours(&mut self, message: &Message<'_>) -> Option<()> {
        let path = message.head.path;
        let shown = match self.inbox.get(path) {
            Some(im) => match im.content.as_ref().map(Content::properties) {
                Some(shown) => shown,
                None => {
                    let im = im.message.clone();
                    return self.fetch(message, &im);
                }
            },
            None => self.reports.get(path).map(Report::properties)?,
        };
        self.show_ours(message, shown)
    }

    /// Answers it, with what the object shows.
    pub(super) fn show_ours(&mut self, message: &Message<'_>, shown: Dict) -> Option<()> {
        let head = &message.head;
        let reply = match head.member {
            "GetAll" => match message.body::<(String,)>()?.0.as_str() {
                SMS => Reply::All(shown),
                other => Reply::Error(INVALID_ARGS, format!("No such interface “{other}”")),
            },
            "Get" => {
                let (interface, name): (String, String) = message.body()?;
                let mut shown = shown;
                match shown.remove(&name).filter(|_| interface == SMS) {
                    Some(value) => Reply::One(value),
                    None => Reply::Error(INVALID_ARGS, format!("No such property “{name}”")),
                }
            }
            "Set" => Reply::Error(INVALID_ARGS, "The properties of an SMS can’t be written".to_owned()),
            "Send" => Reply::Error(CORE_FAILED, "This is an incoming message: it can’t be sent".to_owned()),
            "Store" => Reply::Nothing,
            "Introspect" => Reply::Text(include_str!("sms.xml").to_owned()),
            _ => return None,
        };
        self.reply(head, reply)
    }

    /// Answers a call of the app's.
    pub(super) fn reply(&mut self, head: &Head<'_>, reply: Reply) -> Option<()> {
        self.ping(head.destination, head.serial)?;
        let by = match head.destination {
            MM => self.mm.clone(),
            OFONO => self.ofono.clone(),
            unique => Some(unique.to_owned()),
        };
        self.tracked.insert(head.serial, Tracked::Replied { reply, by });
        Some(())
    }

    /// Sends, with the app's serial, what its user may ask of the service: the bus policy that ModemManager ships
    /// keeps Peer to root and opens Properties to everybody; oFono's opens all of it, or nothing.
    pub(super) fn ping(&mut self, destination: &str, serial: u32) -> Option<()> {
        let call = Head { serial, destination, ..Head::blank(Kind::Call) };
        let bytes = if self.is(&self.ofono, OFONO, destination) {
            write(&Head { path: "/", interface: PEER, member: "Ping", ..call }, &())
        } else {
            write(&Head { path: MM_PATH, interface: PROPERTIES, member: "Get", ..call }, &(MM, "Version"))
        };
        self.out.push(Action::ToBus(bytes?));
        Some(())
    }

    fn delete(&mut self, message: &Message<'_>) -> Option<()> {
        let (sms,): (OwnedObjectPath,) = message.body()?;
        if !is_ours(&sms) {
            return None;
        }
        let (text, interface, member) = match (self.inbox.get(&sms), self.reports.get(sms.as_str())) {
            (Some(im), _) => (im.message.clone(), CORE_MESSAGING, "Delete"),
            (None, Some(report)) => (report.message.clone(), CORE_DOOR, "DeleteReport"),
            // An app that deletes a message twice, as Chatty does.
            (None, None) => return self.reply(&message.head, Reply::Nothing),
        };
        self.put(message, Held::new(message, self.in_patience()));
        let purpose = Purpose::Delete { call: message.head.serial, path: sms.to_string() };
        self.call(purpose, (CORE, CORE_PATH, interface, member), &(object(&text),));
        Some(())
    }

    /// The core deleted one of our objects, or says why not.
    pub(super) fn deleted(&mut self, call: u32, path: &str, message: &Message<'_>) {
        let gone = message.head.kind == Kind::Return || message.head.error == NOT_FOUND;
        if gone {
            // The core's own signal may have been first.
            match im_number(path) {
                Some(number) => self.drop_im(number),
                None => self.drop_report(path),
            }
        }
        let Some(held) = self.held.remove(&call) else { return };
        let head = Head { serial: call, destination: &held.destination, ..Head::blank(Kind::Call) };
        let said = || Reply::Error(CORE_FAILED, message.said().unwrap_or_default());
        // Without a modem service there is nobody to answer in whose name.
        let _unanswered = self.reply(&head, if gone { Reply::Nothing } else { said() });
    }
}

//! What signals the app asked the bus for (D-Bus Specification, "Match Rules"), so that it is told no
//! forged one that it would not have been told, and none that only the door asked for.

/// A condition's key; what is unknown here never keeps a signal back.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Type,
    Sender,
    Interface,
    Member,
    Path,
    PathNamespace,
    Destination,
    Arg(usize),
    ArgPath(usize),
    Arg0Namespace,
    Other,
}

/// One rule.
#[derive(Debug)]
struct Rule {
    text: String,
    conditions: Vec<(Key, String)>,
}

/// A signal's argument, as far as rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arg<'a> {
    Text(&'a str),
    Path(&'a str),
    Other,
}

/// A broadcast signal.
#[derive(Debug)]
pub(super) struct Signal<'a> {
    /// The sender's unique name, and the well-known one by which rules may name it.
    pub(super) sender: &'a str,
    pub(super) known_as: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) args: &'a [Arg<'a>],
}

/// The app's rules; the same one may be there twice.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

/// As many as dbus-daemon lets one connection of the system bus have, twice; and how long it lets a rule be, in bytes.
const MOST: usize = 1024;
const LONGEST: usize = 1024;

impl Rules {
    pub(super) fn add(&mut self, text: String) {
        if self.0.len() < MOST && text.len() <= LONGEST {
            self.0.push(Rule { conditions: parse(&text), text });
        }
    }

    pub(super) fn remove(&mut self, text: &str) {
        if let Some(at) = self.0.iter().position(|rule| rule.text == text) {
            self.0.swap_remove(at);
        }
    }

    pub(super) fn want(&self, signal: &Signal<'_>) -> bool {
        self.0.iter().any(|rule| rule.conditions.iter().all(|(key, value)| holds(key, value, signal)))
    }
}

fn holds(key: &Key, value: &str, signal: &Signal<'_>) -> bool {
    let arg = |at: usize| signal.args.get(at).copied().unwrap_or(Arg::Other);
    let below = |base: &str, name: &str, separator: char| {
        name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
    };
    match key {
        Key::Type => value == "signal",
        Key::Sender => value == signal.sender || value == signal.known_as,
        Key::Interface => value == signal.interface,
        Key::Member => value == signal.member,
        Key::Path => value == signal.path,
        Key::PathNamespace => value == "/" || below(value, signal.path, '/'),
        // Broadcasts have none.
        Key::Destination => false,
        Key::Arg(at) => arg(*at) == Arg::Text(value),
        Key::ArgPath(at) => match arg(*at) {
            Arg::Text(text) | Arg::Path(text) => {
                let within = |base: &str, name: &str| base.ends_with('/') && name.starts_with(base);
                text == value || within(value, text) || within(text, value)
            }
            Arg::Other => false,
        },
        Key::Arg0Namespace => matches!(arg(0), Arg::Text(text) if below(value, text, '.')),
        Key::Other => true,
    }
}

fn parse(text: &str) -> Vec<(Key, String)> {
    let mut conditions = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = value(after);
        conditions.push((key(name.trim()), value));
        rest = after.trim_start();
    }
    conditions
}

fn key(name: &str) -> Key {
    match name {
        "type" => Key::Type,
        "sender" => Key::Sender,
        "interface" => Key::Interface,
        "member" => Key::Member,
        "path" => Key::Path,
        "path_namespace" => Key::PathNamespace,
        "destination" => Key::Destination,
        "arg0namespace" => Key::Arg0Namespace,
        _ => {
            let at = name.strip_prefix("arg");
            let path = at.and_then(|at| at.strip_suffix("path"));
            match (path.and_then(|at| at.parse().ok()), at.and_then(|at| at.parse().ok())) {
                (Some(at), _) => Key::ArgPath(at),
                (None, Some(at)) => Key::Arg(at),
                (None, None) => Key::Other,
            }
        }
    }
}

/// Up to the comma: between apostrophes all is literal, outside of them `\'` is an apostrophe.
fn value(text: &str) -> (String, &str) {
    let (mut value, mut quoted) = (String::new(), false);
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => quoted = !quoted,
            ',' if !quoted => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' if !quoted && text.get(at + 1..).is_some_and(|rest| rest.starts_with('\'')) => {
                value.push('\'');
                chars.next();
            }
            _ => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: Signal<'_> = Signal {
        sender: ":1.5",
        known_as: "org.freedesktop.ModemManager1",
        path: "/org/freedesktop/ModemManager1/Modem/0",
        interface: "org.freedesktop.ModemManager1.Modem.Messaging",
        member: "Added",
        args: &[Arg::Path("/org/freedesktop/ModemManager1/SMS/3"), Arg::Other],
    };

    fn wants(rule: &str) -> bool {
        let mut rules = Rules::default();
        rules.add(rule.to_owned());
        rules.want(&ADDED)
    }

    #[test]
    fn rules_hold_as_the_specification_says() {
        for rule in [
            "",
            "type='signal'",
            "type=signal,sender='org.freedesktop.ModemManager1', member='Added'",
            "sender=':1.5',path='/org/freedesktop/ModemManager1/Modem/0'",
            "path_namespace='/org/freedesktop/ModemManager1'",
            "path_namespace='/'",
            "arg0path='/org/freedesktop/ModemManager1/SMS/'",
            "arg0path='/org/freedesktop/ModemManager1/SMS/3',eavesdrop='true'",
            r"interface='org.freedesktop.'ModemManager1.Modem.Messaging",
        ] {
            assert!(wants(rule), "{rule}");
        }
        for rule in [
            "type='method_call'",
            "type='signal',sender=':1.6'",
            "member='Deleted'",
            "path_namespace='/org/freedesktop/ModemManager'",
            "arg0='/org/freedesktop/ModemManager1/SMS/3'",
            "arg0path='/org/freedesktop/ModemManager1/SMS'",
            "arg1='x'",
            "arg0namespace='org'",
            "destination=':1.9'",
            r"member=\'Added\'",
        ] {
            assert!(!wants(rule), "{rule}");
        }
    }

    #[test]
    fn names_below_another_are_told_from_those_that_begin_alike() {
        let mut rules = Rules::default();
        rules.add("member='NameOwnerChanged',arg0namespace='org.shunt'".into());
        let want = |name| rules.want(&Signal { member: "NameOwnerChanged", args: &[Arg::Text(name)], ..ADDED });
        assert!(want("org.shunt") && want("org.shunt.Shunt1") && !want("org.shunter"));
    }

    #[test]
    fn a_rule_added_twice_is_there_until_it_is_removed_twice() {
        let mut rules = Rules::default();
        for _ in 0..2 {
            rules.add("type='signal'".into());
        }
        rules.remove("type='signal'");
        assert!(rules.want(&ADDED));
        rules.remove("type='signal'");
        assert!(!rules.want(&ADDED));
    }
}

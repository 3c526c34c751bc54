//! The same calls with and without the door, with the switch off: the same answers and signals.

use crate::{ALICE, BOB, diverting::signals, programs};
use futures_util::StreamExt;
use shunt_kit::{Phone, ShuntConfig, Smsc, phone::Sms};
use std::collections::HashMap;
use zbus::{Connection, MessageStream, Structure, Variant, message, message::Message};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const MM: &str = "org.freedesktop.ModemManager1";
const MM_PATH: &str = "/org/freedesktop/ModemManager1";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
const SMS: &str = "org.freedesktop.ModemManager1.Sms";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

const LONG: &str = "More than one segment: a text of over a hundred and sixty characters, which ModemManager splits into \
    parts of a hundred and fifty-three, each with a header that names its place among them.";

/// What was answered: kind, error, signature, and the body's bytes; where those name an SMS or a time, what they hold.
type Answer = (String, Vec<u8>, String);

struct Client {
    connection: Connection,
    answers: Vec<Answer>,
}

impl Client {
    async fn call<B: serde::Serialize + zbus::Type>(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Option<Message> {
        let call =
            Message::method_call(path, member).destination(destination).interface(interface).build(body).unwrap();
        let serial = call.primary_header().serial_num();
        let mut answers = MessageStream::from(&self.connection);
        self.connection.send(&call).await.unwrap();
        let message = loop {
            let message = answers.next().await.unwrap().unwrap();
            if message.header().reply_serial() == Some(serial) {
                break message;
            }
        };
        let header = message.header();
        assert!(header.sender().is_some() && header.destination().is_some());
        let kind = format!(
            "{member} {:?} {:?} {} {:?}",
            header.message_type(),
            header.error_name().map(ToString::to_string),
            header.signature(),
            header.primary().flags(),
        );
        self.answers.push((kind, message.body().data().bytes().to_vec(), held(&message)));
        (message.message_type() == message::Type::MethodReturn).then_some(message)
    }
}

/// A body's content, its SMS's numbers and its times left out.
fn held(message: &Message) -> String {
    let body = message.body();
    let text = match body.deserialize::<Structure<'_>>() {
        Ok(structure) => sorted(&Variant::from(structure)),
        Err(_) => String::new(),
    };
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("/SMS/") {
        let (before, after) = rest.split_at(at + "/SMS/".len());
        plain.push_str(before);
        rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    plain + rest
}

/// Dictionaries by their keys' order; a text's reference counts up, as serials do.
fn sorted(value: &Variant<'_>) -> String {
    match value {
        Variant::Dict(dict) => {
            let mut entries: Vec<String> = dict
                .iter()
                .filter(|(key, _)| **key != Variant::from("MessageReference"))
                .map(|(key, value)| format!("{}={}", sorted(key), sorted(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Variant::Structure(structure) => {
            format!("({})", structure.fields().iter().map(sorted).collect::<Vec<_>>().join(", "))
        }
        Variant::Array(array) => format!("[{}]", array.iter().map(sorted).collect::<Vec<_>>().join(", ")),
        Variant::Variant(inner) => format!("<{}>", sorted(inner)),
        other => format!("{other:?}"),
    }
}

/// What an app, NetworkManager and a curious person ask.
async fn script(client: &mut Client, modem: &str) {
    let none = HashMap::<&str, Variant<'_>>::new();
    for member in ["GetId", "ListActivatableNames"] {
        client.call(BUS, BUS_PATH, BUS, member, &()).await;
    }
    for name in [MM, "org.example.Nobody", "not a name", ":1.99999"] {
        for member in ["GetNameOwner", "NameHasOwner", "GetConnectionUnixUser", "GetConnectionUnixProcessID"] {
            client.call(BUS, BUS_PATH, BUS, member, &(name,)).await;
        }
    }
    client.call(BUS, BUS_PATH, BUS, "AddMatch", &("type='signal',sender='org.example'",)).await;
    client.call(BUS, BUS_PATH, BUS, "RemoveMatch", &("type='signal',sender='org.example'",)).await;
    client.call(BUS, BUS_PATH, BUS, "RemoveMatch", &("type='signal',sender='org.never'",)).await;
    client.call(BUS, BUS_PATH, BUS, "AddMatch", &("nonsense",)).await;
    client.call("org.example.Nobody", "/", "org.example", "Any", &()).await;

    client.call(MM, MM_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &()).await;
    for path in ["/", "/org", MM_PATH, modem, "/org/freedesktop/ModemManager1/SMS", "/nowhere"] {
        client.call(MM, path, INTROSPECTABLE, "Introspect", &()).await;
        client.call(MM, path, "org.freedesktop.DBus.Peer", "Ping", &()).await;
        client.call(MM, path, PROPERTIES, "GetAll", &(MODEM,)).await;
    }
    client.call(MM, MM_PATH, MM, "ScanDevices", &()).await;
    client.call(MM, MM_PATH, MM, "SetLogging", &("NONSENSE",)).await;
    let interfaces = [
        "",
        ".Modem3gpp",
        ".Modem3gpp.Ussd",
        ".Location",
        ".Messaging",
        ".Signal",
        ".Simple",
        ".Time",
        ".Voice",
        ".Sar",
    ];
    for interface in interfaces {
        let interface = format!("{MODEM}{interface}");
        client.call(MM, modem, PROPERTIES, "GetAll", &(&interface,)).await;
        client.call(MM, modem, PROPERTIES, "Get", &(&interface, "Nonsense")).await;
        client.call(MM, modem, &interface, "Nonsense", &()).await;
    }
    for name in ["State", "Model", "Ports", "Bearers", "OwnNumbers", "SupportedModes", "SignalQuality", "Sim"] {
        client.call(MM, modem, PROPERTIES, "Get", &(MODEM, name)).await;
    }
    for name in ["Messages", "SupportedStorages", "DefaultStorage"] {
        client.call(MM, modem, PROPERTIES, "Get", &(MESSAGING, name)).await;
        client.call(MM, modem, PROPERTIES, "Set", &(MESSAGING, name, Variant::from("x"))).await;
    }
    client.call(MM, modem, &format!("{MODEM}.Simple"), "GetStatus", &()).await;
    client.call(MM, modem, MODEM, "ListBearers", &()).await;
    client.call(MM, modem, MODEM, "Enable", &(true,)).await;
    client.call(MM, modem, MODEM, "Command", &("AT", 1u32)).await;
    client.call(MM, modem, MESSAGING, "List", &("too much",)).await;
    client.call(MM, modem, MESSAGING, "Delete", &(zbus::ObjectPath::from_static_str("/").unwrap(),)).await;
    client.call(MM, modem, MESSAGING, "Create", &(&none,)).await;
    let texts: [(&str, Option<&str>); 6] = [
        ("a text", None),
        ("écrit 👋", None),
        ("class", Some("class")),
        ("report", Some("delivery-report-request")),
        ("ends in blanks  ", None),
        (LONG, None),
    ];
    for (text, option) in texts {
        let mut properties = HashMap::from([("number", Variant::from(BOB)), ("text", Variant::from(text))]);
        match option {
            Some("class") => drop(properties.insert("class", Variant::from(1i32))),
            Some(report) => drop(properties.insert(report, Variant::from(true))),
            None => {}
        }
        let made = client.call(MM, modem, MESSAGING, "Create", &(properties,)).await.unwrap();
        let path: zbus::OwnedObjectPath = made.body().deserialize().unwrap();
        client.call(MM, &path, INTROSPECTABLE, "Introspect", &()).await;
        client.call(MM, &path, PROPERTIES, "GetAll", &(SMS,)).await;
        client.call(MM, modem, MESSAGING, "List", &()).await;
        client.call(MM, &path, SMS, "Send", &()).await;
        client.call(MM, &path, SMS, "Send", &()).await;
        for name in ["State", "PduType", "Number", "Text", "Data", "Timestamp", "Validity", "Class", "Storage", "None"]
        {
            client.call(MM, &path, PROPERTIES, "Get", &(SMS, name)).await;
        }
        client.call(MM, &path, PROPERTIES, "GetAll", &(SMS,)).await;
        client.call(MM, &path, SMS, "Store", &(9u32,)).await;
        client.call(MM, modem, MESSAGING, "Delete", &(&path,)).await;
        client.call(MM, modem, MESSAGING, "Delete", &(&path,)).await;
        client.call(MM, &path, SMS, "Send", &()).await;
    }
}

#[tokio::test]
async fn two_hundred_calls_and_their_signals_are_the_same_with_and_without_the_door() {
    let smsc = Smsc::new();
    let mut phone = Phone::builder(&smsc, ALICE).start().await.unwrap();
    phone.start_shunt(ShuntConfig::new(programs())).await.unwrap();
    let door = phone.door(programs()).unwrap();
    let direct = Client { connection: phone.bus().connect().await.unwrap(), answers: vec![] };
    let through = Client { connection: door.connect().await.unwrap(), answers: vec![] };
    let modem = phone.sms().modem().to_string();
    let listeners: [Sms; 2] = [phone.sms(), phone.sms_through(&door).await.unwrap()];
    // The door looks into what this one is told: it has called ModemManager.
    listeners[1].list().await.unwrap();
    let mut told = [signals(&listeners[0]).await, signals(&listeners[1]).await];

    let mut clients = [direct, through];
    for client in &mut clients {
        script(client, &modem).await;
    }
    let [direct, through] = &clients;
    let bytes = direct.answers.iter().zip(&through.answers).filter(|(one, other)| one.1 == other.1).count();
    for (one, other) in direct.answers.iter().zip(&through.answers) {
        assert_eq!(one.0, other.0);
        assert_eq!(one.2, other.2, "{}", one.0);
    }
    let all = direct.answers.len();
    assert!(all >= 200 && through.answers.len() == all, "{all} calls");
    // Each signal is told alike to who listens directly and who listens through the door.
    let last = listeners[0].create(BOB, "the last", false).await.unwrap();
    let mut heard: [Vec<String>; 2] = Default::default();
    for (signals, heard) in told.iter_mut().zip(&mut heard) {
        loop {
            let message = signals.next().await.unwrap().unwrap();
            let header = message.header();
            heard.push(format!("{:?} {:?}", header.path(), message.body().data().bytes()));
            if header.member().is_some_and(|member| member.as_str() == "Added")
                && message.body().deserialize::<(zbus::OwnedObjectPath, bool)>().is_ok_and(|(path, _)| path == last)
            {
                break;
            }
        }
    }
    assert!(heard[0].len() >= 20, "{} signals", heard[0].len());
    assert_eq!(heard[0], heard[1]);
    let signals = heard[0].len();
    let found = format_args!("{all} calls alike ({bytes} to the byte), {signals} signals");
    shunt_kit::table::row("A/B run", "with and without the door, switch off", found);
}

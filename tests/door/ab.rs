//! The same calls with and without the door, with the switch off: the same answers and signals.

use crate::bare::{BUS, MESSAGING, MM, PROPERTIES, SMS, answered};
use crate::{ALICE, BOB, diverting::signals, programs};
use futures_util::StreamExt;
use shunt_kit::{Phone, ShuntConfig, Smsc, phone::Sms};
use std::collections::HashMap;
use zbus::{Connection, MessageStream, Variant, message, message::Message};

const BUS_PATH: &str = "/org/freedesktop/DBus";
const MM_PATH: &str = "/org/freedesktop/ModemManager1";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

const LONG: &str = "More than one segment: a text of over a hundred and sixty characters, which ModemManager splits into \
    parts of a hundred and fifty-three, each with a header that names its place among them.";

/// What was answered: the call's name, and the message's bytes, as [`compared`].
type Answer = (String, Vec<u8>);

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
        let me = self.connection.unique_name().unwrap();
        self.answers.push((format!("{interface}.{member}"), compared(&message, me)));
        (message.message_type() == message::Type::MethodReturn).then_some(message)
    }
}

/// A message's bytes, but for what can't be the same twice, which is zeroed where it stands: serials, to whom it is
/// addressed, the numbers of SMS, the references that count sent texts. What was zeroed is of one width for both.
fn compared(message: &Message, me: &str) -> Vec<u8> {
    let mut bytes = message.data().bytes().to_vec();
    bytes[8..12].fill(0);
    let fields = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    answered(&mut bytes[16..16 + fields]).unwrap().fill(0);
    for at in after(&bytes, me.as_bytes()).filter(|at| bytes[*at] == 0).collect::<Vec<_>>() {
        bytes[at - me.len()..at].fill(0);
    }
    for at in after(&bytes, b"/SMS/").collect::<Vec<_>>() {
        bytes[at..].iter_mut().take_while(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = 0);
    }
    // A key, the value's signature, the value.
    for at in after(&bytes, b"MessageReference\0\x01u\0").collect::<Vec<_>>() {
        let at = at.next_multiple_of(4);
        bytes[at..at + 4].fill(0);
    }
    bytes
}

/// Where the bytes begin that follow each occurrence.
fn after<'b>(bytes: &'b [u8], wanted: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let found = bytes.windows(wanted.len()).enumerate().filter(move |(_, window)| *window == wanted);
    found.map(move |(at, _)| at + wanted.len())
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
    // Numbers of SMS, and names on the bus, of one width for both.
    for _ in 0..10 {
        let path = phone.sms().create(BOB, "counted", false).await.unwrap();
        phone.sms().delete(&path).await.unwrap();
    }
    let (mut direct, mut through);
    loop {
        (direct, through) = (phone.bus().connect().await.unwrap(), door.connect().await.unwrap());
        if direct.unique_name().unwrap().len() == through.unique_name().unwrap().len() {
            break;
        }
    }
    let modem = phone.sms().modem().to_string();
    let listeners: [Sms; 2] = [phone.sms(), phone.sms_through(&door).await.unwrap()];
    // The door looks into what this one is told: it has called ModemManager.
    listeners[1].list().await.unwrap();
    let mut told = [signals(&listeners[0]).await, signals(&listeners[1]).await];

    let mut clients = [direct, through].map(|connection| Client { connection, answers: vec![] });
    for client in &mut clients {
        script(client, &modem).await;
    }
    let [direct, through] = &clients;
    for ((name, one), (_, other)) in direct.answers.iter().zip(&through.answers) {
        let [one, other] = [one, other].map(|bytes| bytes.escape_ascii().to_string());
        assert_eq!(one, other, "{name}");
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
            heard.push(message.data().bytes().escape_ascii().to_string());
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
    let found = format_args!("{all} answers and {signals} signals the same to the byte");
    shunt_kit::table::row("A/B run", "with and without the door, switch off", found);
}

//! Apps that hang up, however they do it, and apps that don't listen: by hand, as no library lets one.

use crate::{
    BOB,
    core::{Core, Script},
    diverting::{IM, phone},
    receiving::{core, im},
    through::peak_memory,
};
use shunt_kit::{Door, phone::Sms};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::Notify;
use zbus::message::Message;

const BUS: &str = "org.freedesktop.DBus";
const MM: &str = "org.freedesktop.ModemManager1";
const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";

/// An app on its bare socket.
struct App(UnixStream);

impl App {
    /// It listens to everything, and has called ModemManager once: the door is at work.
    fn start(door: &Door, modem: &str) -> Self {
        let mut app = Self(UnixStream::connect(door.socket()).unwrap());
        app.0.write_all(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n").unwrap();
        while app.bytes::<1>() != *b"\n" {}
        app.call((BUS, "/", BUS, "Hello"), &());
        app.call((BUS, "/", BUS, "AddMatch"), &("type='signal'",));
        app.call((MM, modem, MESSAGING, "List"), &());
        app
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(&mut bytes);
        bytes
    }

    /// Others go on meanwhile.
    fn read(&mut self, bytes: &mut [u8]) {
        tokio::task::block_in_place(|| self.0.read_exact(bytes)).unwrap();
    }

    /// The serial that the next message answers, or 0, and how long the message is.
    fn next(&mut self) -> (u32, usize) {
        let fixed = self.bytes::<16>();
        let word = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().unwrap());
        let fields = (word(12) as usize).next_multiple_of(8);
        let mut rest = vec![0; fields + word(4) as usize];
        self.read(&mut rest);
        // Fields begin at multiples of eight: the code 5, its signature "u".
        let answers = rest[..fields].chunks_exact(8).find(|field| field[..4] == [5, 1, b'u', 0]);
        (answers.map_or(0, |field| u32::from_le_bytes(field[4..].try_into().unwrap())), 16 + rest.len())
    }

    /// Makes a call; its serial.
    fn say<B: serde::Serialize + zbus::Type>(
        &mut self,
        (destination, path, interface, member): (&str, &str, &str, &str),
        body: &B,
    ) -> u32 {
        let call = Message::method_call(path, member).destination(destination).interface(interface);
        let call = call.build(body).unwrap();
        tokio::task::block_in_place(|| self.0.write_all(call.data().bytes())).unwrap();
        call.primary_header().serial_num().get()
    }

    fn call<B: serde::Serialize + zbus::Type>(&mut self, to: (&str, &str, &str, &str), body: &B) {
        let serial = self.say(to, body);
        while self.next().0 != serial {}
    }

    fn send(&mut self, path: &str) {
        self.say((MM, path, "org.freedesktop.ModemManager1.Sms", "Send"), &());
    }
}

/// How an app hangs up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum HangUp {
    /// It has read what it was told.
    Clean,
    /// It has not: the door reads ECONNRESET, and EPIPE where it writes.
    Unread,
}

/// An app that has written Send to an object, and has hung up.
async fn sends_and_hangs_up(door: &Door, other: &Sms, text: &str, how: HangUp) {
    let mut app = App::start(door, other.modem());
    let path = other.create(BOB, text, false).await.unwrap();
    if how == HangUp::Unread {
        // A byte of the signal is there, and so is the rest.
        app.bytes::<1>();
    } else {
        // The signal alone tells of the object.
        app.next();
    }
    app.send(&path);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_text_of_an_app_that_hangs_up_is_sent_whichever_way_it_goes_and_however_it_hung_up() {
    let (smsc, phone, door) = phone().await;
    let core = Core::start(phone.bus(), IM).await;
    let other = phone.sms_through(&door).await.unwrap();
    for how in [HangUp::Clean, HangUp::Unread] {
        // Not worth a Divert; taken; let go of.
        for (bearer, outcome) in [("sms", "im"), ("im", "im"), ("im", "sms")] {
            core.set(|script: &mut Script| (script.bearer, script.outcome) = (Some(bearer), Some(outcome)));
            let (text, diverted) = (format!("{how:?} {bearer} {outcome}"), core.calls("Divert").len());
            sends_and_hangs_up(&door, &other, &text, how).await;
            if outcome == "im" && bearer == "im" {
                core.called("Divert", diverted + 1).await;
            } else {
                smsc.wait_for_text(&text, |sms| sms.text.as_deref() == Some(&*text)).await.unwrap();
            }
        }
        // The core's word comes when the app has long gone.
        let word = Arc::new(Notify::new());
        core.set(|script| (script.outcome, script.word) = (Some("sms"), Some(word.clone())));
        let (text, diverted) = (format!("{how:?} late"), core.calls("Divert").len());
        sends_and_hangs_up(&door, &other, &text, how).await;
        core.called("Divert", diverted + 1).await;
        // The door has seen it when it serves another.
        other.list().await.unwrap();
        core.set(|script| script.word = None);
        word.notify_one();
        smsc.wait_for_text(&text, |sms| sms.text.as_deref() == Some(&*text)).await.unwrap();
    }
}

async fn listed(app: &Sms) -> Vec<zbus::OwnedObjectPath> {
    let reply = app.connection().call_method(Some(MM), app.modem(), Some(MESSAGING), "List", &()).await.unwrap();
    reply.body().deserialize().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_asks_for_a_long_list_again_and_again_and_reads_none_costs_bounded_memory() {
    const IMS: u32 = 3_000;
    /// dbus-daemon lets 128 be unanswered.
    const CALLS: usize = 100;
    let (_smsc, phone, door) = phone().await;
    let inbox = (1..=IMS).map(|serial| im(serial, "a text")).collect();
    let _core = core(&phone, Script { inbox, page: 256, ..IM }).await;
    let lively = phone.sms_through(&door).await.unwrap();
    assert_eq!(listed(&lively).await.len(), IMS as usize);
    let mut deaf = App::start(&door, lively.modem());
    let before = peak_memory(door.pid());
    let list = (MM, lively.modem().as_str(), MESSAGING, "List");
    let serials: Vec<u32> = (0..CALLS).map(|_| deaf.say(list, &())).collect();
    // ModemManager has answered all when it answers this.
    for _ in 0..3 {
        listed(&lively).await;
    }
    let grown = peak_memory(door.pid()) - before;
    assert!(grown < 8 << 20, "{grown} bytes for {CALLS} answers");
    // In whichever order polkit lets ModemManager answer.
    let mut open: std::collections::HashSet<u32> = serials.into_iter().collect();
    while !open.is_empty() {
        let (serial, length) = deaf.next();
        if open.remove(&serial) {
            assert!(length > IMS as usize * 40, "all are listed");
        }
    }
}

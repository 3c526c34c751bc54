//! An app by hand, as no library lets one be, and a wire that keeps what the door says to the bus.

use shunt_kit::{Door, Phone};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use zbus::message::Message;

pub(crate) const BUS: &str = "org.freedesktop.DBus";
pub(crate) const MM: &str = "org.freedesktop.ModemManager1";
pub(crate) const MESSAGING: &str = "org.freedesktop.ModemManager1.Modem.Messaging";
pub(crate) const SMS: &str = "org.freedesktop.ModemManager1.Sms";
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// An app on its bare socket.
pub(crate) struct App(UnixStream);

/// A message that came.
pub(crate) struct Heard {
    /// The serial that it answers, or 0.
    pub(crate) answers: u32,
    /// Whether it is an error.
    pub(crate) failed: bool,
    /// In bytes.
    pub(crate) length: usize,
}

/// A call, and its serial.
pub(crate) fn call<B: serde::Serialize + zbus::Type>(
    (destination, path, interface, member): (&str, &str, &str, &str),
    body: &B,
) -> (u32, Vec<u8>) {
    let call = Message::method_call(path, member).destination(destination).interface(interface);
    let call = call.build(body).unwrap();
    (call.primary_header().serial_num().get(), call.data().bytes().to_vec())
}

/// The serial that a message answers, among its header's fields.
pub(crate) fn answered(fields: &mut [u8]) -> Option<&mut [u8; 4]> {
    // They begin at multiples of eight: the code 5, its signature "u".
    let field = fields.chunks_exact_mut(8).find(|field| field[..4] == [5, 1, b'u', 0])?;
    field.last_chunk_mut()
}

impl App {
    /// It listens to everything, and has called ModemManager once: a door is at work.
    pub(crate) fn start(socket: &Path, modem: &str) -> Self {
        let mut app = Self::greet(socket);
        app.call((BUS, "/", BUS, "AddMatch"), &("type='signal'",));
        app.list(modem);
        app
    }

    /// It has said Hello.
    pub(crate) fn greet(socket: &Path) -> Self {
        let mut app = Self(UnixStream::connect(socket).unwrap());
        app.write(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n");
        while app.bytes::<1>() != *b"\n" {}
        app.call((BUS, "/", BUS, "Hello"), &());
        app
    }

    /// Has ModemManager list a modem's texts.
    pub(crate) fn list(&mut self, modem: &str) {
        self.call((MM, modem, MESSAGING, "List"), &());
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(&mut bytes);
        bytes
    }

    /// Others go on meanwhile.
    fn read(&mut self, bytes: &mut [u8]) {
        tokio::task::block_in_place(|| self.0.read_exact(bytes)).unwrap();
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        tokio::task::block_in_place(|| self.0.write_all(bytes)).unwrap();
    }

    pub(crate) fn next(&mut self) -> Heard {
        let fixed = self.bytes::<16>();
        let word = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().unwrap());
        let fields = (word(12) as usize).next_multiple_of(8);
        let mut rest = vec![0; fields + word(4) as usize];
        self.read(&mut rest);
        let answers = answered(&mut rest[..fields]).map_or(0, |serial| u32::from_le_bytes(*serial));
        Heard { answers, failed: fixed[1] == 3, length: 16 + rest.len() }
    }

    /// Reads until these calls are answered, in whichever order: whether each failed.
    pub(crate) fn answers<const N: usize>(&mut self, calls: [u32; N]) -> [bool; N] {
        let mut answers = [None; N];
        while answers.contains(&None) {
            let heard = self.next();
            if let Some(at) = calls.iter().position(|call| *call == heard.answers) {
                answers[at] = Some(heard.failed);
            }
        }
        answers.map(Option::unwrap)
    }

    /// Makes a call; its serial.
    pub(crate) fn say<B: serde::Serialize + zbus::Type>(&mut self, to: (&str, &str, &str, &str), body: &B) -> u32 {
        let (serial, bytes) = call(to, body);
        self.write(&bytes);
        serial
    }

    fn call<B: serde::Serialize + zbus::Type>(&mut self, to: (&str, &str, &str, &str), body: &B) {
        let serial = self.say(to, body);
        assert_eq!(self.answers([serial]), [false]);
    }

    pub(crate) fn send(&mut self, path: &str) {
        self.say((MM, path, SMS, "Send"), &());
    }
}

/// What a door said to the bus, on the one connection that was made through it.
pub(crate) struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    /// Starts a door behind a phone's own, with a wire between it and the bus.
    pub(crate) fn start(phone: &Phone, programs: &Path) -> (Self, Door) {
        let dir = phone.dir().join("tapped");
        std::fs::create_dir(&dir).unwrap();
        let wire = UnixListener::bind(dir.join("wire")).unwrap();
        let address = format!("unix:path={}", dir.join("wire").display());
        let door = Door::start(&programs.join("shunt-door"), &dir, &address).unwrap();
        let tap = Self(Arc::default());
        let (kept, bus) = (Arc::clone(&tap.0), phone.bus().socket().to_owned());
        std::thread::spawn(move || {
            let (mut door, _) = wire.accept().unwrap();
            let mut bus = UnixStream::connect(bus).unwrap();
            let (mut to_door, mut from_bus) = (door.try_clone().unwrap(), bus.try_clone().unwrap());
            std::thread::spawn(move || {
                let _either_left = std::io::copy(&mut from_bus, &mut to_door);
                let _gone = to_door.shutdown(Shutdown::Both);
            });
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = door.read(&mut chunk) {
                kept.lock().unwrap().extend(&chunk[..count]);
                if bus.write_all(&chunk[..count]).is_err() {
                    break;
                }
            }
            let _gone = bus.shutdown(Shutdown::Both);
        });
        (tap, door)
    }

    /// The messages so far: serials and bytes.
    pub(crate) fn messages(&self) -> Vec<(u32, Vec<u8>)> {
        let said = self.0.lock().unwrap();
        let begin = b"BEGIN\r\n";
        let at = said.windows(begin.len()).position(|bytes| bytes == begin).unwrap() + begin.len();
        let mut rest = &said[at..];
        let mut messages = Vec::new();
        while let Some(fixed) = rest.first_chunk::<16>() {
            let word = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().unwrap());
            let length = 16 + (word(12) as usize).next_multiple_of(8) + word(4) as usize;
            let Some((message, others)) = rest.split_at_checked(length) else { break };
            messages.push((word(8), message.to_vec()));
            rest = others;
        }
        messages
    }
}

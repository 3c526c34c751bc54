//! Everything passes.

use crate::{ALICE, bare::App, diverting::phone, programs};
use futures_util::StreamExt;
use shunt_kit::{Door, Phone, Smsc};
use std::{
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
};
use zbus::{Connection, fdo::DBusProxy, message::Message, wire::Endian};

/// A service that hands back what it gets.
struct Echo;

#[zbus::interface(name = "org.example.Echo")]
impl Echo {
    fn turn(&self, text: &str, fd: zbus::OwnedFd) -> (String, zbus::OwnedFd) {
        (text.to_owned(), fd)
    }

    fn length(&self, bytes: &[u8]) -> u64 {
        bytes.len() as u64
    }
}

const ECHO: (&str, &str, &str) = ("org.example.Echo", "/", "org.example.Echo");

async fn call(app: &Connection, member: &str, body: &(impl serde::Serialize + zbus::Type)) -> Message {
    app.call_method(Some(ECHO.0), ECHO.1, Some(ECHO.2), member, body).await.unwrap()
}

#[tokio::test]
async fn calls_descriptors_signals_and_long_messages_pass_both_ways() {
    let phone = Phone::builder(&Smsc::new(), ALICE).without_modem_manager().without_polkit().start().await.unwrap();
    let door = phone.door(programs()).unwrap();
    let service = door.connect().await.unwrap();
    service.object_server().at("/", Echo).await.unwrap();
    service.request_name(ECHO.0).await.unwrap();
    let app = door.connect().await.unwrap();

    // Many calls with a descriptor each, all under way at once: each answer brings its own back.
    let turns = (0..100).map(|n| {
        let app = app.clone();
        async move {
            let (mut kept, passed) = UnixStream::pair().unwrap();
            let text = format!("text {n}");
            let reply = call(&app, "Turn", &(&text, zbus::Fd::from(passed.as_fd()))).await;
            drop(passed);
            let (turned, fd): (String, zbus::OwnedFd) = reply.body().deserialize().unwrap();
            assert_eq!(turned, text);
            let mut back = UnixStream::from(std::os::fd::OwnedFd::from(fd));
            back.write_all(text.as_bytes()).unwrap();
            drop((back, reply));
            let mut read = vec![0; text.len()];
            kept.read_exact(&mut read).unwrap();
            assert_eq!(read, text.as_bytes());
        }
    });
    futures_util::future::join_all(turns).await;

    // dbus-daemon takes no longer message than 32 MiB.
    let long = vec![7u8; 31 << 20];
    let length: u64 = call(&app, "Length", &long.as_slice()).await.body().deserialize().unwrap();
    assert_eq!(length, 31 << 20);

    let mut signals = DBusProxy::new(&app).await.unwrap().receive_name_owner_changed().await.unwrap();
    service.release_name(ECHO.0).await.unwrap();
    assert_eq!(signals.next().await.unwrap().args().unwrap().name().as_str(), ECHO.0);
}

/// What dbus-daemon and an app say to each other is not touched, in either byte order.
#[test]
fn every_byte_and_message_of_128_mib_passes_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let bus = UnixListener::bind(dir.path().join("bus")).unwrap();
    let address = format!("unix:path={}", dir.path().join("bus").display());
    let door = Door::start(&programs().join("shunt-door"), dir.path(), &address).unwrap();
    let mut app = UnixStream::connect(door.socket()).unwrap();
    let (mut bus, _) = bus.accept().unwrap();

    app.write_all(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n").unwrap();
    expect(&mut bus, b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
    bus.write_all(b"OK 1234deadbeef\r\nAGREE_UNIX_FD\r\n").unwrap();
    expect(&mut app, b"OK 1234deadbeef\r\nAGREE_UNIX_FD\r\n");

    for endian in [Endian::Big, Endian::Little] {
        for length in [0, 1, 5000, (1 << 27) - 1024] {
            let message = message_of(("org.example", "M"), endian, length);
            pass(&mut app, &mut bus, &message);
            pass(&mut bus, &mut app, &message);
        }
    }
    // One that the door would look into, were it not so long.
    pass(&mut app, &mut bus, &message_of(("org.freedesktop.DBus", "AddMatch"), Endian::Little, (1 << 27) - 1024));
    let peak = peak_memory(door.pid());
    assert!(peak < 16 << 20, "{peak} bytes");

    // No D-Bus any more: hung up on, as a bus does.
    app.write_all(&[b'x'; 16]).unwrap();
    assert_eq!(bus.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(app.read(&mut [0; 1]).unwrap(), 0);
}

/// A call with so long a body.
fn message_of((to, member): (&str, &str), endian: Endian, length: usize) -> Vec<u8> {
    let call = Message::method_call("/a", member).destination(to).endian(endian).build(&()).unwrap();
    let mut bytes = call.data().bytes().to_vec();
    let length_field = u32::try_from(length).unwrap();
    bytes[4..8].copy_from_slice(&match endian {
        Endian::Big => length_field.to_be_bytes(),
        Endian::Little => length_field.to_le_bytes(),
    });
    bytes.extend((0..length).map(|n| n as u8));
    bytes
}

fn expect(from: &mut UnixStream, wanted: &[u8]) {
    let mut got = vec![0; wanted.len()];
    from.read_exact(&mut got).unwrap();
    assert_eq!(got, wanted);
}

fn pass(from: &mut UnixStream, to: &mut UnixStream, bytes: &[u8]) {
    std::thread::scope(|scope| {
        scope.spawn(|| from.write_all(bytes).unwrap());
        let mut got = vec![0; bytes.len()];
        to.read_exact(&mut got).unwrap();
        assert!(got == bytes);
    });
}

/// VmHWM, in bytes.
pub(crate) fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// A side that stops reading stops the other; nothing is lost, nothing grows, and other apps go on.
#[test]
fn a_bus_and_an_app_that_do_not_read_cost_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let bus = UnixListener::bind(dir.path().join("bus")).unwrap();
    let address = format!("unix:path={}", dir.path().join("bus").display());
    let door = Door::start(&programs().join("shunt-door"), dir.path(), &address).unwrap();
    let connect = || {
        let app = UnixStream::connect(door.socket()).unwrap();
        let (bus, _) = bus.accept().unwrap();
        (app, bus)
    };
    let (mut deaf, mut behind) = connect();
    let (mut lively, mut other) = connect();
    deaf.write_all(b"\0BEGIN\r\n").unwrap();
    deaf.write_all(b"BEGIN\r\n").unwrap();
    expect(&mut behind, b"\0BEGIN\r\nBEGIN\r\n");
    let message = Message::signal("/a", "a.b", "C").build(&vec![5u8; 4000]).unwrap();
    let bytes = message.data().bytes();
    for side in [&mut deaf, &mut behind] {
        side.set_nonblocking(true).unwrap();
    }
    let mut stuffed = [0, 0];
    // Until a side takes no more, with the door given time to take what it takes: the lively pair turns.
    for (count, side) in stuffed.iter_mut().zip([&mut deaf, &mut behind]) {
        let mut refused = 0;
        while refused < 100 {
            match side.write(&bytes[*count % bytes.len()..]) {
                Ok(taken) => (*count, refused) = (*count + taken, 0),
                Err(_) => refused += 1,
            }
            lively.write_all(b"x\n").unwrap();
            expect(&mut other, b"x\n");
        }
        assert!(*count < 8 << 20, "{count} bytes were taken and not read");
    }
    assert!(peak_memory(door.pid()) < 16 << 20);
    for side in [&mut deaf, &mut behind] {
        side.set_nonblocking(false).unwrap();
    }
    // Nothing was lost meanwhile.
    for (count, side) in stuffed.iter().zip([&mut behind, &mut deaf]) {
        let mut got = vec![0; *count];
        side.read_exact(&mut got).unwrap();
        assert!(got.chunks(bytes.len()).all(|chunk| bytes.starts_with(chunk)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_apps_are_answered_by_modemmanager_and_stay_connected_in_bounded_memory() {
    shunt::sys::many_files();
    let (_smsc, phone, door) = phone().await;
    let modem = phone.sms().modem().clone();
    let mut apps: Vec<App> = (0..1000).map(|_| App::greet(door.socket())).collect();
    // The first call sets the desk to work, the second finds it there.
    for _ in 0..2 {
        apps.iter_mut().for_each(|app| app.list(&modem));
    }
    let peak = peak_memory(door.pid());
    assert!(peak < 24 << 20, "{peak} bytes");
}

//! The agents' socket, handed on as Android's init hands it to the warden.

#![allow(unsafe_code)] // descriptors by number, as init passes them

use crate::set::Set;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const VARIABLE: &str = "ANDROID_SOCKET_shuntd";

/// The program finds `socket` as that descriptor, and is told so.
fn pass(command: &mut Command, socket: &OwnedFd, number: i32) {
    let open = socket.as_raw_fd();
    command.env(VARIABLE, number.to_string());
    // SAFETY: one system call on two numbers.
    unsafe {
        command.pre_exec(move || match libc::dup2(open, number) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// Bound, as init leaves it: listening is the service's.
fn bound(path: &Path) -> OwnedFd {
    let made = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&made, &SocketAddrUnix::new(path).unwrap()).unwrap();
    made
}

pub(crate) fn inits_socket_reaches_the_core_and_nobody_else() {
    let place = tempfile::tempdir().unwrap();
    for number in [3, 4, 11] {
        let path = place.path().join(number.to_string());
        let socket = bound(&path);
        let mut set = Set::start_with(&[], |command| pass(command, &socket, number));
        assert!(set.hello.contains("fds=[0, 1, 2, 3, 4] "), "{}", set.hello);
        assert!(set.hello.contains(VARIABLE), "{}", set.hello);
        let mut agent = UnixStream::connect(&path).unwrap();
        agent.write_all(b"an agent").unwrap();
        drop(agent);
        assert_eq!(set.ask("agents"), "an agent");
        let uplink = set.ask("start");
        assert!(uplink.contains("fds=[0, 1, 2, 3] env=[] args=[] "), "{uplink}");
    }
}

pub(crate) fn a_socket_that_is_none_is_named_and_costs_nothing_else() {
    let (connected, _other) = UnixStream::pair().unwrap();
    let connected = OwnedFd::from(connected);
    let nameless = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    for socket in [&connected, &nameless, &file] {
        costs_nothing(|command| pass(command, socket, 9));
    }
    for value in ["", "0", "2", "-1", "900", "seven", "99999999999"] {
        costs_nothing(|command| _ = command.env(VARIABLE, value));
    }
}

fn costs_nothing(set_up: impl FnOnce(&mut Command)) {
    let mut set = Set::start_with(&[], |command| {
        command.stderr(Stdio::piped());
        set_up(command);
    });
    assert!(set.hello.contains("fds=[0, 1, 2, 3] ") && !set.hello.contains(VARIABLE), "{}", set.hello);
    assert_eq!(set.ask("agents"), "no socket");
    set.start_uplink();
    set.signal(Signal::TERM);
    assert!(set.end().success());
    let mut said = String::new();
    set.warden.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("ANDROID_SOCKET_shuntd=") && said.contains("no Unix stream socket"), "{said}");
}

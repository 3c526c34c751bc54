//! Who lives when, and who follows whom.

use crate::set::{Set, libexec};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::{net::UnixDatagram, process::ExitStatusExt},
    process::{Command, Stdio},
};

pub(crate) fn the_uplink_lives_only_between_start_and_stop() {
    let mut set = Set::start();
    assert_eq!(set.children(), ["shuntd-core"]);
    for _ in 0..3 {
        let uplink = set.start_uplink();
        assert_eq!(set.children(), ["shuntd-core", "shuntd-uplink"]);
        assert_eq!(set.ask("stop"), "stopped");
        assert!(uplink.is_gone());
        // Not even as a zombie.
        assert_eq!(set.children(), ["shuntd-core"]);
    }
}

pub(crate) fn an_uplink_that_ends_by_itself_is_not_waited_for() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    set.tell("uplink exit 5");
    let mut heard = [set.hear(), set.hear()];
    heard.sort();
    assert_eq!(heard, ["died exit 5", "uplink ended"]);
    assert!(uplink.is_gone());
    assert_eq!(set.ask("stop"), "stopped");
}

pub(crate) fn an_uplink_that_ignores_the_end_is_killed_at_the_deadline() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    assert_eq!(set.ask("uplink hang"), "hanging");
    assert_eq!(set.ask("stop"), "stopped");
    assert!(uplink.is_gone());
    assert_eq!(set.children(), ["shuntd-core"]);
}

pub(crate) fn a_killed_uplink_is_reported_and_can_be_started_again() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    uplink.kill();
    assert_eq!(set.hear(), "died signal 9");
    let next = set.start_uplink();
    assert_ne!(next.id, uplink.id);
    assert_eq!(set.ask("stop"), "stopped");
}

pub(crate) fn a_second_start_is_refused() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    assert_eq!(set.ask("start"), format!("start-failed {}", libc::EBUSY));
    assert!(!uplink.is_gone());
}

pub(crate) fn stop_without_an_uplink_is_answered_at_once() {
    let mut set = Set::start();
    assert_eq!(set.ask("stop"), "stopped");
}

pub(crate) fn a_missing_uplink_is_named() {
    let mut set = Set::start();
    fs::remove_file(set.directory.path().join("shuntd-uplink")).unwrap();
    assert_eq!(set.ask("start"), format!("start-failed {}", libc::ENOENT));
    assert_eq!(set.children(), ["shuntd-core"]);
}

pub(crate) fn a_killed_core_takes_the_uplink_and_the_warden_with_it() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    assert_eq!(set.ask("uplink hang"), "hanging");
    set.core().kill();
    assert_eq!(set.end().code(), Some(1));
    assert!(uplink.is_gone());
}

pub(crate) fn the_cores_exit_code_is_the_wardens() {
    for (code, expected) in [(78, 78), (0, 1)] {
        let mut set = Set::start();
        set.tell(&format!("exit {code}"));
        assert_eq!(set.end().code(), Some(expected));
    }
}

pub(crate) fn a_core_that_closes_its_channel_ends_the_set() {
    let mut set = Set::start();
    let (core, uplink) = (set.core(), set.start_uplink());
    set.tell("close");
    assert_eq!(set.end().code(), Some(1));
    assert!(core.is_gone() && uplink.is_gone());
}

pub(crate) fn a_killed_warden_takes_both() {
    let mut set = Set::start();
    let (core, uplink) = (set.core(), set.start_uplink());
    assert_eq!(set.ask("uplink hang"), "hanging");
    assert_eq!(set.ask("ignore"), "ignoring");
    set.signal(Signal::KILL);
    assert_eq!(set.end().signal(), Some(libc::SIGKILL));
    core.gone();
    uplink.gone();
}

pub(crate) fn a_core_started_by_somebody_else_has_no_channel() {
    let directory = libexec();
    let status = Command::new(directory.path().join("shuntd-core")).stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(9));
}

pub(crate) fn sigterm_ends_the_set_in_order() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    set.signal(Signal::TERM);
    assert_eq!(set.hear(), "sigterm");
    assert_eq!(set.end().code(), Some(0));
    assert!(uplink.is_gone());
}

pub(crate) fn a_second_sigterm_ends_a_core_that_ignores_the_first() {
    let mut set = Set::start();
    let (core, uplink) = (set.core(), set.start_uplink());
    assert_eq!(set.ask("ignore"), "ignoring");
    set.signal(Signal::TERM);
    assert_eq!(set.hear(), "sigterm");
    // The core still may stop its uplink in order, but not start another.
    assert_eq!(set.ask("stop"), "stopped");
    assert!(uplink.is_gone());
    assert_eq!(set.ask("start"), format!("start-failed {}", libc::ESHUTDOWN));
    set.signal(Signal::TERM);
    assert_eq!(set.end().code(), Some(0));
    assert!(core.is_gone());
}

pub(crate) fn init_is_told_when_the_core_is_ready() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("notify");
    let init = UnixDatagram::bind(&path).unwrap();
    let mut set = Set::start_with(&[], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    init.set_nonblocking(true).unwrap();
    let mut word = [0; 64];
    assert!(init.recv(&mut word).is_err(), "too early");
    assert_eq!(set.ask("ready"), "said");
    init.set_nonblocking(false).unwrap();
    let length = init.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"READY=1");
}

pub(crate) fn an_idle_warden_sleeps_without_a_deadline() {
    let mut set = Set::start();
    let asleep = |set: &Set| {
        let call = || fs::read_to_string(format!("/proc/{}/syscall", set.warden.id())).unwrap();
        let mut now = call();
        while now.trim() == "running" {
            std::thread::yield_now();
            now = call();
        }
        now.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    set.start_uplink();
    assert_eq!(set.ask("uplink hang"), "hanging");
    assert_eq!(set.ask("stop"), "stopped");
    set.start_uplink();
    // ppoll, two descriptors, no time-out.
    let call = asleep(&set);
    let ppoll = libc::SYS_ppoll.to_string();
    assert_eq!((&call[0], call[2].as_str(), call[3].as_str()), (&ppoll, "0x2", "0x0"), "{call:?}");
    // The detector: with a stop under way there is one.
    assert_eq!(set.ask("uplink hang"), "hanging");
    set.tell("stop");
    let mut call = asleep(&set);
    while call[3] == "0x0" {
        call = asleep(&set);
    }
    assert_eq!(set.hear(), "stopped");
}

pub(crate) fn a_wrong_command_line_starts_nothing() {
    let directory = libexec();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shuntd"));
        let output =
            command.arg("--libexec").arg(directory.path()).args(arguments).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["--core-user", "no-such-user"]);
    assert_eq!(code, Some(64));
    let expected = if rustix::process::geteuid().is_root() { "no user no-such-user" } else { "only root" };
    assert!(said.contains(expected), "{said}");
    assert_eq!(run(&["--nonsense"]).0, Some(64));
}

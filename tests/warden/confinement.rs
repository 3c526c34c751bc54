//! What core and uplink are left with.

use crate::{probe::probe, set::Set};
use rustix::process::geteuid;
use std::net::TcpListener;

/// Refused in both.
const FOREIGN: [&str; 16] = [
    "io_uring_setup",
    "io_uring_enter",
    "ptrace",
    "process_vm_readv",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "finit_module",
    "kexec_load",
    "unshare",
    "setns",
    "mount",
    "keyctl",
    "pidfd_getfd",
    "socket netlink raw",
    "socket vsock stream",
];

pub(crate) fn the_probes_see_what_an_unconfined_process_may() {
    for what in FOREIGN.iter().chain(&["socket inet stream", "socket inet6 dgram", "socket unix stream", "fork", "x32"])
    {
        assert_ne!(probe(what), "EPERM", "{what}: run the tests as a user who may");
    }
    for what in ["socket inet stream", "socket unix stream", "pair unix", "fork", "run /bin/true", "thread", "runtime"]
    {
        assert_eq!(probe(what), "ok", "{what}");
    }
    assert!(["ok", "ENOSYS", "signal"].contains(&probe("int80").as_str()));
}

pub(crate) fn the_core_gets_local_sockets_and_nothing_foreign() {
    let mut set = Set::start();
    assert!(!set.hello.contains("no-seccomp") && !set.hello.contains("dumpable"), "{}", set.hello);
    for what in FOREIGN.iter().chain(&[
        "socket inet stream",
        "socket inet dgram",
        "socket inet6 stream",
        "socket inet raw",
        "socket packet raw",
        "socket bluetooth raw",
        "pair inet",
        "x32",
    ]) {
        assert_eq!(set.ask(&format!("probe {what}")), "EPERM", "{what}");
    }
    for what in ["socket unix stream", "pair unix", "thread", "runtime"] {
        assert_eq!(set.ask(&format!("probe {what}")), "ok", "{what}");
    }
    assert_eq!(set.ask("probe unknown"), "ENOSYS");
    let old_abi = set.ask("probe int80");
    assert!(old_abi == "EPERM" || old_abi == "signal", "{old_abi}");
}

pub(crate) fn the_core_may_run_a_program_until_it_gives_that_up() {
    let mut set = Set::start();
    assert_eq!(set.ask("probe run /bin/true"), "ok");
    assert_eq!(set.ask("no-exec"), "true");
    for what in ["run /bin/true", "fork", "execveat"] {
        assert_eq!(set.ask(&format!("probe {what}")), "EPERM", "{what}");
    }
    assert_eq!(set.ask("probe thread"), "ok");
    assert_eq!(set.ask("probe socket inet stream"), "EPERM");
}

pub(crate) fn the_uplink_gets_the_internet_and_nothing_else() {
    let mut set = Set::start();
    set.start_uplink();
    for what in FOREIGN.iter().chain(&[
        "socket unix stream",
        "socket unix dgram",
        "socket packet raw",
        "socket inet raw",
        "pair inet",
        "x32",
        "fork",
        "run /bin/true",
        "execveat",
        "create /tmp/shunt-uplink-was-here",
        "create /dev/null",
        "listen",
        "accept4",
        "kill-warden",
    ]) {
        assert_eq!(set.ask(&format!("uplink probe {what}")), "EPERM", "{what}");
    }
    for what in ["clone3", "openat2", "unknown"] {
        assert_eq!(set.ask(&format!("uplink probe {what}")), "ENOSYS", "{what}");
    }
}

pub(crate) fn what_the_daemons_need_still_works() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut set = Set::start();
    set.start_uplink();
    for what in [
        "socket inet stream",
        "socket inet6 stream",
        "socket inet dgram",
        "thread",
        "runtime",
        "resolve localhost",
        "blocking-pool",
        "read /etc/hosts",
        &format!("connect {address}"),
    ] {
        assert_eq!(set.ask(&format!("uplink probe {what}")), "ok", "{what}");
    }
}

pub(crate) fn children_inherit_the_channel_and_nothing_else() {
    // A descriptor that every program started from here gets, shuntd too.
    let leak = rustix::io::dup(std::io::stderr()).unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let mut set = Set::start_with(&[], |command| {
        command.env("SHUNT_LOG", "debug").env("SECRET", "x").env("NOTIFY_SOCKET", "/nonexistent");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/x").env_remove("RUST_LOG").env_remove("TZ");
        command.env_remove("CREDENTIALS_DIRECTORY");
    });
    let leaked = std::fs::read_dir(format!("/proc/{}/fd", set.warden.id())).unwrap().count();
    assert!(leaked > 5, "the detector: shuntd itself has the descriptor");
    assert!(set.hello.contains("fds=[0, 1, 2, 3] "), "{}", set.hello);
    assert!(set.hello.contains(r#"env=["DBUS_SYSTEM_BUS_ADDRESS", "SHUNT_LOG"]"#), "{}", set.hello);
    let uplink = set.ask("start");
    assert!(uplink.contains("fds=[0, 1, 2, 3] env=[] args=[] "), "{uplink}");
    let core = set.core();
    assert_eq!(core.status("NoNewPrivs"), "1");
    assert_eq!(core.status("SigBlk"), "0000000000000000");
    assert_eq!(core.status("NSsid"), core.status("NSpid"), "a session of its own");
}

pub(crate) fn users_differ_when_started_as_root() {
    if !geteuid().is_root() {
        let mut set = Set::start();
        assert!(set.hello.ends_with(r#"lacks=["same-user"]"#), "{}", set.hello);
        assert!(set.ask("start").ends_with(r#"lacks=["same-user"]"#));
        return;
    }
    let mut set = Set::start_with(&["--core-user", "12345", "--uplink-user", "12346:12347"], |_| {});
    assert!(set.hello.ends_with("lacks=[]"), "{}", set.hello);
    let (core, uplink) = (set.core(), set.start_uplink());
    for (process, uid, gid) in [(core, "12345", "12345"), (uplink, "12346", "12347")] {
        assert_eq!(process.status("Uid"), [uid; 4].join(" "));
        assert_eq!(process.status("Gid"), [gid; 4].join(" "));
        assert_eq!(process.status("Groups"), "");
        for capabilities in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
            assert_eq!(process.status(capabilities), "0000000000000000", "{capabilities}");
        }
    }
    // The warden can still end what has another user.
    assert_eq!(set.ask("uplink hang"), "hanging");
    assert_eq!(set.ask("stop"), "stopped");
    // The death signal outlived the change of user.
    let (core, uplink) = (set.core(), set.start_uplink());
    assert_eq!(set.ask("uplink hang"), "hanging");
    assert_eq!(set.ask("ignore"), "ignoring");
    set.warden.kill().unwrap();
    core.gone();
    uplink.gone();
}

pub(crate) fn neither_can_be_looked_into() {
    let mut set = Set::start();
    let uplink = set.start_uplink();
    for process in [set.core(), uplink] {
        assert_eq!(process.status("Seccomp"), "2");
        // Of a process that may not be dumped, /proc shows root as owner, and its memory to nobody.
        use std::os::unix::fs::MetadataExt;
        let owner = std::fs::metadata(format!("/proc/{}/mem", process.id)).unwrap().uid();
        assert_eq!(owner, 0);
    }
}

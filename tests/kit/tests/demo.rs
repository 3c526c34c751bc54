//! `make demo ARGS=--json`: what it prints is a contract; two of them side by side don't collide.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use shunt_kit::process::{all_processes, descendants};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const STEPS: [(&str, &str, &str); 6] = [
    ("switch-off", "sms", "switch-off"),
    ("both-on", "im", "online"),
    ("recipient-offline", "sms", "registered-offline"),
    ("recipient-back", "im", "online"),
    ("recipient-cut", "sms", "registered-offline"),
    ("switched-off-again", "sms", "switch-off"),
];
const KEYS: [&str; 7] = ["bearer", "inet_sockets", "ms", "reason", "shown", "sms_at_smsc", "step"];

fn demo() -> Child {
    let program = Path::new(env!("CARGO_BIN_EXE_demo"));
    let mut command = Command::new(program);
    command.arg(program.parent().unwrap()).arg("--json").stdout(Stdio::piped()).spawn().unwrap()
}

fn check(demo: Child) {
    let output = demo.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), STEPS.len(), "{text}");
    for (line, (step, bearer, reason)) in lines.iter().zip(STEPS) {
        let mut keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, KEYS, "{line}");
        assert_eq!((&line["step"], &line["bearer"]), (&step.into(), &bearer.into()), "{line}");
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["sms_at_smsc"], u64::from(bearer == "sms"), "{line}");
        assert_eq!(line["shown"], 1, "{line}");
        assert!(line["ms"].is_u64(), "{line}");
        let on = !step.starts_with("switch");
        assert_eq!(line["inet_sockets"].as_u64().unwrap() > 0, on, "{line}");
    }
}

#[test]
fn two_demos_side_by_side_each_tell_the_main_job() {
    let demos = [demo(), demo()];
    demos.into_iter().for_each(check);
}

/// A process of a demo, from its start to its end.
struct Watched {
    name: String,
    pidfd: tokio::io::unix::AsyncFd<OwnedFd>,
}

#[tokio::test]
async fn a_demo_that_is_killed_takes_everything_that_it_started_with_it() {
    let mut demo = demo();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    // Both phones are online.
    let both_on = lines.find(|line| line.as_ref().unwrap().contains("both-on"));
    assert!(both_on.is_some());
    let names: std::collections::HashMap<_, _> =
        all_processes().into_iter().map(|(pid, _, name)| (pid, name)).collect();
    let mut watched = Vec::new();
    for pid in descendants(demo.id()) {
        let raw = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        // One that has ended meanwhile needs no watching.
        let Ok(pidfd) = pidfd_open(raw, PidfdFlags::NONBLOCK) else { continue };
        // SAFETY: the descriptor is owned by the AsyncFd and stays open while registered.
        let pidfd = unsafe { tokio::io::unix::AsyncFd::register(pidfd) }.unwrap();
        watched.push(Watched { name: names.get(&pid).cloned().unwrap_or_default(), pidfd });
    }
    let count = |name: &str| watched.iter().filter(|process| process.name == name).count();
    for (name, phones) in [("shuntd", 2), ("shuntd-uplink", 2), ("ModemManager", 2), ("dbus-daemon", 2)] {
        assert_eq!(count(name), phones, "{name}");
    }
    assert!(count("beam.smp") >= 1 && count("shunt-directory") == 1 && count("polkitd") >= 1);
    demo.kill().unwrap();
    demo.wait().unwrap();
    for process in &watched {
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), process.pidfd.readable()).await;
        assert!(ended.is_ok(), "{} outlives its demo", process.name);
    }
}

//! `make demo ARGS=--json`: what it prints is a contract; two of them side by side don't collide.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
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

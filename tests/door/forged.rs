//! What the door makes itself, byte for byte, judged by two D-Bus implementations that are not ours.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Each forged message: its name and its bytes. `src/door/desk/tests/golden.rs` holds the door to it.
const GOLDEN: &str = include_str!("../../src/door/desk/golden.txt");

fn judged(messages: &[String]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/door/checked.py");
    let mut python = Command::new("python3");
    let mut child = python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all((messages.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_forged_message_is_well_formed_to_glib_and_libdbus() {
    let golden: Vec<(&str, String)> =
        GOLDEN.lines().filter_map(|line| line.split_once(": ")).map(|(name, hex)| (name, hex.to_owned())).collect();
    assert!(golden.len() >= 28, "{}", golden.len());
    let messages: Vec<String> = golden.iter().map(|(_, hex)| hex.clone()).collect();
    for ((name, _), said) in golden.iter().zip(judged(&messages)) {
        assert!(said.starts_with("Type:"), "{name}: {said}");
    }

    // The detector: a signature that says a structure where there are two arguments.
    let (_, added) = golden.iter().find(|(name, _)| *name == "Added").unwrap();
    let wrong = added.replace("026f6200", "046f6200");
    assert_ne!(&wrong, added);
    assert!(judged(&[wrong, added[..added.len() - 2].to_owned()]).iter().all(|said| said.starts_with("GLib: ")));
}

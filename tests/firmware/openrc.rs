//! OpenRC's scripts.

use crate::read;
use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn the_openrc_script_is_a_shell_script() {
    let check = |text: &str| {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        shell.wait().unwrap().success()
    };
    let script = read("init/shuntd.openrc");
    assert!(script.starts_with("#!/sbin/openrc-run\n"));
    assert!(check(&script));
    assert!(!check(&script.replacen('}', "", 1)));
}

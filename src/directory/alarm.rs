//! The operator's command for what somebody should look at.

use std::process::{Command, Stdio};

/// Runs it with these further arguments, beside us. An empty one is none.
pub(super) fn ring(command: &[String], arguments: &[&str]) {
    let Some((program, first)) = command.split_first() else { return };
    let mut command = Command::new(program);
    command.args(first).args(arguments).stdin(Stdio::null());
    match command.spawn() {
        // Waiting for it keeps no zombie.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => log::error!("the alarm command can't be run: {error}"),
    }
}

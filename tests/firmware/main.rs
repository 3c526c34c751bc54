//! The firmware files, each held against the tool that reads it: systemd's own checks, OpenRC, the SELinux
//! policy compiler, a shell. Each check is shown to refuse a broken file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

mod android;
#[cfg(feature = "directory")]
mod boot;
mod door;
mod install;
mod openrc;
mod sepolicy;
mod systemd;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Puts a program there.
pub(crate) fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A shell script with processes of its own, and more of its own as `unshare` names it: with it ends each process that
/// it left. None is waited for beyond two minutes.
pub(crate) fn contained(own: &[&str], script: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "120", "unshare"]).args(own);
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script]);
    command
}

pub(crate) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|e| panic!("{name} can't be run ({e}): install the test's packages, see README"))
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

//! Neither service's memory goes to swap, to a core file or to another process of its user.

use super::BINARY;
use super::site::Site;
use shunt_kit::evaluator::Evaluator;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// nobody.
const USER: u32 = 65534;
/// What a service says that may not lock its memory.
const SAID: &str = "memory could not be locked";

/// A field of a process's status, in proc(5)'s words.
fn status(pid: u32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap().trim().to_owned()
}

/// Root may lock memory where it has CAP_IPC_LOCK (capabilities(7)); with a limit for others the services do without.
fn root_may_lock() -> bool {
    let held = u64::from_str_radix(&status(std::process::id(), "CapEff"), 16).unwrap();
    held >> 14 & 1 == 1
}

/// Those of its private mappings that may be written and are not locked.
fn unlocked(pid: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let (mut mapping, mut unlocked) = ("", Vec::new());
    for line in maps.lines() {
        match line.strip_prefix("VmFlags:") {
            Some(flags) if mapping.contains(" rw-p ") && !flags.split(' ').any(|flag| flag == "lo") => {
                unlocked.push(mapping.to_owned());
            }
            None if line.split_once(' ').is_some_and(|(range, _)| range.contains('-')) => mapping = line,
            _ => {}
        }
    }
    unlocked
}

/// The soft and the hard limit of a core file's size.
fn core_limits(pid: u32) -> Vec<String> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    core.split_whitespace().take(2).map(str::to_owned).collect()
}

/// Whether another process of the same user may look into it, or a core file be made of it: else its files are root's.
fn is_dumpable(pid: u32) -> bool {
    std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid() == USER
}

/// That user's, who may have small core files, and may lock little memory.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("prlimit");
    command.args(["--core=65536", "--memlock=65536", "setpriv", "--clear-groups"]);
    command.args([format!("--reuid={USER}"), format!("--regid={USER}")]).arg(program);
    command
}

/// Gives that user everything below `dir`.
fn hand_over(dir: &Path) {
    assert!(Command::new("chown").arg("-R").arg(format!("{USER}:{USER}")).arg(dir).status().unwrap().success());
}

#[tokio::test]
async fn neither_services_memory_goes_to_swap_a_core_file_or_a_debugger() {
    let mut site = Site::start().await;
    let below = tempfile::tempdir().unwrap();
    let mut second = Evaluator::start(Path::new(BINARY), below.path(), "").await.unwrap();
    let (first_said, second_said) = (site.directory.log().unwrap(), second.log().unwrap());
    for (pid, said) in [(site.directory.id(), &first_said), (second.id(), &second_said)] {
        let locked = status(pid, "VmLck") != "0 kB" && unlocked(pid).is_empty();
        assert_eq!((locked, said.contains(SAID)), (root_may_lock(), !root_may_lock()), "{:?}", unlocked(pid));
        assert_eq!(core_limits(pid), ["0", "0"]);
    }

    site.directory.stop().await.unwrap();
    second.crash().await.unwrap();
    hand_over(site.directory.dir().parent().unwrap());
    hand_over(below.path());
    // That user may not see where the program was built.
    let seen = tempfile::tempdir().unwrap();
    std::fs::set_permissions(seen.path(), Permissions::from_mode(0o755)).unwrap();
    let program = seen.path().join("shunt-directory");
    std::fs::copy(BINARY, &program).unwrap();
    site.directory.restart_by(as_user(&program)).await.unwrap();
    second.restart_by(as_user(&program)).await.unwrap();
    let logs = (site.directory.log().unwrap(), second.log().unwrap());
    let first = (site.directory.id(), &logs.0[first_said.len()..]);
    for (pid, said) in [first, (second.id(), &logs.1[second_said.len()..])] {
        assert_eq!((core_limits(pid), is_dumpable(pid)), (vec!["0".to_owned(); 2], false));
        assert!(said.contains(SAID), "it says so, and serves: {said}");
    }

    // What is not kept out is seen.
    let mut other = as_user(Path::new("cat")).stdin(Stdio::piped()).spawn().unwrap();
    while status(other.id(), "Name") != "cat" || unlocked(other.id()).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(is_dumpable(other.id()) && status(other.id(), "VmLck") == "0 kB");
    assert_eq!(core_limits(other.id()), ["65536", "65536"]);
    drop(other.stdin.take());
    other.wait().unwrap();
}

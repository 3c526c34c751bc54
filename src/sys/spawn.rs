//! Starts a child that inherits nothing by accident: one channel as descriptor 3, one socket as 4 if it is to
//! have one, standard error, a user of its own, a chosen environment; and that dies with its parent.

use super::{
    inherit::{AGENTS, AGENTS_VARIABLE, CHANNEL},
    signals,
    users::Ids,
};
use rustix::{
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    process::{Pid, Resource, Rlimit, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit, setsid},
    thread::set_no_new_privs,
};
use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::{net::UnixListener, process::CommandExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
};

/// What to start, and how.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program's file.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Its whole environment.
    pub environment: &'a [(OsString, OsString)],
    /// Whom it runs as; `None`: as we do.
    pub user: Option<Ids>,
    /// Where agents connect: handed on as Android's init does.
    pub agents: Option<&'a UnixListener>,
}

/// Starts it with `channel` as descriptor 3. Descriptors: 0 and 1 are `/dev/null`, 2 is ours, 3 the
/// channel, 4 the agents' socket if there is one, nothing else. No controlling terminal, no way to new privileges, no core dump.
/// It gets SIGKILL when the calling thread ends.
///
/// # Errors
/// The kernel's, from fork, from any step before exec, or from exec itself.
pub fn spawn(what: &Spawn<'_>, channel: OwnedFd) -> io::Result<Child> {
    let parent = getpid();
    // The lowest free number from 3 on: afterwards 3 is taken in any case, so that none of the
    // pipes which `Command` opens can be the descriptor that the child replaces.
    let channel_copy = fcntl_dupfd_cloexec(&channel, CHANNEL)?;
    drop(channel);
    let channel = channel_copy.as_raw_fd();
    let agents_copy = what.agents.map(|socket| fcntl_dupfd_cloexec(socket, AGENTS)).transpose()?;
    let agents = agents_copy.as_ref().map(AsRawFd::as_raw_fd);
    let mut command = Command::new(what.program);
    command.args(what.arguments).env_clear().envs(what.environment.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    if agents.is_some() {
        command.env(AGENTS_VARIABLE, AGENTS.to_string());
    }
    if let Some(Ids { uid, gid }) = what.user {
        // As root this empties the supplementary groups too.
        command.uid(uid).gid(gid);
    }
    before_exec(&mut command, move || in_child(channel, agents, parent));
    command.spawn()
}

#[allow(unsafe_code)]
fn before_exec(command: &mut Command, steps: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    // SAFETY: the steps are system calls only: they allocate nothing, take no lock and touch no
    // memory of the parent's but three numbers, so they may run between fork and exec.
    unsafe { command.pre_exec(steps) };
}

/// Runs after the uid change, which would undo the death signal.
fn in_child(channel: RawFd, agents: Option<RawFd>, parent: Pid) -> io::Result<()> {
    setsid()?;
    // On Android it would stop SELinux from giving the child its own domain; there the child does it
    // itself, first of all.
    if !cfg!(target_os = "android") {
        set_no_new_privs(true)?;
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // In this order: what is to be 4 is not 3.
    become_descriptor(CHANNEL, channel)?;
    if let Some(agents) = agents {
        become_descriptor(AGENTS, agents)?;
    }
    close_above(if agents.is_some() { AGENTS } else { CHANNEL })?;
    signals::unblock_all()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

#[allow(unsafe_code)]
fn become_descriptor(wanted: RawFd, open: RawFd) -> io::Result<()> {
    // SAFETY: both are plain numbers; what the wanted one was in the parent's copy is not needed in
    // the child, and nothing here still owns it after exec.
    if unsafe { libc::dup2(open, wanted) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: dup2 just made it valid.
    let wanted = unsafe { BorrowedFd::borrow_raw(wanted) };
    // dup2 of a number onto itself leaves its close-on-exec flag.
    Ok(fcntl_setfd(wanted, FdFlags::empty())?)
}

/// By flag, not at once: `Command` still reports a failed exec over a pipe of its own.
#[allow(unsafe_code)]
fn close_above(last: RawFd) -> io::Result<()> {
    let from = last + 1;
    let flag = libc::c_long::from(CLOSE_RANGE_CLOEXEC);
    // SAFETY: three numbers; marks descriptors, touches no memory.
    if unsafe { libc::syscall(libc::SYS_close_range, libc::c_long::from(from), libc::c_long::from(-1), flag) } == 0 {
        return Ok(());
    }
    // Before Linux 5.11. The parent opens all its descriptors close-on-exec; this catches those
    // that it was itself started with.
    for number in from..4096 {
        // SAFETY: a flag on a number; EBADF for those that are not open is of no interest.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// `CLOSE_RANGE_CLOEXEC` (linux/close_range.h); libc has it not for all targets.
const CLOSE_RANGE_CLOEXEC: i32 = 1 << 2;

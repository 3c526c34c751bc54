//! What each process gives up before it touches anything from outside. Works without privileges;
//! what it could not do, it names.
//!
//! Called first in `main`, before any thread: the filter is laid on all threads all the same.

mod bpf;
mod calls;
mod numbers;
#[cfg(test)]
mod tests;

use bpf::{Rule, program};
use numbers::Machine;
use rustix::{
    net::sockopt::socket_peercred,
    process::{DumpableBehavior, Resource, Rlimit, geteuid, getpid, set_dumpable_behavior, setrlimit},
    thread::set_no_new_privs,
};
use std::{io, os::fd::BorrowedFd};

/// Runs as the same user as the warden and the other process: the kernel's file and signal checks
/// don't part them.
pub const SAME_USER: &str = "same-user";
/// The kernel took no filter, or there is none for this architecture: sockets are not refused.
pub const NO_SECCOMP: &str = "no-seccomp";
/// Other processes of the same user may look into this one's memory.
pub const DUMPABLE: &str = "dumpable";

/// Confines the core: `AF_UNIX` alone. `channel` is the descriptor from the warden; its creator's
/// user is compared with ours. Returns tokens for what is lacking, for the D-Bus property `Confinement`.
#[must_use]
pub fn core(channel: BorrowedFd<'_>) -> Vec<&'static str> {
    confine(channel, &calls::core(Machine::HOST))
}

/// Confines the uplink: `AF_INET` and `AF_INET6` (on Android `AF_UNIX` for the resolver), no program,
/// no process, no file opened for writing. For `channel` and the result see [`core`].
#[must_use]
pub fn uplink(channel: BorrowedFd<'_>) -> Vec<&'static str> {
    confine(channel, &calls::uplink(Machine::HOST, getpid().as_raw_pid()))
}

/// The core's second step, once the key command (if any) has run: no program and no process any more.
///
/// # Errors
/// The kernel took no filter.
pub fn core_no_exec() -> io::Result<()> {
    filter(&calls::no_exec(Machine::HOST))
}

fn confine(channel: BorrowedFd<'_>, rules: &[Rule]) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    // The pair was made by the warden, so its peer's user is the warden's.
    let own = geteuid();
    if own.is_root() || !socket_peercred(channel).is_ok_and(|warden| warden.uid != own) {
        lacks.push(SAME_USER);
    }
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        lacks.push(DUMPABLE);
    }
    if let Err(e) = filter(rules) {
        log::warn!("no system call filter: {e}");
        lacks.push(NO_SECCOMP);
    }
    lacks
}

#[allow(unsafe_code)]
fn filter(rules: &[Rule]) -> io::Result<()> {
    set_no_new_privs(true)?;
    let mut code = program(Machine::HOST.abi(), rules);
    let length = u16::try_from(code.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    let operation = libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER.cast_signed());
    // SAFETY: `program` and the `length` instructions it points to live until the call returns; the
    // kernel copies them and writes nothing.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, operation, libc::SECCOMP_FILTER_FLAG_TSYNC, std::ptr::from_ref(&program))
    };
    match done {
        0 => Ok(()),
        // A thread's id: that one could not be brought under the filter.
        1.. => Err(io::ErrorKind::ResourceBusy.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

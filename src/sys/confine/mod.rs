//! What each process gives up before it touches anything from outside. Works without privileges;
//! what it could not do, it names.
//!
//! Called first in `main`, before any thread: the filter is laid on all threads all the same.

mod bpf;
mod calls;

use bpf::{Rule, program};
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
    confine(channel, &calls::core())
}

/// Confines the uplink: `AF_INET` and `AF_INET6` (on Android `AF_UNIX` for the resolver), no program,
/// no process, no file opened for writing. For `channel` and the result see [`core`].
#[must_use]
pub fn uplink(channel: BorrowedFd<'_>) -> Vec<&'static str> {
    confine(channel, &calls::uplink(getpid().as_raw_pid()))
}

/// The core's second step, once the key command (if any) has run: no program and no process any more.
///
/// # Errors
/// The kernel took no filter.
pub fn core_no_exec() -> io::Result<()> {
    filter(&calls::no_exec())
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
    let mut code = program(calls::ABI, rules);
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

#[cfg(test)]
mod tests {
    use super::{
        bpf::{program, run},
        calls::{ABI, core, no_exec, uplink},
        *,
    };
    use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, c_long};

    const REFUSED: u32 = SECCOMP_RET_ERRNO | 1;

    fn verdict(rules: &[Rule], call: c_long, arguments: &[u64]) -> u32 {
        run(&program(ABI, rules), ABI.architecture, u32::try_from(call).unwrap(), arguments)
    }

    fn family(family: i32) -> [u64; 2] {
        [u64::from(family.cast_unsigned()), 1]
    }

    #[test]
    fn the_core_gets_local_sockets_only() {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            assert_eq!(verdict(&core(), call, &family(libc::AF_UNIX)), SECCOMP_RET_ALLOW);
            for other in (0..64).filter(|other| *other != libc::AF_UNIX) {
                assert_eq!(verdict(&core(), call, &family(other)), REFUSED, "family {other}");
            }
        }
    }

    #[test]
    fn the_uplink_gets_internet_sockets_only() {
        let rules = uplink(9);
        for other in 0..64 {
            let allowed = [libc::AF_INET, libc::AF_INET6].contains(&other);
            let expected = if allowed { SECCOMP_RET_ALLOW } else { REFUSED };
            assert_eq!(verdict(&rules, libc::SYS_socket, &family(other)), expected, "family {other}");
        }
        let raw = [2, libc::SOCK_RAW as u64];
        assert_eq!(verdict(&rules, libc::SYS_socket, &raw), REFUSED);
    }

    #[test]
    fn the_uplink_starts_threads_but_no_process() {
        let rules = uplink(9);
        // As pthread_create calls it.
        assert_eq!(verdict(&rules, libc::SYS_clone, &[0x003d_0f00]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(&rules, libc::SYS_clone, &[17]), REFUSED);
        assert_eq!(verdict(&rules, libc::SYS_execve, &[]), REFUSED);
        assert_eq!(verdict(&rules, libc::SYS_clone3, &[]), SECCOMP_RET_ERRNO | 38);
    }

    #[test]
    fn the_uplink_opens_files_for_reading_only() {
        let rules = uplink(9);
        let open = |flags: i32| verdict(&rules, libc::SYS_openat, &[0, 0, u64::from(flags.cast_unsigned())]);
        assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC), SECCOMP_RET_ALLOW);
        for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, 3] {
            assert_eq!(open(flags), REFUSED, "{flags:o}");
        }
    }

    #[test]
    fn the_uplink_signals_itself_only() {
        assert_eq!(verdict(&uplink(9), libc::SYS_tgkill, &[9, 1, 6]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(&uplink(9), libc::SYS_tgkill, &[10, 1, 6]), REFUSED);
        assert_eq!(verdict(&uplink(9), libc::SYS_kill, &[9, 6]), REFUSED);
    }

    #[test]
    fn the_core_may_run_a_command_until_its_second_step() {
        assert_eq!(verdict(&core(), libc::SYS_execve, &[]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(&core(), libc::SYS_clone, &[17]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(&core(), libc::SYS_clone, &[17 | 0x1000_0000]), REFUSED);
        assert_eq!(verdict(&no_exec(), libc::SYS_execve, &[]), REFUSED);
        assert_eq!(verdict(&no_exec(), libc::SYS_clone, &[17]), REFUSED);
        assert_eq!(verdict(&no_exec(), libc::SYS_clone, &[0x003d_0f00]), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn ways_around_the_filter_are_refused_in_both() {
        for rules in [core(), uplink(9)] {
            for call in [libc::SYS_io_uring_setup, libc::SYS_ptrace, libc::SYS_process_vm_writev, libc::SYS_bpf] {
                assert_eq!(verdict(&rules, call, &[]), REFUSED, "{call}");
            }
            for daily in [libc::SYS_read, libc::SYS_epoll_create1, libc::SYS_eventfd2, libc::SYS_futex, libc::SYS_mmap]
            {
                assert_eq!(verdict(&rules, daily, &[]), SECCOMP_RET_ALLOW, "{daily}");
            }
        }
    }
}

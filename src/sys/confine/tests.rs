//! Every architecture's filters, interpreted on this machine.

use super::{
    Machine, Rule,
    bpf::{program, run, validate},
    calls::{core, no_exec, uplink},
    numbers::*,
};
use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO};

const REFUSED: u32 = SECCOMP_RET_ERRNO | 1;
const ABSENT: u32 = SECCOMP_RET_ERRNO | 38;
const MACHINES: [Machine; 3] = [Machine::X86_64, Machine::Aarch64, Machine::Arm];

/// What pthread_create asks `clone` for.
const THREAD: u64 = 0x003d_0f00;
/// What fork asks it for: SIGCHLD.
const FORK: u64 = 17;
const CLONE_NEWUSER: u64 = 0x1000_0000;

fn number(machine: Machine, call: u32, rules: &[Rule], arguments: &[u64]) -> u32 {
    run(&program(machine.abi(), rules), machine.abi().architecture, call, arguments)
}

#[track_caller]
fn verdict(machine: Machine, rules: &[Rule], call: Call, arguments: &[u64]) -> u32 {
    number(machine, call.on(machine).unwrap(), rules, arguments)
}

fn family(family: i32) -> [u64; 2] {
    [u64::from(family.cast_unsigned()), 1]
}

#[test]
fn every_filter_is_a_program_the_kernel_takes() {
    for machine in MACHINES {
        for rules in [core(machine), no_exec(machine), uplink(machine, 9)] {
            validate(&program(machine.abi(), &rules)).unwrap();
        }
    }
}

#[test]
fn another_abi_never_passes() {
    // x32 beside x86_64, the old ABI beside arm's; read, write, exit and a private call in each.
    for machine in MACHINES {
        for rules in [core(machine), no_exec(machine), uplink(machine, 9)] {
            let program = program(machine.abi(), &rules);
            for call in [0, 1, 3, 4, 60, 93, 0x000f_0005, 0x4000_0000, 0x0090_0003] {
                // i386, s390x, and the two others.
                let others = MACHINES.iter().filter(|other| **other != machine).map(|other| other.abi().architecture);
                for architecture in others.chain([0x4000_0003, 0x8000_0016, 0, u32::MAX]) {
                    assert_eq!(run(&program, architecture, call, &[]), REFUSED, "{machine:?} {architecture:x} {call}");
                }
            }
        }
    }
    let rules = core(Machine::X86_64);
    assert_eq!(number(Machine::X86_64, 0x4000_0000, &rules, &[]), REFUSED);
    assert_eq!(number(Machine::X86_64, 0x4000_0029, &rules, &family(libc::AF_UNIX)), REFUSED);
    let rules = core(Machine::Arm);
    assert_eq!(number(Machine::Arm, 0x0090_0003, &rules, &[]), REFUSED);
    assert_eq!(number(Machine::Arm, 0x000f_0005, &rules, &[]), SECCOMP_RET_ALLOW, "set_tls");
}

#[test]
fn calls_newer_than_the_rules_are_absent() {
    for machine in MACHINES {
        for rules in [core(machine), no_exec(machine), uplink(machine, 9)] {
            assert_eq!(number(machine, 462, &rules, &[]), SECCOMP_RET_ALLOW, "{machine:?} mseal");
            for newer in [463, 500, 0x000e_ffff] {
                assert_eq!(number(machine, newer, &rules, &[]), ABSENT, "{machine:?} {newer}");
            }
        }
    }
}

#[test]
fn the_core_gets_local_sockets_only() {
    for machine in MACHINES {
        for call in [SYS_socket, SYS_socketpair] {
            for any in 0..64 {
                let expected = if any == libc::AF_UNIX { SECCOMP_RET_ALLOW } else { REFUSED };
                assert_eq!(verdict(machine, &core(machine), call, &family(any)), expected, "{machine:?} family {any}");
            }
        }
    }
}

#[test]
fn the_uplink_gets_internet_sockets_only() {
    for machine in MACHINES {
        let rules = uplink(machine, 9);
        for any in 0..64 {
            let allowed = [libc::AF_INET, libc::AF_INET6].contains(&any);
            let expected = if allowed { SECCOMP_RET_ALLOW } else { REFUSED };
            assert_eq!(verdict(machine, &rules, SYS_socket, &family(any)), expected, "{machine:?} family {any}");
        }
        assert_eq!(verdict(machine, &rules, SYS_socket, &[2, libc::SOCK_RAW as u64]), REFUSED);
        for call in [SYS_listen, SYS_accept, SYS_accept4] {
            assert_eq!(verdict(machine, &rules, call, &[]), REFUSED);
        }
    }
}

#[test]
fn the_uplink_starts_threads_but_no_process() {
    for machine in MACHINES {
        let rules = uplink(machine, 9);
        assert_eq!(verdict(machine, &rules, SYS_clone, &[THREAD]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(machine, &rules, SYS_clone, &[FORK]), REFUSED);
        assert_eq!(verdict(machine, &rules, SYS_execve, &[]), REFUSED);
        assert_eq!(verdict(machine, &rules, SYS_execveat, &[]), REFUSED);
        assert_eq!(verdict(machine, &rules, SYS_clone3, &[]), ABSENT);
    }
}

#[test]
fn the_uplink_opens_files_for_reading_only() {
    for machine in MACHINES {
        let rules = uplink(machine, 9);
        // Only the older ones have `open`.
        let opens = [(SYS_openat, 2), (SYS_open, 1)];
        for (call, flags) in opens.into_iter().filter_map(|(call, at)| Some((call.on(machine)?, at))) {
            let open = |value: i32| {
                let mut arguments = [0; 3];
                arguments[flags] = u64::from(value.cast_unsigned());
                number(machine, call, &rules, &arguments)
            };
            assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC), SECCOMP_RET_ALLOW);
            for writing in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, 3] {
                assert_eq!(open(writing), REFUSED, "{machine:?} {call} {writing:o}");
            }
        }
        assert_eq!(verdict(machine, &rules, SYS_openat2, &[]), ABSENT);
        for call in [SYS_unlinkat, SYS_renameat2, SYS_mkdirat, SYS_truncate, SYS_fchmodat2] {
            assert_eq!(verdict(machine, &rules, call, &[]), REFUSED);
        }
    }
}

#[test]
fn the_uplink_signals_itself_only() {
    for machine in MACHINES {
        let rules = uplink(machine, 9);
        assert_eq!(verdict(machine, &rules, SYS_tgkill, &[9, 1, 6]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(machine, &rules, SYS_tgkill, &[10, 1, 6]), REFUSED);
        assert_eq!(verdict(machine, &rules, SYS_kill, &[9, 6]), REFUSED);
    }
}

#[test]
fn the_core_may_run_a_command_until_its_second_step() {
    for machine in MACHINES {
        let (first, second) = (core(machine), no_exec(machine));
        assert_eq!(verdict(machine, &first, SYS_execve, &[]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(machine, &first, SYS_clone, &[FORK]), SECCOMP_RET_ALLOW);
        assert_eq!(verdict(machine, &first, SYS_clone, &[FORK | CLONE_NEWUSER]), REFUSED);
        assert_eq!(verdict(machine, &second, SYS_execve, &[]), REFUSED);
        assert_eq!(verdict(machine, &second, SYS_clone, &[FORK]), REFUSED);
        assert_eq!(verdict(machine, &second, SYS_clone, &[THREAD]), SECCOMP_RET_ALLOW);
    }
}

#[test]
fn ways_around_the_filter_are_refused_in_both() {
    for machine in MACHINES {
        // read, epoll_create1, eventfd2, futex and mmap (arm: mmap2).
        let daily: [u32; 5] = match machine {
            Machine::X86_64 => [0, 291, 290, 202, 9],
            Machine::Aarch64 => [63, 20, 19, 98, 222],
            Machine::Arm => [3, 357, 356, 240, 192],
        };
        for rules in [core(machine), uplink(machine, 9)] {
            for call in [SYS_io_uring_setup, SYS_ptrace, SYS_process_vm_writev, SYS_bpf, SYS_unshare, SYS_keyctl] {
                assert_eq!(verdict(machine, &rules, call, &[]), REFUSED, "{machine:?} {call:?}");
            }
            for call in daily {
                assert_eq!(number(machine, call, &rules, &[]), SECCOMP_RET_ALLOW, "{machine:?} {call}");
            }
        }
    }
}

//! Which system calls each process has no business with. Names are the kernel's; numbers come from
//! libc for the target, or stand here where it has none.

use super::bpf::{Abi, Rule, Test};
use libc::{AF_INET, AF_INET6, AF_UNIX, CLONE_THREAD, ENOSYS, EPERM, SOCK_DGRAM, SOCK_STREAM};

/// The architecture's ABI. Calls after `mseal` (462) are newer than this table: a library that tries
/// one falls back, and nothing the table has not judged can be called.
const NEWEST: u32 = 462;

/// 64-bit and little-endian bits of `AUDIT_ARCH_*` (linux/audit.h), and the ELF machine below them.
#[cfg(target_arch = "x86_64")]
pub(super) const ABI: Abi =
    Abi { architecture: 0xc000_003e, foreign_from: 0x4000_0000, unknown_from: NEWEST + 1, private_from: u32::MAX };
#[cfg(target_arch = "aarch64")]
pub(super) const ABI: Abi =
    Abi { architecture: 0xc000_00b7, foreign_from: u32::MAX, unknown_from: NEWEST + 1, private_from: u32::MAX };
/// Its private calls, `set_tls` and `cacheflush` among them, begin at 0xf0000; the old ABI at 0x900000.
#[cfg(target_arch = "arm")]
pub(super) const ABI: Abi =
    Abi { architecture: 0x4000_0028, foreign_from: 0x0090_0000, unknown_from: NEWEST + 1, private_from: 0x000f_0000 };

macro_rules! numbers {
    ($($name:ident)*) => { [$(libc::$name as u32),*] };
}

/// Refused in core and uplink.
fn dangerous() -> Vec<u32> {
    let mut calls = Vec::from(numbers!(
        // Ways around the filter, or into another process.
        SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register
        SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_process_madvise SYS_kcmp SYS_pidfd_getfd
        SYS_bpf SYS_perf_event_open SYS_userfaultfd
        SYS_open_by_handle_at SYS_name_to_handle_at SYS_fanotify_init
        // The kernel and the machine.
        SYS_kexec_load SYS_init_module SYS_finit_module SYS_delete_module SYS_reboot SYS_syslog SYS_acct
        SYS_swapon SYS_swapoff SYS_sethostname SYS_setdomainname SYS_vhangup SYS_quotactl SYS_quotactl_fd
        SYS_settimeofday SYS_clock_settime SYS_adjtimex SYS_clock_adjtime
        SYS_lookup_dcookie SYS_nfsservctl SYS_personality
        // Other views of the system.
        SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_unshare SYS_setns
        SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_mount_setattr
        // The kernel's key rings are shared by user id.
        SYS_keyctl SYS_add_key SYS_request_key
        SYS_move_pages
    ));
    #[cfg(target_arch = "x86_64")]
    calls.extend(numbers!(SYS_iopl SYS_ioperm SYS_modify_ldt SYS_uselib SYS__sysctl));
    #[cfg(target_pointer_width = "64")]
    calls.push(libc::SYS_migrate_pages as u32);
    // kexec_file_load, clock_settime64 and clock_adjtime64 where libc has no name for them.
    #[cfg(target_arch = "x86_64")]
    calls.push(320);
    #[cfg(target_arch = "aarch64")]
    calls.push(294);
    #[cfg(target_arch = "arm")]
    calls.extend([401, 404, 405]);
    calls
}

/// Ways to start a program or another process but `clone`, which also starts threads.
fn processes() -> Vec<u32> {
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    let calls = numbers!(SYS_execve SYS_execveat SYS_fork SYS_vfork);
    #[cfg(target_arch = "aarch64")]
    let calls = numbers!(SYS_execve SYS_execveat);
    calls.into()
}

/// Changes to files, signals to others, and listening: the uplink does none of it.
fn not_for_the_uplink() -> Vec<u32> {
    let mut calls = Vec::from(numbers!(
        SYS_unlinkat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_mkdirat SYS_mknodat SYS_fchmod SYS_fchmodat
        SYS_fchown SYS_fchownat SYS_utimensat
        SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
        SYS_listen SYS_accept SYS_accept4
        SYS_kill SYS_tkill SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_pidfd_send_signal
        SYS_shmget SYS_msgget SYS_semget SYS_mq_open
    ));
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    calls.extend(numbers!(
        SYS_creat SYS_unlink SYS_rename SYS_link SYS_symlink SYS_mkdir SYS_rmdir SYS_mknod SYS_chmod SYS_chown
        SYS_lchown SYS_utimes SYS_futimesat
    ));
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"))]
    calls.extend([libc::SYS_renameat as u32, FCHMODAT2]);
    #[cfg(target_arch = "x86_64")]
    calls.extend(numbers!(SYS_utime SYS_truncate));
    #[cfg(target_arch = "aarch64")]
    calls.push(TRUNCATE);
    #[cfg(target_arch = "arm")]
    calls.extend(numbers!(SYS_truncate SYS_truncate64 SYS_chown32 SYS_lchown32 SYS_fchown32));
    #[cfg(target_arch = "arm")]
    calls.push(UTIMENSAT_TIME64);
    calls
}

/// The same on every architecture (numbers from 424 on are shared).
const FCHMODAT2: u32 = 452;
/// Android's libc has no name for it.
#[cfg(target_arch = "aarch64")]
const TRUNCATE: u32 = 45;
/// 32-bit only.
#[cfg(target_arch = "arm")]
const UTIMENSAT_TIME64: u32 = 412;

/// Bits in `open`'s flags that change a file.
const WRITING: u32 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;

fn all(calls: Vec<u32>) -> Vec<Rule> {
    calls.into_iter().map(|call| Rule { call, error: EPERM, unless: Vec::new() }).collect()
}

fn is(argument: u32, value: i32) -> Test {
    Test { argument, mask: !0, equals: value.cast_unsigned() }
}

fn sockets(families: &[i32]) -> Rule {
    Rule { call: libc::SYS_socket as u32, error: EPERM, unless: families.iter().map(|family| is(0, *family)).collect() }
}

/// A pair reaches nobody else; the runtime wakes itself by one.
fn pairs() -> Rule {
    Rule { call: libc::SYS_socketpair as u32, error: EPERM, unless: vec![is(0, AF_UNIX)] }
}

/// Its flags are in memory that a filter can't read: libraries fall back to `clone`.
fn no_clone3() -> Rule {
    Rule { call: libc::SYS_clone3 as u32, error: ENOSYS, unless: Vec::new() }
}

/// What `clone` may not open: any namespace (linux/sched.h, `CLONE_NEW*` but `NEWTIME`, which only clone3 knows).
const NAMESPACES: u32 = 0x7e02_0000;

fn no_namespaces() -> Rule {
    let unless = vec![Test { argument: 0, mask: NAMESPACES, equals: 0 }];
    Rule { call: libc::SYS_clone as u32, error: EPERM, unless }
}

/// For the core: local sockets only.
pub(super) fn core() -> Vec<Rule> {
    let mut rules = all(dangerous());
    rules.extend([sockets(&[AF_UNIX]), pairs(), no_clone3(), no_namespaces()]);
    rules
}

/// No program and no process any more; threads only.
pub(super) fn no_exec() -> Vec<Rule> {
    let mut rules = all(processes());
    let thread = CLONE_THREAD.cast_unsigned();
    let unless = vec![Test { argument: 0, mask: thread, equals: thread }];
    rules.push(Rule { call: libc::SYS_clone as u32, error: EPERM, unless });
    rules
}

/// For the uplink, which runs as process `own`: TCP and UDP, reading files, nothing else.
pub(super) fn uplink(own: i32) -> Vec<Rule> {
    let mut rules = all(dangerous());
    rules.extend(all(not_for_the_uplink()));
    rules.extend(no_exec());
    // Android's resolver is a daemon behind a local socket.
    let families: &[i32] =
        if cfg!(target_os = "android") { &[AF_INET, AF_INET6, AF_UNIX] } else { &[AF_INET, AF_INET6] };
    let kind = |kind| Test { argument: 1, mask: 0xf, equals: i32::cast_unsigned(kind) };
    let kinds = vec![kind(SOCK_STREAM), kind(SOCK_DGRAM)];
    rules.extend([
        sockets(families),
        Rule { call: libc::SYS_socket as u32, error: EPERM, unless: kinds },
        pairs(),
        no_clone3(),
        reading(libc::SYS_openat as u32, 2),
        // The flags are in memory, as with clone3.
        Rule { call: libc::SYS_openat2 as u32, error: ENOSYS, unless: Vec::new() },
        // abort() and threads signal their own process.
        Rule { call: libc::SYS_tgkill as u32, error: EPERM, unless: vec![is(0, own)] },
    ]);
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    rules.push(reading(libc::SYS_open as u32, 1));
    rules
}

fn reading(call: u32, flags: u32) -> Rule {
    let unless = vec![Test { argument: flags, mask: WRITING, equals: libc::O_RDONLY.cast_unsigned() }];
    Rule { call, error: EPERM, unless }
}

//! Which system calls each process has no business with. Names are the kernel's; the same rules serve
//! every architecture.

use super::{
    bpf::{Rule, Test},
    numbers::*,
};
use libc::{AF_INET, AF_INET6, AF_UNIX, CLONE_THREAD, ENOSYS, EPERM, SOCK_DGRAM, SOCK_STREAM};

/// Refused in core and uplink.
#[rustfmt::skip]
const DANGEROUS: &[Call] = &[
    // Ways around the filter, or into another process.
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_ptrace, SYS_process_vm_readv,
    SYS_process_vm_writev, SYS_process_madvise, SYS_kcmp, SYS_pidfd_getfd, SYS_bpf, SYS_perf_event_open,
    SYS_userfaultfd, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_fanotify_init,
    // The kernel and the machine.
    SYS_kexec_load, SYS_kexec_file_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_reboot, SYS_syslog,
    SYS_acct, SYS_swapon, SYS_swapoff, SYS_sethostname, SYS_setdomainname, SYS_vhangup, SYS_quotactl, SYS_quotactl_fd,
    SYS_settimeofday, SYS_clock_settime, SYS_clock_settime64, SYS_adjtimex, SYS_clock_adjtime, SYS_clock_adjtime64,
    SYS_lookup_dcookie, SYS_nfsservctl, SYS_personality, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib,
    SYS__sysctl,
    // Other views of the system.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_move_mount, SYS_open_tree,
    SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr,
    // The kernel's key rings are shared by user id.
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_move_pages, SYS_migrate_pages,
];

/// Ways to start a program or another process but `clone`, which also starts threads.
const PROCESSES: &[Call] = &[SYS_execve, SYS_execveat, SYS_fork, SYS_vfork];

/// Changes to files, signals to others, and listening: the uplink does none of it.
#[rustfmt::skip]
const NOT_FOR_THE_UPLINK: &[Call] = &[
    SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_mkdirat, SYS_mknodat, SYS_fchmod,
    SYS_fchmodat, SYS_fchmodat2, SYS_fchown, SYS_fchown32, SYS_fchownat, SYS_truncate, SYS_truncate64, SYS_utimensat,
    SYS_utimensat_time64, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr,
    SYS_fremovexattr, SYS_listen, SYS_accept, SYS_accept4, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal, SYS_shmget, SYS_msgget, SYS_semget, SYS_mq_open,
    // Older ones, which aarch64 never had.
    SYS_creat, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_chmod, SYS_chown,
    SYS_chown32, SYS_lchown, SYS_lchown32, SYS_utime, SYS_utimes, SYS_futimesat,
];

/// Bits in `open`'s flags that change a file.
const WRITING: u32 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;

/// Rules for one architecture; a call that it has not needs none.
struct Rules {
    machine: Machine,
    rules: Vec<Rule>,
}

impl Rules {
    fn new(machine: Machine) -> Self {
        Self { machine, rules: Vec::new() }
    }

    fn refuse(&mut self, calls: &[Call]) {
        for call in calls {
            self.only(*call, Vec::new());
        }
    }

    /// Refuses the call unless one of the tests holds.
    fn only(&mut self, call: Call, unless: Vec<Test>) {
        self.add(call, EPERM, unless);
    }

    /// As if the kernel did not know it, so that libraries fall back.
    fn absent(&mut self, call: Call) {
        self.add(call, ENOSYS, Vec::new());
    }

    fn add(&mut self, call: Call, error: i32, unless: Vec<Test>) {
        self.rules.extend(call.on(self.machine).map(|call| Rule { call, error, unless }));
    }

    fn sockets(&mut self, families: &[i32]) {
        self.only(SYS_socket, families.iter().map(|family| is(0, *family)).collect());
        // A pair reaches nobody else; the runtime wakes itself by one.
        self.only(SYS_socketpair, vec![is(0, AF_UNIX)]);
    }

    fn no_process(&mut self) {
        self.refuse(PROCESSES);
        let thread = CLONE_THREAD.cast_unsigned();
        self.only(SYS_clone, vec![Test { argument: 0, mask: thread, equals: thread }]);
    }
}

fn is(argument: u32, value: i32) -> Test {
    Test { argument, mask: !0, equals: value.cast_unsigned() }
}

/// What `clone` may not open: any namespace (linux/sched.h, `CLONE_NEW*` but `NEWTIME`, which only clone3 knows).
const NAMESPACES: u32 = 0x7e02_0000;

/// For the core: local sockets only.
pub(super) fn core(machine: Machine) -> Vec<Rule> {
    let mut rules = Rules::new(machine);
    rules.refuse(DANGEROUS);
    rules.sockets(&[AF_UNIX]);
    // Its flags are in memory that a filter can't read: libraries fall back to `clone`.
    rules.absent(SYS_clone3);
    rules.only(SYS_clone, vec![Test { argument: 0, mask: NAMESPACES, equals: 0 }]);
    rules.rules
}

/// No program and no process any more; threads only.
pub(super) fn no_exec(machine: Machine) -> Vec<Rule> {
    let mut rules = Rules::new(machine);
    rules.no_process();
    rules.rules
}

/// For the uplink, which runs as process `own`: TCP and UDP, reading files, nothing else.
pub(super) fn uplink(machine: Machine, own: i32) -> Vec<Rule> {
    let mut rules = Rules::new(machine);
    rules.refuse(DANGEROUS);
    rules.refuse(NOT_FOR_THE_UPLINK);
    rules.no_process();
    // Android's resolver is a daemon behind a local socket.
    let families: &[i32] =
        if cfg!(target_os = "android") { &[AF_INET, AF_INET6, AF_UNIX] } else { &[AF_INET, AF_INET6] };
    rules.sockets(families);
    let kind = |kind| Test { argument: 1, mask: 0xf, equals: i32::cast_unsigned(kind) };
    rules.only(SYS_socket, vec![kind(SOCK_STREAM), kind(SOCK_DGRAM)]);
    // The flags of both are in memory.
    rules.absent(SYS_clone3);
    rules.absent(SYS_openat2);
    let reading = |flags| vec![Test { argument: flags, mask: WRITING, equals: libc::O_RDONLY.cast_unsigned() }];
    rules.only(SYS_openat, reading(2));
    rules.only(SYS_open, reading(1));
    // abort() and threads signal their own process.
    rules.only(SYS_tgkill, vec![is(0, own)]);
    rules.rules
}

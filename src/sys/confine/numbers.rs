//! The numbers of the calls that the rules name, on each architecture: from the kernel's own tables
//! (`arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`, `arch/arm/tools/syscall.tbl`).
//! They stand here, not in libc alone, so that each architecture's filter is built and tested on every machine;
//! where libc names a call for the target, the compiler holds the two against each other.
#![allow(non_upper_case_globals)] // as libc and the kernel write them

use super::bpf::Abi;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
compile_error!("no table of system calls for this architecture");

/// Calls after `mseal` (462) are newer than the rules: a library that tries one falls back, and nothing
/// the rules have not judged can be called.
const UNKNOWN_FROM: u32 = 463;

/// What a filter is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
    /// 32 bits, little-endian, EABI.
    Arm,
}

impl Machine {
    /// The one that this program runs on.
    pub(super) const HOST: Self = if cfg!(target_arch = "x86_64") {
        Self::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::Arm
    };

    /// `AUDIT_ARCH_*` (linux/audit.h) is the ELF machine, with bits for 64-bit and little-endian.
    pub(super) const fn abi(self) -> Abi {
        match self {
            Self::X86_64 => Abi {
                architecture: 0xc000_003e,
                foreign_from: 0x4000_0000,
                unknown_from: UNKNOWN_FROM,
                private_from: u32::MAX,
            },
            Self::Aarch64 => Abi {
                architecture: 0xc000_00b7,
                foreign_from: u32::MAX,
                unknown_from: UNKNOWN_FROM,
                private_from: u32::MAX,
            },
            // Its private calls, `set_tls` and `cacheflush` among them, begin at 0xf0000; the old ABI at 0x900000.
            Self::Arm => Abi {
                architecture: 0x4000_0028,
                foreign_from: 0x0090_0000,
                unknown_from: UNKNOWN_FROM,
                private_from: 0x000f_0000,
            },
        }
    }
}

/// A call's number, where the architecture has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    x86_64: Option<u32>,
    aarch64: Option<u32>,
    arm: Option<u32>,
}

impl Call {
    pub(super) const fn on(self, machine: Machine) -> Option<u32> {
        match machine {
            Machine::X86_64 => self.x86_64,
            Machine::Aarch64 => self.aarch64,
            Machine::Arm => self.arm,
        }
    }
}

macro_rules! number {
    (-) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

#[cfg(not(target_os = "android"))]
macro_rules! as_in_libc {
    ($name:ident -) => {};
    ($name:ident $number:literal) => {
        const _: () = assert!(libc::$name == $number);
    };
}

macro_rules! calls {
    ($($name:ident $x86_64:tt $aarch64:tt $arm:tt)*) => {
        $(pub(super) const $name: Call =
            Call { x86_64: number!($x86_64), aarch64: number!($aarch64), arm: number!($arm) };)*
    };
}

/// Calls that libc has for each of these targets; Android's libc lacks some.
macro_rules! calls_in_libc {
    ($($name:ident $x86_64:tt $aarch64:tt $arm:tt)*) => {
        calls! { $($name $x86_64 $aarch64 $arm)* }
        $(
            #[cfg(all(target_arch = "x86_64", not(target_os = "android")))]
            as_in_libc!($name $x86_64);
            #[cfg(all(target_arch = "aarch64", not(target_os = "android")))]
            as_in_libc!($name $aarch64);
            #[cfg(all(target_arch = "arm", not(target_os = "android")))]
            as_in_libc!($name $arm);
        )*
    };
}

calls_in_libc! {
    //                 x86_64 aarch64 arm
    SYS__sysctl            156   - 149
    SYS_accept              43 202 285
    SYS_accept4            288 242 366
    SYS_acct               163  89  51
    SYS_add_key            248 217 309
    SYS_adjtimex           159 171 124
    SYS_bpf                321 280 386
    SYS_chmod               90   -  15
    SYS_chown               92   - 182
    SYS_chown32              -   - 212
    SYS_chroot             161  51  61
    SYS_clock_adjtime      305 266 372
    SYS_clock_settime      227 112 262
    SYS_clone               56 220 120
    SYS_clone3             435 435 435
    SYS_creat               85   -   8
    SYS_delete_module      176 106 129
    SYS_execve              59 221  11
    SYS_execveat           322 281 387
    SYS_fanotify_init      300 262 367
    SYS_fchmod              91  52  94
    SYS_fchmodat           268  53 333
    SYS_fchown              93  55  95
    SYS_fchown32             -   - 207
    SYS_fchownat           260  54 325
    SYS_finit_module       313 273 379
    SYS_fork                57   -   2
    SYS_fremovexattr       199  16 237
    SYS_fsconfig           431 431 431
    SYS_fsetxattr          190   7 228
    SYS_fsmount            432 432 432
    SYS_fsopen             430 430 430
    SYS_fspick             433 433 433
    SYS_futimesat          261   - 326
    SYS_init_module        175 105 128
    SYS_io_uring_enter     426 426 426
    SYS_io_uring_register  427 427 427
    SYS_io_uring_setup     425 425 425
    SYS_ioperm             173   -   -
    SYS_iopl               172   -   -
    SYS_kcmp               312 272 378
    SYS_kexec_load         246 104 347
    SYS_keyctl             250 219 311
    SYS_kill                62 129  37
    SYS_lchown              94   -  16
    SYS_lchown32             -   - 198
    SYS_link                86   -   9
    SYS_linkat             265  37 330
    SYS_listen              50 201 284
    SYS_lookup_dcookie     212  18 249
    SYS_lremovexattr       198  15 236
    SYS_lsetxattr          189   6 227
    SYS_mkdir               83   -  39
    SYS_mkdirat            258  34 323
    SYS_mknod              133   -  14
    SYS_mknodat            259  33 324
    SYS_modify_ldt         154   -   -
    SYS_mount              165  40  21
    SYS_mount_setattr      442 442 442
    SYS_move_mount         429 429 429
    SYS_move_pages         279 239 344
    SYS_mq_open            240 180 274
    SYS_msgget              68 186 303
    SYS_name_to_handle_at  303 264 370
    SYS_nfsservctl         180  42 169
    SYS_open                 2   -   5
    SYS_open_by_handle_at  304 265 371
    SYS_open_tree          428 428 428
    SYS_openat             257  56 322
    SYS_openat2            437 437 437
    SYS_perf_event_open    298 241 364
    SYS_personality        135  92 136
    SYS_pidfd_getfd        438 438 438
    SYS_pidfd_send_signal  424 424 424
    SYS_pivot_root         155  41 218
    SYS_process_madvise    440 440 440
    SYS_process_vm_readv   310 270 376
    SYS_process_vm_writev  311 271 377
    SYS_ptrace             101 117  26
    SYS_quotactl           179  60 131
    SYS_quotactl_fd        443 443 443
    SYS_reboot             169 142  88
    SYS_removexattr        197  14 235
    SYS_rename              82   -  38
    SYS_renameat           264  38 329
    SYS_renameat2          316 276 382
    SYS_request_key        249 218 310
    SYS_rmdir               84   -  40
    SYS_rt_sigqueueinfo    129 138 178
    SYS_rt_tgsigqueueinfo  297 240 363
    SYS_semget              64 190 299
    SYS_setdomainname      171 162 121
    SYS_sethostname        170 161  74
    SYS_setns              308 268 375
    SYS_settimeofday       164 170  79
    SYS_setxattr           188   5 226
    SYS_shmget              29 194 307
    SYS_socket              41 198 281
    SYS_socketpair          53 199 288
    SYS_swapoff            168 225 115
    SYS_swapon             167 224  87
    SYS_symlink             88   -  83
    SYS_symlinkat          266  36 331
    SYS_syslog             103 116 103
    SYS_tgkill             234 131 268
    SYS_tkill              200 130 238
    SYS_truncate            76  45  92
    SYS_truncate64           -   - 193
    SYS_umount2            166  39  52
    SYS_unlink              87   -  10
    SYS_unlinkat           263  35 328
    SYS_unshare            272  97 337
    SYS_uselib             134   -  86
    SYS_userfaultfd        323 282 388
    SYS_utime              132   -   -
    SYS_utimensat          280  88 348
    SYS_utimes             235   - 269
    SYS_vfork               58   - 190
    SYS_vhangup            153  58 111
    SYS_kexec_file_load    320 294 401
}

calls! {
    SYS_clock_adjtime64      -   - 405
    SYS_clock_settime64      -   - 404
    SYS_fchmodat2          452 452 452
    SYS_migrate_pages      256 238 400
    SYS_utimensat_time64     -   - 412
}

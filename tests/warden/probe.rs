//! What a process may do, tried: the name of an error, or what was got.

#![allow(unsafe_code)] // calls as an intruder would make them

use libc::{c_int, c_long};
use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
};

/// Tries what the line names.
pub(crate) fn probe(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["socket", family, kind] => socket(family, kind),
        ["pair", family] => pair(family),
        ["connect", address] => named(TcpStream::connect(address)),
        ["resolve", name] => named((name, 1).to_socket_addrs()),
        ["create", path] => named(std::fs::File::create(path)),
        ["read", path] => named(std::fs::File::open(path)),
        ["run", path] => named(std::process::Command::new(path).status()),
        ["thread"] => named(std::thread::Builder::new().spawn(|| 7).map(|thread| thread.join().unwrap())),
        // A thread of its own: the stand-in for the core already is in a runtime.
        ["runtime"] => std::thread::spawn(|| named(tokio::runtime::Builder::new_current_thread().enable_all().build()))
            .join()
            .unwrap(),
        ["blocking-pool"] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            named(runtime.block_on(tokio::net::lookup_host("localhost:1")))
        }
        ["fork"] => fork(),
        ["int80"] => int80(),
        [name] => raw(name),
        _ => panic!("{line}"),
    }
}

fn socket(family: &str, kind: &str) -> String {
    let kind = match kind {
        "stream" => libc::SOCK_STREAM,
        "dgram" => libc::SOCK_DGRAM,
        "raw" => libc::SOCK_RAW,
        _ => panic!("{kind}"),
    };
    // SAFETY: three numbers.
    closed(unsafe { libc::socket(number(family), kind | libc::SOCK_CLOEXEC, 0) })
}

fn pair(family: &str) -> String {
    let mut fds = [-1; 2];
    // SAFETY: room for two descriptors.
    let done = unsafe { libc::socketpair(number(family), libc::SOCK_STREAM, 0, fds.as_mut_ptr()) };
    if done < 0 {
        return error();
    }
    fds.map(closed)[0].clone()
}

fn number(family: &str) -> c_int {
    match family {
        "unix" => libc::AF_UNIX,
        "inet" => libc::AF_INET,
        "inet6" => libc::AF_INET6,
        "netlink" => libc::AF_NETLINK,
        "packet" => libc::AF_PACKET,
        "vsock" => libc::AF_VSOCK,
        "bluetooth" => libc::AF_BLUETOOTH,
        _ => panic!("{family}"),
    }
}

fn closed(fd: c_int) -> String {
    if fd < 0 {
        return error();
    }
    // SAFETY: just opened here.
    unsafe { libc::close(fd) };
    "ok".into()
}

/// Calls that libraries hide. With senseless arguments: unconfined they fail by another error than
/// EPERM, or succeed without effect.
fn raw(name: &str) -> String {
    const X32: c_long = 0x4000_0000;
    let (call, first): (c_long, c_long) = match name {
        "io_uring_setup" => (libc::SYS_io_uring_setup, 0),
        "io_uring_enter" => (libc::SYS_io_uring_enter, -1),
        "ptrace" => (libc::SYS_ptrace, -1),
        "process_vm_readv" => (libc::SYS_process_vm_readv, 0),
        "bpf" => (libc::SYS_bpf, -1),
        "perf_event_open" => (libc::SYS_perf_event_open, 0),
        "userfaultfd" => (libc::SYS_userfaultfd, -1),
        "finit_module" => (libc::SYS_finit_module, -1),
        "kexec_load" => (libc::SYS_kexec_load, -1),
        "unshare" => (libc::SYS_unshare, 0),
        "setns" => (libc::SYS_setns, -1),
        "mount" => (libc::SYS_mount, 0),
        "keyctl" => (libc::SYS_keyctl, -1),
        "pidfd_getfd" => (libc::SYS_pidfd_getfd, -1),
        "clone3" => (libc::SYS_clone3, 0),
        "openat2" => (libc::SYS_openat2, -1),
        "execveat" => (libc::SYS_execveat, -1),
        "listen" => (libc::SYS_listen, -1),
        "accept4" => (libc::SYS_accept4, -1),
        "kill-warden" => return kill_parent(),
        // After the newest call that the table knows.
        "unknown" => (463, -1),
        "x32" => (X32 + libc::SYS_getpid, 0),
        _ => panic!("{name}"),
    };
    // SAFETY: no argument is a pointer that the kernel could write through.
    if unsafe { libc::syscall(call, first, 0_i64, 0_i64, 0_i64, 0_i64, 0_i64) } < 0 { error() } else { "ok".into() }
}

fn kill_parent() -> String {
    // SAFETY: signal 0 only asks.
    if unsafe { libc::kill(libc::getppid(), 0) } < 0 { error() } else { "ok".into() }
}

fn fork() -> String {
    // SAFETY: the child does nothing but end.
    match unsafe { libc::fork() } {
        0 => unsafe { libc::_exit(0) },
        -1 => error(),
        child => {
            // SAFETY: waits for our own child; no status wanted.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            "ok".into()
        }
    }
}

/// getpid by the 32-bit way, in a child: a kernel without it sends a signal.
#[cfg(target_arch = "x86_64")]
fn int80() -> String {
    // SAFETY: the child makes one call without arguments and ends with what it got.
    match unsafe { libc::fork() } {
        0 => {
            let mut got: i32 = 20;
            // SAFETY: number in, result out; the 64-bit registers that int 0x80 clobbers are named.
            unsafe {
                std::arch::asm!("int 0x80", inout("eax") got, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
                libc::_exit(if got < 0 { -got } else { 0 });
            }
        }
        -1 => error(),
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            if libc::WIFSIGNALED(status) {
                return "signal".into();
            }
            match libc::WEXITSTATUS(status) {
                0 => "ok".into(),
                code => named::<()>(Err(io::Error::from_raw_os_error(code))),
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn int80() -> String {
    "signal".into()
}

fn error() -> String {
    named::<()>(Err(io::Error::last_os_error()))
}

fn named<T>(result: io::Result<T>) -> String {
    match result.map_err(|e| e.raw_os_error()) {
        Ok(_) => "ok".into(),
        Err(Some(libc::EPERM)) => "EPERM".into(),
        Err(Some(libc::EACCES)) => "EACCES".into(),
        Err(Some(libc::ENOSYS)) => "ENOSYS".into(),
        Err(Some(other)) => format!("error {other}"),
        Err(None) => "error".into(),
    }
}

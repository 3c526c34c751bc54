//! A network namespace without a name: it lives while somebody holds it, and leaves nothing behind.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// A handle on a network namespace; clones are the same namespace.
#[derive(Debug, Clone)]
pub struct Netns(Arc<File>);

impl Netns {
    /// A new namespace with its loopback up and nothing else. Needs root.
    pub fn new() -> Result<Self> {
        let file = on_a_thread(|| -> Result<File> {
            // SAFETY: only this thread's network namespace changes, and the thread ends here.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("a network namespace of its own (needs root)")?;
            loopback_up().context("the namespace's loopback")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        })??;
        Ok(Self(Arc::new(file)))
    }

    /// Runs something on a thread inside the namespace, for sockets that must be made there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_a_thread(|| -> Result<T> {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&*self.0), Some(LinkNameSpaceType::Network))
                .context("entering the network namespace")?;
            Ok(work())
        })?
    }

    /// Lets a program start inside the namespace.
    pub fn confine(&self, command: &mut Command) {
        let held = self.0.clone();
        // SAFETY: setns is async-signal-safe, and the descriptor is held by the closure.
        unsafe {
            command.pre_exec(move || match libc::setns(held.as_raw_fd(), libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the thread in the namespace panicked"))
}

fn loopback_up() -> std::io::Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| std::net::UdpSocket::bind("0.0.0.0:0"))?;
    // SAFETY: an all-zero ifreq is valid; the ioctl reads name and flags from it.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (slot, octet) in request.ifr_name.iter_mut().zip(b"lo") {
            *slot = *octet as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request)
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

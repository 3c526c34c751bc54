//! A network namespace without a name: it lives while somebody holds it, and leaves nothing behind.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// A handle on a network namespace; clones are the same namespace.
#[derive(Debug, Clone)]
pub struct Netns(Arc<File>);

impl Netns {
    /// A new namespace with a loopback and a wire that leads nowhere: packets to any address leave by
    /// `wire0`, and can be seen there, but nobody answers. Needs root and iproute2.
    pub fn new() -> Result<Self> {
        let file = on_a_thread(|| -> Result<File> {
            // SAFETY: only this thread's network namespace changes, and the thread ends here.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("a network namespace of its own (needs root)")?;
            loopback_up().context("the namespace's loopback")?;
            dead_end().context("the namespace's wire (needs iproute2)")?;
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

    /// The name server that [`Netns::new`] assumes; it answers nothing.
    pub const NAME_SERVER: &str = "192.0.2.53";

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

/// A pair of virtual interfaces without the kernel's own IPv6 chatter, and a router that is assumed
/// to be there, so that packets are not held back by an unanswered ARP request.
fn dead_end() -> Result<()> {
    // Without IPv6 in the kernel there is nothing to turn off.
    let _absent = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(
            b"link add wire0 type veth peer name wire1
link set wire1 up
link set wire0 up
address add 192.0.2.2/24 dev wire0
neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev wire0
neighbour add 192.0.2.53 lladdr 02:00:00:00:00:53 dev wire0
route add default via 192.0.2.1 dev wire0
",
        )?;
    }
    anyhow::ensure!(ip.wait()?.success(), "ip refused");
    Ok(())
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

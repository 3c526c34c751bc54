//! What the daemons use: sockets, memory, wake-ups. Read from outside, as root.

use std::fs;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Sockets of a process that could reach a network: IPv4, IPv6 and packet sockets, bound or not.
pub fn inet_sockets(pid: u32) -> Result<usize> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Ok(0) };
    let process = match pidfd_open(raw(pid)?, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(_) => return Ok(0), // it ended meanwhile
    };
    let mut count = 0;
    for entry in entries.flatten() {
        let is_socket =
            fs::read_link(entry.path()).is_ok_and(|l| l.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        let number = entry.file_name().to_str().and_then(|n| n.parse().ok());
        if let (true, Some(number)) = (is_socket, number)
            && let Some(copy) = copy_of(&process, number)?
        {
            let family = socket_domain(&copy)?;
            count += usize::from([AddressFamily::INET, AddressFamily::INET6, AddressFamily::PACKET].contains(&family));
        }
    }
    Ok(count)
}

/// A copy of another process's descriptor; none when it is closed by now.
fn copy_of(process: &impl AsFd, number: i32) -> Result<Option<OwnedFd>> {
    use std::os::fd::AsRawFd;
    let process = process.as_fd().as_raw_fd();
    // SAFETY: three numbers; the kernel makes a new descriptor, which is ours from here on.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) };
    if copy >= 0 {
        // SAFETY: just made, and known to nobody else.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(copy as i32) }));
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EBADF | libc::ESRCH) => Ok(None),
        _ => Err(error).context("looking at a daemon's sockets (needs root)"),
    }
}

/// Proportional set size in KiB.
pub fn pss(pid: u32) -> Result<u64> {
    memory(pid, "Pss:")
}

/// Memory that stands for no file, in KiB: heaps and stacks.
pub fn anonymous(pid: u32) -> Result<u64> {
    memory(pid, "Anonymous:")
}

fn memory(pid: u32, kind: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|l| l.strip_prefix(kind)).with_context(|| format!("no {kind}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Voluntary context switches of all threads since their start: each is a wake-up.
pub fn voluntary_switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("status"))?;
        let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")).context("no switches")?;
        sum += line.trim().parse::<u64>()?;
    }
    Ok(sum)
}

/// Waits until a process that is not our child is gone.
pub async fn gone(pid: u32) -> Result<()> {
    let Ok(process) = pidfd_open(raw(pid)?, PidfdFlags::NONBLOCK) else { return Ok(()) };
    // SAFETY: the descriptor is owned by the AsyncFd and stays open while registered.
    let process = unsafe { tokio::io::unix::AsyncFd::register(process) }?;
    let _readable = process.readable().await?;
    Ok(())
}

fn raw(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbound_socket_is_counted_too() {
        let mine = std::process::id();
        let before = inet_sockets(mine).unwrap();
        let socket = rustix::net::socket(AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        assert_eq!(inet_sockets(mine).unwrap(), before + 1);
        drop(socket);
        let _unix = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(inet_sockets(mine).unwrap(), before);
    }

    #[test]
    fn memory_and_switches_are_read() {
        assert!(pss(std::process::id()).unwrap() > 100);
        let before = anonymous(std::process::id()).unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(anonymous(std::process::id()).unwrap() > before + (32 << 10), "a block in use is seen");
        drop(block);
        assert!(voluntary_switches(std::process::id()).is_ok());
    }
}

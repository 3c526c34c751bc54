//! What the other end of a Unix socket has not read.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether the other end of a Unix stream socket has read all that was written to it (`SIOCOUTQ`, unix(7)). Where
/// the kernel doesn't say, it has.
#[must_use]
#[allow(unsafe_code)]
pub fn all_read(socket: BorrowedFd<'_>) -> bool {
    let mut unread: libc::c_int = 0;
    // SAFETY: an open socket, and a pointer to an int that outlives the call, which is what TIOCOUTQ (the same number
    // as SIOCOUTQ) writes.
    let failed = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) } != 0;
    failed || unread == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_the_other_end_has_not_read_is_told() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        assert!(all_read(one.as_fd()));
        one.write_all(b"text").unwrap();
        assert!(!all_read(one.as_fd()));
        other.read_exact(&mut [0; 3]).unwrap();
        assert!(!all_read(one.as_fd()), "a byte is left");
        other.read_exact(&mut [0; 1]).unwrap();
        assert!(all_read(one.as_fd()));
    }
}

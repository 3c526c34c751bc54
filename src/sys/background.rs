//! Leaving whoever started a program.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Goes on as a process of its own, in a session of its own and with nothing to read or to write to; the one that was
/// started ends with success. Before any thread is started.
///
/// # Errors
/// The kernel's, from fork or from what is done before it: nothing has changed then.
#[allow(unsafe_code)]
pub fn go_to_background() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: there is one thread only, so the child's memory is whole.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => std::process::exit(0),
    }
    rustix::process::setsid()?;
    for standard in 0..=2 {
        // SAFETY: both are open, or the call fails; who holds 0 to 2 (std) holds numbers, not files.
        if unsafe { libc::dup2(null.as_raw_fd(), standard) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

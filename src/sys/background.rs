//! Leaving whoever started a program.

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io;

/// Goes on as a process of its own, in a session of its own and with nothing to read or to write to; the one that was
/// started ends with success. Before any thread is started.
///
/// # Errors
/// The kernel's: before the fork nothing has changed; after it the new process alone hears of them.
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
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

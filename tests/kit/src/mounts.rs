//! A program's own view of some paths: bind mounts in a mount namespace that ends with it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// Lets a program see `from` at `to`, for each pair, and nobody else. Needs root; what is at `to`
/// must exist and be of the same kind.
pub(crate) fn own_view(command: &mut Command, binds: &[(&Path, &Path)]) -> Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let binds = binds.iter().map(|(from, to)| Ok((text(from)?, text(to)?))).collect::<Result<Vec<_>>>()?;
    // SAFETY: unshare and mount are plain system calls on strings made before the fork.
    unsafe {
        command.pre_exec(move || mount(&binds));
    }
    Ok(())
}

fn mount(binds: &[(CString, CString)]) -> std::io::Result<()> {
    let failed = |code: i32| if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let none = std::ptr::null();
    // SAFETY: all pointers are to strings that outlive the calls, or null where that is allowed.
    unsafe {
        failed(libc::unshare(libc::CLONE_NEWNS))?;
        failed(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
        for (from, to) in binds {
            failed(libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()))?;
        }
    }
    Ok(())
}

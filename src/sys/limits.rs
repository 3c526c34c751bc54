//! Limits that the kernel sets on a process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process open as many files as it may: two sockets go on each connection through the door,
/// and the usual 1,024 are meant for programs that use `select`.
pub fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        log::warn!("the limit on open files stays as it is: {error}");
    }
}

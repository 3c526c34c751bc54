//! What ends the kit's programs when the test's own process is killed: a shell that reads, from a pipe whose other end
//! we alone hold, which process groups are in its care; when the pipe ends, it kills them. The kernel's parent-death
//! signal is not enough: it is lost when a program changes its user.

use anyhow::{Context, Result};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const SCRIPT: &str = r#"
while read -r what group; do
    case $what in
        +) groups="$groups $group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done"#;

/// A process group in the guardian's care, for as long as this lives.
pub(crate) struct Guarded(u32);

impl Guarded {
    /// `group`: its leader's process id.
    pub(crate) fn new(group: u32) -> Result<Self> {
        tell('+', group).context("the kit's guardian is gone")?;
        Ok(Self(group))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Without a guardian there is nobody to be told.
        let _gone = tell('-', self.0);
    }
}

fn tell(what: char, group: u32) -> Result<()> {
    static GUARDIAN: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();
    let mut guardian = GUARDIAN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if guardian.is_none() {
        *guardian = start()?;
    }
    let pipe = guardian.as_mut().context("it has no pipe")?;
    Ok(writeln!(pipe, "{what} {group}")?)
}

/// In a group of its own: what ends the test at its terminal does not end it. It is never waited for: it outlives us.
fn start() -> Result<Option<ChildStdin>> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "shunt-kit-guardian"]).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(shell.spawn().context("cannot start /bin/sh")?.stdin)
}

//! The users that a package of Shunt makes, seen only by a phone's own programs: `/etc/passwd` and
//! `/etc/group` with the daemons' users added, bound over the system's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The core's user.
pub const CORE: &str = "shunt-core";
/// The uplink's user.
pub const UPLINK: &str = "shunt-uplink";

/// A phone's user database.
pub(crate) struct Accounts {
    passwd: PathBuf,
    group: PathBuf,
    core: u32,
}

impl Accounts {
    /// Writes the two files into `dir`.
    pub(crate) fn write(dir: &Path) -> Result<Self> {
        let mut users = fs::read_to_string(PASSWD)?;
        let mut groups = fs::read_to_string(GROUP)?;
        for (name, id) in [(CORE, 64_871), (UPLINK, 64_872)] {
            if entry(&users, name).is_none() {
                users.push_str(&format!("{name}:x:{id}:{id}:Shunt:/nonexistent:/usr/sbin/nologin\n"));
                groups.push_str(&format!("{name}:x:{id}:\n"));
            }
        }
        let core = entry(&users, CORE).context("the core's user")?;
        let (passwd, group) = (dir.join("passwd"), dir.join("group"));
        for (path, text) in [(&passwd, users), (&group, groups)] {
            fs::write(path, text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
        }
        Ok(Self { passwd, group, core })
    }

    /// The core's user id, which is also its group's.
    pub(crate) fn core(&self) -> u32 {
        self.core
    }

    pub(crate) fn binds(&self) -> [(&Path, &Path); 2] {
        [(&self.passwd, Path::new(PASSWD)), (&self.group, Path::new(GROUP))]
    }
}

fn entry(passwd: &str, name: &str) -> Option<u32> {
    let line = passwd.lines().find(|l| l.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

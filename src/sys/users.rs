//! Whom the children run as.

use std::{fs, io, path::Path};

/// A user and its group. Children have no supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Why a user can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not in `/etc/passwd`.
    #[error("there is no user {0}: create it (init/ has files for sysusers and OpenRC), or give a number")]
    Unknown(String),
    /// The root user.
    #[error("user {0} is root: give the daemons users of their own")]
    Root(String),
    /// The file can't be read.
    #[error("/etc/passwd can't be read")]
    Unreadable(#[from] io::Error),
}

/// Finds a user: a name from `/etc/passwd`, or `UID` or `UID:GID` in numbers (UID alone is also the
/// group). The file is read directly: name services would load foreign code into a root process.
///
/// # Errors
/// There is no such user, or it is root.
pub fn find(user: &str) -> Result<Ids, UserError> {
    find_in(user, Path::new("/etc/passwd"))
}

fn find_in(user: &str, passwd: &Path) -> Result<Ids, UserError> {
    let ids = match numeric(user) {
        Some(ids) => ids,
        None => {
            let text = fs::read(passwd)?;
            let text = String::from_utf8_lossy(&text);
            text.lines().find_map(|line| entry(line, user)).ok_or_else(|| UserError::Unknown(user.into()))?
        }
    };
    // -1 means "no change" to the kernel.
    if ids.uid == 0 || ids.uid == u32::MAX || ids.gid == u32::MAX {
        return Err(UserError::Root(user.into()));
    }
    Ok(ids)
}

fn numeric(user: &str) -> Option<Ids> {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    Some(Ids { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// `name:password:uid:gid:…`
fn entry(line: &str, user: &str) -> Option<Ids> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    (name == user).then_some(())?;
    Some(Ids { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwd() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "root:x:0:0::/:/bin/sh\n\nbroken\nshunt-core:x:990:989::/:/sbin/nologin\nbad:x:y:1::/:\n")
            .unwrap();
        file
    }

    #[test]
    fn names_come_from_the_file_and_numbers_need_none() {
        let file = passwd();
        assert_eq!(find_in("shunt-core", file.path()).unwrap(), Ids { uid: 990, gid: 989 });
        assert_eq!(find_in("12345", Path::new("/nonexistent")).unwrap(), Ids { uid: 12345, gid: 12345 });
        assert_eq!(find_in("7:8", Path::new("/nonexistent")).unwrap(), Ids { uid: 7, gid: 8 });
    }

    #[test]
    fn root_and_unknown_users_are_named_errors() {
        let file = passwd();
        for root in ["root", "0", "4294967295", "7:4294967295"] {
            assert!(matches!(find_in(root, file.path()), Err(UserError::Root(_))), "{root}");
        }
        for unknown in ["shunt", "shunt-core-2", "broken", "bad", "", "-1"] {
            assert!(matches!(find_in(unknown, file.path()), Err(UserError::Unknown(_))), "{unknown}");
        }
    }
}

//! The warden's command line. A page of code instead of a parser crate: this process is root and
//! always there.

use crate::sys::users::{self, Ids, UserError};
use rustix::process::geteuid;
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Shown for `--help` and on a wrong command line.
pub const USAGE: &str = "\
usage: shuntd [--libexec DIR] [--core-user USER] [--uplink-user USER] [-- CORE-ARGUMENTS…]

Starts shuntd-core, and shuntd-uplink while the switch is on. Meant for init.

  --libexec DIR        where shuntd-core and shuntd-uplink are [where shuntd is, else /usr/libexec/shunt]
  --core-user USER     name, UID or UID:GID that the core runs as [shunt-core, if started as root]
  --uplink-user USER   the same for the uplink [shunt-uplink, if started as root]
  -- …                 handed to shuntd-core as they are
";

/// Where the packager puts the two programs; set at build time by `SHUNT_LIBEXEC`.
const LIBEXEC: &str = match option_env!("SHUNT_LIBEXEC") {
    Some(directory) => directory,
    None => "/usr/libexec/shunt",
};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Run.
    Run(Settings),
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// How to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the programs are.
    pub libexec: PathBuf,
    /// Whom the core runs as; `None`: as the warden.
    pub core_user: Option<Ids>,
    /// Whom the uplink runs as; `None`: as the warden.
    pub uplink_user: Option<Ids>,
    /// For the core.
    pub core_arguments: Vec<OsString>,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// No such option.
    #[error("unknown argument {0:?}: see shuntd --help")]
    Unknown(OsString),
    /// An option at the end.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// A user that was named.
    #[error(transparent)]
    User(#[from] UserError),
    /// A user was named, but only root may change users.
    #[error("only root can run the daemons as other users: start as root, or leave the users out")]
    NotRoot,
    /// Two walls of one room.
    #[error("core and uplink have the same user: the kernel must be able to tell them apart, give each its own")]
    OneUser,
    /// The directory is relative or has no core.
    #[error("there is no shuntd-core in {0}: give its directory with --libexec")]
    NoCore(PathBuf),
}

/// Reads the arguments (without the program's name).
///
/// # Errors
/// Named, with what to do.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Order, ArgsError> {
    let mut arguments = arguments.into_iter();
    let (mut libexec, mut core, mut uplink) = (None, None, None);
    let mut core_arguments = Vec::new();
    while let Some(argument) = arguments.next() {
        let mut value = |option| arguments.next().ok_or(ArgsError::NoValue(option));
        match argument.to_str() {
            Some("--libexec") => libexec = Some(PathBuf::from(value("--libexec")?)),
            Some("--core-user") => core = Some(value("--core-user")?),
            Some("--uplink-user") => uplink = Some(value("--uplink-user")?),
            Some("--help" | "-h") => return Ok(Order::Help),
            Some("--version" | "-V") => return Ok(Order::Version),
            Some("--") => core_arguments.extend(arguments.by_ref()),
            _ => return Err(ArgsError::Unknown(argument)),
        }
    }
    let core_user = user(core.as_deref(), "shunt-core")?;
    let uplink_user = user(uplink.as_deref(), "shunt-uplink")?;
    if let (Some(core), Some(uplink)) = (core_user, uplink_user)
        && core.uid == uplink.uid
    {
        return Err(ArgsError::OneUser);
    }
    let libexec = place(libexec)?;
    Ok(Order::Run(Settings { libexec, core_user, uplink_user, core_arguments }))
}

/// A named user must exist. The usual one need not: at a developer's desk both run as the warden does,
/// and the daemons report it as lacking confinement.
fn user(given: Option<&OsStr>, usual: &str) -> Result<Option<Ids>, ArgsError> {
    let root = geteuid().is_root();
    match given {
        Some(_) if !root => Err(ArgsError::NotRoot),
        Some(name) => Ok(Some(users::find(&name.to_string_lossy())?)),
        None if !root => Ok(None),
        None => match users::find(usual) {
            Ok(ids) => Ok(Some(ids)),
            Err(UserError::Unknown(_) | UserError::Unreadable(_)) => Ok(None),
            Err(e) => Err(e.into()),
        },
    }
}

fn place(given: Option<PathBuf>) -> Result<PathBuf, ArgsError> {
    let has_core = |directory: &Path| directory.is_absolute() && directory.join(super::CORE).is_file();
    if let Some(given) = given {
        return if has_core(&given) { Ok(given) } else { Err(ArgsError::NoCore(given)) };
    }
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf));
    match beside.filter(|directory| has_core(directory)) {
        Some(beside) => Ok(beside),
        None if has_core(Path::new(LIBEXEC)) => Ok(LIBEXEC.into()),
        None => Err(ArgsError::NoCore(LIBEXEC.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libexec() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("shuntd-core"), "").unwrap();
        directory
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn everything_after_the_dashes_is_the_cores() {
        let place = libexec();
        let line = format!("--libexec {} -- --config x -- --help", place.path().display());
        let Ok(Order::Run(settings)) = parse(words(&line)) else { panic!("refused") };
        assert_eq!(settings.core_arguments, words("--config x -- --help"));
        assert_eq!(settings.libexec, place.path());
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(parse(words("--libexec")), Err(ArgsError::NoValue("--libexec"))));
        assert!(matches!(parse(words("core")), Err(ArgsError::Unknown(_))));
        assert!(matches!(parse(words("--libexec /nonexistent")), Err(ArgsError::NoCore(_))));
        assert!(matches!(parse(words("--help --nonsense")), Ok(Order::Help)));
    }

    #[test]
    fn users_are_named_by_root_only_and_are_two() {
        let place = libexec();
        let line = |users: &str| words(&format!("--libexec {} {users}", place.path().display()));
        if !geteuid().is_root() {
            assert!(matches!(parse(line("--core-user 7")), Err(ArgsError::NotRoot)));
            return;
        }
        let Ok(Order::Run(settings)) = parse(line("--core-user 7 --uplink-user 8:9")) else { panic!("refused") };
        assert_eq!(settings.core_user, Some(Ids { uid: 7, gid: 7 }));
        assert_eq!(settings.uplink_user, Some(Ids { uid: 8, gid: 9 }));
        assert!(matches!(parse(line("--core-user 7 --uplink-user 7:9")), Err(ArgsError::OneUser)));
        assert!(matches!(parse(line("--core-user 0")), Err(ArgsError::User(UserError::Root(_)))));
        assert!(matches!(parse(line("--core-user nobody-here")), Err(ArgsError::User(UserError::Unknown(_)))));
    }
}

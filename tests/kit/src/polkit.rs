//! polkitd with a phone's own actions and rules: it reads them only from compiled-in paths, so
//! it runs in a mount namespace where those paths are the phone's directories. Needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::accounts::Accounts;
use crate::mounts::own_view;
use crate::process::Process;

const ACTIONS: &str = "/usr/share/polkit-1/actions";
const RULES: &str = "/usr/share/polkit-1/rules.d";
const LOCAL_RULES: &str = "/etc/polkit-1/rules.d";

/// A running polkitd.
pub(crate) struct Polkit {
    pub(crate) process: Process,
    local_rules: PathBuf,
}

impl Polkit {
    /// Starts polkitd on a bus with the system's actions, its default rule, and the `*.policy` and
    /// `*.rules` that lie in `shipped`, where it exists.
    pub(crate) fn start(dir: &Path, bus: &str, shipped: &Path, accounts: &Accounts) -> Result<Self> {
        let actions = dir.join("actions");
        let rules = dir.join("rules.d");
        let local_rules = dir.join("local-rules.d");
        for made in [&actions, &rules, &local_rules] {
            fs::create_dir(made)?;
            fs::set_permissions(made, fs::Permissions::from_mode(0o755))?;
        }
        copy_all(Path::new(ACTIONS), &actions, "policy")?;
        let default_rule = Path::new(RULES).join("50-default.rules");
        if default_rule.exists() {
            fs::copy(&default_rule, rules.join("50-default.rules"))?;
        }
        if shipped.is_dir() {
            copy_all(shipped, &actions, "policy")?;
            copy_all(shipped, &rules, "rules")?;
        }

        let mut command = Command::new("/usr/lib/polkit-1/polkitd");
        command.arg("--no-debug").env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        let mut binds: Vec<(&Path, &Path)> =
            vec![(&actions, Path::new(ACTIONS)), (&rules, Path::new(RULES)), (&local_rules, Path::new(LOCAL_RULES))];
        binds.extend(accounts.binds());
        own_view(&mut command, &binds)?;
        let process = Process::start("polkitd", command, &dir.join("polkitd.log"))
            .context("polkitd in a mount namespace of its own (needs root)")?;
        Ok(Self { process, local_rules })
    }

    /// Adds a rule as an administrator would; polkitd reads it by itself.
    pub(crate) fn add_rule(&self, name: &str, javascript: &str) -> Result<()> {
        let hidden = self.local_rules.join(format!(".{name}"));
        fs::write(&hidden, javascript)?;
        Ok(fs::rename(hidden, self.local_rules.join(format!("{name}.rules")))?)
    }
}

fn copy_all(from: &Path, to: &Path, extension: &str) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension)
            && let Some(name) = path.file_name()
        {
            let copy = to.join(name);
            fs::copy(&path, &copy)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

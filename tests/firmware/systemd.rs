//! systemd: the units, the users and the places.

use crate::{read, root, run, said};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const DOOR: &str = env!("CARGO_BIN_EXE_shunt-door");
const WARDEN: &str = env!("CARGO_BIN_EXE_shuntd");

/// The unit as installed, but with the program where this build has it.
fn unit(directory: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    unit_of(directory, "shuntd.service", "/usr/libexec/shunt/shuntd", change)
}

/// The same of the cloud's directory. Which program it starts, systemd does not look at.
fn directory_unit(directory: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    unit_of(directory, "shunt-directory.service", "/usr/bin/shunt-directory", change)
}

/// The same of the second evaluator.
fn evaluator_unit(directory: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    unit_of(directory, "shunt-evaluator.service", "/usr/bin/shunt-directory", change)
}

fn unit_of(directory: &Path, name: &str, program: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let path = directory.join(name);
    let text = read(&format!("init/{name}"));
    assert!(text.contains(&format!("ExecStart={program} ")));
    fs::write(&path, change(text.replace(&format!("={program} "), &format!("={WARDEN} ")))).unwrap();
    path
}

fn verify(unit: &Path) -> Output {
    run(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).arg(unit))
}

#[test]
fn systemd_takes_the_units_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    for unit in [unit(place, |text| text), directory_unit(place, |text| text), evaluator_unit(place, |text| text)] {
        let output = verify(&unit);
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    }
}

#[test]
fn systemd_refuses_a_broken_unit() {
    let place = tempfile::tempdir().unwrap();
    let output = verify(&unit(place.path(), |text| text.replace("KillMode=", "KillMod=")));
    assert!(said(&output).contains("KillMod"), "{}", said(&output));
}

#[test]
fn the_units_leave_little_exposed() {
    let place = tempfile::tempdir().unwrap();
    let exposed = |path: PathBuf, limit: &str| {
        let mut command = Command::new("systemd-analyze");
        run(command.args(["security", "--offline=true", "--threshold", limit]).arg(path))
    };
    let bare = |text: String| text.lines().filter(|line| !line.contains("yes")).collect::<Vec<_>>().join("\n");
    // Tenths of systemd's score. What remains of the warden is root, the three capabilities and the network;
    // of the cloud's services the network, which they serve.
    let whole = [
        (unit(place.path(), |text| text), "30"),
        (directory_unit(place.path(), |text| text), "15"),
        (evaluator_unit(place.path(), |text| text), "15"),
    ];
    for (unit, limit) in whole {
        let output = exposed(unit, limit);
        assert!(output.status.success(), "{}", said(&output));
        println!("{}", said(&output).lines().last().unwrap());
    }
    for (unit, limit) in [
        (unit(place.path(), bare), "30"),
        (directory_unit(place.path(), bare), "15"),
        (evaluator_unit(place.path(), bare), "15"),
    ] {
        assert!(!exposed(unit, limit).status.success());
    }
}

#[test]
fn the_clouds_units_keep_memory_out_of_swap_and_dumps_and_give_no_capability() {
    for (name, command) in [("directory", "serve"), ("evaluator", "serve-evaluator")] {
        let text = read(&format!("init/shunt-{name}.service"));
        let user = format!("User=shunt-{name}");
        for line in ["LimitCORE=0", "LimitMEMLOCK=infinity", "MemorySwapMax=0", "CapabilityBoundingSet=", &user] {
            assert!(text.lines().any(|own| own == line), "{name}: {line}");
        }
        assert!(text.contains(&format!("shunt-directory {command} --config /etc/shunt-{name}/{name}.toml\n")));
    }
    // What the program needs to lock its memory is allowed.
    let filter = run(Command::new("systemd-analyze").args(["syscall-filter", "@system-service"]));
    assert!(said(&filter).lines().any(|line| line.trim() == "@memlock"), "{}", said(&filter));
}

#[test]
fn the_unit_gives_the_warden_what_it_needs_and_no_more() {
    let text = read("init/shuntd.service");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(value("CapabilityBoundingSet"), set(&["CAP_SETUID", "CAP_SETGID", "CAP_KILL"]));
    assert_eq!(value("RestrictAddressFamilies"), set(&["AF_UNIX", "AF_INET", "AF_INET6"]));
    // Its own options and users.
    let arguments = value("ExecStart");
    for user in ["shunt-core", "shunt-uplink"] {
        assert!(arguments.contains(user));
        assert!(read("init/shunt.sysusers").contains(&format!("u {user}")));
        assert!(read("init/shuntd.openrc").contains(user));
    }
}

#[test]
fn systemd_makes_the_users_and_the_places() {
    for (files, users, state, owner) in [
        ("shunt", &["shunt-core", "shunt-uplink"][..], "var/lib/shunt", "shunt-core"),
        ("shunt-directory", &["shunt-directory"], "var/lib/shunt-directory", "shunt-directory"),
        ("shunt-evaluator", &["shunt-evaluator"], "var/lib/shunt-evaluator", "shunt-evaluator"),
    ] {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir(image.path().join("etc")).unwrap();
        let root_option = format!("--root={}", image.path().display());
        let sysusers = root().join(format!("init/{files}.sysusers"));
        let made = run(Command::new("systemd-sysusers").arg(&root_option).arg(sysusers));
        assert!(made.status.success(), "{}", said(&made));
        let passwd = fs::read_to_string(image.path().join("etc/passwd")).unwrap();
        assert!(users.iter().all(|user| passwd.contains(&format!("{user}:"))), "{passwd}");

        let mut command = Command::new("systemd-tmpfiles");
        let tmpfiles = root().join(format!("init/{files}.tmpfiles"));
        let made = run(command.args(["--create", &root_option]).arg(tmpfiles));
        // Whom the directories belong to, only root may set.
        if rustix::process::geteuid().is_root() {
            use std::os::unix::fs::MetadataExt;
            assert!(made.status.success(), "{}", said(&made));
            let state = fs::metadata(image.path().join(state)).unwrap();
            assert_eq!(state.permissions().mode() & 0o7777, 0o700);
            let owner = passwd.lines().find(|line| line.starts_with(&format!("{owner}:"))).unwrap();
            assert_eq!(owner.split(':').nth(2), Some(state.uid().to_string().as_str()));
        }
    }
}

/// The door's user units with Chatty's, as systemd makes that of its autostart file, beside them.
fn user_units(change: impl Fn(String) -> String) -> String {
    let place = tempfile::tempdir().unwrap();
    let chatty = "app-sm.puri.Chatty\\x2ddaemon@autostart.service";
    let put = |name: &str, text: String| {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, change(text)).unwrap();
    };
    put("shunt-door.socket", read("init/door/shunt-door.socket"));
    let service = read("init/door/shunt-door.service");
    assert!(service.contains("ExecStart=/usr/libexec/shunt/shunt-door\n"));
    put("shunt-door.service", service.replace("/usr/libexec/shunt/shunt-door\n", &format!("{DOOR}\n")));
    put(chatty, "[Service]\nExecStart=/bin/true\n".to_owned());
    put(&format!("{chatty}.d/50-shunt-door.conf"), read("init/door/chatty.conf"));
    let units = ["shunt-door.socket", "shunt-door.service", chatty].map(|name| place.path().join(name));
    let mut command = Command::new("systemd-analyze");
    command.env("XDG_RUNTIME_DIR", place.path()).env("SYSTEMD_UNIT_PATH", format!("{}:", place.path().display()));
    said(&run(command.args(["verify", "--user", "--man=no", "--recursive-errors=no"]).args(units)))
}

#[test]
fn systemd_takes_the_doors_units_and_chattys_drop_in_without_a_word() {
    assert_eq!(user_units(|text| text), "");
    for (right, wrong) in [("SocketMode", "SocketMod"), ("LockPersonality", "LockPerson"), ("Environment=", "Enviro=")]
    {
        assert_ne!(user_units(|text| text.replace(right, wrong)), "", "{wrong}");
    }
}

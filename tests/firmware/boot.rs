//! The units as a running systemd takes them: the first process of a system of its own (`tests/boot/start`), with
//! what make installs. `make boot` shows what was seen.

use crate::{install::installed, root, run, said};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const SHUNTD: &str = env!("CARGO_BIN_EXE_shuntd");
/// What `shuntctl doctor` misses there, and what is not there.
const PROBLEMS: &str = "line           no SIM is seen: insert one, and see whether the modem service lists the modem
modem service  neither ModemManager nor oFono is on the bus: start one
";
const USERS: [(&str, &str); 3] = [
    (
        "passwd",
        "root:x:0:0::/root:/bin/sh\nmessagebus:x:101:101::/:/usr/sbin/nologin\nuser:x:1000:1000::/home:/bin/sh\n",
    ),
    ("group", "root:x:0:\nmessagebus:x:101:\nuser:x:1000:\n"),
    ("shadow", "root:*:20000::::::\nmessagebus:*:20000::::::\nuser:*:20000::::::\n"),
];

/// What a system said that was started with these units; `change` gets the installed image first.
fn booted(change: impl FnOnce(&Path)) -> (bool, String) {
    let place = tempfile::Builder::new().prefix("shunt-boot-").tempdir().unwrap();
    let place = place.path();
    let programs = PathBuf::from(SHUNTD).parent().unwrap().to_owned();
    let wrapper = format!("#!/bin/sh\nexec {}/shuntctl \"$@\"\n", programs.display());
    let daemons = ["shuntd", "shuntd-core", "shuntd-uplink", "shunt-door"];
    for (target, own) in
        [("install", &[("shuntctl", &*wrapper)][..]), ("install-directory", &[("shunt-directory", "")])]
    {
        let stubs: Vec<_> = daemons.map(|name| (name, "")).into_iter().chain(own.iter().copied()).collect();
        let (made, _) = installed(target, "/usr", &stubs);
        assert!(run(Command::new("cp").arg("-a").arg(made.path().join("image")).arg(place)).status.success());
    }
    change(&place.join("image"));
    // The programs of this build, unoptimised, lie over those: they are large, and are not copied.
    let at = |dir: &str, name: &str| {
        let dir = place.join("programs").join(dir);
        fs::create_dir_all(&dir).unwrap();
        symlink(programs.join(name), dir.join(name)).unwrap();
    };
    daemons.iter().for_each(|name| at("libexec/shunt", name));
    ["shuntctl", "shunt-directory"].iter().for_each(|name| at("bin", name));
    files(&place.join("files"));
    fs::create_dir(place.join("told")).unwrap();
    let mut start = Command::new("timeout");
    let output = run(start.args(["-k", "5", "120"]).arg(root().join("tests/boot/start")).arg(place));
    let told = |name: &str| fs::read_to_string(place.join("told").join(name)).unwrap_or_default();
    let (sentences, errors, journal) = (told("sentences"), told("errors"), told("journal"));
    if output.status.success() {
        return (true, sentences);
    }
    (false, format!("{sentences}{errors}{}{journal}", said(&output)))
}

/// What is in the root beside what is installed: users, certificates, an app's autostart entry.
fn files(place: &Path) {
    let etc = place.join("etc");
    for dir in ["xdg/autostart", "shunt-directory", "shunt-evaluator"] {
        fs::create_dir_all(etc.join(dir)).unwrap();
    }
    for (name, text) in USERS {
        fs::write(etc.join(name), text).unwrap();
    }
    fs::write(place.join("expected"), PROBLEMS).unwrap();
    let chatty = "xdg/autostart/sm.puri.Chatty-daemon.desktop";
    fs::copy(Path::new("/etc").join(chatty), etc.join(chatty)).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    let dir = etc.join("shunt-directory");
    let made = run(openssl.arg("-keyout").arg(dir.join("tls.key")).arg("-out").arg(dir.join("tls.pem")));
    assert!(made.status.success(), "{}", said(&made));
    fs::copy(dir.join("tls.pem"), dir.join("ca.pem")).unwrap();
    for file in ["tls.key", "tls.pem"] {
        fs::copy(dir.join(file), etc.join("shunt-evaluator").join(file)).unwrap();
    }
}

#[test]
fn the_units_start_work_and_end_under_systemd() {
    let (whole, told) = booted(|_| {});
    assert!(whole, "the first thing that does not hold follows these:\n{told}");
    print!("{told}");
    assert_eq!(told.lines().count(), 18);
}

#[test]
fn a_unit_that_forbids_the_daemons_own_confinement_is_found() {
    let (whole, told) = booted(|image| {
        let unit = image.join("usr/lib/systemd/system/shuntd.service");
        let text = fs::read_to_string(&unit).unwrap();
        assert!(text.contains("@system-service seccomp\n"));
        fs::write(unit, text.replace("@system-service seccomp\n", "@system-service\n")).unwrap();
    });
    assert!(
        !whole && told.contains("no system call filter") && !told.contains("the confinement is complete"),
        "{told}"
    );
}

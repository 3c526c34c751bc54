//! make's recipes for packagers.

use crate::{root, run, said};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Each file under `place`, from there.
fn files(place: &Path) -> BTreeSet<String> {
    let listed =
        run(Command::new("find").arg(place).args(["(", "-type", "f", "-o", "-type", "l", ")", "-printf", "%P\\n"]));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Runs one of make's recipes without building, with these in the programs' place: what it put where.
pub(crate) fn installed(
    target: &str,
    prefix: &str,
    programs: &[(&str, &str)],
) -> (tempfile::TempDir, BTreeSet<String>) {
    let place = tempfile::tempdir().unwrap();
    let (release, image) = (place.path().join("release"), place.path().join("image"));
    fs::create_dir(&release).unwrap();
    for (program, text) in programs {
        crate::program(&release.join(program), text);
    }
    let mut make = Command::new("make");
    make.current_dir(root()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL").args([target, "CARGO=true"]);
    let places = [("RELEASE", &release), ("DESTDIR", &image)].map(|(name, at)| format!("{name}={}", at.display()));
    let made = run(make.args(places).arg(format!("PREFIX={prefix}")));
    assert!(made.status.success(), "{}", said(&made));
    let files = files(&image);
    (place, files)
}

#[test]
fn make_install_puts_each_of_the_phones_files_and_no_other() {
    let shuntctl = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_shuntctl"));
    let programs =
        [("shuntd", ""), ("shuntd-core", ""), ("shuntd-uplink", ""), ("shunt-door", ""), ("shuntctl", &*shuntctl)];
    let units = "lib/systemd/user";
    for prefix in ["usr", "opt/shunt"] {
        let (place, found) = installed("install", &format!("/{prefix}"), &programs);
        let mut expected: BTreeSet<_> = [
            "libexec/shunt/shuntd",
            "libexec/shunt/shuntd-core",
            "libexec/shunt/shuntd-uplink",
            "libexec/shunt/shunt-door",
            "libexec/shunt/through-door",
            "libexec/shunt/launchers",
            "bin/shuntctl",
            "share/man/man1/shuntctl.1",
            "share/bash-completion/completions/shuntctl",
            "share/shunt/shunt.toml",
            "share/dbus-1/interfaces/org.shunt.Shunt1.xml",
            "share/dbus-1/interfaces/org.shunt.SmsAgent1.xml",
            "share/dbus-1/system.d/org.shunt.Shunt1.conf",
            "share/polkit-1/actions/org.shunt.Shunt1.policy",
            "share/polkit-1/rules.d/org.shunt.Shunt1.rules",
            "lib/systemd/system/shuntd.service",
            "lib/sysusers.d/shunt.conf",
            "lib/tmpfiles.d/shunt.conf",
            "lib/systemd/user-environment-generators/50-shunt-door",
            &format!("{units}/shunt-door.service"),
            &format!("{units}/shunt-door.socket"),
            &format!("{units}/sockets.target.wants/shunt-door.socket"),
            &format!("{units}/app-sm.puri.Chatty\\x2ddaemon@autostart.service.d/50-shunt-door.conf"),
        ]
        .into_iter()
        .map(|file| format!("{prefix}/{file}"))
        .collect();
        expected.insert("etc/xdg/autostart/shunt-door.desktop".to_owned());
        expected.insert("etc/profile.d/shunt-door.sh".to_owned());
        assert_eq!(found, expected);
        let generator = format!("image/{prefix}/lib/systemd/user-environment-generators/50-shunt-door");
        let called = fs::read_link(place.path().join(generator)).unwrap();
        assert_eq!(called, Path::new(&format!("/{prefix}/libexec/shunt/launchers")));
        for file in found.into_iter().filter(|file| !file.ends_with("50-shunt-door")) {
            let text = String::from_utf8(fs::read(place.path().join("image").join(&file)).unwrap()).unwrap();
            let elsewhere = prefix != "usr" && text.contains("/usr/libexec/shunt");
            assert!(!elsewhere, "{file} names a program where none is");
        }
    }
}

#[test]
fn make_install_directory_puts_each_of_the_clouds_files_and_no_other() {
    let (_place, found) = installed("install-directory", "/usr", &[("shunt-directory", "")]);
    let shared = [
        "directory.toml",
        "directory.openapi.yaml",
        "evaluator.toml",
        "evaluator.openapi.yaml",
        "ejabberd/ejabberd.yml",
        "ejabberd/mod_shunt.erl",
    ];
    let mut expected: BTreeSet<_> = shared.map(|file| format!("usr/share/shunt-directory/{file}")).into();
    expected.insert("usr/bin/shunt-directory".to_owned());
    for service in ["shunt-directory", "shunt-evaluator"] {
        expected.insert(format!("usr/lib/systemd/system/{service}.service"));
        expected.insert(format!("usr/lib/sysusers.d/{service}.conf"));
        expected.insert(format!("usr/lib/tmpfiles.d/{service}.conf"));
    }
    assert_eq!(found, expected);
}

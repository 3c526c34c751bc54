//! The firmware files, each held against the tool that reads it: systemd's own checks, the SELinux
//! policy compiler, a shell. Each check is shown to refuse a broken file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const WARDEN: &str = env!("CARGO_BIN_EXE_shuntd");
const DOOR: &str = env!("CARGO_BIN_EXE_shunt-door");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|e| panic!("{name} can't be run ({e}): install the test's packages, see README"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

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

/// Each file under `place`, from there.
fn files(place: &Path) -> BTreeSet<String> {
    let listed =
        run(Command::new("find").arg(place).args(["(", "-type", "f", "-o", "-type", "l", ")", "-printf", "%P\\n"]));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Runs one of make's recipes without building, with these in the programs' place: what it put where.
fn installed(target: &str, prefix: &str, programs: &[(&str, &str)]) -> (tempfile::TempDir, BTreeSet<String>) {
    let place = tempfile::tempdir().unwrap();
    let (release, image) = (place.path().join("release"), place.path().join("image"));
    fs::create_dir(&release).unwrap();
    for (program, text) in programs {
        let path = release.join(program);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
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
        assert_eq!(found, expected);
        for file in found {
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

#[test]
fn the_openrc_script_is_a_shell_script() {
    let check = |text: &str| {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        shell.wait().unwrap().success()
    };
    let script = read("init/shuntd.openrc");
    assert!(script.starts_with("#!/sbin/openrc-run\n"));
    assert!(check(&script));
    assert!(!check(&script.replacen('}', "", 1)));
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

#[test]
fn the_doors_autostart_file_is_valid() {
    let text = read("init/door/shunt-door.desktop");
    assert_eq!(validated(&text), "");
    assert_ne!(validated(&text.replace("Type=Application", "Type=Applicatio")), "");
}

/// What the desktops' own tool says of a launcher; its file's name aside.
fn validated(text: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.desktop");
    fs::write(&path, text).unwrap();
    let output = run(Command::new("desktop-file-validate").arg(&path));
    said(&output).replace(&path.display().to_string(), "")
}

#[test]
fn an_apps_launcher_is_the_installed_one_with_each_command_through_the_door() {
    const COMMAND: &str = "Exec=/usr/libexec/shunt/through-door ";
    let place = tempfile::tempdir().unwrap();
    let made = place.path().join("shunt/xdg");
    let launchers = |dirs: &str| {
        let mut script = Command::new(root().join("init/door/launchers"));
        said(&run(script.env("XDG_RUNTIME_DIR", place.path()).env("XDG_DATA_DIRS", dirs)))
    };
    assert_eq!(launchers("/nonexistent"), "", "no app, nothing to be found first");
    assert!(!made.exists());
    let first = format!("{}:/nonexistent:/usr/share", made.display());
    assert_eq!(launchers("/nonexistent:/usr/share"), format!("XDG_DATA_DIRS={first}\n"));
    // Again, as at a reload: by now its own are found first.
    assert_eq!(launchers(&first), format!("XDG_DATA_DIRS={first}\n"));
    let own = fs::read_to_string("/usr/share/applications/sm.puri.Chatty.desktop").unwrap();
    let ours = fs::read_to_string(made.join("applications/sm.puri.Chatty.desktop")).unwrap();
    let commands = own.lines().filter(|line| line.starts_with("Exec=")).count();
    assert!(commands > 0 && own.contains("\nName["), "there is something to lose");
    assert_eq!(ours.matches(COMMAND).count(), commands);
    assert_eq!(ours.replace(COMMAND, "Exec="), own);
    assert_eq!(validated(&ours), validated(&own));
    let makefile = read("Makefile");
    assert!(makefile.contains("init/door/launchers $(DESTDIR)$(PREFIX)/lib/systemd/user-environment-generators/"));
}

#[test]
fn through_door_an_app_finds_the_door_first_and_the_bus_without_it() {
    let script = root().join("init/door/through-door");
    let shown = run(Command::new(&script)
        .env("XDG_RUNTIME_DIR", "/run/user/1000")
        .args(["printenv", "DBUS_SYSTEM_BUS_ADDRESS"]));
    let expected = "unix:path=/run/user/1000/shunt-door;unix:path=/run/dbus/system_bus_socket";
    assert_eq!(said(&shown).trim(), expected);
    assert!(read("init/door/chatty.conf").contains("unix:path=%t/shunt-door;unix:path=/run/dbus/system_bus_socket"));
    assert_eq!(run(Command::new(&script).args(["sh", "-c", "exit 7"])).status.code(), Some(7));
}

/// No tool of Android's is to be had: its grammar is small enough to hold the file against.
#[test]
fn androids_init_script_has_known_words_and_the_wardens_options() {
    let text = read("init/shuntd.rc");
    let mut section = "";
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(' ') {
            section = words[0];
            assert!(["on", "service"].contains(&section), "{line}");
            continue;
        }
        let known: &[&str] =
            if section == "on" { &["mkdir"] } else { &["class", "user", "group", "capabilities", "socket"] };
        assert!(known.contains(&words[0]), "{line}");
    }
    let service = text.lines().find(|line| line.starts_with("service ")).unwrap();
    assert!(service.contains("--libexec /system_ext/bin --core-user 7500 --uplink-user 7501:3003"));
    assert!(text.contains("capabilities SETUID SETGID KILL\n"));
    assert!(text.contains("mkdir /data/misc/shunt 0700 7500 7500"));
    assert!(text.contains("    socket shuntd stream 0660 root radio\n"));
}

/// Our rules with stand-ins for the platform's, through m4 and the policy compiler.
fn compile(addition: &str) -> Output {
    let place = tempfile::tempdir().unwrap();
    let extra = place.path().join("extra.te");
    fs::write(&extra, addition).unwrap();
    let mut m4 = Command::new("m4");
    m4.arg("--fatal-warnings").arg(root().join("tests/sepolicy/head.m4"));
    for domain in ["shuntd", "shuntd_core", "shuntd_uplink"] {
        m4.arg(root().join(format!("sepolicy/{domain}.te")));
    }
    let expanded = run(m4.arg(&extra).arg(root().join("tests/sepolicy/tail.m4")));
    assert!(expanded.status.success(), "{}", said(&expanded));
    let policy = place.path().join("policy.conf");
    fs::write(&policy, expanded.stdout).unwrap();
    run(Command::new("checkpolicy").args(["-c", "30", "-o"]).arg(place.path().join("policy")).arg(policy))
}

#[test]
fn the_policy_compiles() {
    let output = compile("");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_rule_that_breaks_a_promise_does_not_compile() {
    for broken in [
        "allow shuntd_core self:tcp_socket create;",
        "allow shuntd_core self:udp_socket { create connect };",
        "allow shuntd_core self:packet_socket create;",
        "allow shuntd_core self:netlink_route_socket create;",
        "net_domain(shuntd_core)",
        "net_domain(shuntd)",
        "domain_auto_trans(shuntd_core, shuntd_uplink_exec, shuntd_uplink)",
        "domain_auto_trans(init, shuntd_uplink_exec, shuntd_uplink)",
        "allow shuntd_uplink shuntd_data_file:file read;",
        "allow shuntd_uplink untrusted_app:binder call;",
        "allow shuntd_uplink shuntd_core:unix_stream_socket connectto;",
        "allow shuntd_uplink system_data_file:file write;",
        "allow shuntd_uplink shuntd_uplink_exec:file execute_no_trans;",
        "allow untrusted_app shuntd_data_file:file read;",
        "allow untrusted_app shuntd_core:process ptrace;",
        "allow shuntd_core self:capability net_admin;",
    ] {
        let output = compile(&format!("{broken}\n"));
        assert!(!output.status.success(), "it compiled: {broken}");
        assert!(said(&output).contains("neverallow"), "{broken}: {}", said(&output));
    }
}

#[test]
fn each_program_has_a_label_of_its_own_that_the_policy_knows() {
    let policy: String =
        ["shuntd", "shuntd_core", "shuntd_uplink"].map(|domain| read(&format!("sepolicy/{domain}.te"))).concat();
    let contexts = read("sepolicy/file_contexts");
    let mut labels = BTreeSet::new();
    for line in contexts.lines().filter(|line| !line.starts_with('#')) {
        let [path, context] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
        let [user, role, label, level] = context.split(':').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!((user, role, level), ("u", "object_r", "s0"));
        assert!(path.starts_with('/') && policy.contains(&format!("type {label}, ")), "{line}");
        labels.insert(label);
    }
    let programs = ["shuntd_exec", "shuntd_core_exec", "shuntd_uplink_exec"];
    assert_eq!(labels, programs.into_iter().chain(["shuntd_data_file", "shuntd_socket"]).collect());
    for program in ["shuntd ", "shuntd-core ", "shuntd-uplink "] {
        assert!(contexts.contains(&format!("/bin/{program}")));
    }
}

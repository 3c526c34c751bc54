//! The ways by which an app comes through the door.

use crate::{contained, program, read, root, run, said};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::{Command, Output},
};

const DOOR: &str = env!("CARGO_BIN_EXE_shunt-door");
const LAUNCHER: &str = "applications/sm.puri.Chatty.desktop";
const AUTOSTART: &str = "autostart/sm.puri.Chatty-daemon.desktop";

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
fn an_apps_launcher_and_autostart_are_the_installed_ones_with_each_command_through_the_door() {
    const COMMAND: &str = "Exec=/usr/libexec/shunt/through-door ";
    let place = tempfile::tempdir().unwrap();
    let made = place.path().join("shunt/xdg");
    let launchers = |data: &str, config: &str| {
        let mut script = Command::new(root().join("init/door/launchers"));
        script.env("XDG_RUNTIME_DIR", place.path());
        said(&run(script.env("XDG_DATA_DIRS", data).env("XDG_CONFIG_DIRS", config)))
    };
    assert_eq!(launchers("/nonexistent", "/nonexistent"), "", "no app, nothing to be found first");
    assert!(!made.exists());
    let data = format!("{}:/nonexistent:/usr/share", made.display());
    let config = format!("{}:/etc/xdg", made.display());
    let told = format!("XDG_DATA_DIRS={data}\nXDG_CONFIG_DIRS={config}\n");
    assert_eq!(launchers("/nonexistent:/usr/share", "/etc/xdg"), told);
    // Again, as at a reload or in a login shell of the session: by now its own are there, and another's before them.
    assert_eq!(launchers(&data, &config), told);
    assert_eq!(launchers(&format!("/nonexistent:{}:/usr/share", made.display()), &config), told);
    for (file, own) in [(LAUNCHER, "/usr/share"), (AUTOSTART, "/etc/xdg")] {
        let own = fs::read_to_string(Path::new(own).join(file)).unwrap();
        let ours = fs::read_to_string(made.join(file)).unwrap();
        let commands = own.lines().filter(|line| line.starts_with("Exec=")).count();
        assert!(commands > 0 && own.contains("\nKeywords["), "there is something to lose");
        assert_eq!(ours.matches(COMMAND).count(), commands);
        assert_eq!(ours.replace(COMMAND, "Exec="), own);
        assert_eq!(validated(&ours), validated(&own));
    }
}

/// The door's files in `place`, with the programs where this build has them, on a system without systemd.
fn installed(place: &Path) {
    for file in ["through-door", "launchers", "profile.sh", "shunt-door.desktop"] {
        let text = read(&format!("init/door/{file}")).replace("/usr/libexec/shunt/shunt-door", DOOR);
        let text = text.replace("/usr/libexec/shunt/", &format!("{}/", place.display()));
        program(&place.join(file), &text.replace("/run/systemd/system", "/nonexistent"));
    }
    fs::create_dir_all(place.join("xdg/autostart")).unwrap();
    fs::copy(place.join("shunt-door.desktop"), place.join("xdg/autostart/shunt-door.desktop")).unwrap();
    fs::copy(Path::new("/etc/xdg").join(AUTOSTART), place.join("xdg").join(AUTOSTART)).unwrap();
    fs::create_dir(place.join("run")).unwrap();
    fs::set_permissions(place.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// Runs a shell script there.
fn session(place: &Path, script: &str) -> Output {
    session_with(&[], place, script)
}

/// The same with more of its own.
fn session_with(own: &[&str], place: &Path, script: &str) -> Output {
    let mut command = contained(own, script);
    command.current_dir(place).env("XDG_RUNTIME_DIR", place.join("run")).env("HOME", place);
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("XDG_CONFIG_HOME");
    run(command.env("XDG_CONFIG_DIRS", place.join("xdg")))
}

#[test]
fn chatty_goes_through_the_door_where_the_session_manager_starts_it_by_itself() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    installed(place);
    // Phosh has its session begin in a login shell, and has gnome-session start what is in autostart. What that starts
    // here in Chatty's name sees whether the door is there, and ends the session.
    let chatty = "#!/bin/sh\n{ printenv DBUS_SYSTEM_BUS_ADDRESS; test -S run/shunt-door && echo \"$@\"; } >told\n\
                  kill -9 $PPID\n";
    program(&place.join("chatty"), chatty);
    fs::create_dir_all(place.join("data/gnome-session/sessions")).unwrap();
    let manager = "[GNOME Session]\nName=x\nRequiredComponents=\n";
    fs::write(place.join("data/gnome-session/sessions/x.session"), manager).unwrap();
    // One bus is both the session's and the system's: nobody is on either.
    let output = session(
        place,
        "export XDG_SESSION_TYPE=wayland GSETTINGS_BACKEND=memory PATH=\"$PWD:$PATH\" XDG_DATA_DIRS=\"$PWD/data:/usr/share\"
         . ./profile.sh
         dbus-run-session -- sh -c 'DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS exec \\
           /usr/libexec/gnome-session-binary --builtin --session=x --disable-acceleration-check' || :",
    );
    let told = fs::read_to_string(place.join("told")).unwrap_or_default();
    let door = place.join("run/shunt-door");
    let expected = format!("unix:path={};unix:path=/run/dbus/system_bus_socket\n--daemon\n", door.display());
    assert_eq!(told, expected, "{}", said(&output));
}

#[test]
fn a_session_without_systemd_gets_one_door_from_whatever_comes_first() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    installed(place);
    let output = session(
        place,
        "doors() { pgrep -c -f '^[^ ]*/shunt-door --background'; }
         listening() { python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"run/shunt-door\")'; }
         # What it is started with gets nothing of the door's: this ends.
         test \"$(./through-door echo started)\" = started
         listening
         ./through-door true && ./through-door true
         test \"$(doors)\" = 1
         # One that was killed left its socket.
         pkill -9 -f '^[^ ]*/shunt-door --background'
         while listening 2>/dev/null; do :; done
         test -S run/shunt-door
         ./through-door true
         listening
         test \"$(doors)\" = 1
         echo whole",
    );
    assert_eq!(said(&output), "whole\n");
}

#[test]
fn an_app_that_the_sessions_bus_starts_goes_through_the_door() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    installed(place);
    // As later versions of Chatty ship it, and with a systemd unit's name besides, which would be preferred.
    let service = format!(
        "[D-BUS Service]\nName=sm.puri.Chatty\nExec={}/chatty --gapplication-service\nSystemdService=x.service\n",
        place.display()
    );
    fs::create_dir_all(place.join("data/dbus-1/services")).unwrap();
    fs::write(place.join("data/dbus-1/services/sm.puri.Chatty.service"), service).unwrap();
    program(&place.join("chatty"), "#!/bin/sh\n{ printenv DBUS_SYSTEM_BUS_ADDRESS; echo \"$@\"; } >told\n");
    let output = session(
        place,
        "export XDG_DATA_DIRS=\"$PWD/data:/usr/share\"
         . ./profile.sh
         # It takes no name, and so the call fails.
         dbus-run-session -- busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \\
           StartServiceByName su sm.puri.Chatty 0 || :",
    );
    let told = fs::read_to_string(place.join("told")).unwrap_or_default();
    let door = place.join("run/shunt-door");
    let expected =
        format!("unix:path={};unix:path=/run/dbus/system_bus_socket\n--gapplication-service\n", door.display());
    assert_eq!(told, expected, "{}", said(&output));
}

#[test]
fn a_door_in_the_background_tells_the_systems_log_and_ends_with_its_session_and_the_last_app() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    installed(place);
    let output = session_with(
        &["--mount"],
        place,
        "cp -a /dev/null /dev/urandom . && mount -t tmpfs none /dev && cp -a null urandom /dev/
         mount -t tmpfs none /run
         python3 -c 'if True:
           import socket
           log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
           log.bind(\"/dev/log\")
           while True: print(log.recv(4096).decode(), flush=True)' >told &
         until [ -S /dev/log ]; do :; done
         ./through-door true
         # There is no bus yet.
         python3 -c 'import socket; app = socket.socket(socket.AF_UNIX); app.connect(\"run/shunt-door\"); app.recv(1)'
         mkdir /run/dbus
         dbus-daemon --session --nofork --address=unix:path=/run/dbus/system_bus_socket &
         until [ -S /run/dbus/system_bus_socket ]; do :; done
         python3 -c 'if True:
           import shutil, socket
           app = socket.socket(socket.AF_UNIX)
           app.connect(\"run/shunt-door\")
           app.sendall(b\"\\0AUTH\\r\\n\")
           assert app.recv(99).startswith(b\"REJECTED\")
           shutil.rmtree(\"run\")
           while \"session\" not in open(\"told\").read(): pass
           app.sendall(b\"AUTH\\r\\n\")
           assert app.recv(99).startswith(b\"REJECTED\")'
         while pgrep -f '^[^ ]*/shunt-door --background' >&2; do :; done
         cat told",
    );
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8(output.stdout).unwrap();
    let [first, second] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
    assert!(first.starts_with("<12>shunt-door[") && first.contains("]: the bus can't be reached: "), "{told}");
    assert!(second.starts_with("<14>shunt-door[") && second.contains("]: the session is over"), "{told}");
}

#[test]
fn through_door_an_app_finds_the_door_first_and_the_bus_without_it() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    // As on a system with systemd, which listens by itself, or not at all if its user wants none.
    installed(place);
    let script = fs::read_to_string(place.join("through-door")).unwrap();
    fs::write(place.join("through-door"), script.replace("/nonexistent", "/proc")).unwrap();
    let door = place.join("run/shunt-door");
    let shown = session(place, "./through-door printenv DBUS_SYSTEM_BUS_ADDRESS; ! pgrep shunt-door; exit 7");
    let expected = format!("unix:path={};unix:path=/run/dbus/system_bus_socket\n", door.display());
    assert_eq!((said(&shown), shown.status.code()), (expected, Some(7)));
    assert!(!door.exists());
    assert!(read("init/door/chatty.conf").contains("unix:path=%t/shunt-door;unix:path=/run/dbus/system_bus_socket"));
}

#[test]
fn a_door_in_the_background_is_content_with_another_and_one_in_the_foreground_says_so() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("door");
    let _other = UnixListener::bind(&socket).unwrap();
    let door = |background: bool| {
        let mut command = Command::new(DOOR);
        command.arg("--listen").arg(&socket).args(background.then_some("--background"));
        run(&mut command)
    };
    assert!(door(true).status.success());
    let refused = door(false);
    assert!(!refused.status.success() && said(&refused).contains("another door"), "{}", said(&refused));
}

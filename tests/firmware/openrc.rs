//! OpenRC's scripts, run by OpenRC.

use crate::{contained, install::installed, program, read, run, said};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

const DOOR: &str = env!("CARGO_BIN_EXE_shunt-door");

/// Runs a shell script on a system that OpenRC runs and that has our package: `shuntd` is a stand-in there.
fn on_openrc(place: &Path, script: &str, change: impl Fn(String) -> String) -> Output {
    let put = |name: &str, text: String| program(&place.join(name), &text);
    put("init.d/shuntd", change(read("init/shuntd.openrc")));
    // Debian's OpenRC has no services of users yet: it runs this one as one of the system.
    let door = change(read("init/door/shunt-door.openrc"));
    assert!(door.starts_with("#!/sbin/openrc-run --user\n"));
    put("init.d/shunt-door", door.replacen(" --user", "", 1));
    put("init.d/dbus", "#!/sbin/openrc-run\nstart() { :; }\n".to_owned());
    put("shunt/shuntd", "#!/bin/sh\necho \"$@\" >/run/told; exec sleep 1000\n".to_owned());
    fs::copy(DOOR, place.join("shunt/shunt-door")).unwrap();
    for (file, line) in [("passwd", "shunt-core:x:64871:64871:::\n"), ("group", "shunt-core:x:64871:\n")] {
        put(file, fs::read_to_string(Path::new("/etc").join(file)).unwrap() + line);
    }
    let setting = "mount --make-rprivate / && mount -t tmpfs t /run && mount -t tmpfs t /var/lib
        mount -t tmpfs t /usr/libexec && cp -r shunt /usr/libexec/ && mkdir -p /run/user/$(id -u)
        for file in init.d passwd group; do mount --bind $file /etc/$file; done
        for state in started starting stopping inactive wasinactive failed exclusive daemons options tmp; do
          mkdir -p /run/openrc/$state; done
        touch /run/openrc/softlevel\n";
    let mut command = contained(&["--mount"], &format!("{setting}{script}"));
    run(command.current_dir(place).env_remove("XDG_RUNTIME_DIR"))
}

#[test]
fn openrc_starts_the_daemons_with_a_place_of_the_cores_own_and_ends_them() {
    let place = tempfile::tempdir().unwrap();
    let script =
        "/etc/init.d/shuntd start >&2; stat -c '%a %u' /var/lib/shunt /run/shunt; /etc/init.d/shuntd status >&2
        until [ -s /run/told ]; do :; done; cat /run/told
        /etc/init.d/shuntd stop >&2; while pgrep sleep >&2; do :; done";
    let output = on_openrc(place.path(), script, |text| text);
    assert!(output.status.success(), "{}", said(&output));
    let expected = "700 64871\n755 64871\n--core-user shunt-core --uplink-user shunt-uplink\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(read("init/shuntd.service").contains("shuntd --core-user shunt-core --uplink-user shunt-uplink\n"));
}

#[test]
fn openrc_starts_a_users_door_and_ends_it() {
    let place = tempfile::tempdir().unwrap();
    let script = "door=/run/user/$(id -u)/shunt-door
        listens() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $door 2>/dev/null; }
        /etc/init.d/shunt-door start >&2; /etc/init.d/shunt-door status >&2
        until listens; do :; done; stat -c %a $door
        /etc/init.d/shunt-door stop >&2; ! listens";
    let output = on_openrc(place.path(), script, |text| text);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "600\n");
}

#[test]
fn openrc_refuses_a_broken_script() {
    let place = tempfile::tempdir().unwrap();
    let output = on_openrc(place.path(), "! /etc/init.d/shuntd start", |text| text.replacen('}', "", 1));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn make_puts_openrcs_scripts_where_it_looks() {
    let (place, found) = installed("install-openrc", "/opt/shunt", &[]);
    assert_eq!(found, ["etc/init.d/shuntd", "etc/user/init.d/shunt-door"].map(str::to_owned).into());
    for file in found {
        let file = place.path().join("image").join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("command=\"/opt/shunt/libexec/shunt/shunt"), "{text}");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o755);
    }
}

//! Android's init.

use crate::read;

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

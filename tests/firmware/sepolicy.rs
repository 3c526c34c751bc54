//! The SELinux policy.

use crate::{read, root, run, said};
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

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

//! The table of `make apps`: it must not look whole when it isn't.

use std::path::Path;
use std::process::Command;

const ROWS: &str = include_str!("rows");

/// What the table is for such a log, and whether that is called a success.
fn table(log: &str) -> (String, bool) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    std::fs::write(&file, log).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/table");
    let output = Command::new(script).arg(file).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_row_that_is_missing_or_not_listed_fails_the_table() {
    let all: Vec<String> = ROWS.lines().map(|row| format!("| {row} | seen |")).collect();
    // Without threads libtest puts the test's name before what the test prints.
    let (whole, passed) = table(&format!("running 9 tests\ntest a ... {}\ntest b ... ok\n", all.join("\n")));
    assert!(passed && whole.matches("| seen ").count() == all.len(), "{whole}");
    let (missing, passed) = table(&all[1..].join("\n"));
    assert!(!passed && missing.matches("FAILED").count() == 1, "{missing}");
    let (unlisted, passed) = table(&format!("{}\n| an app | did more | seen |\n", all.join("\n")));
    assert!(!passed && unlisted.contains("not in tests/apps/rows"), "{unlisted}");
}

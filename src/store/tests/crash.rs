use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The inner half: commits texts one by one, says each number once it is committed, and never ends by itself.
/// Without a home it is the outer process that runs it, and there is nothing to do.
#[test]
fn inner_writer() {
    let Some(home) = std::env::var_os("SHUNT_TEST_HOME").map(PathBuf::from) else { return };
    let mut store = Store::open(&home.join("state"), &home, &StoreKey::new([7; 32])).unwrap();
    let begun = store.transaction(|tx| tx.list_texts(None, u32::MAX)).unwrap().len() as u64;
    for n in begun.. {
        store
            .transaction(|tx| {
                tx.put_text(&text(n))?;
                tx.put_envelope(id(n), &[1; 5000])?;
                tx.put_arrived(&arrived(n))
            })
            .unwrap();
        println!("\ncommitted {n}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_committed_and_leaves_no_half() {
    let home = Home::new();
    for kill_after in [0, 1, 30] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::crash::inner_writer", "--nocapture"])
            .env("SHUNT_TEST_HOME", home.root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut committed = Vec::new();
        let mut number = |line: String| {
            let n = line.strip_prefix("committed ").and_then(|n| n.parse::<u64>().ok());
            committed.extend(n);
            committed.len()
        };
        while number(lines.next().unwrap().unwrap()) <= kill_after {}
        child.kill().unwrap();
        // What it said before the signal took effect counts as well.
        for line in lines.map_while(Result::ok) {
            number(line);
        }
        child.wait().unwrap();

        let mut store = home.open().unwrap();
        store
            .transaction(|tx| {
                for n in &committed {
                    assert_eq!(tx.text(id(*n))?, Some(text(*n)));
                }
                for (_, text) in tx.list_texts(None, u32::MAX)? {
                    assert!(tx.envelope(text.id)?.is_some() && tx.arrived(text.id)?.is_some(), "a half transaction");
                }
                Ok(())
            })
            .unwrap();
        let sound: String = store.db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}

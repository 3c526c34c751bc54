//! That each log of ours is searched for what is private, at the end of each test: one line too much, and it fails.

use super::{ALICE, programs};
use shunt_kit::world::World;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Writes a line into a log, ends its program, and expects that the log and the line are named.
fn told<T>(log: PathBuf, program: T) {
    let before = std::fs::read_to_string(&log).unwrap();
    let line = before.lines().count() + 1;
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    writeln!(file, "a text to {ALICE}").unwrap();
    let failed = catch_unwind(AssertUnwindSafe(|| drop(program))).expect_err(&format!("{}", log.display()));
    let said = failed.downcast::<String>().unwrap();
    assert!(said.starts_with(&*log.to_string_lossy()) && said.contains(&format!("line {line} has a text")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_any_log_of_ours_fails_the_test_that_wrote_it() {
    let world = World::of_two_operators(programs()).await.unwrap();
    let alice = world.phone(ALICE).await.unwrap();
    let door = alice.door(programs()).unwrap();
    told(alice.path("door.log"), door);
    told(alice.path("shuntd.log"), alice);
    told(world.directory.dir().join("log"), world.directory);
    let second = world.second.unwrap();
    told(second.dir().join("log"), second);
}

//! The table that `make apps` prints: what unmodified apps did, as the tests found it.

use std::fmt::Display;

/// A line of it: which app, what it did, what came of it. The latter is what was counted, never what was expected.
/// `tests/apps/rows` lists the lines that must be there; a test that fails prints none.
pub fn row(app: &str, done: &str, found: impl Display) {
    println!("| {app} | {done} | {found} |");
}

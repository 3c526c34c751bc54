//! What is written: for people, or one JSON document.

use super::failure::Failure;
use crate::model::{Civil, Timestamp};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Writes to standard output at once, so that a reader of a pipe sees each line when it happens.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// One document: indented where it stands alone.
pub(super) fn document(value: &Value) -> Result<(), Failure> {
    write(&format!("{value:#}"))
}

/// A text from outside as it may be written to a terminal: no control character of it takes effect.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            // Besides the controls: marks that turn the direction of what follows.
            let hidden =
                (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escaped = hidden.then(|| c.escape_unicode());
            escaped.into_iter().flatten().chain((!hidden).then_some(c))
        })
        .collect()
}

/// Milliseconds since 1970 as `2026-11-22 23:33:19Z`.
pub(super) fn time(ms: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = Timestamp(ms).into();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// A value as people read it.
pub(super) fn human(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "-".into(),
        Value::Array(all) => all.iter().map(human).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The string of that name, or nothing.
pub(super) fn string<'v>(of: &'v Value, name: &str) -> &'v str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A table, where there is anything in it.
pub(super) fn rows(rows: &[Vec<String>]) -> Result<(), Failure> {
    if rows.is_empty() { Ok(()) } else { write(&table(rows)) }
}

/// Lines of columns, aligned; the last one is as long as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let end = place + 1 == row.len();
            let _ = if end { write!(text, "{cell}") } else { write!(text, "{cell:width$}  ") };
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_and_say_so() {
        assert_eq!(time(1_767_225_599_999), "2025-12-31 23:59:59Z");
        assert_eq!(time(-62_135_596_800_000), "0001-01-01 00:00:00Z");
    }

    #[test]
    fn a_text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\r\u{9b}c\nd"), "a\\u{1b}[2Jb\\u{d}\\u{9b}c\nd");
        assert_eq!(plain("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(plain("Grüße 👍"), "Grüße 👍");
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(table(&[row(&["a", "bb"]), row(&["ccc", "d"]), row(&["", ""])]), "a    bb\nccc  d\n\n");
    }
}

//! No log of ours tells anything private. What the kit comes to know of numbers, texts, secrets and codes is noted here,
//! by what makes them known to it; each log of a program of ours is searched for all of that, and for whatever looks
//! like a pseudonym, when the program's handle goes.
//!
//! The tests of one program share what is noted: nothing of one's belongs into another's log either.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};

/// So many digits in a row tell a number. One that has them with two digits alone is a round sum as well.
const DIGITS: usize = 8;
const DISTINCT: usize = 3;
/// Texts that are shorter may be a log's own words; of longer ones so much is enough.
const TEXT: usize = 12;
const ENOUGH: usize = 24;
/// An epoch's letter and twenty bytes in base32 (RFC 4648).
const PSEUDONYM: usize = 33;

/// What a form begins with, how it goes on, and what it is called.
#[derive(Default)]
struct Noted(HashMap<[u8; DIGITS], BTreeMap<Vec<u8>, &'static str>>);

static NOTED: LazyLock<Mutex<Noted>> = LazyLock::new(Mutex::default);

/// A number, a text, a secret, a code: anything that no log may tell.
pub fn note(private: &str) {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner).note(private);
}

impl Noted {
    fn note(&mut self, private: &str) {
        for run in private.as_bytes().split(|byte| !byte.is_ascii_digit()) {
            for digits in run.windows(DIGITS) {
                let distinct = (b'0'..=b'9').filter(|digit| digits.contains(digit)).count();
                if distinct >= DISTINCT {
                    self.add("digits of a number or code", digits);
                }
            }
        }
        if private.len() < TEXT {
            return;
        }
        let enough = |text: &str| text.as_bytes()[..text.len().min(ENOUGH)].to_owned();
        self.add("a text or secret", &enough(private));
        let escaped = format!("{private:?}");
        self.add("an escaped text or secret", &enough(escaped.trim_matches('"')));
        let bytes = &private.as_bytes()[..TEXT];
        let list: Vec<_> = bytes.iter().map(u8::to_string).collect();
        self.add("a text or secret as numbers", list.join(", ").as_bytes());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add("a text or secret in hex", hex.as_bytes());
        self.add("a text or secret in hex", hex.to_uppercase().as_bytes());
    }

    fn add(&mut self, form: &'static str, bytes: &[u8]) {
        if let Some((start, rest)) = bytes.split_first_chunk() {
            self.0.entry(*start).or_default().entry(rest.to_owned()).or_insert(form);
        }
    }

    /// The form that begins there.
    fn at_start_of(&self, log: &[u8]) -> Option<&'static str> {
        let (start, after) = log.split_first_chunk()?;
        self.0.get(start)?.iter().find(|(rest, _)| after.starts_with(rest)).map(|(_, form)| *form)
    }
}

fn has_pseudonym(line: &[u8]) -> bool {
    let base32 = |byte: &u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(byte);
    let mut words = line.split(|byte| !byte.is_ascii_alphanumeric());
    words.any(|word| word.len() == PSEUDONYM && word.iter().all(base32))
}

/// What a log of ours tells that it must not: line by line.
#[must_use]
pub fn found_in(log: &[u8]) -> Vec<String> {
    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut found, mut start) = (Vec::new(), 0);
    for (line, number) in log.split(|byte| *byte == b'\n').zip(1..) {
        let form = (start..start + line.len()).find_map(|at| noted.at_start_of(&log[at..]));
        if let Some(form) = form.or_else(|| has_pseudonym(line).then_some("a pseudonym")) {
            found.push(format!("line {number} has {form}: {}", String::from_utf8_lossy(line)));
        }
        start += line.len() + 1;
    }
    found
}

/// The log of a program of ours. It is searched when this is dropped, which fails the test where it finds
/// something; so drop it after the program.
pub struct PrivateLog {
    path: PathBuf,
    /// Open: the file may have been deleted by then.
    file: File,
}

impl PrivateLog {
    /// A log file that is there, but for so many bytes at its beginning.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of(path: &Path, before: u64) -> Result<Self> {
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        file.seek(SeekFrom::Start(before))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Drop for PrivateLog {
    fn drop(&mut self) {
        let mut log = Vec::new();
        let told = match self.file.read_to_end(&mut log) {
            Ok(_) => found_in(&log),
            Err(error) => vec![format!("it can't be read: {error}")],
        };
        if told.is_empty() {
            return;
        }
        let told = format!("{} tells what is private:\n{}", self.path.display(), told.join("\n"));
        // A second panic would end all tests of the program.
        assert!(std::thread::panicking(), "{told}");
        eprintln!("{told}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const NUMBER: &str = "+4915199887701";
    const TEXT: &str = "a wombat's \"day\" 👍 is long, and longer";

    /// What the guard of a log with these lines fails with.
    fn failure(lines: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.log");
        std::fs::write(&path, format!("from before: {NUMBER}\n")).unwrap();
        let guard = PrivateLog::of(&path, std::fs::metadata(&path).unwrap().len()).unwrap();
        std::fs::write(&path, format!("from before: {NUMBER}\n{lines}")).unwrap();
        drop(dir);
        let failed = catch_unwind(AssertUnwindSafe(|| drop(guard))).err()?;
        Some(*failed.downcast::<String>().unwrap())
    }

    #[test]
    fn a_line_with_anything_private_in_any_form_fails_the_test() {
        [NUMBER, TEXT, "262019988770155", "Shunt code 27182818 (9f)", "c2VjcmV0IG9mIGFuIGFjY291bnQ"]
            .into_iter()
            .for_each(note);
        let bytes = format!("{:?}", TEXT.as_bytes());
        let hex: String = TEXT.bytes().map(|byte| format!("{byte:02x}")).collect();
        let (digits, text) = ("digits of a number or code", "a text or secret");
        for (told, form) in [
            (NUMBER, text),
            ("015199887701", digits),
            ("sip:004915199887701;x", digits),
            ("…199887701", digits),
            ("imsi=262019988770155", digits),
            ("the code 27182818 came", digits),
            ("secret: c2VjcmV0IG9mIGFuIGFjY291bnQ", text),
            (TEXT, text),
            (&format!("{TEXT:?}"), "an escaped text or secret"),
            (&bytes, "a text or secret as numbers"),
            (&hex, "a text or secret in hex"),
            (&hex.to_uppercase(), "a text or secret in hex"),
            ("to ayfxq2w5djvd5ijx4urjmt65lxkcp4wmz@im.example.org", "a pseudonym"),
        ] {
            let told = failure(&format!("a line\nand {told} as well\nthe last\n")).expect(told);
            assert!(told.contains("some.log") && told.contains(&format!("line 2 has {form}: and")), "{told}");
            assert_eq!(told.lines().count(), 2, "{told}");
        }
    }

    #[test]
    fn what_is_nobodys_is_no_finding() {
        [NUMBER, TEXT, "+49151000000000", "short"].into_iter().for_each(note);
        let clean = "<6>shuntd-core: ready at 1795620411123, 127.0.0.1:45601, pid 4194303\n\
            text 01a205e0a6ed7e61ae9ccdb30e09941a is damaged: short, 100000000 bytes, a wombat's day\n\
            thread_of_the_evaluator_of_a_very_long_name\n";
        assert_eq!(failure(clean), None);
        assert_eq!(failure(""), None);
    }

    #[test]
    fn a_test_that_fails_already_fails_by_its_own_word() {
        note(NUMBER);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.log");
        std::fs::write(&path, NUMBER).unwrap();
        let failed = catch_unwind(|| {
            let _guard = PrivateLog::of(&path, 0).unwrap();
            panic!("the test's own");
        });
        assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"the test's own"));
    }
}

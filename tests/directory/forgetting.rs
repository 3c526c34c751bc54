//! The directory forgets: after an enrolment no number is in its files, its log or its memory.

use super::enrolment::start;
use super::phone::{NUMBER, Phone};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The number in the forms that it might be kept in.
fn forms(number: &str) -> Vec<Vec<u8>> {
    let digits = number.trim_start_matches('+');
    let national = digits.trim_start_matches("49");
    let swapped: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| (pair.get(1).map_or(15, |low| low - b'0') << 4) | (pair[0] - b'0'))
        .collect();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let value = |text: &str| text.parse::<u64>().unwrap();
    vec![
        national.as_bytes().to_vec(),
        wide(national),
        swapped,
        value(digits).to_le_bytes().to_vec(),
        value(national).to_le_bytes()[..5].to_vec(),
    ]
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> Option<usize> {
    forms.iter().position(|form| bytes.windows(form.len()).any(|window| window == form))
}

/// Every byte that a process has in memory and may write, stacks and heaps included.
fn memory(pid: u32) -> Vec<(String, Vec<u8>)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut mem = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        mem.seek(SeekFrom::Start(from)).unwrap();
        // Guard pages and the like can't be read.
        if mem.read_exact(&mut bytes).is_ok() {
            found.push((line.to_owned(), written(&bytes)));
        }
    }
    assert!(!found.is_empty());
    found
}

/// Waits until no memory holds any of these: a thread wipes its stack when it has nothing more to do.
async fn forgotten(pid: u32, forms: &[Vec<u8>]) {
    let begun = Instant::now();
    loop {
        let found = memory(pid).into_iter().find_map(|(place, bytes)| holds(&bytes, forms).map(|form| (place, form)));
        let Some((place, form)) = found else { return };
        assert!(begun.elapsed() < Duration::from_secs(30), "form {form} in memory: {place}");
        tokio::task::yield_now().await;
    }
}

/// The pages that hold anything, those that don't as a gap.
fn written(bytes: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for page in bytes.chunks(4096) {
        let empty = page == &[0; 4096][..page.len()];
        written.extend_from_slice(if empty { &[0; 16] } else { page });
    }
    written
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn after_an_enrolment_no_file_no_log_and_no_memory_holds_the_number() {
    let (cloud, directory, mut provider) = start("").await;
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let forms = forms(NUMBER);
    // The provider has the SMS, and gives no answer yet.
    provider.stop().unwrap();
    let asking = tokio::spawn({
        let (client, path, request) = (phone.client.clone(), phone.path(), phone.request());
        async move { client.field(hyper::Method::PUT, &path, "sealed", request.as_bytes()).await }
    });
    let needed = |place: &(String, Vec<u8>)| holds(&place.1, &forms) == Some(0);
    while !memory(directory.id()).iter().any(needed) {
        assert!(!asking.is_finished(), "the search finds what is needed");
        tokio::task::yield_now().await;
    }
    provider.go_on().unwrap();
    assert_eq!(asking.await.unwrap().status, 202);
    let code = shunt::seal::CodeSms::parse(&provider.sms().await.unwrap().text).unwrap().code;
    forgotten(directory.id(), &forms).await;

    let confirmation = phone.confirmation(code);
    let answer = phone.post(&confirmation.request).await.field("sealed");
    let enrolled = phone.believe(&confirmation, &answer);
    let secret = enrolled.account.secret.as_bytes().to_vec();
    forgotten(directory.id(), &[forms.clone(), vec![secret]].concat()).await;
    let files = files_below(directory.dir());
    assert!(files.iter().any(|file| file.ends_with("directory.db")) && files.iter().any(|file| file.ends_with("log")));
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let form = holds(&bytes, &forms);
        assert_eq!(form, None, "{}", file.display());
    }
    assert!(directory.log().unwrap().contains("a phone enrolled"), "the log tells at level debug");

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", directory.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}

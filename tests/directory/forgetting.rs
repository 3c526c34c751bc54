//! The directory forgets, with codes by a provider or by a modem of its own, and so does the second operator: after an
//! enrolment no number is in their files, their logs or their memory.

use super::BINARY;
use super::client::{Client, blinded};
use super::phone::{Enrolled, NUMBER, Phone};
use super::site::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::scalar::Scalar;
use ring::digest::{SHA256, digest};
use shunt::directory::{Account, Accounts};
use shunt::model::PhoneNumber;
use shunt::seal::{Code, CodeSms, Evaluator as Key, second_token};
use shunt_kit::cloud::Cloud;
use shunt_kit::directory::{Directory, FILE};
use shunt_kit::evaluator::Evaluator;
use shunt_kit::postgres::psql;
use shunt_kit::smpp::Provider;
use shunt_kit::{Postgres, Smsc};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// The number that a modem of the directory's sends from.
const SENDER: &str = "+4915100000001";

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

/// What becomes of a number on its way to its pseudonym: its element of the group, before and after this key.
fn elements(number: &PhoneNumber, keys: &Path) -> Vec<Vec<u8>> {
    let seed = BASE64.decode(std::fs::read_to_string(keys.join("a.voprf")).unwrap().trim()).unwrap();
    let key = Key::from_seed(seed.try_into().unwrap(), 'a').unwrap();
    let (blinding, point) = blinded(number);
    let unblind = Scalar::from_canonical_bytes(*blinding.to_bytes()).unwrap().invert();
    let element = |point: [u8; 32]| CompressedRistretto(point).decompress().unwrap() * unblind;
    [point, key.evaluate(point).unwrap().0].map(|point| element(point).compress().to_bytes().to_vec()).into()
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> Option<usize> {
    forms.iter().position(|form| memchr::memmem::find(bytes, form).is_some())
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
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files_below(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => vec![],
        })
        .collect()
}

/// No file has any of these. What is known to be kept there is found.
fn in_no_file(dir: &Path, kept: &[u8], forms: &[Vec<u8>]) {
    let mut found = false;
    for path in files_below(dir) {
        let bytes = match std::fs::read(&path) {
            // A database has removed it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            bytes => bytes.unwrap(),
        };
        assert_eq!(holds(&bytes, forms), None, "{}", path.display());
        found |= memchr::memmem::find(&bytes, kept).is_some();
    }
    assert!(found, "the search finds what is kept");
}

/// Who sends the codes.
enum Gateway {
    Provider(Box<Provider>),
    Modem(Smsc, Box<shunt_kit::Phone>),
}

impl Gateway {
    async fn modem() -> Self {
        let smsc = Smsc::new();
        let modem = shunt_kit::Phone::builder(&smsc, SENDER).start().await.unwrap();
        Self::Modem(smsc, Box::new(modem))
    }

    /// The directory's lines for it.
    fn config(&self, dir: &Path) -> String {
        let lines = match self {
            Self::Provider(provider) => provider.gateway(dir).unwrap(),
            Self::Modem(_, modem) => format!("[enrolment.gateway.modem]\nbus = \"{}\"\n", modem.bus().address()),
        };
        format!("[enrolment]\n{lines}")
    }

    /// It takes SMS, and gives no answer.
    fn holds(&self) {
        match self {
            Self::Provider(provider) => provider.stop().unwrap(),
            Self::Modem(smsc, _) => smsc.pause_answers(SENDER),
        }
    }

    fn answers(&self) {
        match self {
            Self::Provider(provider) => provider.go_on().unwrap(),
            Self::Modem(smsc, _) => smsc.resume_answers(SENDER),
        }
    }

    async fn code(&mut self) -> Code {
        let text = match self {
            Self::Provider(provider) => provider.sms().await.unwrap().text,
            Self::Modem(smsc, _) => smsc.wait_for_text("a code", |sms| sms.to == NUMBER).await.unwrap().text.unwrap(),
        };
        CodeSms::parse(&text).unwrap().code
    }
}

/// A phone enrols. While its SMS is on its way the directory's memory has the number, and the search finds it; then
/// neither that nor any file of the directory's has it.
async fn enrols_and_is_forgotten(directory: &Directory, gateway: &mut Gateway, phone: &Phone) -> Enrolled {
    let forms = forms(NUMBER);
    gateway.holds();
    let asking = tokio::spawn({
        let (client, path, request) = (phone.client.clone(), phone.path(), phone.request());
        async move { client.field(hyper::Method::PUT, &path, "sealed", request.as_bytes()).await }
    });
    let needed = |place: &(String, Vec<u8>)| holds(&place.1, &forms) == Some(0);
    while !memory(directory.id()).iter().any(needed) {
        assert!(!asking.is_finished(), "the search finds what is needed");
        tokio::task::yield_now().await;
    }
    gateway.answers();
    assert_eq!(asking.await.unwrap().status, 202);
    let code = gateway.code().await;
    forgotten(directory.id(), &forms).await;

    let confirmation = phone.confirmation(code);
    let answer = phone.post(&confirmation.request).await.field("sealed");
    let enrolled = phone.believe(&confirmation, &answer);
    let secret = vec![enrolled.account.secret.as_bytes().to_vec()];
    let all = [forms, secret, elements(&phone.number, &directory.dir().join("keys"))].concat();
    forgotten(directory.id(), &all).await;
    assert!(directory.log().unwrap().contains("a phone enrolled"), "the log tells at level debug");
    enrolled
}

#[tokio::test]
async fn the_daily_round_leaves_nothing_deleted_in_postgresqls_tables_and_it_samples_nothing_but_times() {
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    let accounts = Accounts::open(&database.clone().into()).await.unwrap();
    let pseudonyms: Vec<_> = (0..100).map(|nth| format!("aforgotten{nth}")).collect();
    for (nth, pseudonym) in (0..).zip(&pseudonyms) {
        let account = Account { pseudonym, token: &[nth; 32], budget: &[nth; 32], certificate: b"certificate" };
        accounts.put(&account, 1_800_000_000).await.unwrap();
    }
    psql(&database, "ANALYZE").await.unwrap();
    let sampled = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_stats WHERE tablename = 'account'";
    assert_eq!(psql(&database, sampled).await.unwrap(), "created proven seen");
    for pseudonym in &pseudonyms {
        assert!(accounts.remove(pseudonym).await.unwrap());
    }
    let (forms, tables) = (vec![b"aforgotten".to_vec()], postgres.dir().join("data/base"));
    let has = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| holds(&bytes, &forms).is_some());
    let in_tables = || files_below(&tables).iter().any(has);
    psql(&database, "CHECKPOINT").await.unwrap();
    assert!(in_tables(), "deleting alone leaves it there");
    let site = Site::at(&database, "").await;
    let begun = Instant::now();
    while !site.directory.log().unwrap().contains("what was deleted is in no table's file") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", site.directory.log().unwrap());
        tokio::task::yield_now().await;
    }
    psql(&database, "CHECKPOINT").await.unwrap();
    in_no_file(&tables, b"aexample", &forms);
    assert_eq!(accounts.count().await.unwrap(), 1, "the others are there");
}

/// What it keeps of an account, it keeps by this name.
fn name(enrolled: &Enrolled) -> &[u8] {
    enrolled.jid.pseudonym().as_str().as_bytes()
}

#[tokio::test]
async fn after_an_enrolment_neither_operators_files_log_or_memory_hold_the_number() {
    let cloud = Cloud::start().await.unwrap();
    let second = Evaluator::start(Path::new(BINARY), cloud.dir(), "").await.unwrap();
    let mut gateway = Gateway::Provider(Box::new(Provider::start().await.unwrap()));
    let more = gateway.config(cloud.dir());
    let directory = cloud.start_directory_of_two(Path::new(BINARY), &second, &more).await.unwrap();
    let mut phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    phone.key.second = Some(BASE64.decode(second.key()).unwrap().try_into().unwrap());
    let enrolled = enrols_and_is_forgotten(&directory, &mut gateway, &phone).await;
    in_no_file(directory.dir(), name(&enrolled), &forms(NUMBER));

    // The second operator was never told any of this, nor can it tell from what it was asked.
    let pseudonym = enrolled.jid.pseudonym().as_str();
    let raw = data_encoding::BASE32_NOPAD.decode(pseudonym[1..].to_uppercase().as_bytes()).unwrap();
    let unblinded = elements(&phone.number, &second.dir().join("keys"));
    let in_base64 = unblinded.iter().map(|element| BASE64.encode(element).into_bytes()).collect();
    let names = vec![pseudonym.as_bytes()[1..].to_vec(), raw];
    let never = [forms(NUMBER), names, unblinded, in_base64].concat();
    assert!(second.log().unwrap().contains("evaluated 2 points"), "it was asked");
    forgotten(second.id(), &never).await;
    let token = second_token(&enrolled.account.secret);
    in_no_file(second.dir(), digest(&SHA256, token.as_bytes()).as_ref(), &never);

    // Each of them would be found: they stand in a request that goes no further.
    let mut request = Client::at(second.addr(), second.ca_pem(), "nobody").connect().await;
    request.write_all(b"POST /v1/evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n").await.unwrap();
    request.write_all(&never.concat()).await.unwrap();
    request.flush().await.unwrap();
    let begun = Instant::now();
    let found =
        |form: &Vec<u8>| memory(second.id()).iter().any(|(_, bytes)| memchr::memmem::find(bytes, form).is_some());
    for form in &never {
        while !found(form) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the search finds what is there");
            tokio::task::yield_now().await;
        }
    }
    drop(request);
    forgotten(second.id(), &never).await;
}

#[tokio::test]
async fn a_directory_with_a_modem_of_its_own_forgets_the_number_too() {
    let cloud = Cloud::start().await.unwrap();
    let mut gateway = Gateway::modem().await;
    let more = gateway.config(cloud.dir());
    let directory = cloud.start_directory_with(Path::new(BINARY), FILE, &more).await.unwrap();
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = enrols_and_is_forgotten(&directory, &mut gateway, &phone).await;
    in_no_file(directory.dir(), name(&enrolled), &forms(NUMBER));
}

#[tokio::test]
async fn a_directory_on_postgresql_forgets_the_number_and_the_database_never_has_it() {
    let (cloud, postgres) = (Cloud::start().await.unwrap(), Postgres::start().await.unwrap());
    let mut gateway = Gateway::Provider(Box::new(Provider::start().await.unwrap()));
    let (database, more) = (postgres.database().await.unwrap(), gateway.config(cloud.dir()));
    let directory = cloud.start_directory_with(Path::new(BINARY), &database, &more).await.unwrap();
    let phone = Phone::new(&directory, cloud.ca_pem(), NUMBER);
    let enrolled = enrols_and_is_forgotten(&directory, &mut gateway, &phone).await;
    in_no_file(directory.dir(), b"a phone enrolled", &forms(NUMBER));
    in_no_file(postgres.dir(), name(&enrolled), &forms(NUMBER));
}

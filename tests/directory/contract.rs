//! `config/directory.openapi.yaml` tells what the server does, no more and no less.

use super::client::{Answer, Client, blinded};
use super::enrolment::start;
use super::phone::{NUMBER, Phone, now, other};
use super::site::{Site, number};
use hyper::Method;
use rand_core::OsRng;
use shunt::model::Timestamp;
use shunt::seal::{Code, CodeSms, Confirm, EpochKey, NewSecret, Purpose, Renewal, new_secret};
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FILE: &str = include_str!("../../config/directory.openapi.yaml");

type Seen = BTreeSet<(String, String, u16)>;

/// Path, method and status of each response in the file.
fn described() -> Seen {
    let (mut seen, mut path, mut method) = (Seen::new(), String::new(), String::new());
    for line in FILE.lines() {
        let indent = line.len() - line.trim_start().len();
        let key = line.trim().trim_end_matches(':').trim_matches('"');
        match indent {
            2 if key.starts_with('/') => path = key.to_owned(),
            4 if ["get", "post", "put", "delete"].contains(&key) => method = key.to_owned(),
            8 => seen.extend(key.parse().ok().map(|status| (path.clone(), method.clone(), status))),
            _ => {}
        }
    }
    seen
}

/// The `error` tokens in the file.
fn tokens() -> BTreeSet<String> {
    let list = FILE.split_once("enum:\n").unwrap().1;
    list.lines().map_while(|line| line.trim().strip_prefix("- ")).map(str::to_owned).collect()
}

/// Notes what comes back.
#[derive(Default)]
struct Notes {
    seen: Seen,
    tokens: BTreeSet<String>,
}

impl Notes {
    fn note(&mut self, method: &str, path: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        self.seen.insert((path.to_owned(), method.to_owned(), status));
        if status >= 400 {
            self.tokens.insert(answer.refusal().1.to_owned());
        }
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        let wait = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u32>().unwrap());
        assert_eq!(wait.is_some_and(|wait| wait > 0), matches!(status, 429 | 503));
    }

    /// What every path does with no token, another method, no body in time, and too large or senseless ones.
    async fn strangers(&mut self, client: &Client, as_: &str, path: &str) {
        let at = path.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA");
        let method = Method::from_bytes(as_.to_uppercase().as_bytes()).unwrap();
        let wrong = if as_ == "get" { Method::POST } else { Method::GET };
        self.note(as_, path, &client.call(wrong, &at, "").await);
        if ["get", "delete"].contains(&as_) {
            return;
        }
        for body in ["no JSON".to_owned(), "{}".to_owned(), "x".repeat(16 * 1024 + 1)] {
            self.note(as_, path, &client.call(method.clone(), &at, body).await);
        }
        let mut late = client.connect().await;
        let head = format!("{method} {at} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n");
        late.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        late.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        self.seen.insert((path.into(), as_.into(), 408));
        self.tokens.insert("timeout".into());
    }
}

const START: &str = "/v1/enrolments/{id}";
const CONFIRM: &str = "/v1/enrolments/{id}/confirm";
const SECRET: &str = "/v1/account/secret";

#[tokio::test]
async fn every_answer_in_the_file_is_given_and_no_other() {
    let (mut cloud, directory, mut provider) = start("[limits]\nread_timeout = 1\n").await;
    let mut notes = Notes::default();
    let ca = cloud.ca_pem().to_owned();
    let new = |number| Phone::new(&directory, &ca, number);

    // Enrolments.
    let mut phone = new(NUMBER);
    notes.note("put", START, &phone.put(&phone.request_at(Timestamp(0))).await);
    for number in ["+49302270000", "+4917600", "+4917612345608"] {
        notes.note("put", START, &new(number).start().await);
    }
    provider.sms().await.unwrap();
    let mut elsewhere = new(NUMBER);
    elsewhere.key.epoch = 'z';
    notes.note("put", START, &elsewhere.start().await);
    notes.note("post", CONFIRM, &phone.confirm(Code::from_typed("00000000").unwrap()).await);
    let started = phone.start().await;
    notes.note("put", START, &started);
    notes.note("put", START, &phone.start().await);
    let code = CodeSms::parse(&provider.sms().await.unwrap().text).unwrap().code;
    notes.note("post", CONFIRM, &phone.confirm(other(code)).await);
    let confirm = async |phone: &Phone, code, purpose| {
        let confirm = Confirm { number: phone.number.clone(), code, purpose };
        let (request, _) = confirm.seal(phone.session, phone.identity.key(), &phone.key).unwrap();
        phone.post(&request).await
    };
    let mut strange = new("+4917612345650");
    (strange.session, strange.identity) = (phone.session, phone.identity);
    notes.note("post", CONFIRM, &strange.confirm(code).await);
    phone.identity = strange.identity;
    let token = new_secret(&mut OsRng).unwrap();
    notes.note("post", CONFIRM, &confirm(&phone, code, Purpose::Renew { token }).await);
    notes.note("post", CONFIRM, &confirm(&phone, code, Purpose::Enrol { blinded: [0; 32] }).await);
    let confirmation = phone.confirmation(code);
    let answer = phone.post(&confirmation.request).await;
    notes.note("post", CONFIRM, &answer);
    let enrolled = phone.believe(&confirmation, &answer.field("sealed"));
    notes.note("post", CONFIRM, &phone.confirm(code).await);
    phone.anew();
    let code = phone.code(&mut provider).await;
    for _ in 0..5 {
        notes.note("post", CONFIRM, &phone.confirm(other(code)).await);
    }
    for _ in 0..4 {
        phone.anew();
        notes.note("put", START, &phone.start().await);
    }

    // An account.
    let device = phone.device(&enrolled);
    let renew = async |made| {
        let renewal = Renewal::sign(&phone.identity, &enrolled.account.certificate, made).unwrap();
        device.field(Method::POST, "/v1/certificate", "renewal", &renewal).await
    };
    notes.note("post", "/v1/certificate", &renew(now()).await);
    notes.note("post", "/v1/certificate", &renew(Timestamp(0)).await);
    let change = async |epoch| {
        let key = EpochKey { epoch, ..phone.key };
        let secret = NewSecret(enrolled.account.secret.clone());
        let request = secret.seal(phone.session, phone.identity.key(), &key).unwrap();
        device.field(Method::PUT, SECRET, "sealed", request.as_bytes()).await
    };
    notes.note("put", SECRET, &change('a').await);
    notes.note("put", SECRET, &change('z').await);
    let (_, point) = blinded(&number());
    for (epoch, points) in [('a', vec![point]), ('a', vec![]), ('a', vec![[0; 32]]), ('z', vec![point])] {
        notes.note("post", "/v1/evaluate", &device.evaluate(epoch, &points).await);
    }
    let database = rusqlite::Connection::open(directory.database()).unwrap();
    database.execute("UPDATE spent SET level = 0", []).unwrap();
    notes.note("post", "/v1/evaluate", &device.evaluate('a', &[point; 100]).await);
    notes.note("get", "/v1/health", &device.call(Method::GET, "/v1/health", "").await);

    // Strangers, and nowhere.
    for (method, path) in [
        ("post", "/v1/evaluate"),
        ("put", START),
        ("post", CONFIRM),
        ("post", "/v1/certificate"),
        ("put", SECRET),
        ("delete", "/v1/account"),
        ("get", "/v1/health"),
    ] {
        notes.strangers(&device, method, path).await;
        if method != "get" && !path.contains("{id}") {
            let method_ = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let body = r#"{"sealed":"AAAA","renewal":"AAAA","epoch":"a","blinded":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}"#;
            notes.note(method, path, &device.with_token("another").call(method_, path, body).await);
        }
    }
    let nowhere = device.call(Method::GET, "/v1/accounts", "").await;
    assert_eq!(nowhere.refusal(), (404, "not-found"));
    notes.tokens.insert("not-found".into());

    // Without the database, then without the XMPP server.
    database.execute("UPDATE account SET proven = proven - 90", []).unwrap();
    notes.note("post", "/v1/certificate", &renew(now()).await);
    database.execute_batch("ALTER TABLE account RENAME TO elsewhere").unwrap();
    notes.note("post", "/v1/evaluate", &device.evaluate('a', &[point]).await);
    notes.note("post", "/v1/certificate", &renew(now()).await);
    notes.note("get", "/v1/health", &device.call(Method::GET, "/v1/health", "").await);
    database.execute_batch("ALTER TABLE elsewhere RENAME TO account").unwrap();
    let late = new("+4917612345679");
    notes.note("put", START, &late.start().await);
    let sms = loop {
        let sms = provider.sms().await.unwrap();
        if sms.to.ends_with("79") {
            break sms;
        }
    };
    let code = CodeSms::parse(&sms.text).unwrap().code;
    cloud.stop().await.unwrap();
    notes.note("post", CONFIRM, &late.confirm(code).await);
    notes.note("put", SECRET, &change('a').await);
    notes.note("delete", "/v1/account", &device.call(Method::DELETE, "/v1/account", "").await);
    cloud.restart().await.unwrap();
    notes.note("delete", "/v1/account", &device.call(Method::DELETE, "/v1/account", "").await);

    let closed = Site::start().await;
    let refused = Phone::new(&closed.directory, &closed.pki.ca_pem, NUMBER).start().await;
    notes.note("put", START, &refused);
    // 20,000 sessions at once: not worth the test's time.
    notes.seen.insert((START.into(), "put".into(), 503));

    assert_eq!(notes.seen, described());
    assert_eq!(notes.tokens, tokens());
}

//! `config/directory.openapi.yaml` tells what the server does, no more and no less.

use super::client::{Answer, Client, blinded};
use super::site::{Site, number};
use hyper::Method;
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

/// Calls, and notes what came back.
struct Caller<'a> {
    client: &'a Client,
    seen: Seen,
    tokens: BTreeSet<String>,
}

impl Caller<'_> {
    async fn evaluate(&mut self, body: impl Into<hyper::body::Bytes>) -> Answer {
        self.call("post", "/v1/evaluate", Method::POST, body).await
    }

    async fn points(&mut self, epoch: char, points: &[[u8; 32]]) {
        let answer = self.client.evaluate(epoch, points).await;
        self.note("post", "/v1/evaluate", &answer);
    }

    /// A wrong method counts for the right one, since a path's description stands there.
    async fn call(&mut self, as_: &str, path: &str, method: Method, body: impl Into<hyper::body::Bytes>) -> Answer {
        let answer = self.client.call(method, path, body).await;
        self.note(as_, path, &answer);
        answer
    }

    fn note(&mut self, method: &str, path: &str, answer: &Answer) {
        self.seen.insert((path.to_owned(), method.to_owned(), answer.status.as_u16()));
        if answer.status.as_u16() >= 400 {
            self.tokens.insert(answer.refusal().1.to_owned());
        }
        if answer.status.as_u16() == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        let wait = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u32>().unwrap());
        assert_eq!(wait.is_some_and(|wait| wait > 0), matches!(answer.status.as_u16(), 429 | 503));
    }
}

#[tokio::test]
async fn every_answer_in_the_file_is_given_and_no_other() {
    let site = Site::with("[limits]\nread_timeout = 1\n").await;
    let mut caller = Caller { client: &site.client, seen: Seen::new(), tokens: BTreeSet::new() };
    let (_, point) = blinded(&number());

    caller.points('a', &[point]).await;
    caller.points('a', &[]).await;
    caller.points('a', &[[0; 32]]).await;
    caller.points('z', &[point]).await;
    caller.evaluate("no JSON").await;
    caller.evaluate("x".repeat(16 * 1024 + 1)).await;
    caller.call("post", "/v1/evaluate", Method::GET, "").await;
    caller.call("get", "/v1/health", Method::POST, "").await;
    let health = caller.call("get", "/v1/health", Method::GET, "").await;
    assert_eq!(health.body["status"], "ok");
    let stranger = site.client.with_token("another").evaluate('a', &[point]).await;
    caller.note("post", "/v1/evaluate", &stranger);
    site.leave(1);
    caller.points('a', &[point; 100]).await;

    let database = rusqlite::Connection::open(site.directory.database()).unwrap();
    database.execute_batch("ALTER TABLE account RENAME TO elsewhere").unwrap();
    caller.points('a', &[point]).await;
    caller.call("get", "/v1/health", Method::GET, "").await;
    database.execute_batch("ALTER TABLE elsewhere RENAME TO account").unwrap();
    caller.points('a', &[point]).await;

    assert_eq!(late_body(&site).await, "HTTP/1.1 408");
    caller.seen.insert(("/v1/evaluate".into(), "post".into(), 408));
    caller.tokens.insert("timeout".into());
    let nowhere = site.client.call(Method::GET, "/v1/accounts", "").await;
    assert_eq!(nowhere.refusal(), (404, "not-found"));
    caller.tokens.insert("not-found".into());

    assert_eq!(caller.seen, described());
    assert_eq!(caller.tokens, tokens());
}

async fn late_body(site: &Site) -> String {
    let mut late = site.client.connect().await;
    let head = "POST /v1/evaluate HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n";
    late.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    late.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

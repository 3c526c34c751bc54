//! The second evaluator by itself: whom it answers, and how much.

use super::BINARY;
use super::client::{Client, blinded};
use super::site::number;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64URL};
use hyper::Method;
use ring::digest::{SHA256, digest};
use shunt::seal::{Blinding, EpochKey};
use shunt_kit::evaluator::Evaluator;
use std::path::Path;
use tempfile::TempDir;

const DEVICE: &str = "the-token-of-a-device-here";

async fn start(more: &str) -> (Evaluator, Client, TempDir) {
    let dir = TempDir::new().unwrap();
    let evaluator = Evaluator::start(Path::new(BINARY), dir.path(), more).await.unwrap();
    let operator = Client::at(evaluator.addr(), evaluator.ca_pem(), &evaluator.token().unwrap());
    (evaluator, operator, dir)
}

fn path(id: u8) -> String {
    format!("/v1/registrations/{}", BASE64URL.encode([id; 32]))
}

fn body(token: &str) -> String {
    serde_json::json!({ "token": BASE64.encode(digest(&SHA256, token.as_bytes())) }).to_string()
}

fn points(count: usize) -> Vec<[u8; 32]> {
    vec![blinded(&number()).1; count]
}

#[tokio::test]
async fn a_device_is_answered_from_its_registration_on_until_its_end_and_by_no_earlier_token() {
    let (evaluator, operator, _dir) = start("").await;
    let device = operator.with_token(DEVICE);
    assert_eq!(device.evaluate('a', &points(1)).await.refusal(), (401, "unknown-token"));
    assert_eq!(device.call(Method::PUT, &path(1), body(DEVICE)).await.refusal(), (401, "unknown-token"));
    assert_eq!(operator.call(Method::PUT, &path(1), body(DEVICE)).await.status, 200);
    assert_eq!(device.call(Method::DELETE, &path(1), "").await.refusal(), (401, "unknown-token"));

    let (blinding, point) = blinded(&number());
    let evaluation = device.evaluate('a', &[point]).await.evaluations().remove(0);
    let voprf = BASE64.decode(evaluator.key()).unwrap().try_into().unwrap();
    let key = EpochKey { epoch: 'a', voprf, second: None, certificate: [0; 32], enrolment: [0; 32] };
    let of = |key: &EpochKey, blinding: &Blinding| {
        key.pseudonym(&number(), &[blinding.transcript(&evaluation)], "im.example.org")
    };
    assert!(of(&key, &blinding).is_ok());
    assert!(of(&key, &blinded(&number()).0).is_err());
    assert_eq!(device.evaluate('b', &points(1)).await.refusal(), (404, "unknown-epoch"));
    assert_eq!(device.evaluate('a', &[[0; 32]]).await.refusal(), (400, "bad-point"));

    // Registered anew: another token, the same budget.
    assert_eq!(operator.call(Method::PUT, &path(1), body("another")).await.status, 200);
    assert_eq!(device.evaluate('a', &points(1)).await.refusal(), (401, "unknown-token"));
    let other = operator.with_token("another");
    let database = rusqlite::Connection::open(evaluator.database()).unwrap();
    database.execute("UPDATE spent SET level = 900", []).unwrap();
    // Nor does it help to end it before.
    assert_eq!(operator.call(Method::DELETE, &path(1), "").await.status, 200);
    assert_eq!(operator.call(Method::PUT, &path(1), body("another")).await.status, 200);
    assert_eq!(other.evaluate('a', &points(2)).await.refusal(), (429, "budget"));
    assert_eq!(other.evaluate('a', &points(1)).await.evaluations().len(), 1);
    for _ in 0..2 {
        assert_eq!(operator.call(Method::DELETE, &path(1), "").await.status, 200);
    }
    assert_eq!(other.evaluate('a', &points(1)).await.refusal(), (401, "unknown-token"));
    for (method, bad, body) in [
        (Method::PUT, "/v1/registrations/x".to_owned(), body(DEVICE)),
        (Method::PUT, path(1), r#"{"token":"AAAA"}"#.to_owned()),
        (Method::PUT, path(1), "{}".to_owned()),
        (Method::DELETE, "/v1/registrations/+4915112345601".to_owned(), String::new()),
    ] {
        assert_eq!(operator.call(method, &bad, body).await.refusal(), (400, "bad-request"), "{bad}");
    }
}

#[tokio::test]
async fn the_first_operator_can_walk_through_no_country_and_is_heard_when_it_tries() {
    let (evaluator, operator, _dir) = start("[ceilings]\nevaluations = 15\noperator = 12\nregistrations = 3\n").await;
    // By itself.
    operator.evaluate('a', &points(10)).await.evaluations();
    let refused = operator.evaluate('a', &points(3)).await;
    assert_eq!(refused.refusal(), (429, "ceiling"));
    assert!(refused.headers.contains_key("retry-after"));
    // By devices of its making.
    for id in 1..=3 {
        assert_eq!(operator.call(Method::PUT, &path(id), body(&format!("{DEVICE}-{id}"))).await.status, 200);
    }
    assert_eq!(operator.call(Method::PUT, &path(4), body(DEVICE)).await.refusal(), (429, "ceiling"));
    operator.with_token(&format!("{DEVICE}-1")).evaluate('a', &points(10)).await.evaluations();
    let device = operator.with_token(&format!("{DEVICE}-2"));
    for _ in 0..2 {
        assert_eq!(device.evaluate('a', &points(6)).await.refusal(), (429, "ceiling"));
    }
    device.evaluate('a', &points(5)).await.evaluations();
    let log = evaluator.log().unwrap();
    for ceiling in ["evaluations", "operator", "registrations"] {
        let told = format!("ALARM: the ceiling of {ceiling} an hour is reached");
        assert_eq!(log.matches(&told).count(), 1, "{told}");
    }
}

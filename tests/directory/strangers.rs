//! What strangers try: slow, large, many.

use super::site::Site;
use shunt_kit::cloud::Pki;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const IMPATIENT: &str = "[limits]\nread_timeout = 1\n";

/// All that comes until the server ends the connection; a reset is an end too.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_only_half_a_head_is_ended() {
    let site = Site::with(IMPATIENT).await;
    let mut no_tls = TcpStream::connect(site.directory.addr()).await.unwrap();
    let mut silent = site.client.connect().await;
    let mut half = site.client.connect().await;
    half.write_all(b"POST /v1/evaluate HTTP/1.1\r\nHost: lo").await.unwrap();
    let ended = tokio::join!(rest(&mut no_tls), rest(&mut silent), rest(&mut half));
    assert!(!ended.1.contains("200") && !ended.2.contains("200"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_by_name() {
    let site = Site::with(IMPATIENT).await;
    let mut slow = site.client.connect().await;
    let head = "POST /v1/evaluate HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 90\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"timeout\""), "{answer}");
}

#[tokio::test]
async fn a_large_head_and_a_large_body_are_refused() {
    let site = Site::start().await;
    let mut large = site.client.connect().await;
    let head = format!("GET /v1/health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    // The server may have answered and closed before all of it is written.
    let _ = large.write_all(head.as_bytes()).await;
    assert!(!rest(&mut large).await.contains("200 OK"));

    let announced = "POST /v1/evaluate HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 99999\r\n\r\n";
    let chunk = format!("4001\r\n{}\r\n", "x".repeat(0x4001));
    let chunked = announced.replace("Content-Length: 99999", "Transfer-Encoding: chunked") + &chunk;
    for request in [announced.to_owned(), chunked] {
        let mut large = site.client.connect().await;
        large.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        large.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
}

#[tokio::test]
async fn who_is_refused_by_its_head_may_send_its_body_to_the_end_and_reads_the_answer() {
    let site = Site::start().await;
    for head in ["PUT /v1/enrolments/none", "POST /v1/nowhere", "DELETE /v1/evaluate"] {
        let mut client = site.client.connect().await;
        let head = format!("{head} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 10];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 4");
        for _ in 0..20 {
            client.write_all(&[b'x'; 10_000]).await.unwrap();
            client.flush().await.unwrap();
        }
        client.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

#[tokio::test]
async fn one_address_cannot_take_all_connections_and_those_it_ends_are_free_again() {
    let site = Site::with("[limits]\nconnections_per_address = 2\n").await;
    let (first, _second) = (site.client.connect().await, site.client.connect().await);
    let mut third = TcpStream::connect(site.directory.addr()).await.unwrap();
    assert_eq!(rest(&mut third).await, "");
    drop(first);
    // Its seat is free when the server has noticed: refused until then.
    while !site.client.can_connect().await {}
}

#[tokio::test]
async fn a_connection_has_a_longest_life() {
    let site = Site::with("[limits]\nread_timeout = 3600\nconnection_life = 1\n").await;
    let mut idle = site.client.connect().await;
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart() {
    let site = Site::start().await;
    let dir = site.pki.ca.parent().unwrap();
    let renewed = Pki::generate("im.example.org", dir).unwrap();
    let client = site.client.pinning(&renewed.ca_pem);
    assert!(!client.can_connect().await);
    let told = Command::new("kill").args(["-HUP", &site.directory.id().to_string()]).status().unwrap();
    assert!(told.success());
    while !client.can_connect().await {}
}

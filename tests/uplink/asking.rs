//! Evaluations, at a directory that answers as told.

use crate::core::{Core, account, password, secret};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shunt::wall::{DirectoryError, FromUplink, LinkState, Operator, Point, Second, ToUplink};
use shunt_kit::cloud::{Cloud, Pki};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Answers each connection with the next of `answers`; the requests come out at the end.
async fn directory(pki: &Pki, answers: Vec<String>) -> Result<(String, mpsc::UnboundedReceiver<String>)> {
    let chain = CertificateDer::pem_file_iter(&pki.cert)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&pki.key)?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", listener.local_addr()?.port());
    let (requests, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (tcp, _) = listener.accept().await?;
            let mut tls = acceptor.accept(tcp).await?;
            let mut request = Vec::new();
            while !request.ends_with(b"]}") {
                anyhow::ensure!(tls.read_buf(&mut request).await? > 0, "cut short");
            }
            let _ = requests.send(String::from_utf8(request)?);
            tls.write_all(answer.as_bytes()).await?;
            // The client closes.
            let _ = tls.read_u8().await;
        }
        Ok(())
    });
    Ok((url, seen))
}

fn answer(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
}

async fn evaluate(
    core: &mut Core,
    by: Operator,
    points: usize,
) -> Result<Result<Vec<(Point, Vec<u8>)>, DirectoryError>> {
    let request = core.request();
    core.say(ToUplink::Evaluate { request, by, epoch: 'a', blinded: vec![[5; 32]; points] }).await?;
    match core.until("an evaluation", |message| matches!(message, FromUplink::Evaluated { .. })).await? {
        FromUplink::Evaluated { request: r, result } if r == request => Ok(result),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn points_are_evaluated_and_each_refusal_has_its_name() -> Result<()> {
    let cloud = Cloud::start().await?;
    let one = format!(r#"{{"point":"{}","proof":"{}"}}"#, STANDARD.encode([7; 32]), STANDARD.encode([8; 64]));
    let two = format!(r#"{{"evaluations":[{one},{one}]}}"#);
    let huge = "x".repeat(100_000);
    let cases = [
        (answer("200 OK", "", &two), Ok(vec![([7; 32], vec![8; 64]); 2])),
        (answer("200 OK", "", r#"{"evaluations":[]}"#), Err(DirectoryError::Refused)),
        (answer("429 Too Many Requests", "retry-after: 77\r\n", ""), Err(DirectoryError::Budget(77))),
        (answer("401 Unauthorized", "", r#"{"error":"unknown-token"}"#), Err(DirectoryError::Denied)),
        (answer("401 Unauthorized", "", ""), Err(DirectoryError::Unavailable)),
        (answer("404 Not Found", "", r#"{"error":"unknown-epoch"}"#), Err(DirectoryError::Epoch)),
        (answer("404 Not Found", "", "{}"), Err(DirectoryError::Unavailable)),
        (answer("400 Bad Request", "", "{}"), Err(DirectoryError::Refused)),
        (answer("500 Internal Server Error", "", ""), Err(DirectoryError::Unavailable)),
        (answer("200 OK", "", &huge), Err(DirectoryError::Unavailable)),
        ("nonsense\r\n\r\n".to_owned(), Err(DirectoryError::Unavailable)),
    ];
    let (url, mut seen) = directory(cloud.pki(), cases.iter().map(|(answer, _)| answer.clone()).collect()).await?;
    cloud.register("1me", &password("1me")).await?;
    let mut connect = account(&cloud, "1me")?;
    connect.directory = url;
    let mut core = Core::start(connect.clone()).await?;
    core.link(LinkState::Online { resumed: false }).await?;
    for (answer, expected) in cases {
        assert_eq!(
            evaluate(&mut core, Operator::First, 2).await?,
            expected,
            "{}",
            answer.lines().next().unwrap_or_default()
        );
    }
    let request = seen.recv().await.context("a request")?.to_lowercase();
    assert!(request.starts_with("post /v1/evaluate http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: bearer token\r\n"), "{request}");
    let point = STANDARD.encode([5; 32]).to_lowercase();
    assert!(request.ends_with(&format!(r#"{{"epoch":"a","blinded":["{point}","{point}"]}}"#)), "{request}");

    // Nobody answers any more; then somebody whom the pinned CA does not know.
    assert_eq!(evaluate(&mut core, Operator::First, 1).await?, Err(DirectoryError::Unavailable));
    let elsewhere = tempfile::tempdir()?;
    let (url, mut seen) = directory(&Pki::generate("shunt.test", elsewhere.path())?, vec![String::new()]).await?;
    connect.directory = url;
    let mut core = Core::start(connect).await?;
    assert_eq!(evaluate(&mut core, Operator::First, 1).await?, Err(DirectoryError::Unavailable));
    assert!(seen.try_recv().is_err(), "not a word, and no token, to a stranger");
    Ok(())
}

#[tokio::test]
async fn the_second_evaluator_is_asked_at_its_own_place_with_its_own_token_and_ca() -> Result<()> {
    let cloud = Cloud::start().await?;
    let elsewhere = tempfile::tempdir()?;
    let pki = Pki::generate("evaluator.test", elsewhere.path())?;
    let one = format!(r#"{{"point":"{}","proof":"{}"}}"#, STANDARD.encode([7; 32]), STANDARD.encode([8; 64]));
    let whole = answer("200 OK", "", &format!(r#"{{"evaluations":[{one}]}}"#));
    let (url, mut seen) =
        directory(&pki, vec![whole, answer("429 Too Many Requests", "retry-after: 9\r\n", "")]).await?;
    cloud.register("1me", &password("1me")).await?;
    let mut connect = account(&cloud, "1me")?;
    connect.second = Some(Second { directory: url, token: secret("another"), ca: pki.ca_pem.clone() });
    let mut core = Core::start(connect.clone()).await?;
    assert_eq!(evaluate(&mut core, Operator::Second, 1).await?, Ok(vec![([7; 32], vec![8; 64])]));
    assert_eq!(evaluate(&mut core, Operator::Second, 1).await?, Err(DirectoryError::Budget(9)));
    let request = seen.recv().await.context("a request")?.to_lowercase();
    assert!(request.contains("\r\nauthorization: bearer another\r\n"), "{request}");
    // Nobody listens there any more, and there may be none.
    assert_eq!(evaluate(&mut core, Operator::Second, 1).await?, Err(DirectoryError::Unavailable));
    connect.second = None;
    let mut core = Core::start(connect).await?;
    assert_eq!(evaluate(&mut core, Operator::Second, 1).await?, Err(DirectoryError::Refused));
    Ok(())
}

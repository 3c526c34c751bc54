//! An independent login: XMPP's SASL (RFC 6120 §6) with SCRAM-SHA-256 (RFC 7677), spelled out.

use super::client::{pinning, tls};
use super::phone::Enrolled;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use shunt::seal::{AccountFile, Jid};
use shunt_kit::cloud::Cloud;
use std::num::NonZeroU32;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

/// What a login needs.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) jid: Jid,
    pub(super) secret: Zeroizing<String>,
    pub(super) ca: String,
}

impl Login {
    pub(super) fn of(enrolled: &Enrolled, ca: &str) -> Self {
        Self { jid: enrolled.jid.clone(), secret: enrolled.account.secret.clone(), ca: ca.to_owned() }
    }
}

impl From<&AccountFile> for Login {
    fn from(file: &AccountFile) -> Self {
        Self { jid: file.jid.clone(), secret: file.secret.clone(), ca: file.ca.clone() }
    }
}

impl From<&Login> for Login {
    fn from(login: &Login) -> Self {
        login.clone()
    }
}

/// Whether the server takes the account's secret, and proves that it knows a verifier of it.
pub(super) async fn logs_in(cloud: &Cloud, login: impl Into<Login>) -> bool {
    authenticated(cloud, &login.into()).await.is_some()
}

/// A session that is bound to a resource and says no more.
pub(super) struct Session(TlsStream<TcpStream>);

pub(super) async fn session(cloud: &Cloud, login: &Login) -> Session {
    let mut stream = authenticated(cloud, login).await.unwrap();
    say(&mut stream, &open(login)).await;
    hear(&mut stream, &["</stream:features>"]).await;
    say(&mut stream, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    hear(&mut stream, &["</iq>"]).await;
    Session(stream)
}

impl Session {
    /// All that the server says until it ends the stream.
    pub(super) async fn rest(&mut self) -> String {
        hear(&mut self.0, &["</stream:stream>"]).await
    }
}

fn open(login: &Login) -> String {
    format!(
        "<stream:stream to='{}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        login.jid.domain()
    )
}

async fn authenticated(cloud: &Cloud, account: &Login) -> Option<TlsStream<TcpStream>> {
    let mut stream = tls(cloud.xmpp_addr(), account.jid.domain(), &pinning(&account.ca)).await.unwrap();
    let open = open(account);
    say(&mut stream, &open).await;
    hear(&mut stream, &["</stream:features>"]).await;

    let first = format!("n={},r=a-nonce-of-the-test", account.jid.pseudonym());
    let auth = BASE64.encode(format!("n,,{first}"));
    say(&mut stream, &format!("<auth {SASL} mechanism='SCRAM-SHA-256'>{auth}</auth>")).await;
    let challenge = hear(&mut stream, &["</challenge>", "</failure>"]).await;
    let challenge = decoded(&challenge, "challenge")?;

    let (last, server) = proof(&first, &challenge, &account.secret);
    say(&mut stream, &format!("<response {SASL}>{}</response>", BASE64.encode(last))).await;
    let outcome = hear(&mut stream, &["</success>", "</failure>"]).await;
    match decoded(&outcome, "success") {
        Some(verdict) => {
            assert_eq!(verdict, server, "the server has the verifier of this secret");
            Some(stream)
        }
        None => {
            assert!(outcome.contains("<not-authorized"), "{outcome}");
            None
        }
    }
}

const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";

/// RFC 5802 §3: the client's last message, and what the server must answer.
fn proof(first: &str, challenge: &str, secret: &str) -> (String, String) {
    let field = |name| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let rounds: NonZeroU32 = field("i=").parse().unwrap();
    let mut salted = [0; 32];
    let salt = BASE64.decode(field("s=")).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, secret.as_bytes(), &mut salted);
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());

    let bare = format!("c=biws,r={}", field("r="));
    let exchange = format!("{first},{challenge},{bare}");
    let client = mac(&salted, "Client Key");
    let signature = mac(digest::digest(&digest::SHA256, client.as_ref()).as_ref(), &exchange);
    let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
    let server = mac(mac(&salted, "Server Key").as_ref(), &exchange);
    (format!("{bare},p={}", BASE64.encode(proof)), format!("v={}", BASE64.encode(server)))
}

/// What an element of that name holds, base64.
fn decoded(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}"))?;
    let (_, rest) = rest.split_once('>')?;
    let (text, _) = rest.split_once('<')?;
    Some(String::from_utf8(BASE64.decode(text).unwrap()).unwrap())
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), xml: &str) {
    stream.write_all(xml.as_bytes()).await.unwrap();
}

async fn hear(stream: &mut (impl AsyncRead + Unpin), ends: &[&str]) -> String {
    let mut xml = String::new();
    let mut buffer = [0; 4096];
    while !ends.iter().any(|end| xml.contains(end)) {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server hung up after {xml}");
        xml.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    xml
}

//! What somebody else may write to us, by hand.

use crate::core::{Core, NODE, password};
use anyhow::{Context, Result};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sasl::common::Credentials;
use shunt::wall::FromUplink;
use shunt_kit::cloud::Cloud;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, XmppStream, initiate_stream};

/// Answered when all before it has been.
const PING: &str = "<iq type='get' id='done' to='shunt.test'><ping xmlns='urn:xmpp:ping'/></iq>";

/// An account of the same server, speaking raw XML.
struct Stranger(BufReader<TlsStream<TcpStream>>);

impl Stranger {
    async fn online(cloud: &Cloud, local: &str) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cloud.ca_pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(cloud.xmpp_addr()).await?;
        let name = ServerName::try_from(cloud.domain().to_owned())?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let header = || StreamHeader { to: Some(Cow::Borrowed(cloud.domain())), from: None, id: None };
        let pending = initiate_stream(BufReader::new(tls), "jabber:client", header(), Timeouts::tight()).await?;
        let (_, stream): (_, XmppStream<_>) = pending.recv_features().await?;
        let credentials = Credentials::default().with_username(local).with_password(password(local));
        let scram = BTreeSet::from(["SCRAM-SHA-256".to_owned()]);
        let pending = tokio_xmpp::client_login(stream, scram, credentials).await?.send_header(header()).await?;
        let (_, stream): (_, XmppStream<_>) = pending.recv_features().await?;
        let mut stranger = Self(stream.into_inner());
        stranger.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>").await?;
        stranger.until("</bind>").await.context("not bound")?;
        Ok(stranger)
    }

    async fn say(&mut self, xml: &str) -> Result<()> {
        self.0.write_all(xml.as_bytes()).await?;
        Ok(self.0.flush().await?)
    }

    /// Reads up to a piece of text; none when the server ended the stream before.
    async fn until(&mut self, text: &str) -> Option<String> {
        let mut read = String::new();
        while !read.contains(text) {
            let bytes = self.0.fill_buf().await.ok().filter(|bytes| !bytes.is_empty())?;
            let length = bytes.len();
            read.push_str(&String::from_utf8_lossy(bytes));
            self.0.consume(length);
        }
        Some(read)
    }
}

#[tokio::test]
async fn nothing_that_a_stranger_writes_ends_the_uplink_or_its_session() -> Result<()> {
    let cloud = Cloud::start().await?;
    let mut me = Core::online(&cloud, "1me").await?;
    cloud.register("evil", &password("evil")).await?;
    let sessions = cloud.call("connected_users", serde_json::json!({})).await?;
    let full = sessions[0].as_str().context("a session")?.to_owned();

    let long = "y".repeat(20_000);
    let deep = format!("{}{}", "<x>".repeat(9_000), "</x>".repeat(9_000));
    let quotes = "'".repeat(60_000);
    let to = "to='1me@shunt.test'";
    let bodies = [
        format!("<message type='headline' {to}><sealed xmlns='urn:shunt:1'>!!!</sealed></message>"),
        format!("<message type='headline' {to}><sealed xmlns='urn:shunt:1'/></message>"),
        format!(
            "<message type='headline' {to}><sealed xmlns='urn:shunt:1'><sealed/></sealed><sealed xmlns='urn:shunt:1'>x</sealed></message>"
        ),
        format!("<message type='headline' {to}>text<x a='{long}'/></message>"),
        format!("<message type='headline' {to}><x>{quotes}</x></message>"),
        format!("<message type='headline' {to}>{deep}</message>"),
        format!("<message type='headline' {to}><a:b/></message>"),
        format!("<message type='headline' {to}><b c:d='e'/></message>"),
        format!("<message type='headline' {to} xmlns:x='urn:y' x:z='1'><x:y/></message>"),
        format!("<message type='headline' {to}><x xmlns=''/></message>"),
        format!("<message type='nonsense' {to}><body>b</body></message>"),
        format!("<message type='error' id='m1' {to}/>"),
        format!(
            "<message type='headline' {to}><failed xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='999'/></message>"
        ),
        format!("<presence type='subscribe' {to}/>"),
        format!("<presence {to}><show>nonsense</show><priority>999999</priority><show>x</show></presence>"),
        format!("<presence type='unavailable' {to}/>"),
        format!("<iq type='get' id='1' to='{full}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"),
        format!("<iq type='get' id='1' to='{full}'><ping xmlns='urn:xmpp:ping'/></iq>"),
        format!("<iq type='get' id='1' to='{full}'><a/><b/></iq>"),
        format!("<iq type='result' id='q1' to='{full}'><pubsub xmlns='http://jabber.org/protocol/pubsub'/></iq>"),
        format!("<iq type='error' id='q1' to='{full}'/>"),
        format!("<iq type='get' id='{long}' to='{full}'><a/></iq>"),
    ];
    for (n, body) in bodies.iter().enumerate() {
        // The server ends some of these streams itself; the next one starts anew.
        let mut evil = Stranger::online(&cloud, "evil").await?;
        evil.say(body).await?;
        let marker = [0xee, u8::try_from(n)?];
        let sealed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, marker);
        let headline = format!("<message type='headline' {to}><sealed xmlns='urn:shunt:1'>{sealed}</sealed></message>");
        let survived = evil.say(&format!("{headline}{PING}")).await.is_ok() && evil.until("id='done'").await.is_some();
        if survived {
            me.received("evil", &marker)
                .await
                .with_context(|| format!("{}\n{}", &body[..200.min(body.len())], cloud.log()))?;
        } else {
            me.settled().await.with_context(|| format!("{}\n{}", &body[..200.min(body.len())], cloud.log()))?;
        }
    }
    me.settled().await?;
    let links = me.count(|message| matches!(message, FromUplink::Link(_)));
    assert_eq!(links, 1, "the first `Connecting` alone: {:?}", me.passed);
    assert_eq!(me.counters.connections, 1);
    assert_eq!(me.count(|message| matches!(message, FromUplink::Bounced { .. } | FromUplink::Fetched { .. })), 0);
    Ok(())
}

/// A publication in a node of one's own, named in the answer by `id`.
fn published(id: &str, to: &str, node: &str, length: usize) -> String {
    const NS: &str = "http://jabber.org/protocol/pubsub";
    let item = "x".repeat(length);
    format!(
        "<iq type='set' id='{id}'{to}><pubsub xmlns='{NS}'><publish node='{node}'><item id='current'>\
         <bundle xmlns='urn:shunt:1'>{item}</bundle></item></publish><publish-options>\
         <x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{NS}#publish-options</value></field>\
         <field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>"
    )
}

/// Which of an account's requests for storage the server carries out.
async fn stored_by(cloud: &Cloud) -> Result<Vec<&'static str>> {
    cloud.register("1hoarder", &password("1hoarder")).await?;
    let mut hoarder = Stranger::online(cloud, "1hoarder").await?;
    let to_self = " to='1hoarder@shunt.test'";
    let create = "<iq type='set' id='create'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                  <create node='urn:shunt:1:keys:2'/></pubsub></iq>";
    let both = published("both", "", NODE, 10).replace("<publish node=", "<create node='more'/><publish node=");
    let requests = [
        published("keys", "", NODE, 1_400),
        published("keys-to-self", to_self, NODE, 1_400),
        published("long", "", NODE, 8_000),
        published("other", "", "urn:xmpp:avatar:data", 10),
        published("other-to-self", to_self, "urn:shunt:1:keys:1", 10),
        published("longer-name", "", "urn:shunt:1:keys:01", 10),
        both,
        create.to_owned(),
    ];
    hoarder.say(&format!("{}{PING}", requests.concat())).await?;
    let answers = hoarder.until("id='done'").await.context("the stream ended")?;
    let ids = ["keys", "keys-to-self", "long", "other", "other-to-self", "longer-name", "both", "create"];
    let done =
        |id: &&str| answers.split("<iq ").any(|iq| iq.contains(&format!("id='{id}'")) && iq.contains("type='result'"));
    Ok(ids.into_iter().filter(done).collect())
}

#[tokio::test]
async fn an_account_stores_its_key_bundle_at_the_server_and_nothing_else() -> Result<()> {
    assert_eq!(stored_by(&Cloud::start().await?).await?, ["keys", "keys-to-self"]);
    let bare = stored_by(&Cloud::start_bare().await?).await?;
    assert!(["long", "other", "other-to-self", "longer-name", "create"].iter().all(|id| bare.contains(id)), "{bare:?}");
    Ok(())
}

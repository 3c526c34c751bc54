//! Two bare clients on the same server: TLS, SCRAM, then text. What a message costs there is the least that
//! one of ours can cost.

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sasl::common::Credentials;
use shunt_kit::cloud::Cloud;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, initiate_stream};

/// A sender and a receiver.
pub(crate) struct Pair {
    from: Client,
    to: Client,
}

pub(crate) struct Client {
    io: BufReader<TlsStream<TcpStream>>,
    jid: String,
}

impl Pair {
    pub(crate) async fn connect(cloud: &Cloud) -> Result<Self> {
        let client = |name| async move {
            cloud.register(name, "a secret").await?;
            Client::connect(cloud, name).await
        };
        Ok(Self { from: client("bare-from").await?, to: client("bare-to").await? })
    }

    /// One headline with that many bytes of payload, from the write to the last byte read.
    pub(crate) async fn hop(&mut self, payload: usize) -> Result<Duration> {
        let (to, sealed) = (&self.to.jid, "A".repeat(payload));
        let stanza =
            format!("<message type='headline' to='{to}'><sealed xmlns='urn:shunt:1'>{sealed}</sealed></message>");
        let begun = Instant::now();
        self.from.say(&stanza).await?;
        self.to.hear("</message>").await?;
        Ok(begun.elapsed())
    }
}

impl Client {
    /// With the password of [`Pair::connect`].
    pub(crate) async fn connect(cloud: &Cloud, name: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cloud.ca_pem().as_bytes())?)?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(cloud.xmpp_addr()).await?;
        tcp.set_nodelay(true)?;
        let domain = ServerName::try_from(cloud.domain().to_owned())?;
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(domain, tcp).await?;

        let header = || StreamHeader { to: Some(cloud.domain().into()), from: None, id: None };
        let limit = Duration::from_secs(20);
        let timeouts = Timeouts { read_timeout: limit, response_timeout: limit };
        let pending = initiate_stream(BufReader::new(tls), "jabber:client", header(), timeouts).await?;
        let (features, stream) = pending.recv_features().await.ok().context("the server's features")?;
        let mechanisms = features.sasl_mechanisms.into_iter().filter(|name| name.starts_with("SCRAM-")).collect();
        let credentials = Credentials::default().with_username(name).with_password("a secret");
        let stream = tokio_xmpp::client_login(stream, mechanisms, credentials).await?;
        let (_features, stream) = {
            let pending = stream.send_header(header()).await?;
            pending
                .recv_features::<tokio_xmpp::parsers::stream_features::StreamFeatures>()
                .await
                .ok()
                .context("features after SASL")?
        };
        let mut client = Self { io: stream.into_inner(), jid: format!("{name}@{}", cloud.domain()) };
        client.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>").await?;
        // Its own presence comes back when it is online.
        client.hear("<presence").await?;
        Ok(client)
    }

    /// Sends a stanza and a ping in one write, and reads until the ping is answered.
    pub(crate) async fn ask(&mut self, stanza: &str, nth: usize) -> Result<()> {
        let ping = format!("<iq type='get' id='ping-{nth}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.say(&format!("{stanza}{ping}")).await?;
        self.hear(&format!("ping-{nth}")).await
    }

    async fn say(&mut self, xml: &str) -> Result<()> {
        self.io.write_all(xml.as_bytes()).await?;
        Ok(self.io.flush().await?)
    }

    /// Reads until what was read contains that.
    async fn hear(&mut self, end: &str) -> Result<()> {
        let (mut heard, mut buffer) = (Vec::<u8>::new(), [0; 4096]);
        while !heard.windows(end.len()).any(|window| window == end.as_bytes()) {
            let read = self.io.read(&mut buffer).await?;
            ensure!(read > 0, "the server hung up");
            heard.extend(buffer.iter().take(read));
        }
        Ok(())
    }
}

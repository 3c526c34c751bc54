//! TLS with the pinned CA and nothing else.

use super::socket::Socket;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Trusts one CA.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

/// The handshake did not come to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The other side is not who it should be, or speaks no TLS that we speak.
    #[error("TLS refused: {0}; check the pinned CA and the server's certificate")]
    Refused(io::Error),
    /// The connection broke.
    #[error("the connection broke during the TLS handshake: {0}")]
    Broken(io::Error),
    /// The name is none.
    #[error("not a name that a certificate can carry; check domain and directory address")]
    Name,
}

impl Tls {
    /// Takes the CA's certificate (several in one file are all trusted). A CA that cannot be read
    /// trusts nobody, so that each connection fails with its reason.
    pub(crate) fn pinned(ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()).flatten() {
            if let Err(error) = roots.add(certificate) {
                log::warn!("a pinned CA certificate is unusable: {error}");
            }
        }
        if roots.is_empty() {
            log::error!("no pinned CA certificate is usable: import the account file again");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = match ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions) {
            Ok(builder) => builder,
            // Cannot happen with ring's provider, which has suites for both.
            Err(_) => ClientConfig::builder(),
        };
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        // One ticket each for the XMPP server and the directory.
        config.resumption = Resumption::in_memory_sessions(2);
        Self(Arc::new(config))
    }

    /// Shakes hands over `socket`; the other side must prove to be `name`.
    pub(crate) async fn connect(&self, name: &str, socket: Socket) -> Result<TlsStream<Socket>, TlsError> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name)?;
        TlsConnector::from(self.0.clone()).connect(name, socket).await.map_err(|error| {
            if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                TlsError::Refused(error)
            } else {
                TlsError::Broken(error)
            }
        })
    }
}

//! A CA of one's own and the server certificate it signs.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The files of a CA and of one server.
pub struct Pki {
    /// The CA's certificate.
    pub ca: PathBuf,
    /// Its text.
    pub ca_pem: String,
    /// The server's certificate.
    pub cert: PathBuf,
    /// The server's key, 0600.
    pub key: PathBuf,
}

impl Pki {
    /// Makes both for `domain`, `localhost` and 127.0.0.1, and writes `ca.pem`, `cert.pem` and `key.pem` into `dir`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn generate(domain: &str, dir: &Path) -> Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        let (from, until) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
        (params.not_before, params.not_after) = (from, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Shunt test CA");
        let ca_pem = params.self_signed(&ca_key)?.pem();
        let issuer = Issuer::new(params, ca_key);

        let key = KeyPair::generate()?;
        let names = [domain, "localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, domain);
        // ejabberd sets a timer for the end of validity, and fails on rcgen's default, the year 4096.
        (params.not_before, params.not_after) = (from, until);
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(&key, &issuer)?;

        let pki = Self { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem"), ca_pem };
        std::fs::write(&pki.ca, &pki.ca_pem)?;
        std::fs::write(&pki.cert, cert.pem())?;
        std::fs::write(&pki.key, key.serialize_pem())?;
        std::fs::set_permissions(&pki.key, std::fs::Permissions::from_mode(0o600))?;
        Ok(pki)
    }
}

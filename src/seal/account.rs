//! The account file: what the directory's operator hands to a phone (protocol.md §5).
//!
//! Read by hand, field by field, so that an error names the field and never shows a value.

use super::column::expand;
use super::jid::is_domain;
use super::{
    Certificate, CertificateError, DirectoryKeys, EVALUATORS_MAX, EpochKey, IdentityKey, Jid, PseudonymError,
    Transcript,
};
use crate::model::{PhoneNumber, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hkdf::{HKDF_SHA256, Salt};
use serde_json::{Map, Value, json};
use std::fmt::{self, Write};
use zeroize::{Zeroize, Zeroizing};

const VERSION: u64 = 1;

/// Largest file.
const MAX: usize = 64 * 1024;
const SERVERS_MAX: usize = 8;
const EPOCHS_MAX: usize = 8;
const SECRET: std::ops::RangeInclusive<usize> = 16..=128;

/// Why a file is no account for this phone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Too long.
    #[error("the account file is longer than 64 KiB: is it the right file?")]
    TooLong,
    /// No JSON object.
    #[error("the account file is no JSON object (line {0}, column {1}): is it the right file?")]
    Json(usize, usize),
    /// Another version.
    #[error("the account file has a version that is not known here: update the software on this phone")]
    Version,
    /// A field is missing.
    #[error("the account file has no `{0}`: ask the operator for a new one")]
    Missing(&'static str),
    /// A field has no valid value.
    #[error("`{0}` in the account file is not {1}")]
    Invalid(&'static str, &'static str),
    /// A field that no version knows.
    #[error("the account file has a field that is not known here: update the software on this phone")]
    Unknown,
    /// The certificate is for another phone.
    #[error("the account was made for another phone: give the operator the key that `shuntctl identity` prints")]
    OtherIdentity,
    /// The certificate names another address.
    #[error("certificate and `jid` in the account file name different addresses")]
    OtherAddress,
    /// The certificate does not hold.
    #[error("account file: {0}")]
    Certificate(#[from] CertificateError),
    /// The transcript does not hold.
    #[error("account file: {0}")]
    Transcript(#[from] PseudonymError),
    /// An epoch has a second evaluator, and the file does not say where it is.
    #[error("the account file pins a second evaluator and has no `second` to say where it is")]
    NoSecond,
    /// The number has another pseudonym.
    #[error("`jid` in the account file is not the pseudonym of its `number`")]
    OtherNumber,
}

/// An account: everything that a phone needs to take part. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountFile {
    /// The line's number.
    pub number: PhoneNumber,
    /// The address.
    pub jid: Jid,
    /// SCRAM password at the XMPP server, 16 to 128 printable ASCII characters; the directory's
    /// token follows from it.
    pub secret: Zeroizing<String>,
    /// `host:port` of the XMPP servers, tried in this order; at least one.
    pub servers: Vec<String>,
    /// `https://host:port` of the directory.
    pub directory: String,
    /// The pinned CA, PEM: the only root trusted.
    pub ca: String,
    /// The directory's public keys; the last epoch is the current one.
    pub keys: DirectoryKeys,
    /// The directory's word for this phone's identity.
    pub certificate: Certificate,
    /// Where the second evaluator is, if an epoch has one.
    pub second: Option<SecondEvaluator>,
    /// Proof of the own number, one for each evaluator of its epoch.
    pub transcripts: Vec<Transcript>,
}

/// How the second operator is reached, who only evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondEvaluator {
    /// `https://host:port`.
    pub directory: String,
    /// The only root trusted there, PEM: the operator's own.
    pub ca: String,
}

impl fmt::Debug for AccountFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountFile(..)")
    }
}

/// The bearer token for the directory: it follows from the account's secret, and the directory,
/// which stores its hash, can't log in with it (RFC 5869).
#[must_use]
pub fn bearer_token(secret: &str) -> Zeroizing<String> {
    token(secret, b"directory")
}

/// The one for the second evaluator, who could not know an account by the first's.
#[must_use]
pub fn second_token(secret: &str) -> Zeroizing<String> {
    token(secret, b"evaluator-2")
}

fn token(secret: &str, whose: &[u8]) -> Zeroizing<String> {
    let prk = Salt::new(HKDF_SHA256, &[]).extract(secret.as_bytes());
    // 32 bytes are always within HKDF's limit.
    let token = expand(&prk, whose).unwrap_or_default();
    Zeroizing::new(URL_SAFE_NO_PAD.encode(*token))
}

impl AccountFile {
    /// Reads a file. What it proves is for [`Self::check`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AccountError> {
        if bytes.len() > MAX {
            return Err(AccountError::TooLong);
        }
        let map: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| AccountError::Json(error.line(), error.column()))?;
        let mut fields = Fields(map);
        match fields.take("version")?.as_u64() {
            Some(VERSION) => {}
            _ => return Err(AccountError::Version),
        }
        let file = Self {
            number: PhoneNumber::from_e164(&fields.text("number")?)
                .map_err(|_| AccountError::Invalid("number", "a number such as +49…"))?,
            jid: Jid::parse(&fields.text("jid")?)
                .map_err(|_| AccountError::Invalid("jid", "an address pseudonym@domain"))?,
            secret: fields.secret()?,
            servers: fields.servers()?,
            directory: fields.directory()?,
            ca: fields.ca()?,
            keys: fields.epochs()?,
            second: fields.second()?,
            certificate: Certificate::decode(&fields.bytes("certificate")?)
                .map_err(|_| AccountError::Invalid("certificate", "a certificate"))?,
            transcripts: fields.transcripts()?,
        };
        fields.nothing_left()?;
        if file.second.is_none() && file.keys.epochs.iter().any(|key| key.second.is_some()) {
            return Err(AccountError::NoSecond);
        }
        if file.certificate.jid != file.jid {
            return Err(AccountError::OtherAddress);
        }
        Ok(file)
    }

    /// Whether it is an account for this phone that peers will believe: certificate and transcripts
    /// hold. Costs 40 ms and 19 MiB.
    pub fn check(&self, identity: &IdentityKey, now: Timestamp) -> Result<(), AccountError> {
        if self.certificate.identity != *identity {
            return Err(AccountError::OtherIdentity);
        }
        self.certificate.verify(&self.keys, now)?;
        let key = self.keys.epoch(self.jid.epoch()).ok_or(CertificateError::Epoch)?;
        if key.pseudonym(&self.number, &self.transcripts, self.jid.domain())? == *self.jid.pseudonym() {
            Ok(())
        } else {
            Err(AccountError::OtherNumber)
        }
    }

    /// The file's text; it holds the secret.
    pub fn to_json(&self) -> Result<Zeroizing<String>, AccountError> {
        let epochs: Vec<Value> = self.keys.epochs.iter().map(epoch_json).collect();
        let mut transcripts = Zeroizing::new(Vec::with_capacity(128 * self.transcripts.len()));
        self.transcripts.iter().for_each(|transcript| transcripts.extend_from_slice(transcript.to_bytes().as_slice()));
        let mut file = json!({
            "version": VERSION,
            "number": self.number.as_e164(),
            "jid": self.jid.to_string(),
            "secret": self.secret.as_str(),
            "servers": self.servers,
            "directory": self.directory,
            "ca": self.ca,
            "epochs": epochs,
            "certificate": URL_SAFE_NO_PAD.encode(self.certificate.encode()?),
            "transcript": URL_SAFE_NO_PAD.encode(transcripts.as_slice()),
        });
        if let (Some(second), Some(file)) = (&self.second, file.as_object_mut()) {
            file.insert("second".into(), json!({ "directory": second.directory, "ca": second.ca }));
        }
        // Room for all of it: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX));
        let written = writeln!(*text, "{file:#}");
        for field in ["number", "secret", "transcript"] {
            if let Some(Value::String(value)) = file.get_mut(field) {
                value.zeroize();
            }
        }
        written.map(|()| text).map_err(|_| AccountError::TooLong)
    }
}

fn epoch_json(key: &EpochKey) -> Value {
    let mut epoch = json!({
        "epoch": key.epoch.to_string(),
        "voprf": URL_SAFE_NO_PAD.encode(key.voprf),
        "certificate": URL_SAFE_NO_PAD.encode(key.certificate),
        "enrolment": URL_SAFE_NO_PAD.encode(key.enrolment),
    });
    if let (Some(second), Some(epoch)) = (key.second, epoch.as_object_mut()) {
        epoch.insert("second".into(), URL_SAFE_NO_PAD.encode(second).into());
    }
    epoch
}

/// The fields not yet read.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, name: &'static str) -> Result<Value, AccountError> {
        self.0.remove(name).ok_or(AccountError::Missing(name))
    }

    fn text(&mut self, name: &'static str) -> Result<String, AccountError> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(AccountError::Invalid(name, "a string")),
        }
    }

    fn list(&mut self, name: &'static str) -> Result<Vec<Value>, AccountError> {
        match self.take(name)? {
            Value::Array(list) => Ok(list),
            _ => Err(AccountError::Invalid(name, "a list")),
        }
    }

    fn bytes(&mut self, name: &'static str) -> Result<Vec<u8>, AccountError> {
        URL_SAFE_NO_PAD.decode(self.text(name)?).map_err(|_| AccountError::Invalid(name, "base64url without padding"))
    }

    fn key(&mut self, name: &'static str, error: AccountError) -> Result<[u8; 32], AccountError> {
        self.bytes(name).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(error)
    }

    fn secret(&mut self) -> Result<Zeroizing<String>, AccountError> {
        let secret = Zeroizing::new(self.text("secret")?);
        if SECRET.contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(secret)
        } else {
            Err(AccountError::Invalid("secret", "16 to 128 printable characters"))
        }
    }

    fn servers(&mut self) -> Result<Vec<String>, AccountError> {
        let invalid = AccountError::Invalid("servers", "a list of one to eight addresses host:port");
        let list = self.list("servers")?;
        if !(1..=SERVERS_MAX).contains(&list.len()) {
            return Err(invalid);
        }
        list.into_iter()
            .map(|server| match server {
                Value::String(server) if is_authority(&server) => Ok(server),
                _ => Err(invalid.clone()),
            })
            .collect()
    }

    fn directory(&mut self) -> Result<String, AccountError> {
        let url = self.text("directory")?;
        if url.strip_prefix("https://").is_some_and(is_authority) {
            Ok(url)
        } else {
            Err(AccountError::Invalid("directory", "an address https://host:port"))
        }
    }

    fn ca(&mut self) -> Result<String, AccountError> {
        let pem = self.text("ca")?;
        let end = pem.find("-----END CERTIFICATE-----");
        if pem.trim_start().starts_with("-----BEGIN CERTIFICATE-----") && end.is_some() {
            Ok(pem)
        } else {
            Err(AccountError::Invalid("ca", "a certificate in PEM form"))
        }
    }

    fn epochs(&mut self) -> Result<DirectoryKeys, AccountError> {
        let list = self.list("epochs")?;
        if !(1..=EPOCHS_MAX).contains(&list.len()) {
            return Err(AccountError::Invalid("epochs", "a list of one to eight epochs"));
        }
        let mut keys = DirectoryKeys::default();
        for entry in list {
            let key = epoch(entry)?;
            if keys.epoch(key.epoch).is_some() {
                return Err(AccountError::Invalid("epochs", "a list that names each epoch once"));
            }
            keys.epochs.push(key);
        }
        Ok(keys)
    }

    /// The second evaluator, where there is one.
    fn second(&mut self) -> Result<Option<SecondEvaluator>, AccountError> {
        let Some(second) = self.0.remove("second") else { return Ok(None) };
        let invalid = AccountError::Invalid("second", "an object with `directory` and `ca`");
        let Value::Object(map) = second else { return Err(invalid) };
        let mut fields = Fields(map);
        let second = SecondEvaluator { directory: fields.directory()?, ca: fields.ca()? };
        fields.nothing_left()?;
        Ok(Some(second))
    }

    fn transcripts(&mut self) -> Result<Vec<Transcript>, AccountError> {
        let bytes = self.bytes("transcript")?;
        let (transcripts, rest) = bytes.as_chunks::<128>();
        if !(1..=EVALUATORS_MAX).contains(&transcripts.len()) || !rest.is_empty() {
            return Err(AccountError::Invalid("transcript", "128 bytes in base64url for each evaluator"));
        }
        Ok(transcripts.iter().map(Transcript::from_bytes).collect())
    }

    fn nothing_left(self) -> Result<(), AccountError> {
        if self.0.is_empty() { Ok(()) } else { Err(AccountError::Unknown) }
    }
}

fn epoch(entry: Value) -> Result<EpochKey, AccountError> {
    let invalid =
        AccountError::Invalid("epochs", "a list of objects with `epoch`, `voprf`, `certificate` and `enrolment`");
    let Value::Object(map) = entry else { return Err(invalid) };
    let mut fields = Fields(map);
    let mut letters = match fields.take("epoch") {
        Ok(Value::String(letters)) if letters.len() == 1 => letters,
        _ => return Err(invalid),
    };
    let epoch = letters.pop().filter(char::is_ascii_lowercase).ok_or(invalid.clone())?;
    let voprf = fields.key("voprf", invalid.clone())?;
    let certificate = fields.key("certificate", invalid.clone())?;
    let enrolment = fields.key("enrolment", invalid.clone())?;
    let second = fields.0.contains_key("second").then(|| fields.key("second", invalid)).transpose()?;
    fields.nothing_left()?;
    Ok(EpochKey { epoch, voprf, second, certificate, enrolment })
}

/// `host:port`, the host a name, an IPv4 address, or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_ok = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_domain(host),
    };
    let port_ok = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    host_ok && port_ok
}

#[cfg(test)]
mod tests;

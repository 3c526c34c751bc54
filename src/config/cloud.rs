//! Where the cloud is, and whose keys are pinned.

use super::Wrong;
use crate::seal::EpochKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::path::PathBuf;

/// Where the cloud is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// The XMPP domain.
    pub domain: String,
    /// `host:port` of its servers, tried in this order.
    pub servers: Vec<String>,
    /// The directory, `https://host[:port]`.
    pub directory: String,
    /// PEM file of the only CA that both are trusted by.
    pub ca: PathBuf,
    /// Seconds between keep-alives on an idle connection; 0: the server's pings alone.
    pub keep_alive: u32,
    /// The directory's public keys, where the integrator pins them; the last is the current epoch's.
    pub epochs: Vec<Epoch>,
    /// The second operator's evaluator, where there is one.
    pub second: Option<Second>,
}

/// Where the second evaluator is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// `https://host[:port]`.
    pub directory: String,
    /// PEM file of the only CA that it is trusted by.
    pub ca: PathBuf,
}

/// One epoch's pinned keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The first letter of its pseudonyms.
    #[serde(deserialize_with = "epoch_char")]
    pub epoch: char,
    /// VOPRF public key (ristretto255, RFC 9497), 32 bytes.
    #[serde(deserialize_with = "key")]
    pub voprf: [u8; 32],
    /// The second evaluator's VOPRF public key, in an epoch that has one.
    #[serde(default, deserialize_with = "some_key")]
    pub second: Option<[u8; 32]>,
    /// Ed25519 key that signs certificates, 32 bytes.
    #[serde(deserialize_with = "key")]
    pub certificate: [u8; 32],
    /// X25519 key that enrolments are sealed to, 32 bytes.
    #[serde(deserialize_with = "key")]
    pub enrolment: [u8; 32],
}

impl From<&Epoch> for EpochKey {
    fn from(&Epoch { epoch, voprf, second, certificate, enrolment }: &Epoch) -> Self {
        Self { epoch, voprf, second, certificate, enrolment }
    }
}

/// Seconds between keep-alives when nothing else is said: under the usual five minutes after which
/// carriers' address translation forgets a connection.
pub const KEEP_ALIVE: u32 = 240;

/// Each is a look-up more for a number that is in none.
const EPOCHS_MAX: usize = 4;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCloud {
    domain: Option<String>,
    servers: Vec<String>,
    directory: Option<String>,
    ca: Option<PathBuf>,
    keep_alive: Option<u32>,
    epochs: Vec<Epoch>,
    second: Option<Second>,
}

impl RawCloud {
    pub(super) fn check(self) -> Result<Cloud, Wrong> {
        let domain = self.domain.ok_or(("cloud", "domain", "missing: the XMPP domain of the accounts"))?;
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-');
        if domain.is_empty() || !domain.bytes().all(plain) {
            return Err(("cloud", "domain", "write a lower-case domain name, such as \"im.example.org\""));
        }
        if self.servers.is_empty() {
            return Err(("cloud", "servers", "missing: a list of \"host:port\""));
        }
        if !self.servers.iter().all(|server| is_host_port(server)) {
            return Err(("cloud", "servers", "each is \"host:port\", such as \"im.example.org:5222\""));
        }
        let directory = self.directory.ok_or(("cloud", "directory", "missing: \"https://host\" of the directory"))?;
        if !is_directory(&directory) {
            return Err(("cloud", "directory", "write \"https://host\" or \"https://host:port\", without a path"));
        }
        let ca = self.ca.ok_or(("cloud", "ca", "missing: the PEM file of the CA to trust"))?;
        if !ca.is_absolute() {
            return Err(("cloud", "ca", "write an absolute path"));
        }
        match &self.second {
            None if self.epochs.iter().any(|epoch| epoch.second.is_some()) => {
                return Err(("cloud", "second", "missing: an epoch pins a second evaluator, say where it is"));
            }
            Some(second) if !is_directory(&second.directory) || !second.ca.is_absolute() => {
                return Err((
                    "cloud",
                    "second",
                    "directory is \"https://host\" or \"https://host:port\", ca an absolute path",
                ));
            }
            _ => {}
        }
        if self.epochs.len() > EPOCHS_MAX {
            return Err(("cloud", "epochs", "four at most: remove the oldest, which no phone should need any more"));
        }
        let mut seen: Vec<char> = self.epochs.iter().map(|e| e.epoch).collect();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() != self.epochs.len() {
            return Err(("cloud", "epochs", "an epoch is pinned twice"));
        }
        let keep_alive = self.keep_alive.unwrap_or(KEEP_ALIVE);
        let Self { servers, epochs, second, .. } = self;
        Ok(Cloud { domain, servers, directory, ca, keep_alive, epochs, second })
    }
}

fn is_directory(url: &str) -> bool {
    let authority = url.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    authority.is_some_and(|host| is_host_port(host) || (is_host(host) && !host.contains(':')))
}

fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    !inner.is_empty() && inner.bytes().all(plain)
}

fn is_host_port(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        is_host(host) && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn epoch_char<'de, D: Deserializer<'de>>(from: D) -> Result<char, D::Error> {
    let epoch = char::deserialize(from)?;
    epoch.is_ascii_lowercase().then_some(epoch).ok_or_else(|| D::Error::custom("an epoch is one letter, a to z"))
}

fn some_key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
    key(from).map(Some)
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(from)?;
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| D::Error::custom("a key is 32 bytes in base64"))
}

//! The directory's configuration: one TOML file, read once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod enrolment;

pub(super) use enrolment::{Enrolment, Gateway, Smpp, SmsLimits, SmsModem};

/// The whole file; `config/directory.toml` explains each line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where HTTPS is served.
    pub listen: SocketAddr,
    /// Where the database is.
    pub database: Location,
    /// What PostgreSQL's URL does not say.
    #[serde(default)]
    postgresql: Postgresql,
    /// The XMPP domain of all accounts; part of each pseudonym's salt.
    pub domain: String,
    /// The server's certificate.
    pub tls: Tls,
    /// The XMPP server's API.
    pub ejabberd: Ejabberd,
    /// The epoch new accounts get; one of `epochs`.
    pub current_epoch: char,
    /// Every epoch that is still answered.
    #[serde(rename = "epoch")]
    pub epochs: Vec<Epoch>,
    /// What account files tell phones.
    pub phones: Phones,
    /// Bounds on what strangers may use up.
    #[serde(default)]
    pub limits: Limits,
    /// How phones enrol by themselves; without it they can't.
    pub enrolment: Option<Enrolment>,
    /// The second operator's evaluator, where there is one.
    pub second: Option<Second>,
}

/// The second operator's evaluator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// `https://host[:port]`, as phones and this directory reach it.
    pub directory: String,
    /// PEM file of the CA that phones and this directory trust there.
    pub ca: PathBuf,
    /// File with the token of `operator-token`; readable by its owner alone.
    pub token: PathBuf,
}

/// Where the database is: a file's path, or PostgreSQL's URL.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    /// PostgreSQL.
    Server(Server),
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        match text.split_once("://") {
            Some(_) => Self::Server(Server { url: text, password: None, ca: None }),
            None => Self::File(text.into()),
        }
    }
}

/// A PostgreSQL server.
#[derive(Clone)]
pub struct Server {
    /// `postgresql://user@host/database`, as libpq(5) writes it; a host that begins with `/` is a socket's directory.
    pub url: String,
    /// File with the password; readable by its owner alone.
    pub password: Option<PathBuf>,
    /// PEM file of the CA that vouches for the server; without it the connection is not encrypted.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Server {
    /// Not the URL: there may be a password in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server(..)")
    }
}

/// Files for a connection to PostgreSQL.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Postgresql {
    password: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the server's certificate first.
    pub certificate: PathBuf,
    /// Its key; readable by its owner alone.
    pub key: PathBuf,
}

/// ejabberd's HTTP API (`mod_http_api`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ejabberd {
    /// `http://host:port/path`; the host is a loopback address or `localhost`.
    pub api: String,
}

/// One epoch's secrets, as `keygen` makes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// A lower-case letter: the first character of its pseudonyms.
    pub name: char,
    /// File with the VOPRF seed.
    pub voprf: PathBuf,
    /// File with the Ed25519 seed.
    pub ed25519: PathBuf,
    /// File with the X25519 seed.
    pub x25519: PathBuf,
    /// The second evaluator's public VOPRF key, in an epoch that has one.
    #[serde(default, deserialize_with = "public_key")]
    pub second: Option<[u8; 32]>,
}

/// What account files tell phones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phones {
    /// `host:port` of the XMPP servers, tried in this order.
    pub servers: Vec<String>,
    /// `https://host:port` of this directory.
    pub directory: String,
    /// PEM file of the CA that phones pin for both.
    pub ca: PathBuf,
}

/// Bounds on what strangers may use up. The times are seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one IPv4 address or one IPv6 /64; behind a proxy as many as above.
    pub connections_per_address: usize,
    /// For a TLS handshake, for a request's head (also the wait for the next one), and for its body.
    pub read_timeout: u64,
    /// A connection's whole life.
    pub connection_life: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1024, connections_per_address: 32, read_timeout: 10, connection_life: 300 }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not readable.
    #[error("{path}: can't be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or not these keys.
    #[error("{path}: {source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value that can't be.
    #[error("{key} is wrong: {hint}")]
    Value {
        /// Its key.
        key: &'static str,
        /// What it must be.
        hint: &'static str,
    },
}

impl Config {
    /// Reads and checks the file. Relative paths in it count from its directory.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(path)?;
        config.check()?;
        let base = path.parent().unwrap_or(Path::new(""));
        if let Location::Server(server) = &mut config.database {
            let Postgresql { password, ca } = std::mem::take(&mut config.postgresql);
            (server.password, server.ca) = (password, ca);
        }
        for file in config.paths() {
            *file = base.join(&*file);
        }
        Ok(config)
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let gateway = self.enrolment.as_mut().map(|enrolment| &mut enrolment.gateway);
        let smpp = gateway.and_then(|gateway| match gateway {
            Gateway::Smpp(smpp) => Some(std::iter::once(&mut smpp.password).chain(&mut smpp.ca)),
            Gateway::Modem(_) => None,
        });
        let database: Vec<_> = match &mut self.database {
            Location::File(path) => vec![path],
            Location::Server(server) => server.password.iter_mut().chain(&mut server.ca).collect(),
        };
        [&mut self.tls.certificate, &mut self.tls.key, &mut self.phones.ca]
            .into_iter()
            .chain(smpp.into_iter().flatten())
            .chain(self.second.iter_mut().flat_map(|second| [&mut second.ca, &mut second.token]))
            .chain(database)
            .chain(self.epochs.iter_mut().flat_map(|epoch| [&mut epoch.voprf, &mut epoch.ed25519, &mut epoch.x25519]))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (!self.domain.is_empty() && self.domain.len() <= 255, "domain", "the XMPP domain, such as im.example.org"),
            (self.is_database(), "database", "a file, or postgresql://USER@HOST/NAME"),
            (
                super::ejabberd::Ejabberd::new(&self.ejabberd.api).is_ok(),
                "ejabberd.api",
                "http://127.0.0.1:PORT/api, on loopback: whoever reaches it can take over accounts",
            ),
            (!self.epochs.is_empty(), "epoch", "write at least one [[epoch]]; `shunt-directory keygen` prints it"),
            (self.epochs.iter().all(|epoch| is_epoch(epoch.name)), "epoch.name", "one lower-case letter"),
            (self.distinct_epochs(), "epoch.name", "each epoch stands there once"),
            (
                self.epochs.iter().any(|epoch| epoch.name == self.current_epoch),
                "current_epoch",
                "the name of one of the epochs",
            ),
            (!self.phones.servers.is_empty(), "phones.servers", "at least one host:port"),
            (self.phones.directory.starts_with("https://"), "phones.directory", "https://host:port"),
            (
                self.second.as_ref().is_none_or(|second| second.directory.starts_with("https://")),
                "second.directory",
                "https://host:port",
            ),
            (
                self.second.is_some() == self.epochs.iter().any(|epoch| epoch.second.is_some()),
                "second",
                "[second] and the `second` of an [[epoch]], the evaluator's public key, go together",
            ),
            (
                self.enrolment.as_ref().is_none_or(|enrolment| enrolment.limits.allow_any()),
                "enrolment.limits",
                "each at least 1; leave [enrolment] out where no phone may enrol",
            ),
            (
                self.enrolment.as_ref().is_none_or(|enrolment| (1..=600).contains(&enrolment.life)),
                "enrolment.life",
                "1 to 600 seconds",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, hint)) => Err(ConfigError::Value { key, hint }),
            None => self.limits.check(),
        }
    }

    fn is_database(&self) -> bool {
        match &self.database {
            Location::File(_) => true,
            Location::Server(server) => {
                server.url.starts_with("postgresql://") || server.url.starts_with("postgres://")
            }
        }
    }

    fn distinct_epochs(&self) -> bool {
        let mut names: Vec<_> = self.epochs.iter().map(|epoch| epoch.name).collect();
        names.sort_unstable();
        names.windows(2).all(|pair| pair.first() != pair.last())
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (self.connections > 0, "limits.connections", "at least 1"),
            (self.connections_per_address > 0, "limits.connections_per_address", "at least 1"),
            (self.read_timeout > 0, "limits.read_timeout", "at least 1 second"),
            (self.connection_life > 0, "limits.connection_life", "at least 1 second"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, hint)) => Err(ConfigError::Value { key, hint }),
            None => Ok(()),
        }
    }
}

/// Reads a file of one shape.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
}

/// 32 bytes in base64.
pub(super) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(from)?;
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| D::Error::custom("write 32 bytes in base64, as `shunt-directory` printed them"))
}

fn public_key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
    bytes(from).map(Some)
}

/// Whether an epoch may have this name: it begins a JID.
pub(super) fn is_epoch(name: char) -> bool {
    name.is_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config/directory.toml");

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_documented_example_is_a_valid_configuration_with_the_default_limits() {
        let config = load(EXAMPLE).unwrap();
        assert_eq!(config.current_epoch, 'a');
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", Limits::default()));
    }

    #[test]
    fn relative_paths_count_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory.toml");
        std::fs::write(&path, EXAMPLE.replace("/var/lib/shunt-directory/directory.db", "directory.db")).unwrap();
        let Location::File(file) = Config::load(&path).unwrap().database else { panic!("a file") };
        assert_eq!(file, dir.path().join("directory.db"));
    }

    #[test]
    fn a_url_is_postgresql_and_never_shown() {
        let url = "postgresql://shunt:hush@db.example.org/shunt";
        let text = EXAMPLE.replace("/var/lib/shunt-directory/directory.db", url);
        let location = load(&text).unwrap().database;
        assert!(matches!(&location, Location::Server(server) if server.url == url));
        assert!(!format!("{location:?}").contains("hush"));
        let other = EXAMPLE.replace("/var/lib/shunt-directory/directory.db", "mysql://db.example.org/shunt");
        assert!(load(&other).unwrap_err().to_string().starts_with("database"));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = load(&EXAMPLE.replace("\ndomain", "\ndomian")).unwrap_err().to_string();
        assert!(error.contains("domian"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        for (from, to, key) in [
            ("current_epoch = \"a\"", "current_epoch = \"b\"", "current_epoch"),
            ("name = \"a\"", "name = \"A\"", "epoch.name"),
            ("http://127.0.0.1:5281/api", "https://elsewhere/api", "ejabberd.api"),
            ("http://127.0.0.1:5281/api", "http://192.0.2.1:5281/api", "ejabberd.api"),
            ("https://im.example.org:8443", "http://im.example.org:8443", "phones.directory"),
            ("connections = 1024", "connections = 0", "limits.connections"),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let error = load(&EXAMPLE.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}

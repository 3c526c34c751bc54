//! What an integrator configures. Read once at start by the core; no key of it can turn the switch on.
//!
//! `config/shunt.toml` documents every key and is equal to `Config::default()`.

mod ca;
mod cloud;
mod load;

pub use ca::trusted_until;
pub use cloud::{Cloud, Epoch, KEEP_ALIVE, Second};
pub use load::ConfigError;

use crate::bus::access::Rules;
use crate::model::{FallbackPolicy, PresencePolicy, Settings};
use crate::modem::Which;
use cloud::RawCloud;
use log::LevelFilter;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::path::PathBuf;

/// Everything that is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The cloud; `None`: not configured, an imported account may bring one.
    pub cloud: Option<Cloud>,
    /// How modems are reached.
    pub modem: Modem,
    /// The agent, where one has the modems.
    pub agent: Agent,
    /// What never goes by IM.
    pub route: Route,
    /// Who may call us.
    pub access: Rules,
    /// The store.
    pub store: Store,
    /// What is logged.
    pub log: Log,
    /// The settings of a phone whose user changed none.
    pub defaults: Settings,
}

/// Which service has the modems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModemBackend {
    /// Whichever is on the system bus; each may come and go.
    #[default]
    Auto,
    /// ModemManager alone.
    ModemManager,
    /// oFono alone.
    Ofono,
    /// A ROM's agent, which registers.
    Agent,
}

impl ModemBackend {
    /// Which services are looked for.
    #[must_use]
    pub fn which(self) -> Which {
        Which {
            modemmanager: matches!(self, Self::Auto | Self::ModemManager),
            ofono: matches!(self, Self::Auto | Self::Ofono),
        }
    }
}

/// A ROM's agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Who may be it, beside root.
    pub uids: Vec<u32>,
    /// A socket of its own, beside the bus.
    pub socket: Option<PathBuf>,
}

/// How modems are reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modem {
    /// Which service has them.
    pub backend: ModemBackend,
    /// Delete an SMS from the modem once it is committed here: only for systems whose SMS app speaks
    /// to Shunt alone. Otherwise other apps read, and delete, them.
    pub consume: bool,
}

/// What never goes by IM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Voicemail, carrier and other numbers that are texted by SMS only.
    pub sms_only: Vec<SmsOnly>,
}

/// A number, or all that begin with it.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsOnly {
    /// The number as texted, or how it begins.
    pub number: Box<str>,
    /// Whether all numbers that begin so are meant.
    pub prefix: bool,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Where its key comes from.
    pub key: KeySource,
}

/// Where the key of the store comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeySource {
    /// A file of 32 bytes, mode 0600, made if absent; a relative path is below the state directory.
    File(PathBuf),
    /// A systemd credential of that name (`LoadCredential=`), 32 bytes.
    Credential(String),
    /// A command of the ROM's key store that prints 32 bytes; absolute path, then arguments.
    Command(Vec<String>),
}

impl Default for KeySource {
    fn default() -> Self {
        Self::File(PathBuf::from("key"))
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Down to which level. No level logs numbers, texts or keys.
    #[serde(deserialize_with = "level")]
    pub level: LevelFilter,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LevelFilter::Info }
    }
}

impl SmsOnly {
    /// Whether a number, as texted or in E.164 form, is meant.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        if self.prefix { number.starts_with(&*self.number) } else { *number == *self.number }
    }

    fn parse(pattern: &str) -> Option<Self> {
        let (number, prefix) = match pattern.strip_suffix('*') {
            Some(start) => (start, true),
            None => (pattern, false),
        };
        let digits = number.strip_prefix('+').unwrap_or(number);
        let dialable = !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'*' | b'#'));
        dialable.then(|| Self { number: number.into(), prefix })
    }
}

impl std::fmt::Debug for SmsOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmsOnly(..)")
    }
}

impl<'de> Deserialize<'de> for SmsOnly {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(from)?;
        Self::parse(&pattern)
            .ok_or_else(|| D::Error::custom("write a number as dialled, such as \"+4933311\", or its beginning and *"))
    }
}

/// The file's shape; each key may be missing in one file and come from another.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    cloud: Option<RawCloud>,
    modem: Modem,
    agent: Agent,
    route: Route,
    access: Rules,
    store: Store,
    log: Log,
    defaults: RawDefaults,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawDefaults {
    fallback_after: Option<u32>,
    #[serde(deserialize_with = "fallback_policy")]
    fallback_policy: Option<FallbackPolicy>,
    allow_roaming: Option<bool>,
    allow_metered: Option<bool>,
    #[serde(deserialize_with = "presence_policy")]
    presence_policy: Option<PresencePolicy>,
    read_receipts: Option<bool>,
}

/// What is wrong with the whole, and at which key.
type Wrong = (&'static str, &'static str, &'static str);

impl Raw {
    fn check(self) -> Result<Config, Wrong> {
        let cloud = self.cloud.map(RawCloud::check).transpose()?;
        match &self.store.key {
            KeySource::File(path) if path.as_os_str().is_empty() => {
                return Err(("store", "key", "name the file"));
            }
            KeySource::Credential(name) if name.is_empty() || name.contains('/') => {
                return Err(("store", "key", "a credential is a name without a slash"));
            }
            KeySource::Command(words) if !words.first().is_some_and(|program| program.starts_with('/')) => {
                return Err(("store", "key", "a command begins with an absolute path"));
            }
            _ => {}
        }
        if self.agent.socket.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(("agent", "socket", "write an absolute path"));
        }
        Ok(Config {
            cloud,
            modem: self.modem,
            agent: self.agent,
            route: self.route,
            access: self.access,
            store: self.store,
            log: self.log,
            defaults: self.defaults.check()?,
        })
    }
}

impl RawDefaults {
    fn check(self) -> Result<Settings, Wrong> {
        let settings = Settings::default();
        let settings = Settings {
            fallback_after: self.fallback_after.unwrap_or(settings.fallback_after),
            fallback_policy: self.fallback_policy.unwrap_or(settings.fallback_policy),
            allow_roaming: self.allow_roaming.unwrap_or(settings.allow_roaming),
            allow_metered: self.allow_metered.unwrap_or(settings.allow_metered),
            presence_policy: self.presence_policy.unwrap_or(settings.presence_policy),
            read_receipts: self.read_receipts.unwrap_or(settings.read_receipts),
        };
        if !Settings::FALLBACK_AFTER.contains(&settings.fallback_after) {
            return Err(("defaults", "fallback_after", "write 3 to 120 seconds"));
        }
        Ok(settings)
    }
}

fn level<'de, D: Deserializer<'de>>(from: D) -> Result<LevelFilter, D::Error> {
    let level = String::deserialize(from)?;
    level.parse().map_err(|_| D::Error::custom("a level is off, error, warn, info, debug or trace"))
}

fn fallback_policy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<FallbackPolicy>, D::Error> {
    let policy = FallbackPolicy::from_token(&String::deserialize(from)?);
    policy.map(Some).ok_or_else(|| D::Error::custom("a fallback policy is always, not-roaming, ask or never"))
}

fn presence_policy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PresencePolicy>, D::Error> {
    let policy = PresencePolicy::from_token(&String::deserialize(from)?);
    policy.map(Some).ok_or_else(|| D::Error::custom("a presence policy is anyone, mutual or nobody"))
}

#[cfg(test)]
mod tests;

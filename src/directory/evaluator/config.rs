//! The second evaluator's configuration; `config/evaluator.toml` explains each line.

use crate::directory::accounts::TokenHash;
use crate::directory::config::{ConfigError, Limits, Tls, bytes, is_epoch, read};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::directory) struct EvaluatorConfig {
    /// Where HTTPS is served.
    pub(in crate::directory) listen: SocketAddr,
    /// The database file.
    pub(in crate::directory) database: PathBuf,
    /// SHA-256 of the first operator's token.
    #[serde(deserialize_with = "bytes")]
    pub(in crate::directory) operator: TokenHash,
    /// The server's certificate.
    pub(in crate::directory) tls: Tls,
    /// Every epoch that is answered.
    #[serde(rename = "epoch")]
    pub(in crate::directory) epochs: Vec<VoprfEpoch>,
    /// Bounds on what strangers may use up.
    #[serde(default)]
    pub(in crate::directory) limits: Limits,
    /// Bounds on what all may use up together.
    #[serde(default)]
    pub(in crate::directory) ceilings: Ceilings,
    /// Command that is run when a ceiling is reached; its name is the last argument.
    #[serde(default)]
    pub(in crate::directory) alarm: Vec<String>,
}

/// One epoch's secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::directory) struct VoprfEpoch {
    /// A lower-case letter.
    pub(in crate::directory) name: char,
    /// File with the VOPRF seed.
    pub(in crate::directory) voprf: PathBuf,
}

/// An hour's.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::directory) struct Ceilings {
    /// Numbers evaluated for devices; one for each registration, if that is more.
    pub(in crate::directory) evaluations: u32,
    /// Numbers evaluated for the first operator; one for each hundred registrations, if that is more.
    pub(in crate::directory) operator: u32,
    /// Registrations that the first operator makes.
    pub(in crate::directory) registrations: u32,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { evaluations: 10_000, operator: 400, registrations: 100 }
    }
}

impl EvaluatorConfig {
    /// Reads and checks the file. Relative paths in it count from its directory.
    pub(in crate::directory) fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(path)?;
        config.check()?;
        let base = path.parent().unwrap_or(Path::new(""));
        let files = [&mut config.database, &mut config.tls.certificate, &mut config.tls.key].into_iter();
        for file in files.chain(config.epochs.iter_mut().map(|epoch| &mut epoch.voprf)) {
            *file = base.join(&*file);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Ceilings { evaluations, operator, registrations } = self.ceilings;
        let names: std::collections::BTreeSet<_> = self.epochs.iter().map(|epoch| epoch.name).collect();
        let rules = [
            (
                !names.is_empty(),
                "epoch",
                "write at least one [[epoch]]; `shunt-directory keygen --evaluator` prints it",
            ),
            (names.iter().all(|name| is_epoch(*name)), "epoch.name", "one lower-case letter"),
            (names.len() == self.epochs.len(), "epoch.name", "each epoch stands there once"),
            (evaluations > 0 && operator > 0 && registrations > 0, "ceilings", "each at least 1"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, hint)) => Err(ConfigError::Value { key, hint }),
            None => self.limits.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../config/evaluator.toml");

    fn load(text: &str) -> Result<EvaluatorConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evaluator.toml");
        std::fs::write(&path, text).unwrap();
        EvaluatorConfig::load(&path)
    }

    #[test]
    fn the_documented_example_is_a_valid_configuration_with_the_default_bounds() {
        let config = load(EXAMPLE).unwrap();
        assert_eq!(format!("{:?}", config.ceilings), format!("{:?}", Ceilings::default()));
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", Limits::default()));
    }

    #[test]
    fn a_value_that_cannot_be_is_named() {
        for (from, to, named) in [
            ("name = \"a\"", "name = \"A\"", "epoch.name"),
            ("registrations = 100", "registrations = 0", "ceilings"),
            ("connections = 1024", "connections = 0", "limits.connections"),
            ("operator = \"", "operator = \"x", "32 bytes in base64"),
            ("\nlisten", "\nlitsen", "litsen"),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let error = load(&EXAMPLE.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}

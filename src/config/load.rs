//! Reading and merging the files: defaults, drop-ins in name order, then what the command line adds.

use super::{Config, Raw};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// What is wrong with the configuration, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or the drop-in directory cannot be read.
    #[error("{path}: cannot be read: {source}; make it readable for the daemon or remove it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not a configuration, or a value is wrong.
    #[error("{path}, line {line}: {key}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, with its section; may be empty where the file is no TOML.
        key: String,
        /// What is wrong and what to write instead.
        what: String,
    },
    /// A file tries to set the switch.
    #[error(
        "{path}, line {line}: {key}: no file can turn Shunt on or off: the switch is the user's \
         (`shuntctl on`, or org.shunt.Shunt1.Settings.Enabled); remove this key"
    )]
    Switch {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
    },
}

/// One file: its name for messages, and its text.
struct Source {
    path: PathBuf,
    text: String,
}

impl Config {
    /// Reads `defaults`, then each `*.toml` in the directory `drop_ins` in name order, then `extra`. A
    /// later file's key replaces an earlier one's, lists as a whole. `defaults` and `drop_ins` may be
    /// absent, an `extra` file may not.
    pub fn load(defaults: &Path, drop_ins: &Path, extra: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut sources = Vec::new();
        sources.extend(read_if_there(defaults)?);
        for path in list(drop_ins)? {
            sources.extend(read_if_there(&path)?);
        }
        for path in extra {
            sources.push(read(path)?);
        }
        merge(&sources)
    }

    /// One text alone, as a file would be taken.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        merge(&[Source { path: PathBuf::from("(text)"), text: text.to_owned() }])
    }
}

fn read(path: &Path) -> Result<Source, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    Ok(Source { path: path.to_owned(), text })
}

fn read_if_there(path: &Path) -> Result<Option<Source>, ConfigError> {
    match read(path) {
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn merge(sources: &[Source]) -> Result<Config, ConfigError> {
    let mut merged = Table::new();
    for source in sources {
        source.refuse_switch()?;
        // Each file is judged alone, so that the message can point into it.
        toml::from_str::<Raw>(&source.text).map_err(|error| source.wrong(&error))?;
        let table = source.text.parse::<Table>().map_err(|error| source.wrong(&error))?;
        overlay(&mut merged, table);
    }
    let nowhere = |what: String| ConfigError::Wrong {
        path: sources.last().map(|source| source.path.clone()).unwrap_or_default(),
        line: 1,
        key: String::new(),
        what,
    };
    let raw: Raw = Value::Table(merged).try_into().map_err(|error: toml::de::Error| nowhere(error.message().into()))?;
    raw.check().map_err(|(section, key, what)| {
        let found = sources.iter().rev().find_map(|source| Some((source, source.line_of(section, key)?)));
        match found {
            Some((source, line)) => ConfigError::Wrong {
                path: source.path.clone(),
                line,
                key: format!("{section}.{key}"),
                what: what.to_owned(),
            },
            None => nowhere(format!("{section}.{key}: {what}")),
        }
    })
}

/// Tables are merged key by key; everything else is replaced. A store key of another kind replaces the former.
fn overlay(onto: &mut Table, from: Table) {
    for (name, value) in from {
        match (onto.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) if name != "key" => overlay(below, above),
            (_, value) => {
                onto.insert(name, value);
            }
        }
    }
}

impl Source {
    fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|b| *b == b'\n').count()
    }

    fn wrong(&self, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        let key = DeTable::parse(&self.text).ok().and_then(|table| key_at(table.get_ref(), offset)).unwrap_or_default();
        ConfigError::Wrong {
            path: self.path.clone(),
            line: self.line_at(offset),
            key,
            what: error.message().to_owned(),
        }
    }

    fn refuse_switch(&self) -> Result<(), ConfigError> {
        let Ok(table) = DeTable::parse(&self.text) else { return Ok(()) };
        match switch_in(table.get_ref()) {
            None => Ok(()),
            Some((key, offset)) => {
                Err(ConfigError::Switch { path: self.path.clone(), line: self.line_at(offset), key })
            }
        }
    }

    /// The line of a section's key, or else of the section.
    fn line_of(&self, section: &str, key: &str) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let (name, value) = table.get_ref().iter().find(|(name, _)| name.get_ref() == section)?;
        let within = value.get_ref().as_table().and_then(|t| t.iter().find(|(name, _)| name.get_ref() == key));
        let offset = within.map_or(name.span().start, |(name, _)| name.span().start);
        Some(self.line_at(offset))
    }
}

/// The dotted name of the key that stands at, or whose value contains, a place in the text.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    for (name, value) in table {
        if name.span().contains(&offset) {
            return Some(name.get_ref().to_string());
        }
        let below = match value.get_ref() {
            DeValue::Table(table) => key_at(table, offset),
            DeValue::Array(items) => {
                items.iter().find_map(|item| item.get_ref().as_table().and_then(|table| key_at(table, offset)))
            }
            _ => None,
        };
        if let Some(below) = below {
            return Some(format!("{}.{below}", name.get_ref()));
        }
        if value.span().contains(&offset) {
            return Some(name.get_ref().to_string());
        }
    }
    None
}

fn switch_in(table: &DeTable<'_>) -> Option<(String, usize)> {
    for (name, value) in table {
        if name.get_ref().eq_ignore_ascii_case("enabled") {
            return Some((name.get_ref().to_string(), name.span().start));
        }
        if let Some((key, offset)) = switch_in_value(value.get_ref()) {
            return Some((format!("{}.{key}", name.get_ref()), offset));
        }
    }
    None
}

fn switch_in_value(value: &DeValue<'_>) -> Option<(String, usize)> {
    match value {
        DeValue::Table(table) => switch_in(table),
        DeValue::Array(items) => items.iter().find_map(|item| switch_in_value(item.get_ref())),
        _ => None,
    }
}

//! Who may call: polkit where there is one, else uid and gid lists; root always.

mod callers;
mod gate;
mod hearing;
pub(crate) mod polkit;

pub(in crate::bus) use gate::Gate;

use serde::Deserialize;

/// Who asked: for authorisation, `Watch`, and the switch's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Unique bus name; on a peer-to-peer connection a name of our own for that connection.
    pub name: Box<str>,
    /// The caller's uid.
    pub uid: u32,
    /// Its unit (last part of the cgroup's path), where that could be read; for the record only.
    pub unit: Box<str>,
}

/// Whether polkit is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polkit {
    /// Where it is on the bus; else the lists decide.
    #[default]
    Auto,
    /// Never: the lists decide.
    Never,
}

/// Uids and gids that may do something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Who {
    /// These users.
    pub uids: Vec<u32>,
    /// Members of these groups.
    pub gids: Vec<u32>,
}

/// Who may do what; root may everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether polkit is asked.
    pub polkit: Polkit,
    /// Who may send, read texts and see routes, where polkit is absent.
    pub send: Who,
    /// Who may turn the switch, change settings and import an account, where polkit is absent.
    pub settings: Who,
    /// Who may enrol, withdraw and export, where polkit is absent.
    pub account: Who,
}

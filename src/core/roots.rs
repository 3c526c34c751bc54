//! What the config's cloud is trusted by.

use crate::config::{Cloud, Second};
use crate::seal::SecondEvaluator;
use std::io;
use std::path::PathBuf;

/// The pinned CAs, PEM; none where no cloud is configured.
#[derive(Clone, Default)]
pub(super) struct Roots {
    /// Of XMPP server and directory.
    pub(super) ca: Option<String>,
    /// The second evaluator with its own.
    pub(super) second: Option<SecondEvaluator>,
}

impl Roots {
    /// Reads the files; which one can't be read.
    pub(super) fn read(cloud: Option<&Cloud>) -> Result<Self, (PathBuf, io::Error)> {
        let Some(cloud) = cloud else { return Ok(Self::default()) };
        let read = |ca: &PathBuf| std::fs::read_to_string(ca).map_err(|error| (ca.clone(), error));
        let second = |Second { directory, ca }: &Second| {
            Ok::<_, (PathBuf, io::Error)>(SecondEvaluator { directory: directory.clone(), ca: read(ca)? })
        };
        Ok(Self { ca: Some(read(&cloud.ca)?), second: cloud.second.as_ref().map(second).transpose()? })
    }
}

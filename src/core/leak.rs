//! A core that leaks on purpose, for the proof that the privacy test notices (feature `leak`, which
//! no device build has).

use super::Core;
use super::turn::Turn;
use crate::wall::{Opaque, ToUplink};
use std::path::PathBuf;

impl Core {
    /// Publishes what lies in the file `leak` beside the credentials as if it were a key bundle.
    pub(super) fn leak(&mut self, turn: &mut Turn<'_, '_>) {
        let file = std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| PathBuf::from(directory).join("leak"));
        if let Some(secrets) = file.and_then(|file| std::fs::read(file).ok()) {
            self.request(turn, |request| ToUplink::Publish { request, bundle: Opaque(secrets) });
        }
    }
}

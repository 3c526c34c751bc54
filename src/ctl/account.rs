//! The account that this phone holds.

use super::client::{Client, ROOT};
use super::failure::Failure;
use super::output::{document, plain, write};
use serde_json::json;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) async fn identity(client: &Client, json: bool) -> Result<(), Failure> {
    let key: String = client.call(ROOT, "Identity", &()).await?;
    if json { document(&json!({ "identity": key })) } else { write(&plain(&key)) }
}

/// Passes the open file: the daemon, which runs as another user, could not open it by its path.
pub(super) async fn import(client: &Client, json: bool, path: &Path) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| Failure::File(path.display().to_string(), error))?;
    let () = client.call(ROOT, "Import", &(zbus::Fd::from(file.as_fd()),)).await?;
    if json {
        return document(&json!({ "imported": true }));
    }
    write("taken: turn the switch on with `shuntctl on`")
}

/// The daemon writes to the open file as it goes: an error leaves what came before it.
pub(super) async fn export(client: &Client, json: bool, path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") {
        return client.call(ROOT, "Export", &(zbus::Fd::from(std::io::stdout().as_fd()),)).await;
    }
    let new = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = new.map_err(|error| Failure::File(path.display().to_string(), error))?;
    let () = client.call(ROOT, "Export", &(zbus::Fd::from(file.as_fd()),)).await?;
    if json {
        return document(&json!({ "exported": true }));
    }
    write(&format!("written: {} holds texts and numbers readably", path.display()))
}

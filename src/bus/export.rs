//! Writing an export to a descriptor that a caller passed: part by part as the core has it, and off the
//! core's loop, as whoever reads a pipe may stop reading.

use super::core::Shared;
use super::{Error, ExportPart, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

/// How long the reader of a pipe may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a pipe that is ready takes without blocking (POSIX PIPE_BUF, on Linux).
const READY_TAKES: usize = 4096;

const STUCK: Error = Error::BadArgument("nothing reads the export's descriptor: read it, or pass a regular file");
const UNWRITABLE: Error =
    Error::BadArgument("the export's descriptor cannot be written: open it for writing, and check the disk's space");

/// Writes the whole document from the descriptor's offset on. What was written before an error stays there.
pub(super) async fn write(fd: OwnedFd, shared: &Arc<Shared>) -> Result<(), Error> {
    let turn = shared.export.clone().try_acquire_owned();
    let turn = turn.map_err(|_| Error::TooMany("another export is under way: wait for its end"))?;
    let (parts, to_write) = mpsc::channel::<Zeroizing<String>>(1);
    let (done, written) = oneshot::channel();
    let thread = std::thread::Builder::new().name("export".into()).spawn(move || {
        let result = write_now(fd, to_write);
        drop(turn);
        // Nobody waits any more: the caller was told that it took too long.
        let _ = done.send(result);
    });
    thread.map_err(|_| Error::TooMany("the system allows no thread to write it; try again"))?;
    let mut next = Some(ExportPart::About);
    while let Some(part) = next {
        let (text, following) = shared.ask(|reply| Request::Export { part, reply }).await?;
        next = following;
        match tokio::time::timeout(PATIENCE * 2, parts.send(text)).await {
            Ok(Ok(())) => {}
            // The thread has ended, and says why.
            Ok(Err(_)) => break,
            Err(_) => return Err(STUCK),
        }
    }
    drop(parts);
    tokio::time::timeout(PATIENCE * 2, written).await.ok().and_then(Result::ok).unwrap_or(Err(STUCK))
}

fn write_now(fd: OwnedFd, mut parts: mpsc::Receiver<Zeroizing<String>>) -> Result<(), Error> {
    let patience = Timespec::try_from(PATIENCE).map_err(|_| STUCK)?;
    let mut file = File::from(fd);
    while let Some(part) = parts.blocking_recv() {
        for piece in part.as_bytes().chunks(READY_TAKES) {
            let mut ready = [PollFd::new(&file, PollFlags::OUT)];
            if poll(&mut ready, Some(&patience)).map_err(|_| UNWRITABLE)? == 0 {
                return Err(STUCK);
            }
            file.write_all(piece).map_err(|_| UNWRITABLE)?;
        }
    }
    Ok(())
}

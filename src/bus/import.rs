//! Reading an account file from a descriptor that a caller passed: bounded, and off the core's loop,
//! as a file's reading may block (a dead network file system, FUSE).

use super::{Error, IMPORT_MAX};
use rustix::fs::{FileType, fstat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(10);

/// The whole file from its beginning, wherever the caller left its offset.
pub(super) async fn read(fd: OwnedFd, one_at_a_time: &Arc<Semaphore>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let stat = fstat(&fd).map_err(|_| Error::BadAccount("its descriptor cannot be examined"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::BadAccount("pass a regular file or a memfd, not a pipe, socket or directory"));
    }
    if u64::try_from(stat.st_size).is_ok_and(|size| size > IMPORT_MAX as u64) {
        return Err(Error::BadAccount("it is longer than 64 KiB"));
    }
    let turn = one_at_a_time.clone().try_acquire_owned();
    let turn = turn.map_err(|_| Error::TooMany("another import is under way: wait for its end"))?;
    let (done, read) = oneshot::channel();
    let thread = std::thread::Builder::new().name("import".into()).spawn(move || {
        let content = read_now(&File::from(fd));
        drop(turn);
        // Nobody waits any more: the caller was told that it took too long.
        let _ = done.send(content);
    });
    thread.map_err(|_| Error::BadAccount("the system allows no thread to read it; try again"))?;
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(content)) => content,
        Ok(Err(_)) | Err(_) => {
            Err(Error::BadAccount("it could not be read within 10 seconds; copy it to a local disk"))
        }
    }
}

fn read_now(file: &File) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |_| Error::BadAccount("it cannot be read; open it for reading and pass that descriptor");
    // One byte more than may be, as a file can grow; made once, so that no copy stays behind unwiped.
    let mut content = Zeroizing::new(vec![0; IMPORT_MAX + 1]);
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64).map_err(unreadable)? {
            0 => {
                content.truncate(filled);
                return Ok(content);
            }
            read => filled += read,
        }
    }
    Err(Error::BadAccount("it is longer than 64 KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    fn one() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[tokio::test]
    async fn file_is_read_whole_wherever_its_offset_stands() {
        let content = vec![7; IMPORT_MAX];
        let mut at_end = file(&content);
        assert_eq!(*read(at_end.try_clone().unwrap().into(), &one()).await.unwrap(), content);
        at_end.seek(SeekFrom::Start(10)).unwrap();
        assert_eq!(*read(at_end.into(), &one()).await.unwrap(), content);
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_file_is_refused() {
        let too_long = file(&vec![0; IMPORT_MAX + 1]);
        assert!(matches!(read(too_long.into(), &one()).await, Err(Error::BadAccount(_))));
        let (pipe, _writer) = std::io::pipe().unwrap();
        assert!(matches!(read(pipe.into(), &one()).await, Err(Error::BadAccount(_))));
        assert!(matches!(read(File::open("/").unwrap().into(), &one()).await, Err(Error::BadAccount(_))));
        assert!(matches!(read(File::open("/dev/zero").unwrap().into(), &one()).await, Err(Error::BadAccount(_))));
        let endless = File::open("/proc/kallsyms").unwrap();
        assert!(matches!(read(endless.into(), &one()).await, Err(Error::BadAccount(_))), "a size of 0 proves nothing");
        let dir = tempfile::tempdir().unwrap();
        let write_only = File::create(dir.path().join("f")).unwrap();
        assert!(matches!(read(write_only.into(), &one()).await, Err(Error::BadAccount(_))));
    }

    #[tokio::test]
    async fn second_import_is_refused_while_one_is_under_way() {
        let gate = one();
        let held = gate.clone().try_acquire_owned().unwrap();
        assert!(matches!(read(file(b"x").into(), &gate).await, Err(Error::TooMany(_))));
        drop(held);
        assert!(read(file(b"x").into(), &gate).await.is_ok());
    }
}

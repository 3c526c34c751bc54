//! Files that nobody else may read, and that are never overwritten.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes the file if there is none, 0600 from its first moment.
pub(super) fn ensure_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Reads a secret, unless others than its owner may read it as well.
pub(super) fn read_private(path: &Path) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read it: chmod 600"));
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(4096));
    io::Read::read_to_end(&mut io::Read::take(&mut file, 4096), &mut bytes)?;
    Ok(bytes)
}

/// A new file (0600) that appears under its name only when it is whole. Dropped before that, it leaves nothing.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    draft: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Makes the draft beside `path`, which must not exist: a wrong directory or name is told before
    /// anything else is done.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        Ok(Self { file, draft, path: path.into() })
    }

    /// Writes it, and gives it its name. Fails if somebody else took the name meanwhile.
    pub(super) fn finish(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.sync_all()?;
        renameat_with(CWD, &self.draft, CWD, &self.path, RenameFlags::NOREPLACE)?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `finish` there is no draft any more.
        let _ = std::fs::remove_file(&self.draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    #[test]
    fn a_new_file_appears_whole_and_private() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("phone.json");
        let file = NewFile::create(&path).unwrap();
        assert!(!path.exists());
        file.finish(b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("phone.json");
        let late = NewFile::create(&path).unwrap();
        std::fs::write(&path, b"mine").unwrap();
        assert_eq!(NewFile::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(late.finish(b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.voprf");
        std::fs::write(&path, b"secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_private(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_private(&path).unwrap().as_slice(), b"secret");
    }
}

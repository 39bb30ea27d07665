//! The data directory: what lies where in it, who may read it, and the lock
//! that keeps a second process out.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A data directory, which need not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// Held by the one process that uses the data.
#[derive(Debug)]
pub(crate) struct DataLock {
    /// Locked as long as it is open; none where the system lets nobody write.
    _file: Option<File>,
    /// What can be used in place of files that can't be written.
    copies: Option<Copies>,
}

/// A folder for its owner alone, removed when dropped.
#[derive(Debug)]
struct Copies(PathBuf);

impl Drop for Copies {
    fn drop(&mut self) {
        // What stays is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl DataLock {
    /// True when the data can be read only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.copies.is_some()
    }

    /// Domains, accounts and aliases of `data`; a copy where SQLite could not
    /// make the files that it needs beside the original.
    pub(crate) fn directory(&self, data: &DataDir) -> PathBuf {
        match &self.copies {
            Some(copies) => copies.0.join("directory.db"),
            None => data.directory(),
        }
    }
}

/// Why the data can't be used.
#[derive(Debug, Error)]
pub(crate) enum DataError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path} is in use by another mailserver (process {process}); stop it, or give this one \
         another data directory",
        path = path.display()
    )]
    InUse { path: PathBuf, process: String },
}

impl DataDir {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Mail, queue and events.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Domains, accounts and aliases.
    pub(crate) fn directory(&self) -> PathBuf {
        self.0.join("directory.db")
    }

    /// What the directory's secrets are encrypted with.
    pub(crate) fn directory_key(&self) -> PathBuf {
        self.0.join("directory.key")
    }

    /// What happened; `elsewhere` when the configuration says so.
    pub(crate) fn journal(&self, elsewhere: Option<&Path>) -> PathBuf {
        elsewhere.map_or_else(|| self.0.join("journal.db"), Path::to_owned)
    }

    /// Where the running server takes commands.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// The account and the certificates by ACME.
    pub(crate) fn acme(&self) -> PathBuf {
        self.0.join("acme")
    }

    /// The self-made certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    /// Its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// True when a server or `init` was here before.
    pub(crate) fn exists(&self) -> bool {
        self.directory().exists()
    }

    /// Makes the directory, for its owner alone.
    pub(crate) fn create(&self) -> Result<(), DataError> {
        let wrap = |source| self.error(&self.0, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(wrap)?;
        let mut permissions = std::fs::metadata(&self.0).map_err(wrap)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(0o700);
            std::fs::set_permissions(&self.0, permissions).map_err(wrap)?;
        }
        Ok(())
    }

    /// Makes the directory and locks it for this process. Data that the system
    /// does not let us write is used for reading.
    pub(crate) fn lock(&self) -> Result<DataLock, DataError> {
        match self.lock_to_write() {
            Err(DataError::Io { source, .. }) if self.exists() && is_read_only(&source) => {
                self.lock_to_read()
            }
            other => other,
        }
    }

    fn lock_to_write(&self) -> Result<DataLock, DataError> {
        self.create()?;
        let path = self.0.join("lock");
        let wrap = |source| self.error(&path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(wrap(source)),
            Err(TryLockError::WouldBlock) => return Err(self.in_use(&file)),
        }
        let named = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = named {
            // On a full disk: the lock holds without a name.
            tracing::warn!(%error, path = %path.display(), "the lock does not name this process");
        }
        Ok(DataLock {
            _file: Some(file),
            copies: None,
        })
    }

    fn lock_to_read(&self) -> Result<DataLock, DataError> {
        let path = self.0.join("lock");
        let file = match File::open(&path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Some(file),
                Err(TryLockError::Error(source)) => return Err(self.error(&path, source)),
                Err(TryLockError::WouldBlock) => return Err(self.in_use(&file)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(self.error(&path, source)),
        };
        let folder = std::env::temp_dir().join(format!("mailserver-{}", std::process::id()));
        let wrap = |source| self.error(&folder, source);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(wrap)?;
        let copies = Copies(folder.clone());
        for name in ["directory.db", "directory.db-wal"] {
            match std::fs::copy(self.0.join(name), folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrap(error)),
                _ => {}
            }
        }
        Ok(DataLock {
            _file: file,
            copies: Some(copies),
        })
    }

    fn in_use(&self, mut file: &File) -> DataError {
        let mut process = String::new();
        // Only a name for the message: without it, the message holds.
        let _ = file.read_to_string(&mut process);
        DataError::InUse {
            path: self.0.clone(),
            process: match process.trim() {
                "" => "unknown".to_owned(),
                named => named.to_owned(),
            },
        }
    }

    /// Writes a file that only its owner may read, replacing it as a whole.
    pub(crate) fn write_private(&self, path: &Path, octets: &[u8]) -> Result<(), DataError> {
        let wrap = |source| self.error(path, source);
        let part = path.with_extension("part");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(wrap)?;
        file.write_all(octets).map_err(wrap)?;
        file.sync_all().map_err(wrap)?;
        std::fs::rename(&part, path).map_err(wrap)
    }

    fn error(&self, path: &Path, source: io::Error) -> DataError {
        DataError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// True when the system forbids to write and will go on doing so.
fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(&folder.path().join("d"));
        let held = data.lock().unwrap();
        let error = data.lock().unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(held);
        data.lock().unwrap();
        let mode = std::fs::metadata(data.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

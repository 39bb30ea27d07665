//! [`AcmeStore`]: where the account and the certificates outlive the process.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

/// Keeps the account's key and the certificates' keys, which are secrets.
///
/// *Durability*: what was saved is there after a crash. *Atomicity*: a value is
/// the old one or the new one, never a part. *Names* are of letters, digits,
/// `-`, `_` and `.`, and don't begin with a dot.
#[async_trait]
pub trait AcmeStore: fmt::Debug + Send + Sync {
    /// What was saved under a name.
    ///
    /// # Errors
    /// It can't be told now.
    async fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Saves a value in place of the one before.
    ///
    /// # Errors
    /// It is not saved; the one before is still there.
    async fn save(&self, name: &str, value: Vec<u8>) -> io::Result<()>;
}

/// A folder that holds a file for each value, for its owner alone.
#[derive(Debug, Clone)]
pub struct AcmeFolder(PathBuf);

impl AcmeFolder {
    /// This folder, made when the first value is saved.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

#[async_trait]
impl AcmeStore for AcmeFolder {
    async fn load(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        let read = tokio::task::spawn_blocking(move || match std::fs::read(path) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        read.await.map_err(io::Error::other)?
    }

    async fn save(&self, name: &str, value: Vec<u8>) -> io::Result<()> {
        let (folder, name) = (self.0.clone(), name.to_owned());
        let write = tokio::task::spawn_blocking(move || write(&folder, &name, &value));
        write.await.map_err(io::Error::other)?
    }
}

fn write(folder: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    make(folder)?;
    let part = folder.join(format!(".{name}.part"));
    let mut file = private(&part)?;
    file.write_all(value)?;
    file.sync_all()?;
    std::fs::rename(&part, folder.join(name))?;
    // The name, too, must outlive a crash.
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn private(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

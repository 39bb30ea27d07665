//! The index of a store that can't be written: a copy of it in a directory for
//! temporary files, or else a database in memory, kept in step with the log at
//! the moment of opening.
//!
//! SQLite can't read a database in WAL mode where it may make no files beside
//! it, and a log that was not closed in order has more than the index.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::index::{IN_MEMORY, Index, is_damage};
use super::log::{LogDirectory, LogError, Lsn};
use super::replay::{Reach, Replayed, catch_up};
use super::store::OpenError;

/// Tells several stores of one process apart.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// An index of our own. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct WorkingCopy {
    /// Keeps a database in memory alive; closed before the folder goes.
    index: Index,
    path: PathBuf,
    _folder: Option<Folder>,
}

impl WorkingCopy {
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Where readers open it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A folder for its owner alone.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make(within: &Path) -> io::Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = within.join(format!("mailcore-{}-{number}", std::process::id()));
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a working copy of the index stays; remove it");
        }
    }
}

/// A name for a new database in memory.
pub(crate) fn in_memory() -> PathBuf {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(format!("{IN_MEMORY}/mailcore-{number}?vfs=memdb"))
}

/// Makes one from the index at `original`, within `work`.
///
/// # Errors
/// When the log can't be read, or not even memory takes the index.
pub(crate) fn open(
    original: &Path,
    work: &Path,
    directory: &LogDirectory,
) -> Result<(WorkingCopy, Replayed), OpenError> {
    match in_folder(original, work, directory) {
        Ok(opened) => Ok(opened),
        Err(Attempt::Log(error)) => Err(error.into()),
        Err(Attempt::Folder(error)) => {
            tracing::warn!(work = %work.display(), %error, "no room for a working copy of the index; it is built in memory");
            let path = in_memory();
            let wrong = |source| OpenError::Index {
                path: path.clone(),
                source,
            };
            let mut index = Index::open(&path, directory.store)
                .map_err(wrong)?
                .ok_or_else(|| wrong(rusqlite::Error::InvalidQuery))?;
            directory.settle(None)?;
            index
                .adopt(&directory.generations.compacted())
                .map_err(wrong)?;
            let replayed = catch_up(&mut index, directory, Reach::all(Lsn(0)))?;
            let _folder = None;
            Ok((
                WorkingCopy {
                    index,
                    path,
                    _folder,
                },
                replayed,
            ))
        }
    }
}

/// Why there is no copy in a folder.
enum Attempt {
    Log(LogError),
    Folder(Box<dyn std::error::Error>),
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Self {
        Self::Folder(Box::new(error))
    }
}

impl From<rusqlite::Error> for Attempt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Folder(Box::new(error))
    }
}

impl From<LogError> for Attempt {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

fn in_folder(
    original: &Path,
    work: &Path,
    directory: &LogDirectory,
) -> Result<(WorkingCopy, Replayed), Attempt> {
    let folder = Folder::make(work)?;
    let path = folder.0.join("index.db");
    for suffix in ["", "-wal"] {
        let from = with_suffix(original, suffix);
        match std::fs::copy(&from, with_suffix(&path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    if let Some(opened) = opened(&path, directory)? {
        let (index, replayed) = opened;
        let _folder = Some(folder);
        return Ok((
            WorkingCopy {
                index,
                path,
                _folder,
            },
            replayed,
        ));
    }
    // The index is of no use: the log alone.
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(with_suffix(&path, suffix)));
    }
    let (index, replayed) =
        opened(&path, directory)?.ok_or_else(|| Attempt::from(rusqlite::Error::InvalidQuery))?;
    let _folder = Some(folder);
    Ok((
        WorkingCopy {
            index,
            path,
            _folder,
        },
        replayed,
    ))
}

/// The index at `path` in step with the log; `None` when it can't be used.
fn opened(path: &Path, directory: &LogDirectory) -> Result<Option<(Index, Replayed)>, Attempt> {
    let Some(mut index) = Index::open(path, directory.store)? else {
        return Ok(None);
    };
    let word = index.word()?;
    if directory.settle(word.as_ref())?.is_none() {
        return Ok(None);
    }
    if word.is_none() {
        index.adopt(&directory.generations.compacted())?;
    }
    let vouched = Lsn(index.applied.next.0.saturating_sub(1));
    match catch_up(&mut index, directory, Reach::all(vouched)) {
        Ok(replayed) => Ok(Some((index, replayed))),
        Err(LogError::Apply(error)) if is_damage(&error.0) => Ok(None),
        Err(LogError::Apply(error)) => Err(error.0.into()),
        Err(error) => Err(Attempt::Log(error)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

//! Where the parts of a store lie in its directory.

use std::io;
use std::path::{Path, PathBuf};

use super::fs::FileSystem;
use super::index::IN_MEMORY;
use super::store::OpenError;
use super::working_copy;

/// The paths of a store's parts.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) extents: PathBuf,
    pub(crate) index: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            log: root.join("log"),
            extents: root.join("extents"),
            index: root.join("index.db"),
        }
    }

    /// The file that names the format.
    pub(crate) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    /// Where a check builds an index of its own: where the one in use lies.
    pub(crate) fn scratch(&self) -> PathBuf {
        match self.index.starts_with(IN_MEMORY) {
            true => working_copy::in_memory(),
            false => self.index.with_file_name("check.db"),
        }
    }

    pub(crate) fn make_directories(&self, files: &dyn FileSystem) -> Result<(), OpenError> {
        for directory in [&self.root, &self.log, &self.extents] {
            files
                .create_dir_all(directory)
                .map_err(|source| io_error(directory, source))?;
        }
        Ok(())
    }

    /// A damaged index is put aside under this name, for whoever wants to know.
    pub(crate) fn set_aside(&self) -> PathBuf {
        self.root.join("index.db.damaged")
    }
}

/// What the operating system said of a path.
pub(crate) fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

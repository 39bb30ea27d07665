//! The file-system seam under the log and the extents: [`FileSystem`] and
//! [`StoreFile`], with [`DiskFileSystem`] as the real one.
//!
//! It is as narrow as a crash test needs: every write, sync, rename and unlink
//! that durability rests on passes here, so that a test can fail or lose the
//! n-th of them. The SQLite index does not go through it: it is derived data.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Files hold mail: only the owner may read them.
const FILE_MODE: u32 = 0o600;

/// An open file, read and written by position, so that it can be shared.
pub trait StoreFile: Debug + Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends; returns the
    /// octets read.
    ///
    /// # Errors
    /// What the operating system reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `data` at `offset`. After an error any part of it may be
    /// in the file.
    ///
    /// # Errors
    /// What the operating system reports.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Returns once content and length are on stable storage (`fdatasync`).
    /// After an error the state of everything written since the last success
    /// is unknown for good: the caller must not sync again and believe it.
    ///
    /// # Errors
    /// What the operating system reports.
    fn sync_data(&self) -> io::Result<()>;

    /// The file's length in octets.
    ///
    /// # Errors
    /// What the operating system reports.
    fn len(&self) -> io::Result<u64>;

    /// True for a file without content.
    ///
    /// # Errors
    /// As [`StoreFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file off or extends it with zeros.
    ///
    /// # Errors
    /// What the operating system reports.
    fn set_len(&self, length: u64) -> io::Result<()>;
}

/// Names and directories.
pub trait FileSystem: Debug + Send + Sync {
    /// Makes a file that did not exist, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the operating system reports.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// What the operating system reports.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// What the operating system reports.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>>;

    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// What the operating system reports.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and those above it; an existing one is fine.
    ///
    /// # Errors
    /// What the operating system reports.
    fn create_dir_all(&self, directory: &Path) -> io::Result<()>;

    /// Returns once the directory's entries are on stable storage.
    ///
    /// # Errors
    /// What the operating system reports.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;

    /// Renames a file, replacing the target at once or not at all.
    ///
    /// # Errors
    /// What the operating system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// What the operating system reports.
    fn unlink(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFileSystem;

impl FileSystem for DiskFileSystem {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        Ok(Arc::new(DiskFile(
            OpenOptions::new().read(true).write(true).open(path)?,
        )))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        Ok(Arc::new(DiskFile(File::open(path)?)))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(directory)?;
        // A name that is not UTF-8 is none of ours.
        entries
            .map(|entry| entry.map(|it| it.file_name().into_string().ok()))
            .filter_map(Result::transpose)
            .collect()
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl StoreFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

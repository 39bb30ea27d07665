//! The file-system seam for stores: [`FileSystem`] and [`StoreFile`], with
//! `DiskFileSystem` as the real one (Unix).
//!
//! It is as narrow as a crash test needs: every write, sync, rename and unlink
//! that a store's promises rest on passes here, so that a test can fail or lose
//! the n-th of them (`mailcore::testing::disk`, with the feature
//! `testing`).
//! What a store can build anew from other files need not pass here.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(unix)]
mod disk;

#[cfg(unix)]
pub use disk::DiskFileSystem;

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

    /// Returns once content and length are on stable storage (`fdatasync`); the
    /// file's name is a matter of [`FileSystem::sync_dir`].
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

    /// Makes a directory and those above it; an existing one is fine. Unlike a
    /// file's, their names are durable when this returns.
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

    /// Gives an existing file a second name on the same file system.
    ///
    /// # Errors
    /// What the operating system reports; `Unsupported` where files have one
    /// name only, and unless implemented.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Octets that may still be written below a path, as far as is known.
    /// Without an implementation there is no end to them.
    ///
    /// # Errors
    /// What the operating system reports.
    fn available(&self, path: &Path) -> io::Result<u64> {
        let _ = path;
        Ok(u64::MAX)
    }

    /// Removes a file's name.
    ///
    /// # Errors
    /// What the operating system reports.
    fn unlink(&self, path: &Path) -> io::Result<()>;
}

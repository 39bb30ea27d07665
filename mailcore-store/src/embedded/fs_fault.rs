//! A file system for tests that fails the n-th operation durability rests on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fs::{DiskFileSystem, FileSystem, StoreFile};

/// Fails the operation whose number is set, once; counts from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyFileSystem {
    done: Arc<AtomicU64>,
    fail_at: Arc<AtomicU64>,
}

impl FaultyFileSystem {
    /// The n-th write, sync, creation, rename or unlink from now on fails.
    pub(crate) fn fail_nth(&self, n: u64) {
        self.done.store(0, Ordering::SeqCst);
        self.fail_at.store(n, Ordering::SeqCst);
    }

    /// Operations since then.
    pub(crate) fn count(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    fn step(&self) -> io::Result<()> {
        let n = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        match n == self.fail_at.load(Ordering::SeqCst) {
            true => Err(io::Error::other("fault put in by the test")),
            false => Ok(()),
        }
    }

    fn wrap(&self, file: Arc<dyn StoreFile>) -> Arc<dyn StoreFile> {
        Arc::new(FaultyFile {
            file,
            faults: self.clone(),
        })
    }
}

impl FileSystem for FaultyFileSystem {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        self.step()?;
        Ok(self.wrap(DiskFileSystem.create_new(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        Ok(self.wrap(DiskFileSystem.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StoreFile>> {
        DiskFileSystem.open_read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        DiskFileSystem.list(directory)
    }

    fn create_dir_all(&self, directory: &Path) -> io::Result<()> {
        DiskFileSystem.create_dir_all(directory)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        DiskFileSystem.sync_dir(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        DiskFileSystem.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        DiskFileSystem.hard_link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        DiskFileSystem.unlink(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn StoreFile>,
    faults: FaultyFileSystem,
}

impl StoreFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// A failing write writes half of its data first, as a full disk would.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.faults.step().inspect_err(|_| {
            drop(self.file.write_all_at(&data[..data.len() / 2], offset));
        })?;
        self.file.write_all_at(data, offset)
    }

    /// A failing sync leaves everything readable, as the page cache does.
    fn sync_data(&self) -> io::Result<()> {
        self.faults.step()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

//! Extents: files of their own for bodies too large for the log's batches,
//! written as they arrive and synced before the batch that refers to them.
//!
//! A batch holds an extent's number, length and hash. An extent that no batch
//! came to name is swept: when it is dropped, or at the next start.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{BufMut, Bytes, BytesMut};
use mailcore::seams::StoreError;

use super::super::fs::{FileSystem, StoreFile};
use super::super::log::{BLOCK, FORMAT, FrameHeader, FrameKind, HEADER_LEN, StoreId, push};

/// Octets of an extent's header; its first block follows.
pub(crate) const EXTENT_HEADER: u64 = 64;
/// Files made ahead, so that one sync of the directory serves many bodies.
const MADE_AHEAD: usize = 16;
const MAGIC: &[u8; 8] = b"MCEXTENT";

/// An extent's number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExtentId(pub(crate) u64);

impl ExtentId {
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{:016x}.ext", self.0))
    }

    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".ext").filter(|it| it.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

/// The directory of extents.
pub(crate) struct Extents {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    store: StoreId,
    next: AtomicU64,
    ready: Mutex<Vec<(ExtentId, Arc<dyn StoreFile>)>>,
    /// Finished and not yet swept, by number.
    staged: Mutex<HashMap<ExtentId, Weak<Staged>>>,
}

impl fmt::Debug for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn io_error(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly(format!("{}: {error}", path.display()))
        }
        _ => StoreError::io(format!("writing {}", path.display()), error),
    }
}

impl Extents {
    /// Takes the directory over: `known` tells which extents are referred to,
    /// all others are removed.
    ///
    /// # Errors
    /// What the operating system reports.
    pub(crate) fn open(
        files: Arc<dyn FileSystem>,
        path: PathBuf,
        store: StoreId,
        known: &dyn Fn(ExtentId) -> bool,
    ) -> io::Result<Self> {
        let mut last = 0;
        for id in files
            .list(&path)?
            .iter()
            .filter_map(|name| ExtentId::from_file_name(name))
        {
            last = last.max(id.0);
            if !known(id) {
                files.unlink(&id.path(&path))?;
            }
        }
        let next = AtomicU64::new(last + 1);
        Ok(Self {
            files,
            path,
            store,
            next,
            ready: Mutex::default(),
            staged: Mutex::default(),
        })
    }

    /// Whose they are.
    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// A file for a new extent, its name already durable. Blocks the thread.
    fn take(&self) -> Result<(ExtentId, Arc<dyn StoreFile>), StoreError> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = ready.pop() {
            return Ok(file);
        }
        let mut made = Vec::with_capacity(MADE_AHEAD);
        for _ in 0..MADE_AHEAD {
            let id = ExtentId(self.next.fetch_add(1, Ordering::Relaxed));
            let path = id.path(&self.path);
            made.push((
                id,
                self.files
                    .create_new(&path)
                    .map_err(|error| io_error(&path, error))?,
            ));
        }
        self.files
            .sync_dir(&self.path)
            .map_err(|error| io_error(&self.path, error))?;
        let first = made
            .pop()
            .ok_or(StoreError::Unavailable("no extent could be made"))?;
        *ready = made;
        Ok(first)
    }

    /// A finished extent by number.
    pub(crate) fn staged(&self, id: ExtentId) -> Option<Arc<Staged>> {
        self.staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)?
            .upgrade()
    }

    /// Removes the files made ahead and not used.
    pub(crate) fn close(&self) {
        let ready = std::mem::take(&mut *self.ready.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, _) in ready {
            self.remove(id);
        }
    }

    fn remove(&self, id: ExtentId) {
        let path = id.path(&self.path);
        if let Err(error) = self.files.unlink(&path) {
            tracing::warn!(path = %path.display(), %error, "an unused extent stays; the next start sweeps it");
        }
    }

    fn header(&self, id: ExtentId) -> Vec<u8> {
        let mut out = Vec::with_capacity(EXTENT_HEADER as usize);
        out.put_slice(MAGIC);
        out.put_u32_le(FORMAT);
        out.put_u32_le(EXTENT_HEADER as u32);
        out.put_slice(&self.store.0);
        out.put_u64_le(id.0);
        out.resize(EXTENT_HEADER as usize - 4, 0);
        out.put_u32_le(crc32c::crc32c(&out));
        out
    }
}

/// A finished extent that a batch may name.
#[derive(Debug)]
pub(crate) struct Staged {
    extents: Arc<Extents>,
    id: ExtentId,
    length: u64,
    hash: [u8; 32],
    committed: AtomicBool,
}

impl Staged {
    pub(crate) fn id(&self) -> ExtentId {
        self.id
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// A batch is about to name it: from here on it is the log's.
    pub(crate) fn keep(&self) {
        self.committed.store(true, Ordering::Release);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.extents
            .staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        if !self.committed.load(Ordering::Acquire) {
            self.extents.remove(self.id);
        }
    }
}

/// An extent being written. Its methods block the thread.
#[derive(Debug)]
pub(crate) struct ExtentWriter {
    extents: Arc<Extents>,
    id: ExtentId,
    file: Option<Arc<dyn StoreFile>>,
    hash: blake3::Hasher,
    length: u64,
    blocks: u32,
    end: u64,
}

impl ExtentWriter {
    /// Begins an extent.
    ///
    /// # Errors
    /// What the operating system reports.
    pub(crate) fn begin(extents: &Arc<Extents>) -> Result<Self, StoreError> {
        let (id, file) = extents.take()?;
        let writer = Self {
            extents: Arc::clone(extents),
            id,
            file: Some(file),
            hash: blake3::Hasher::new(),
            length: 0,
            blocks: 0,
            end: EXTENT_HEADER,
        };
        writer.write_at(&extents.header(id), 0)?;
        Ok(writer)
    }

    fn write_at(&self, octets: &[u8], offset: u64) -> Result<(), StoreError> {
        let file = self
            .file
            .as_ref()
            .ok_or(StoreError::Unavailable("the extent is finished"))?;
        file.write_all_at(octets, offset)
            .map_err(|error| io_error(&self.id.path(&self.extents.path), error))
    }

    /// Writes whole blocks; only the last call may end with a shorter one.
    ///
    /// # Errors
    /// What the operating system reports.
    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.hash.update(octets);
        let mut out =
            Vec::with_capacity(octets.len() + (octets.len() / BLOCK + 1) * (HEADER_LEN + 8));
        for block in octets.chunks(BLOCK) {
            let header = FrameHeader {
                file_id: self.id.0,
                index: self.blocks,
                ..FrameHeader::plain(FrameKind::Extent, block)
            };
            push(self.extents.store, &header, block, &mut out);
            self.blocks += 1;
        }
        self.write_at(&out, self.end)?;
        self.end += out.len() as u64;
        self.length += octets.len() as u64;
        Ok(())
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// What the operating system reports; the extent is then gone.
    pub(crate) fn finish(mut self) -> Result<Arc<Staged>, StoreError> {
        let file = self
            .file
            .as_ref()
            .ok_or(StoreError::Unavailable("the extent is finished"))?;
        file.sync_data()
            .map_err(|error| io_error(&self.id.path(&self.extents.path), error))?;
        self.file = None;
        let staged = Arc::new(Staged {
            extents: Arc::clone(&self.extents),
            id: self.id,
            length: self.length,
            hash: *self.hash.finalize().as_bytes(),
            committed: AtomicBool::new(false),
        });
        let mut known = self
            .extents
            .staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.insert(self.id, Arc::downgrade(&staged));
        drop(known);
        Ok(staged)
    }
}

impl Drop for ExtentWriter {
    /// Cut off or failed: the file is of no use.
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.extents.remove(self.id);
        }
    }
}

/// Collects octets into runs of whole blocks.
#[derive(Debug, Default)]
pub(crate) struct Blocks(BytesMut);

impl Blocks {
    pub(crate) fn add(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// All whole blocks, when there are at least `blocks` of them.
    pub(crate) fn take_whole(&mut self, blocks: usize) -> Option<Bytes> {
        let whole = self.0.len() / BLOCK * BLOCK;
        (whole >= blocks * BLOCK).then(|| self.0.split_to(whole).freeze())
    }

    /// Everything.
    pub(crate) fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}

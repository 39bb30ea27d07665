//! Message bodies: reading them back from the log and from extents, never a
//! wrong octet.
//!
//! Small bodies are written by the log itself; large ones by [`extent`].

pub(crate) mod extent;
pub(crate) mod gather;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use mailcore::message::{Blob, BlobKey};
use mailcore::seams::StoreError;
use rusqlite::OpenFlags;

use super::fs::{FileSystem, StoreFile};
use super::index::read::{self, BodyRow};
use super::index::{IN_EXTENT, LOST, connect};
use super::log::{BLOCK, FrameHeader, FrameKind, HEADER_LEN, Lsn, SegmentFile, SegmentId, StoreId};
use extent::{EXTENT_HEADER, ExtentId};

/// Body ids from here on name extents; below they are counted.
pub(crate) const EXTENT_BODIES: u64 = 1 << 62;
/// Octets read from an extent at a time.
const READ_AHEAD: usize = 4 * BLOCK;
/// Open files held for reading.
const MAX_OPEN: usize = 128;

/// Where a body's octets lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPlace {
    /// In one frame of a segment.
    Frame {
        file: SegmentFile,
        offset: u64,
        lsn: Lsn,
    },
    /// In an extent file.
    Extent(ExtentId),
    /// Its frame was damaged when the index was built.
    Lost,
}

impl BodyPlace {
    pub(crate) fn of(row: &BodyRow) -> Self {
        match row.segment {
            LOST => Self::Lost,
            IN_EXTENT => Self::Extent(ExtentId(row.place)),
            segment => Self::Frame {
                file: SegmentId(u64::try_from(segment).unwrap_or(0)).file(row.generation),
                offset: row.place,
                lsn: Lsn(row.lsn),
            },
        }
    }
}

/// Reads bodies, with their files kept open.
pub(crate) struct Bodies {
    files: Arc<dyn FileSystem>,
    log: PathBuf,
    extents: PathBuf,
    store: StoreId,
    /// Asked again when a file is gone: compaction may have moved the body.
    index: PathBuf,
    open: Mutex<HashMap<PathBuf, Arc<dyn StoreFile>>>,
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl Bodies {
    pub(crate) fn new(
        files: Arc<dyn FileSystem>,
        log: PathBuf,
        extents: PathBuf,
        store: StoreId,
        index: PathBuf,
    ) -> Self {
        Self {
            files,
            log,
            extents,
            store,
            index,
            open: Mutex::default(),
        }
    }

    fn path(&self, place: BodyPlace) -> Result<PathBuf, StoreError> {
        match place {
            BodyPlace::Lost => Err(StoreError::Damaged("the message's content is lost".into())),
            BodyPlace::Frame { file, .. } => Ok(file.path(&self.log)),
            BodyPlace::Extent(extent) => Ok(extent.path(&self.extents)),
        }
    }

    /// The file at `path`; `None` when there is none.
    fn file(&self, path: &Path) -> Result<Option<Arc<dyn StoreFile>>, StoreError> {
        // Held while opening: what is let go of after its name is gone cannot
        // come in again.
        let mut open = lock(&self.open);
        if let Some(file) = open.get(path) {
            return Ok(Some(Arc::clone(file)));
        }
        let file = match self.files.open_read(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(StoreError::io(format!("opening {}", path.display()), error));
            }
        };
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(path.to_owned(), Arc::clone(&file));
        Ok(Some(file))
    }

    /// Closes a file that lost its name, so that its space is free once nobody
    /// reads it.
    pub(crate) fn let_go(&self, path: &Path) {
        lock(&self.open).remove(path);
    }

    /// Where the index says a body lies now.
    fn locate(&self, id: u64) -> Option<BodyPlace> {
        let conn = connect(&self.index, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
        let row = read::body(&conn, id).ok()??;
        Some(BodyPlace::of(&row))
    }

    /// Octets from `start` on: at least up to `end`, cut to the body's length,
    /// and as many more as come in the same blocks. Blocks the thread.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a block does not match its checksum.
    pub(crate) fn read(
        &self,
        place: BodyPlace,
        length: u64,
        range: Range<u64>,
    ) -> Result<Chunk, StoreError> {
        let path = self.path(place)?;
        let file = self.file(&path)?.ok_or_else(|| missing(&path))?;
        self.read_in(&*file, place, length, range)
    }

    /// As [`Bodies::read`], in a file that is open.
    fn read_in(
        &self,
        file: &dyn StoreFile,
        place: BodyPlace,
        length: u64,
        range: Range<u64>,
    ) -> Result<Chunk, StoreError> {
        let path = self.path(place)?;
        match place {
            BodyPlace::Frame {
                file: segment,
                offset,
                lsn,
            } => {
                let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(BLOCK);
                let octets = read_octets(file, HEADER_LEN + wanted, offset, &path)?;
                let block = self.block(
                    &octets,
                    (FrameKind::Body, segment.id.0),
                    Within::Group(lsn),
                    wanted,
                );
                let octets = block.ok_or_else(|| damaged(&path, offset))?;
                Ok(Chunk { start: 0, octets })
            }
            BodyPlace::Extent(extent) => self.read_extent((file, extent), length, range),
            BodyPlace::Lost => Err(missing(&path)),
        }
    }

    /// The octets of `range`, which lies within the body. Blocks the thread.
    ///
    /// # Errors
    /// As [`Bodies::read`].
    pub(crate) fn read_exact(
        &self,
        place: BodyPlace,
        length: u64,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        self.read(place, length, range.clone())?
            .slice(&range)
            .ok_or(StoreError::NotFound)
    }

    fn read_extent(
        &self,
        (file, extent): (&dyn StoreFile, ExtentId),
        length: u64,
        range: Range<u64>,
    ) -> Result<Chunk, StoreError> {
        let block = BLOCK as u64;
        let path = extent.path(&self.extents);
        let first = range.start / block;
        let last = range
            .end
            .max(range.start + 1)
            .min(length)
            .div_ceil(block)
            .max(first + 1);
        let mut gathered = BytesMut::new();
        let step = HEADER_LEN + BLOCK;
        let mut number = first;
        while number < last {
            let count = usize::try_from(last - number)
                .unwrap_or(usize::MAX)
                .min(READ_AHEAD / BLOCK);
            let offset = EXTENT_HEADER + number * step as u64;
            let octets = read_octets(file, count * step, offset, &path)?;
            for at in 0..count {
                let left = length.saturating_sub(number * block);
                let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
                let within = Within::Extent(number);
                let start = (at * step).min(octets.len());
                let end = (start + HEADER_LEN + wanted).min(octets.len());
                let frame = octets.slice(start..end);
                let sound = self.block(&frame, (FrameKind::Extent, extent.0), within, wanted);
                gathered.extend_from_slice(&sound.ok_or_else(|| damaged(&path, offset))?);
                number += 1;
            }
        }
        Ok(Chunk {
            start: first * block,
            octets: gathered.freeze(),
        })
    }

    /// The payload of a sound frame of this file, place and length.
    fn block(
        &self,
        frame: &Bytes,
        of: (FrameKind, u64),
        within: Within,
        length: usize,
    ) -> Option<Bytes> {
        self.payload(frame, of, within, length)?;
        Some(frame.slice(HEADER_LEN..HEADER_LEN + length))
    }

    /// As [`Bodies::block`], of octets that are borrowed.
    fn payload<'f>(
        &self,
        frame: &'f [u8],
        (kind, file_id): (FrameKind, u64),
        within: Within,
        length: usize,
    ) -> Option<&'f [u8]> {
        let header = FrameHeader::decode(self.store, frame).ok()?;
        let right = header.kind == kind
            && header.file_id == file_id
            && match within {
                Within::Group(lsn) => header.lsn == lsn,
                Within::Extent(number) => u64::from(header.index) == number,
            }
            && header.plain_len as usize == length;
        let payload = frame.get(HEADER_LEN..HEADER_LEN + length)?;
        (right && header.verify(payload).is_ok()).then_some(payload)
    }
}

/// Which frame of its file is wanted.
#[derive(Debug, Clone, Copy)]
enum Within {
    Group(Lsn),
    Extent(u64),
}

fn read_octets(
    file: &dyn StoreFile,
    length: usize,
    offset: u64,
    path: &Path,
) -> Result<Bytes, StoreError> {
    let mut octets = vec![0; length];
    let filled = file
        .read_at(&mut octets, offset)
        .map_err(|error| StoreError::io(format!("reading {}", path.display()), error))?;
    octets.truncate(filled);
    Ok(Bytes::from(octets))
}

fn missing(path: &Path) -> StoreError {
    StoreError::Damaged(format!("{} is missing", path.display()))
}

fn damaged(path: &Path, offset: u64) -> StoreError {
    StoreError::Damaged(format!(
        "content in {} at {offset} does not match its checksum",
        path.display()
    ))
}

/// Octets of a body and where they start in it.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    start: u64,
    octets: Bytes,
}

impl Chunk {
    /// The octets of `range`, when all of them are here.
    fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        (start <= end && end <= self.octets.len()).then(|| self.octets.slice(start..end))
    }
}

/// A body as mailcore holds it.
#[derive(Debug)]
pub(crate) struct StoredBody {
    bodies: Arc<Bodies>,
    key: BlobKey,
    length: u64,
    held: Arc<Mutex<Held>>,
    /// What was read last: the next range mostly lies in it.
    ahead: Mutex<Option<Chunk>>,
    /// Keeps a staged extent from being swept.
    _staged: Option<Arc<extent::Staged>>,
}

/// Where a body lies, as far as its handle knows.
#[derive(Debug, Clone)]
struct Held {
    id: u64,
    place: BodyPlace,
    /// Keeps the octets there when the file loses its name.
    file: Option<Arc<dyn StoreFile>>,
}

impl Held {
    /// The file the body is in, wherever compaction has put it since the handle
    /// was made.
    fn open(&mut self, bodies: &Bodies) -> Result<Arc<dyn StoreFile>, StoreError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        loop {
            let path = bodies.path(self.place)?;
            if let Some(file) = bodies.file(&path)? {
                return Ok(file);
            }
            match bodies.locate(self.id) {
                Some(place) if place != self.place => self.place = place,
                _ => return Err(missing(&path)),
            }
        }
    }
}

impl StoredBody {
    pub(crate) fn new(
        bodies: Arc<Bodies>,
        (key, id): (BlobKey, u64),
        place: BodyPlace,
        length: u64,
    ) -> Self {
        let file = None;
        Self {
            bodies,
            key,
            length,
            held: Arc::new(Mutex::new(Held { id, place, file })),
            ahead: Mutex::new(None),
            _staged: None,
        }
    }

    pub(crate) fn staged(
        bodies: Arc<Bodies>,
        key: (BlobKey, u64),
        staged: Arc<extent::Staged>,
    ) -> Self {
        let (place, length) = (BodyPlace::Extent(staged.id()), staged.length());
        Self {
            _staged: Some(staged),
            ..Self::new(bodies, key, place, length)
        }
    }

    /// Opens the body's file, so that it stays readable through this handle
    /// when the message is expunged, and takes a body that lies in one frame
    /// into memory. Blocks the thread. A failure shows when the octets are
    /// asked for.
    pub(crate) fn hold(&self) {
        let mut held = lock(&self.held);
        let Ok(file) = held.open(&self.bodies) else {
            return;
        };
        held.file = Some(Arc::clone(&file));
        if let BodyPlace::Frame { .. } = held.place
            && let Ok(chunk) = self
                .bodies
                .read_in(&*file, held.place, self.length, 0..self.length)
        {
            // All of it is here: the file is of no more use.
            held.file = None;
            *lock(&self.ahead) = Some(chunk);
        }
    }

    fn ahead(&self, range: &Range<u64>) -> Option<Bytes> {
        lock(&self.ahead)
            .as_ref()
            .and_then(|chunk| chunk.slice(range))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Blob for StoredBody {
    fn key(&self) -> BlobKey {
        self.key
    }

    fn len(&self) -> u64 {
        self.length
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let range = range.start.min(self.length)..range.end.min(self.length);
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        if let Some(octets) = self.ahead(&range) {
            return Ok(octets);
        }
        let (bodies, held, length) = (
            Arc::clone(&self.bodies),
            Arc::clone(&self.held),
            self.length,
        );
        // A whole read-ahead from here, or what was asked for if that is more.
        let end = range
            .end
            .max(range.start.saturating_add(READ_AHEAD as u64))
            .min(length);
        let ahead = range.start..end;
        let job = move || {
            let (file, place) = {
                let mut held = lock(&held);
                (held.open(&bodies)?, held.place)
            };
            bodies.read_in(&*file, place, length, ahead)
        };
        let chunk = tokio::task::spawn_blocking(job)
            .await
            .map_err(|_| StoreError::Unavailable("the runtime is shutting down"))??;
        let octets = chunk.slice(&range).ok_or(StoreError::NotFound)?;
        *lock(&self.ahead) = Some(chunk);
        Ok(octets)
    }
}

//! Appending to the log: groups are gathered in memory, written with one write
//! and made durable with one sync.
//!
//! A file whose write or sync failed is never written again: it is sealed at
//! its last synced group, and the next segment's header names that end.

use std::io;
use std::sync::Arc;

use super::directory::{LogDirectory, LogError, Place, Tail};
use super::frame::{self, FrameHeader, FrameKind, Lsn};
use super::segment::{FORMAT, SEGMENT_HEADER, SegmentHeader, SegmentId};
use crate::embedded::fs::StoreFile;

/// Sizes of the log's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// A segment is ended when it has reached this many octets; its last group
    /// may pass them.
    pub segment_size: u64,
    /// Zeros are written this many octets ahead, so that a sync need not also
    /// write the file's new length and block list.
    pub zero_fill: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_size: 64 << 20,
            zero_fill: 4 << 20,
        }
    }
}

/// The log's end, owned by the writer thread.
#[derive(Debug)]
pub(crate) struct LogWriter {
    directory: LogDirectory,
    options: LogOptions,
    file: Arc<dyn StoreFile>,
    segment: SegmentId,
    /// The greatest segment number ever tried.
    last_id: SegmentId,
    /// Where the next group to be flushed starts; all before is synced.
    end: u64,
    /// The file holds frames or zeros up to here.
    filled: u64,
    synced: Lsn,
    /// Groups gathered since the last flush.
    buffer: Vec<u8>,
    gathered: u64,
    /// The file had a failed write or sync and must not be used again.
    broken: bool,
}

/// The gathered octets kept allocated between flushes.
const BUFFER_KEPT: usize = 4 << 20;

impl LogWriter {
    /// Goes on at `tail`, or starts the first segment. What is before `tail` was
    /// [secured](LogDirectory::secure).
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) fn open(
        directory: LogDirectory,
        options: LogOptions,
        tail: Tail,
    ) -> Result<Self, LogError> {
        let synced = Lsn(tail.place.next.0.saturating_sub(1));
        let path = tail.place.segment.path(&directory.path);
        let file = match directory.files.open(&path) {
            Ok(file) => file,
            // A new log, or one whose last segment was taken away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::begin(directory, options, tail, synced);
            }
            Err(source) => return Err(LogError::io(&path, source)),
        };
        let filled = file.len().map_err(|source| LogError::io(&path, source))?;
        let mut writer = Self::at(directory, options, file, tail.place.segment, synced);
        writer.end = tail.place.offset;
        writer.filled = filled.max(tail.place.offset);
        writer.last_id = tail.last_id;
        let newest = writer.directory.newest_header()?;
        // What a segment of an older format holds is of that format, and may be
        // the one file of a copy that was kept.
        let old = newest.is_none_or(|it| it.id != writer.segment || it.format < FORMAT);
        if tail.torn > 0 || old || tail.place.offset >= options.segment_size {
            // The torn octets are left in place: they are evidence.
            writer.start_segment()?;
        }
        Ok(writer)
    }

    /// A new segment where there is none to go on in.
    fn begin(
        directory: LogDirectory,
        options: LogOptions,
        tail: Tail,
        synced: Lsn,
    ) -> Result<Self, LogError> {
        let header = SegmentHeader {
            store: directory.store,
            id: tail.last_id.max(tail.place.segment).next(),
            first_lsn: tail.place.next,
            previous: tail.place.segment,
            previous_end: tail.place.offset,
            compacted: None,
        };
        let (file, filled) = create(&directory, options, &header)?;
        Ok(Self {
            filled,
            ..Self::at(directory, options, file, header.id, synced)
        })
    }

    fn at(
        directory: LogDirectory,
        options: LogOptions,
        file: Arc<dyn StoreFile>,
        segment: SegmentId,
        synced: Lsn,
    ) -> Self {
        Self {
            directory,
            options,
            file,
            segment,
            last_id: segment,
            end: SEGMENT_HEADER,
            filled: SEGMENT_HEADER,
            synced,
            buffer: Vec::new(),
            gathered: 0,
            broken: false,
        }
    }

    /// Where the next group would go.
    pub(crate) fn place(&self) -> Place {
        Place {
            segment: self.segment,
            offset: self.end + self.buffer.len() as u64,
            next: Lsn(self.synced.0 + self.gathered + 1),
        }
    }

    /// The last group on stable storage.
    pub(crate) fn synced(&self) -> Lsn {
        self.synced
    }

    /// True when the segment has its size and should be rolled before more is
    /// pushed. The last group may pass the size.
    pub(crate) fn is_full(&self) -> bool {
        self.place().offset >= self.options.segment_size
    }

    /// Gathers a group: bodies of at most [`frame::BLOCK`] octets each, a record of at most
    /// [`frame::MAX_PAYLOAD`].
    pub(crate) fn push(&mut self, bodies: &[bytes::Bytes], record: &[u8]) {
        let lsn = self.place().next;
        let mut index = 0;
        for body in bodies {
            self.frame(FrameKind::Body, lsn, index, body);
            index += 1;
        }
        self.frame(FrameKind::Record, lsn, index, record);
        self.gathered += 1;
    }

    fn frame(&mut self, kind: FrameKind, lsn: Lsn, index: u32, payload: &[u8]) {
        let header = FrameHeader {
            file_id: self.segment.0,
            lsn,
            index,
            synced: self.synced,
            ..FrameHeader::plain(kind, payload)
        };
        frame::push(self.directory.store, &header, payload, &mut self.buffer);
    }

    /// Drops what was gathered.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
        self.gathered = 0;
    }

    /// Makes what was gathered durable.
    ///
    /// # Errors
    /// Nothing of it counts then, now or after a restart; the log stays usable
    /// unless no new segment can be made, which [`LogWriter::recover`] retries.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        if self.gathered == 0 {
            return Ok(());
        }
        let result = self.flush_gathered();
        match &result {
            Ok(()) => {
                self.end += self.buffer.len() as u64;
                self.filled = self.filled.max(self.end);
                self.synced = Lsn(self.synced.0 + self.gathered);
            }
            Err(_) if self.broken => {
                // The refused groups may lie in the file; this end says that
                // they do not count.
                self.discard();
                if let Err(error) = self.start_segment() {
                    tracing::error!(%error, "no new segment can be made; the store takes no changes");
                }
            }
            Err(_) => {}
        }
        self.discard();
        self.buffer.shrink_to(BUFFER_KEPT);
        result
    }

    fn flush_gathered(&mut self) -> Result<(), LogError> {
        let path = self.segment.path(&self.directory.path);
        let fail = |source| LogError::io(&path, source);
        if self.broken {
            return Err(fail(io::Error::other(
                "an earlier write failed and no new segment could be made",
            )));
        }
        let end = self.end + self.buffer.len() as u64;
        if end > self.filled {
            // Nothing but zeros is at stake here, so a full disk breaks nothing.
            let ahead = (end + self.options.zero_fill).min(self.options.segment_size.max(end));
            self.filled = self.fill(ahead).or_else(|_| self.fill(end)).map_err(fail)?;
        }
        let written = self
            .file
            .write_all_at(&self.buffer, self.end)
            .and_then(|()| self.file.sync_data());
        self.broken = written.is_err();
        written.map_err(fail)
    }

    /// Fills with zeros up to `target`, or leaves the file as it was.
    fn fill(&self, target: u64) -> io::Result<u64> {
        zero_fill(&*self.file, self.filled, target).inspect_err(|_| {
            // What was filled in part may be all the space there is.
            drop(self.file.set_len(self.filled));
        })?;
        Ok(target)
    }

    /// Ends this segment and starts the next one. Nothing may be gathered.
    ///
    /// # Errors
    /// [`LogError`]; this segment stays the current one.
    pub(crate) fn roll(&mut self) -> Result<(), LogError> {
        let old = self.start_segment()?;
        // Gives the zeros back. The end stands in the new header, so this need
        // be neither done nor durable.
        drop(old.0.set_len(old.1));
        Ok(())
    }

    /// Makes the log writable again after a failed write, when it was not
    /// possible at once.
    ///
    /// # Errors
    /// [`LogError`]; the log takes no groups.
    pub(crate) fn recover(&mut self) -> Result<(), LogError> {
        match self.broken {
            true => self.start_segment().map(drop),
            false => Ok(()),
        }
    }

    /// The file and the end of the segment that was the current one.
    fn start_segment(&mut self) -> Result<(Arc<dyn StoreFile>, u64), LogError> {
        self.last_id = self.last_id.next();
        let header = SegmentHeader {
            store: self.directory.store,
            id: self.last_id,
            first_lsn: self.synced.next(),
            previous: self.segment,
            previous_end: self.end,
            compacted: None,
        };
        let (file, filled) = create(&self.directory, self.options, &header)?;
        let old = (std::mem::replace(&mut self.file, file), self.end);
        self.segment = header.id;
        self.end = SEGMENT_HEADER;
        self.filled = filled;
        self.broken = false;
        Ok(old)
    }
}

/// A segment with its header, file and directory entry on stable storage.
fn create(
    directory: &LogDirectory,
    options: LogOptions,
    header: &SegmentHeader,
) -> Result<(Arc<dyn StoreFile>, u64), LogError> {
    let path = header.id.path(&directory.path);
    let make = || {
        let file = directory.files.create_new(&path)?;
        let filled = (SEGMENT_HEADER + options.zero_fill)
            .min(options.segment_size)
            .max(SEGMENT_HEADER);
        file.write_all_at(&header.encode(), 0)?;
        zero_fill(&*file, SEGMENT_HEADER, filled)?;
        file.sync_data()?;
        directory.files.sync_dir(&directory.path)?;
        Ok((file, filled))
    };
    make().map_err(|source| {
        // A name left behind is void by its number; this only tidies up.
        drop(directory.files.unlink(&path));
        LogError::io(&path, source)
    })
}

fn zero_fill(file: &dyn StoreFile, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        file.write_all_at(ZEROS.get(..length).unwrap_or(&ZEROS), at)?;
        at += length as u64;
    }
    Ok(())
}

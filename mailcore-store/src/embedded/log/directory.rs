//! The log as a whole: which segments count, in which order, up to where.
//!
//! Reads only. Appending is [`super::writer`]'s, one segment's frames are
//! [`super::reader`]'s.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::frame::{Lsn, StoreId};
use super::generations::Generations;
use super::reader::{Damage, Extent, Item, Loss, Range, read_segment};
use super::scan::{Scanner, Spot};
use super::segment::{
    SEGMENT_HEADER, SegmentError, SegmentFile, SegmentHeader, SegmentId, format_of,
};
use crate::embedded::fs::{FileSystem, StoreFile};

/// Why the log cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused.
    #[error("{path}: {source}; check the disk and the file's permissions")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The log was written by a newer version.
    #[error("{path}: {source}; use the version that wrote this store, or a later one")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// What was found.
        source: io::Error,
    },
    /// A segment belongs to another store.
    #[error("{0}: this segment belongs to another store; move it out of the directory")]
    Foreign(PathBuf),
    /// The index could not take what the log holds.
    #[error("applying the log: {0}")]
    Apply(#[source] IndexFault),
    /// A record has the right checksum and no meaning.
    #[error("record {0} cannot be read; use the version that wrote this store, or a later one")]
    Record(Lsn),
}

/// What SQLite said of the index. It is opaque, so that another version of it is
/// no matter for those who match on a [`LogError`].
#[derive(Debug, Error)]
#[error(transparent)]
pub struct IndexFault(pub(crate) rusqlite::Error);

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Apply(IndexFault(error))
    }
}

impl LogError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::Unsupported => Self::Newer { path, source },
            _ => Self::Io { path, source },
        }
    }
}

impl From<io::Error> for LogError {
    fn from(source: io::Error) -> Self {
        Self::io(Path::new("log"), source)
    }
}

/// A place between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: SegmentId,
    pub(crate) offset: u64,
    /// The group that starts there.
    pub(crate) next: Lsn,
}

impl Place {
    /// Before the first group of a new log.
    pub(crate) const START: Self = Self {
        segment: SegmentId(0),
        offset: SEGMENT_HEADER,
        next: Lsn(1),
    };
}

/// Where the log ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) place: Place,
    /// Octets of unfinished groups behind the end.
    pub(crate) torn: u64,
    /// The greatest segment number in the directory, void ones included.
    pub(crate) last_id: SegmentId,
}

/// What the last sound segment header says of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewestHeader {
    pub(crate) id: SegmentId,
    pub(crate) store: StoreId,
    pub(crate) format: u32,
}

/// The directory of segments.
#[derive(Debug, Clone)]
pub(crate) struct LogDirectory {
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) path: PathBuf,
    pub(crate) store: StoreId,
    /// Which file of each segment counts.
    pub(crate) generations: Generations,
}

/// A segment that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) file: SegmentFile,
    pub(crate) extent: Extent,
    /// The first group in it.
    pub(crate) first: Lsn,
    /// In a compacted segment the last group it stands for.
    pub(crate) last: Option<Lsn>,
    /// Its header, unless that is damaged.
    pub(crate) header: Option<SegmentHeader>,
}

impl Part {
    pub(crate) fn id(&self) -> SegmentId {
        self.file.id
    }
}

impl LogDirectory {
    /// Reads every group from `from` on, handing groups and damage to `visit`
    /// in order. Groups up to `vouched` are known to have been synced.
    ///
    /// # Errors
    /// [`LogError`], or what `visit` returns.
    pub(crate) fn replay(
        &self,
        from: Place,
        vouched: Lsn,
        visit: &mut dyn FnMut(Item) -> Result<(), LogError>,
    ) -> Result<Tail, LogError> {
        let files = self.segments()?;
        let last_id = files.last().map(|it| it.id).unwrap_or_default();
        let mut place = from;
        let mut torn = 0;
        for part in self.survey(&files, vouched, visit)? {
            let id = part.id();
            if id < from.segment {
                continue;
            }
            let offset = if id == from.segment {
                from.offset
            } else {
                SEGMENT_HEADER
            };
            if part.first > place.next && id != from.segment {
                let loss = Loss::Groups(place.next, Lsn(part.first.0.saturating_sub(1)));
                visit(Item::Damage(Damage {
                    segment: id,
                    from: 0,
                    to: 0,
                    loss,
                }))?;
                place.next = part.first;
            }
            let range = Range {
                file: part.file,
                from: offset,
                first: place.next,
                extent: part.extent,
                last: part.last,
            };
            let file = self.open(&part.file.path(&self.path))?;
            let end = read_segment(&*file, self.store, range, visit)?;
            place = Place {
                segment: id,
                offset: end.offset,
                next: end.next.max(part.last.map_or(Lsn(0), Lsn::next)),
            };
            torn = end.torn;
        }
        Ok(Tail {
            place,
            torn,
            last_id,
        })
    }

    /// Every file of a segment in the directory, ascending.
    pub(crate) fn all_files(&self) -> Result<Vec<SegmentFile>, LogError> {
        let names = self
            .files
            .list(&self.path)
            .map_err(|source| LogError::io(&self.path, source))?;
        let mut files: Vec<SegmentFile> = names
            .iter()
            .filter_map(|name| SegmentFile::from_file_name(name))
            .collect();
        files.sort_unstable();
        Ok(files)
    }

    /// The file of each segment that counts, ascending.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentFile>, LogError> {
        let mut files = self.all_files()?;
        files.retain(|file| file.generation == self.generations.of(file.id));
        Ok(files)
    }

    /// The segments that count, in the log's order. Damage in headers is left
    /// out: [`LogDirectory::replay`] names it.
    pub(crate) fn parts(&self) -> Result<Vec<Part>, LogError> {
        self.survey(&self.segments()?, Lsn(0), &mut |_| Ok(()))
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Arc<dyn StoreFile>, LogError> {
        self.files
            .open_read(path)
            .map_err(|source| LogError::io(path, source))
    }

    /// From the last segment back: each header says where the one before ends.
    fn survey(
        &self,
        files: &[SegmentFile],
        vouched: Lsn,
        visit: &mut dyn FnMut(Item) -> Result<(), LogError>,
    ) -> Result<Vec<Part>, LogError> {
        let mut parts: Vec<Part> = Vec::with_capacity(files.len());
        let mut later = Later::Nothing;
        for &file in files.iter().rev() {
            let id = file.id;
            if matches!(later, Later::Header { previous, .. } if id > previous) {
                continue;
            }
            let extent = match later {
                Later::Nothing => Extent::Open { vouched },
                Later::Header { previous, end, .. } if previous == id => Extent::Sealed(end),
                Later::Header { first, .. } | Later::Frames { first } => Extent::Before(first),
            };
            self.name_missing(id, later, visit)?;
            if let Some(header) = self.header(file)? {
                later = Later::Header {
                    previous: header.previous,
                    end: header.previous_end,
                    first: header.first_lsn,
                };
                let sealed = header.compacted.map(|it| Extent::Sealed(it.end));
                parts.push(Part {
                    file,
                    extent: sealed.unwrap_or(extent),
                    first: header.first_lsn,
                    last: header.compacted.map(|it| it.last),
                    header: Some(header),
                });
                continue;
            }
            let first = self.first_frame(file)?;
            if first.is_none() && !matches!(extent, Extent::Sealed(_)) {
                // Its creation was cut short, and nothing was ever acknowledged
                // in it; a header that was written and is wrong is named.
                if !self.is_unfinished(file)? {
                    visit(Item::Damage(header_damage(id)))?;
                }
                continue;
            }
            visit(Item::Damage(header_damage(id)))?;
            let first = first.unwrap_or(Lsn(1));
            parts.push(self.headless(file, first, (extent, later))?);
            later = Later::Frames { first };
        }
        if let Later::Header { previous, .. } = later
            && previous != SegmentId(0)
        {
            self.name_missing(SegmentId(0), later, visit)?;
        }
        parts.reverse();
        Ok(parts)
    }

    /// A segment whose header is damaged: its name and its neighbour speak.
    fn headless(
        &self,
        file: SegmentFile,
        first: Lsn,
        (extent, later): (Extent, Later),
    ) -> Result<Part, LogError> {
        let extent = match file.generation {
            0 => extent,
            _ => Extent::Sealed(self.length(file)?),
        };
        let next = match later {
            Later::Header { first, .. } | Later::Frames { first } => first,
            Later::Nothing => Lsn(u64::MAX),
        };
        Ok(Part {
            file,
            extent,
            first,
            last: (file.generation > 0).then_some(Lsn(next.0.saturating_sub(1))),
            header: None,
        })
    }

    fn name_missing(
        &self,
        id: SegmentId,
        later: Later,
        visit: &mut dyn FnMut(Item) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        match later {
            Later::Header { previous, end, .. } if previous > id => visit(Item::Damage(Damage {
                segment: previous,
                from: 0,
                to: end,
                loss: Loss::Segment,
            })),
            _ => Ok(()),
        }
    }

    /// The header block; `None` when it is damaged or cut short.
    pub(crate) fn header(&self, file: SegmentFile) -> Result<Option<SegmentHeader>, LogError> {
        let path = file.path(&self.path);
        let mut block = vec![0; SEGMENT_HEADER as usize];
        let filled = self
            .open(&path)?
            .read_at(&mut block, 0)
            .map_err(|source| LogError::io(&path, source))?;
        block.truncate(filled);
        match SegmentHeader::decode(&block) {
            Ok(header) if header.store != self.store || header.id != file.id => {
                Err(LogError::Foreign(path))
            }
            // A file under another's name.
            Ok(header) if header.compacted.map_or(0, |it| it.generation) != file.generation => {
                Ok(None)
            }
            Ok(header) => Ok(Some(header)),
            Err(SegmentError::Damaged) => Ok(None),
            Err(newer) => Err(LogError::io(
                &path,
                io::Error::new(io::ErrorKind::Unsupported, newer),
            )),
        }
    }

    /// The sound header of the greatest number; `None` where there is none, nor
    /// the directory. Whose store it is of is not looked at.
    ///
    /// # Errors
    /// [`LogError::Newer`], or what the operating system reports.
    pub(crate) fn newest_header(&self) -> Result<Option<NewestHeader>, LogError> {
        let files = match self.all_files() {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            other => other?,
        };
        for file in files.into_iter().rev() {
            if let Some(header) = self.any_header(file)? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// As [`LogDirectory::newest_header`], of every file.
    ///
    /// # Errors
    /// As [`LogDirectory::newest_header`].
    pub(crate) fn sound_headers(&self) -> Result<Vec<NewestHeader>, LogError> {
        let files = match self.all_files() {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        let headers = files.into_iter().map(|file| self.any_header(file));
        headers.filter_map(Result::transpose).collect()
    }

    /// The header of a file, whosever store it is of; `None` when it is damaged.
    fn any_header(&self, file: SegmentFile) -> Result<Option<NewestHeader>, LogError> {
        let (id, path) = (file.id, file.path(&self.path));
        let mut block = vec![0; SEGMENT_HEADER as usize];
        let filled = self
            .open(&path)?
            .read_at(&mut block, 0)
            .map_err(|source| LogError::io(&path, source))?;
        block.truncate(filled);
        match (SegmentHeader::decode(&block), format_of(&block)) {
            (Ok(SegmentHeader { store, .. }), Some(format)) => {
                Ok(Some(NewestHeader { id, store, format }))
            }
            (Err(newer @ SegmentError::Newer(_)), _) => {
                let newer = io::Error::new(io::ErrorKind::Unsupported, newer);
                Err(LogError::io(&path, newer))
            }
            _ => Ok(None),
        }
    }

    /// True when the header block is missing, or as a power cut leaves one that
    /// was never synced: it fills its first sector and its last, and at least
    /// one of them is not written. A bit that flips does not look like that.
    fn is_unfinished(&self, file: SegmentFile) -> Result<bool, LogError> {
        const SECTOR: usize = 512;
        let path = file.path(&self.path);
        let mut block = vec![0; SEGMENT_HEADER as usize];
        self.open(&path)?
            .read_at(&mut block, 0)
            .map_err(|source| LogError::io(&path, source))?;
        let blank: Vec<bool> = block
            .chunks(SECTOR)
            .map(|sector| sector.iter().all(|octet| *octet == 0))
            .collect();
        Ok(match blank.as_slice() {
            [first, between @ .., last] => (*first || *last) && between.iter().all(|it| *it),
            _ => true,
        })
    }

    fn length(&self, file: SegmentFile) -> Result<u64, LogError> {
        let path = file.path(&self.path);
        let length = self.open(&path)?.len();
        length.map_err(|source| LogError::io(&path, source))
    }

    fn first_frame(&self, segment: SegmentFile) -> Result<Option<Lsn>, LogError> {
        let path = segment.path(&self.path);
        let file = self.open(&path)?;
        let limit = file.len().map_err(|source| LogError::io(&path, source))?;
        let mut scanner = Scanner::new(&*file, self.store, segment.id.0, SEGMENT_HEADER, limit);
        while let Some(spot) = scanner
            .next()
            .map_err(|source| LogError::io(&path, source))?
        {
            if let Spot::Frame { header, .. } = spot {
                return Ok(Some(header.lsn));
            }
        }
        Ok(None)
    }
}

fn header_damage(segment: SegmentId) -> Damage {
    Damage {
        segment,
        from: 0,
        to: SEGMENT_HEADER,
        loss: Loss::Header,
    }
}

/// What is known of the segment after the one at hand.
#[derive(Debug, Clone, Copy)]
enum Later {
    Nothing,
    Header {
        previous: SegmentId,
        end: u64,
        first: Lsn,
    },
    /// Its header is damaged; its first frame is of this group.
    Frames {
        first: Lsn,
    },
}

//! The log as a whole: which segments count, in which order, up to where.
//!
//! Reads only. Appending is [`super::writer`]'s, one segment's frames are
//! [`super::reader`]'s.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::frame::{Lsn, StoreId};
use super::reader::{Damage, Extent, Item, Loss, Range, read_segment};
use super::scan::{Scanner, Spot};
use super::segment::{SEGMENT_HEADER, SegmentError, SegmentHeader, SegmentId, format_of};
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
    Apply(#[from] rusqlite::Error),
    /// A record has the right checksum and no meaning.
    #[error("record {0} cannot be read; use the version that wrote this store, or a later one")]
    Record(Lsn),
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
}

/// A segment that counts.
#[derive(Debug)]
struct Part {
    id: SegmentId,
    extent: Extent,
    first: Lsn,
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
        let ids = self.segments()?;
        let last_id = ids.last().copied().unwrap_or_default();
        let mut place = from;
        let mut torn = 0;
        for part in self.survey(&ids, vouched, visit)? {
            if part.id < from.segment {
                continue;
            }
            let offset = if part.id == from.segment {
                from.offset
            } else {
                SEGMENT_HEADER
            };
            if part.first > place.next && part.id != from.segment {
                let loss = Loss::Groups(place.next, Lsn(part.first.0.saturating_sub(1)));
                visit(Item::Damage(Damage {
                    segment: part.id,
                    from: 0,
                    to: 0,
                    loss,
                }))?;
                place.next = part.first;
            }
            let range = Range {
                segment: part.id,
                from: offset,
                first: place.next,
                extent: part.extent,
            };
            let path = part.id.path(&self.path);
            let file = self.open(&path)?;
            let end = read_segment(&*file, self.store, range, visit)?;
            place = Place {
                segment: part.id,
                offset: end.offset,
                next: end.next,
            };
            torn = end.torn;
        }
        Ok(Tail {
            place,
            torn,
            last_id,
        })
    }

    /// Segment numbers in the directory, ascending.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentId>, LogError> {
        let names = self
            .files
            .list(&self.path)
            .map_err(|source| LogError::io(&self.path, source))?;
        let mut ids: Vec<SegmentId> = names
            .iter()
            .filter_map(|name| SegmentId::from_file_name(name))
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn StoreFile>, LogError> {
        self.files
            .open_read(path)
            .map_err(|source| LogError::io(path, source))
    }

    /// From the last segment back: each header says where the one before ends.
    fn survey(
        &self,
        ids: &[SegmentId],
        vouched: Lsn,
        visit: &mut dyn FnMut(Item) -> Result<(), LogError>,
    ) -> Result<Vec<Part>, LogError> {
        let mut parts: Vec<Part> = Vec::with_capacity(ids.len());
        let mut later = Later::Nothing;
        for &id in ids.iter().rev() {
            if matches!(later, Later::Header { previous, .. } if id > previous) {
                continue;
            }
            let extent = match later {
                Later::Nothing => Extent::Open { vouched },
                Later::Header { previous, end, .. } if previous == id => Extent::Sealed(end),
                Later::Header { first, .. } | Later::Frames { first } => Extent::Before(first),
            };
            self.name_missing(id, later, visit)?;
            if let Some(header) = self.header(id)? {
                later = Later::Header {
                    previous: header.previous,
                    end: header.previous_end,
                    first: header.first_lsn,
                };
                parts.push(Part {
                    id,
                    extent,
                    first: header.first_lsn,
                });
                continue;
            }
            let first = self.first_frame(id)?;
            if first.is_none() && !matches!(extent, Extent::Sealed(_)) {
                // Its creation was cut short, and nothing was ever acknowledged
                // in it; a header that was written and is wrong is named.
                if !self.is_unfinished(id)? {
                    visit(Item::Damage(header_damage(id)))?;
                }
                continue;
            }
            visit(Item::Damage(header_damage(id)))?;
            let first = first.unwrap_or(Lsn(1));
            later = Later::Frames { first };
            parts.push(Part { id, extent, first });
        }
        if let Later::Header { previous, .. } = later
            && previous != SegmentId(0)
        {
            self.name_missing(SegmentId(0), later, visit)?;
        }
        parts.reverse();
        Ok(parts)
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
    pub(crate) fn header(&self, id: SegmentId) -> Result<Option<SegmentHeader>, LogError> {
        let path = id.path(&self.path);
        let mut block = vec![0; SEGMENT_HEADER as usize];
        let filled = self
            .open(&path)?
            .read_at(&mut block, 0)
            .map_err(|source| LogError::io(&path, source))?;
        block.truncate(filled);
        match SegmentHeader::decode(&block) {
            Ok(header) if header.store != self.store || header.id != id => {
                Err(LogError::Foreign(path))
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
        let ids = match self.segments() {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            other => other?,
        };
        for id in ids.into_iter().rev() {
            let path = id.path(&self.path);
            let mut block = vec![0; SEGMENT_HEADER as usize];
            let filled = self
                .open(&path)?
                .read_at(&mut block, 0)
                .map_err(|source| LogError::io(&path, source))?;
            block.truncate(filled);
            match (SegmentHeader::decode(&block), format_of(&block)) {
                (Ok(SegmentHeader { store, .. }), Some(format)) => {
                    return Ok(Some(NewestHeader { id, store, format }));
                }
                (Err(newer @ SegmentError::Newer(_)), _) => {
                    let newer = io::Error::new(io::ErrorKind::Unsupported, newer);
                    return Err(LogError::io(&path, newer));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// True when the header block is missing, or as a power cut leaves one that
    /// was never synced: it fills its first sector and its last, and at least
    /// one of them is not written. A bit that flips does not look like that.
    fn is_unfinished(&self, id: SegmentId) -> Result<bool, LogError> {
        const SECTOR: usize = 512;
        let path = id.path(&self.path);
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

    fn first_frame(&self, id: SegmentId) -> Result<Option<Lsn>, LogError> {
        let path = id.path(&self.path);
        let file = self.open(&path)?;
        let limit = file.len().map_err(|source| LogError::io(&path, source))?;
        let mut scanner = Scanner::new(&*file, self.store, id.0, SEGMENT_HEADER, limit);
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

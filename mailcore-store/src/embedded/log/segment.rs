//! Segment files: their names and the header block that says whose they are
//! and where the segment before them ends.
//!
//! Frames after the header are [`super::frame`]'s.

use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use thiserror::Error;

use super::frame::{Lsn, StoreId};

/// Octets of a segment's header block; frames start after it.
pub(crate) const SEGMENT_HEADER: u64 = 4096;
/// The layout of segments, frames and records that this software writes.
pub(crate) const FORMAT: u32 = 2;
/// The oldest that it reads.
pub(crate) const OLDEST_FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"MCLOGSEG";
const CHECKED: usize = SEGMENT_HEADER as usize - 4;

/// A segment's number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentId(pub u64);

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl SegmentId {
    /// The file the segment was first written to.
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        self.file(0).path(directory)
    }

    pub(crate) fn file(self, generation: u32) -> SegmentFile {
        SegmentFile {
            id: self,
            generation,
        }
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One of the files that a segment has had: generation 0 as it was written,
/// the others by compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentFile {
    pub(crate) id: SegmentId,
    pub(crate) generation: u32,
}

impl SegmentFile {
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        let Self { id, generation } = self;
        directory.join(match generation {
            0 => format!("{:016x}.log", id.0),
            _ => format!("{:016x}.{generation}.log", id.0),
        })
    }

    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let (digits, generation) = match name.strip_suffix(".log")?.split_once('.') {
            None => (name.strip_suffix(".log")?, 0),
            Some((digits, generation)) => {
                let plain = !generation.starts_with(['0', '+']);
                (digits, generation.parse().ok().filter(|_| plain)?)
            }
        };
        let id = u64::from_str_radix(digits, 16).ok()?;
        (digits.len() == 16).then(|| SegmentId(id).file(generation))
    }
}

/// What a segment's header block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    pub(crate) id: SegmentId,
    /// The first group this segment holds.
    pub(crate) first_lsn: Lsn,
    /// The segment before this one, `SegmentId(0)` in the first. Numbers left
    /// out between the two are segments whose creation failed: they are void.
    pub(crate) previous: SegmentId,
    /// Where the segment before ends: whatever it has there or later was
    /// never acknowledged and must not come back.
    pub(crate) previous_end: u64,
    /// What compaction knew when it wrote the file.
    pub(crate) compacted: Option<Compacted>,
}

/// What a compacted segment says of itself: it was whole before it got its
/// name, and stands for one or several segments as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) generation: u32,
    /// Where it ends; what the next segment says of that was true of the file
    /// before.
    pub(crate) end: u64,
    /// The last group it stands for. Up to there numbers may be left out.
    pub(crate) last: Lsn,
}

/// Why a header block cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SegmentError {
    #[error("the segment's header block is damaged")]
    Damaged,
    #[error("the segment has format {0}; this software knows formats up to {FORMAT}")]
    Newer(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER as usize);
        out.put_slice(MAGIC);
        out.put_u32_le(FORMAT);
        out.put_u32_le(SEGMENT_HEADER as u32);
        out.put_slice(&self.store.0);
        out.put_u64_le(self.id.0);
        out.put_u64_le(self.first_lsn.0);
        out.put_u64_le(self.previous.0);
        out.put_u64_le(self.previous_end);
        if let Some(compacted) = self.compacted {
            out.put_u64_le(u64::from(compacted.generation));
            out.put_u64_le(compacted.end);
            out.put_u64_le(compacted.last.0);
        }
        out.resize(CHECKED, 0);
        out.put_u32_le(crc32c::crc32c(&out));
        out
    }

    /// Reads a header block.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, SegmentError> {
        let (mut rest, mut checksum) = octets
            .split_at_checked(CHECKED)
            .ok_or(SegmentError::Damaged)?;
        let found = checksum
            .try_get_u32_le()
            .map_err(|_| SegmentError::Damaged)?;
        if found != crc32c::crc32c(rest) || !rest.starts_with(MAGIC) {
            return Err(SegmentError::Damaged);
        }
        rest.advance(MAGIC.len());
        match rest.get_u32_le() {
            OLDEST_FORMAT..=FORMAT => {}
            other => return Err(SegmentError::Newer(other)),
        }
        rest.advance(4);
        let mut store = [0; 16];
        rest.copy_to_slice(&mut store);
        Ok(Self {
            store: StoreId(store),
            id: SegmentId(rest.get_u64_le()),
            first_lsn: Lsn(rest.get_u64_le()),
            previous: SegmentId(rest.get_u64_le()),
            previous_end: rest.get_u64_le(),
            compacted: Compacted::decode(&mut rest)?,
        })
    }
}

/// The format that a sound header block names.
pub(crate) fn format_of(block: &[u8]) -> Option<u32> {
    let (_, mut rest) = block.split_at_checked(MAGIC.len())?;
    rest.try_get_u32_le().ok()
}

impl Compacted {
    /// The fields after the first; zeros in a segment as it was written.
    fn decode(rest: &mut &[u8]) -> Result<Option<Self>, SegmentError> {
        let generation = u32::try_from(rest.get_u64_le()).map_err(|_| SegmentError::Damaged)?;
        let (end, last) = (rest.get_u64_le(), Lsn(rest.get_u64_le()));
        Ok((generation > 0).then_some(Self {
            generation,
            end,
            last,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_reads_back_and_a_newer_format_is_told_from_damage() {
        let header = SegmentHeader {
            store: StoreId([1; 16]),
            id: SegmentId(4),
            first_lsn: Lsn(100),
            previous: SegmentId(3),
            previous_end: 8192,
            compacted: None,
        };
        let compacted = SegmentHeader {
            compacted: Some(Compacted {
                generation: 2,
                end: 9_000,
                last: Lsn(150),
            }),
            ..header
        };
        assert_eq!(SegmentHeader::decode(&compacted.encode()), Ok(compacted));
        let mut block = header.encode();
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
        assert_eq!(
            SegmentHeader::decode(&block[..4095]),
            Err(SegmentError::Damaged)
        );
        block[8] += 1;
        assert_eq!(SegmentHeader::decode(&block), Err(SegmentError::Damaged));
        let checksum = crc32c::crc32c(&block[..CHECKED]);
        block[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(
            SegmentHeader::decode(&block),
            Err(SegmentError::Newer(FORMAT + 1))
        );
    }

    #[test]
    fn names_are_ours_or_not() {
        for file in [SegmentId(0xab).file(0), SegmentId(0xab).file(12)] {
            let path = file.path(Path::new("log"));
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(SegmentFile::from_file_name(name), Some(file));
        }
        for name in [
            "ab.log",
            "00000000000000ab.0.log",
            "00000000000000ab.01.log",
            "00000000000000ab.1.log.new",
            "00000000000000ab.1.2.log",
        ] {
            assert_eq!(SegmentFile::from_file_name(name), None, "{name}");
        }
    }
}

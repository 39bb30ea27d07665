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
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{:016x}.log", self.0))
    }

    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".log").filter(|it| it.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(Self)
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
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
        })
    }
}

/// The format that a sound header block names.
pub(crate) fn format_of(block: &[u8]) -> Option<u32> {
    let (_, mut rest) = block.split_at_checked(MAGIC.len())?;
    rest.try_get_u32_le().ok()
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
        };
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
        let id = SegmentId(0xab);
        let path = id.path(Path::new("log"));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(SegmentId::from_file_name(name), Some(id));
        assert_eq!(SegmentId::from_file_name("ab.log"), None);
    }
}

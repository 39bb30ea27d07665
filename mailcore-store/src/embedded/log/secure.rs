//! Making durable what the log's end shows: [`LogDirectory::secure`].
//!
//! After a failed sync the system keeps the octets in memory and counts them as
//! written: whoever opens the file reads them, and no later sync writes them. A
//! power cut then takes what a process that came after built on. So the part of
//! the log that nobody vouches for is written again, octet for octet in its
//! place, and synced, before anything of it is taken.

use super::directory::{LogDirectory, LogError, Part, Place};
use super::frame::Lsn;
use super::reader::{Extent, stated};
use super::scan::{Scanner, Spot};
use super::segment::SEGMENT_HEADER;
use crate::embedded::fs::StoreFile;

/// Octets read and written at a time.
const CHUNK: u64 = 1 << 20;

impl LogDirectory {
    /// Has everything that is read at the log's end lie on stable storage. Up
    /// to `applied` it is known to; so are groups that a frame names as synced.
    ///
    /// Cut short anywhere it can be done again: the same octets are written.
    ///
    /// # Errors
    /// [`LogError`]; nothing of the log may be relied on then.
    pub(crate) fn secure(&self, applied: Place) -> Result<(), LogError> {
        let parts = self.parts()?;
        // The segments before were synced before the next one was made.
        if let Some(part) = parts.last()
            && matches!(part.extent, Extent::Open { .. })
        {
            let path = part.file.path(&self.path);
            let file = self.files.open(&path);
            file.and_then(|file| {
                let (mut at, end) = self.doubtful(&*file, part, applied)?;
                while at < end {
                    at += again(&*file, at, end)?;
                }
                file.sync_data()
            })
            .map_err(|source| LogError::io(&path, source))?;
        }
        self.sync()
    }

    /// From the end of what is vouched for to the end of what is no zeros.
    fn doubtful(
        &self,
        file: &dyn StoreFile,
        part: &Part,
        applied: Place,
    ) -> std::io::Result<(u64, u64)> {
        let id = part.id();
        let (vouched, from) = match applied.segment == id {
            true => (Lsn(applied.next.0.saturating_sub(1)), applied.offset),
            false => (Lsn(0), 0),
        };
        let (first, limit) = (from.max(SEGMENT_HEADER), file.len()?);
        let synced = vouched.max(stated(file, self.store, id, first, limit)?);
        // Without a frame that says so the header block is in doubt as well.
        let (mut start, mut end) = (from, first);
        let mut scanner = Scanner::new(file, self.store, id.0, first, limit);
        while let Some(spot) = scanner.next()? {
            match spot {
                Spot::Frame { offset, header, .. } => {
                    // The first frame of a segment came after its header.
                    start = start.max(first);
                    end = offset.saturating_add(header.span());
                    if header.lsn <= synced {
                        start = end;
                    }
                }
                Spot::Gap { to, blank, .. } if !blank => end = to,
                Spot::Gap { .. } => {}
            }
        }
        Ok((start, end.min(limit)))
    }
}

/// Writes what is read there; how many octets.
fn again(file: &dyn StoreFile, at: u64, end: u64) -> std::io::Result<u64> {
    let length = usize::try_from((end - at).min(CHUNK)).unwrap_or(0);
    let mut octets = vec![0; length];
    let filled = file.read_at(&mut octets, at)?;
    octets.truncate(filled);
    if octets.is_empty() {
        // Cut off meanwhile, by nobody of ours.
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    file.write_all_at(&octets, at)?;
    Ok(filled as u64)
}

//! Walking the frames of one file in order, past damage: [`Scanner`].
//!
//! It says what lies where; whether a gap is damage or the torn end of the log
//! is decided by [`super::reader`].

use std::io;

use super::frame::{ALIGNMENT, FrameError, FrameHeader, HEADER_LEN, StoreId};
use crate::embedded::fs::StoreFile;

/// Octets read at a time.
const WINDOW: usize = 1 << 20;

/// What lies at a place.
#[derive(Debug)]
pub(crate) enum Spot {
    /// A sound header; `payload` is `None` when the payload is damaged or cut.
    Frame {
        offset: u64,
        header: FrameHeader,
        payload: Option<Vec<u8>>,
    },
    /// No frame from `from` to `to`; `blank` when all of it is zeros.
    Gap { from: u64, to: u64, blank: bool },
}

/// Reads frames from a file, one after the other.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a dyn StoreFile,
    store: StoreId,
    file_id: u64,
    at: u64,
    limit: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Scanner<'a> {
    /// Walks the frames of `file_id` from `from` (a frame's start) to `limit`.
    pub(crate) fn new(
        file: &'a dyn StoreFile,
        store: StoreId,
        file_id: u64,
        from: u64,
        limit: u64,
    ) -> Self {
        Self {
            file,
            store,
            file_id,
            at: from,
            limit,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The next frame or gap; `None` at the limit.
    ///
    /// # Errors
    /// When the file cannot be read, or [`FrameError::Newer`] as
    /// `Unsupported`: skipping what a newer version wrote would lose it.
    pub(crate) fn next(&mut self) -> io::Result<Option<Spot>> {
        if self.at >= self.limit {
            return Ok(None);
        }
        let Some(header) = self.header_at(self.at)? else {
            return self.gap().map(Some);
        };
        let offset = self.at;
        self.at = offset.saturating_add(header.span());
        let payload_at = offset + HEADER_LEN as u64;
        let payload = self
            .octets(payload_at, header.stored_len as usize)?
            .to_vec();
        let payload = header.verify(&payload).is_ok().then_some(payload);
        Ok(Some(Spot::Frame {
            offset,
            header,
            payload,
        }))
    }

    /// From a place without a frame to the next one with.
    fn gap(&mut self) -> io::Result<Spot> {
        let from = self.at;
        let mut blank = true;
        while self.at < self.limit {
            let step = self.octets(self.at, ALIGNMENT as usize)?;
            if step.is_empty() {
                // The file is shorter than the log says.
                self.at = self.limit;
                break;
            }
            let zeros = step.iter().all(|octet| *octet == 0);
            if !zeros {
                if self.at > from && self.header_at(self.at)?.is_some() {
                    break;
                }
                blank = false;
            }
            self.at += ALIGNMENT;
        }
        Ok(Spot::Gap {
            from,
            to: self.at.min(self.limit),
            blank,
        })
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        let (store, file_id) = (self.store, self.file_id);
        match FrameHeader::decode(store, self.octets(offset, HEADER_LEN)?) {
            Ok(header) => Ok(Some(header).filter(|it| it.file_id == file_id)),
            Err(FrameError::Newer) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                FrameError::Newer,
            )),
            Err(_) => Ok(None),
        }
    }

    /// `length` octets at `offset`, fewer at the limit.
    fn octets(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let available = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(available);
        let start = offset
            .checked_sub(self.window_at)
            .and_then(|it| usize::try_from(it).ok());
        let held = start.is_some_and(|start| start.saturating_add(length) <= self.window.len());
        let start = if held {
            start.unwrap_or(0)
        } else {
            self.fill(offset, length.max(WINDOW).min(available))?
        };
        let end = start.saturating_add(length).min(self.window.len());
        Ok(self.window.get(start..end).unwrap_or_default())
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<usize> {
        self.window.resize(length, 0);
        let filled = self.file.read_at(&mut self.window, offset)?;
        self.window.truncate(filled);
        self.window_at = offset;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A file of a few zeros that counts how often it is read.
    #[derive(Debug, Default)]
    struct Short(AtomicU64);

    impl StoreFile for Short {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let length = buffer.len().min(100_u64.saturating_sub(offset) as usize);
            buffer[..length].fill(0);
            Ok(length)
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn len(&self) -> io::Result<u64> {
            Ok(100)
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    #[test]
    fn what_was_cut_off_is_one_gap_and_not_looked_for_step_by_step() {
        let (file, limit) = (Short::default(), 64 << 20);
        let mut scanner = Scanner::new(&file, StoreId([3; 16]), 1, 0, limit);
        let found = scanner.next().unwrap();
        assert!(matches!(found, Some(Spot::Gap { from: 0, to, .. }) if to == limit));
        assert!(scanner.next().unwrap().is_none());
        assert!(file.0.load(Ordering::Relaxed) < 10);
    }
}

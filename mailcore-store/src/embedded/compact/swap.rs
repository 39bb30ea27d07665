//! Putting a rewritten segment in the place of those it stands for.
//!
//! In this order, so that the store is whole after a crash at any point: rows
//! of dead bodies go (nothing can refer to them from then on), the file gets its
//! name, the index says that it counts, that is made durable, and the old files
//! go, the one of the same number first.

use std::path::Path;
use std::sync::Arc;

use mailcore::seams::StoreError;

use super::Compactor;
use super::rewrite::{Rewritten, unfinished};
use super::survey::Run;
use crate::embedded::body::extent::ExtentId;
use crate::embedded::index::segments;
use crate::embedded::log::{LogError, SegmentFile};
use crate::embedded::sequencer::body_extent;
use crate::embedded::shared::{Shared, index_error};
use crate::embedded::writer::log_error;

/// Rows of bodies removed by one request, so that no message waits long.
const CHUNK: usize = 1_000;

impl Compactor<'_> {
    /// False when the run was given up since one of its dead bodies is
    /// referred to again.
    pub(super) fn swap(&mut self, run: &Run, new: Rewritten) -> Result<bool, StoreError> {
        let from = unfinished(&self.log, new.file);
        if !self.forget(&new.dropped)? {
            drop(self.log.files.unlink(&from));
            return Ok(false);
        }
        let file = new.file;
        let to = file.path(&self.log.path);
        let named = self
            .log
            .files
            .rename(&from, &to)
            .map_err(|source| log_error(&LogError::io(&to, source)))
            .and_then(|()| self.log.sync().map_err(|error| log_error(&error)))
            .and_then(|()| self.announce(new));
        if let Err(error) = named {
            // Either name: the rename may have been done or not.
            drop(self.log.files.unlink(&from));
            if let Err(error) = self.log.remove(&[file]) {
                tracing::error!(%error, "a compacted segment that does not count stays until the next start");
            }
            return Err(error);
        }
        self.log.generations.set(file);
        self.make_durable()?;
        self.remove_old(run, file)?;
        Ok(true)
    }

    /// Removes the rows of these dead bodies, for good as far as this process
    /// goes. False when one is not dead any more.
    fn forget(&mut self, ids: &[u64]) -> Result<bool, StoreError> {
        for chunk in ids.chunks(CHUNK) {
            let ids = chunk.to_vec();
            let shared = Arc::clone(self.shared);
            let forgotten = self.shared.submit_blocking(move |sequencer| {
                sequencer.notes.reveal = true;
                // An extent without a row is not the one that the run speaks of:
                // its number was given out again.
                let removed = sequencer.index.forget_bodies(&ids)?;
                Ok(removed.map(|removed| unheld(&shared, &removed)))
            })?;
            match forgotten {
                Some(free) => self.freed.extend(free),
                None => return Ok(false),
            }
        }
        self.are_gone(ids)
    }

    /// Whether readers see none of these bodies: an index that could not keep
    /// what it was told has them again.
    fn are_gone(&self, ids: &[u64]) -> Result<bool, StoreError> {
        let conn = self.shared.reader().map_err(|error| index_error(&error))?;
        let there = || {
            let mut query = conn.prepare_cached("SELECT 1 FROM bodies WHERE id = ?")?;
            for id in ids {
                if query.exists([crate::embedded::index::signed(*id)])? {
                    return Ok(true);
                }
            }
            Ok::<bool, rusqlite::Error>(false)
        };
        Ok(!there().map_err(|error| index_error(&error))?)
    }

    /// Has the index say that the new file counts.
    fn announce(&self, new: Rewritten) -> Result<(), StoreError> {
        let Rewritten {
            file,
            previous,
            taken,
            ..
        } = new;
        self.shared.submit_blocking(move |sequencer| {
            sequencer.notes.reveal = true;
            Ok(sequencer.index.take_compacted(previous, file, &taken)?)
        })?;
        // The answer says that it was done, not that the index could keep it.
        let conn = self.shared.reader().map_err(|error| index_error(&error))?;
        let compacted = segments::compacted(&conn).map_err(|error| index_error(&error))?;
        match compacted.contains(&file) {
            true => Ok(()),
            false => Err(StoreError::Unavailable(
                "the index could not take a compacted segment; try again",
            )),
        }
    }

    fn remove_old(&self, run: &Run, new: SegmentFile) -> Result<(), StoreError> {
        let old: Vec<SegmentFile> = run.members.iter().map(|it| it.part.file).collect();
        let (same, others): (Vec<_>, Vec<_>) = old.iter().partition(|it| it.id == new.id);
        for files in [same, others] {
            self.log.remove(&files).map_err(|error| log_error(&error))?;
        }
        for file in old {
            self.shared.bodies.let_go(&file.path(&self.log.path));
        }
        Ok(())
    }

    /// Removes extents that nothing refers to.
    pub(super) fn free_extents(&mut self) -> Result<(), StoreError> {
        loop {
            let shared = Arc::clone(self.shared);
            let freed = self.shared.submit_blocking(move |sequencer| {
                sequencer.notes.reveal = true;
                let held = |id| is_held(&shared, id);
                Ok(sequencer.index.forget_extents(CHUNK, &held)?)
            })?;
            if freed.is_empty() || !self.are_gone(&freed)? {
                return self.unlink_freed();
            }
            self.freed.extend(freed.into_iter().filter_map(body_extent));
        }
    }

    /// Removes the files of extents whose rows are gone.
    pub(super) fn unlink_freed(&mut self) -> Result<(), StoreError> {
        if self.freed.is_empty() {
            return Ok(());
        }
        self.make_durable()?;
        for id in std::mem::take(&mut self.freed) {
            let path = id.path(&self.extents);
            self.report.extents += u64::from(self.unlink(&path)?);
        }
        let synced = self.log.files.sync_dir(&self.extents);
        synced.map_err(|source| log_error(&LogError::io(&self.extents, source)))
    }

    fn unlink(&self, path: &Path) -> Result<bool, StoreError> {
        let removed = self.log.files.unlink(path);
        self.shared.bodies.let_go(path);
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(log_error(&LogError::io(path, source))),
        }
    }
}

/// Somebody may still commit what refers to the extent.
fn is_held(shared: &Shared, id: u64) -> bool {
    body_extent(id).is_some_and(|extent| shared.extents.staged(extent).is_some())
}

/// The extents among these bodies whose files nobody needs.
fn unheld(shared: &Shared, ids: &[u64]) -> Vec<ExtentId> {
    let free = ids.iter().filter(|id| !is_held(shared, **id));
    free.filter_map(|id| body_extent(*id)).collect()
}

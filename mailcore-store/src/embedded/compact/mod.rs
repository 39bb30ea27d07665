//! Compaction: rewriting segments without what nothing refers to any more, and
//! removing dead extents.
//!
//! ```text
//! survey (which runs) ─► census, keep (what of them) ─► rewrite (a new file) ─► swap (in their place)
//! ```
//! Runs on the caller's thread, at a settable pace; the writer is asked only to
//! change rows. `docs/storage.md` says what is promised at each step.

mod census;
mod hold;
mod keep;
mod rewrite;
mod survey;
mod swap;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use mailcore::seams::StoreError;
use rusqlite::Connection;

pub use hold::CompactionHold;

use super::body::extent::ExtentId;
use super::index::read;
use super::log::{Generations, LogDirectory, Place};
use super::shared::{Shared, index_error, lock};
use super::store::{EmbeddedOptions, EmbeddedStore};
use super::writer::log_error;
use hold::Holds;
use rewrite::{Rewrite, RunError};
use survey::{Candidate, Refused, Run, Terms};

/// How the log is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// False to keep every segment as it was written.
    pub enabled: bool,
    /// A segment is rewritten when so many hundredths of it are of no more use.
    pub dead_share: u8,
    /// Octets read and written in a second; 0 for as many as go.
    pub rate: u64,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            enabled: true,
            dead_share: 30,
            rate: 32 << 20,
        }
    }
}

/// What a pass of compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Segments rewritten.
    pub segments: u64,
    /// Files they became.
    pub files: u64,
    /// Octets of them before.
    pub before: u64,
    /// Octets of them after.
    pub after: u64,
    /// Extents removed.
    pub extents: u64,
    /// Segments left as they are since they are damaged or the index disagrees
    /// with them; the log says how. A check tells more.
    pub damaged: u64,
    /// Ended early: a check or a backup began, another pass goes on, or the store
    /// is being closed.
    pub interrupted: bool,
}

/// What a store keeps for compaction.
#[derive(Debug)]
pub(crate) struct Compacting {
    options: Compaction,
    segment_size: u64,
    generations: Generations,
    holds: Arc<Holds>,
    /// One pass at a time: the runs that it found are to be as it found them.
    pass: Mutex<()>,
    /// Segments that were not worth it.
    refused: Mutex<Refused>,
}

impl Compacting {
    pub(crate) fn new(options: &EmbeddedOptions, log: &LogDirectory) -> Self {
        Self {
            options: options.compaction,
            segment_size: options.log.segment_size,
            generations: log.generations.clone(),
            holds: Arc::default(),
            pass: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Has what runs give up, and waits for that.
    pub(crate) fn close(&self) {
        self.holds.close();
    }
}

/// One pass.
#[derive(Debug)]
struct Compactor<'s> {
    log: LogDirectory,
    extents: PathBuf,
    shared: &'s Arc<Shared>,
    /// Extents whose rows are gone.
    freed: Vec<ExtentId>,
    report: CompactReport,
}

impl EmbeddedStore {
    /// Rewrites every segment of which enough is of no more use, and removes
    /// extents that nothing refers to. Blocks the thread, for as long as the
    /// pace that is set asks for; mail goes in and out meanwhile. Does nothing
    /// when compaction is switched off.
    ///
    /// # Errors
    /// When files cannot be written or the index cannot be read. The store is
    /// whole then, and the next pass goes on.
    pub fn compact(&self) -> Result<CompactReport, StoreError> {
        let mut compactor = Compactor {
            log: self.log_directory(),
            extents: self.layout.extents.clone(),
            shared: &self.shared,
            freed: Vec::new(),
            report: CompactReport::default(),
        };
        self.shared.health.may_change()?;
        if !self.compacting.options.enabled {
            return Ok(compactor.report);
        }
        let _pass = match self.compacting.pass.try_lock() {
            Ok(pass) => pass,
            Err(TryLockError::Poisoned(pass)) => pass.into_inner(),
            Err(TryLockError::WouldBlock) => {
                compactor.report.interrupted = true;
                return Ok(compactor.report);
            }
        };
        // In a store with damage what referred to an extent may be what is lost.
        let sound = self.opened().damage.is_empty();
        match self.compacting.holds.turn() {
            Some(_turn) if sound => compactor.free_extents()?,
            Some(_) => {}
            None => compactor.report.interrupted = true,
        }
        for run in compactor.runs(self)? {
            let done = compactor.compact_run(self, &run)?;
            if !done {
                compactor.report.interrupted = true;
                break;
            }
        }
        Ok(compactor.report)
    }

    /// Keeps compaction from changing files, after waiting for a run that is
    /// being rewritten. For whoever reads the files themselves.
    pub fn hold_compaction(&self) -> CompactionHold {
        self.compacting.holds.hold()
    }

    pub(crate) fn log_directory(&self) -> LogDirectory {
        LogDirectory {
            files: Arc::clone(&self.files),
            path: self.layout.log.clone(),
            store: self.identity,
            generations: self.compacting.generations.clone(),
        }
    }
}

impl Compactor<'_> {
    fn conn(&self) -> Result<Connection, StoreError> {
        self.shared.reader().map_err(|error| index_error(&error))
    }

    /// Makes everything durable that readers of the index see; the place in the
    /// log that it stands for. Whatever was committed is in SQLite's write-ahead
    /// log, or was synced with the database before that was begun anew.
    fn make_durable(&self) -> Result<Place, StoreError> {
        self.shared.reveal_blocking()?;
        let conn = self.conn()?;
        let place = read::applied_place(&conn).map_err(|error| index_error(&error))?;
        let mut wal = self.shared.index_path.clone().into_os_string();
        wal.push("-wal");
        let root = self.shared.index_path.parent().map(PathBuf::from);
        let sync = || {
            File::open(&wal)?.sync_all()?;
            root.map_or(Ok(()), |root| File::open(root)?.sync_all())
        };
        sync().map_err(|error| StoreError::io("syncing the index".to_owned(), error))?;
        Ok(place)
    }

    fn runs(&self, store: &EmbeddedStore) -> Result<Vec<Run>, StoreError> {
        let durable = self.make_durable()?;
        let parts = self.log.parts().map_err(|error| log_error(&error))?;
        let conn = self.conn()?;
        let candidates = survey::candidates(&conn, &parts, durable);
        let refused = lock(&store.compacting.refused);
        let terms = Terms {
            options: store.compacting.options,
            segment_size: store.compacting.segment_size,
            refused: &refused,
            now: self.shared.clock.now(),
        };
        Ok(terms.runs(&candidates.map_err(|error| index_error(&error))?))
    }

    /// False when the pass has to end.
    fn compact_run(&mut self, store: &EmbeddedStore, run: &Run) -> Result<bool, StoreError> {
        let Some(turn) = store.compacting.holds.turn() else {
            return Ok(false);
        };
        let conn = self.conn()?;
        let size = run.size();
        let dead = size / 100 * u64::from(store.compacting.options.dead_share.min(100));
        let rewritten = Rewrite {
            log: &self.log,
            conn: &conn,
            turn: &turn,
            rate: store.compacting.options.rate,
            at_most: match run.is_merge {
                true => u64::MAX,
                false => size.saturating_sub(dead.max(1)),
            },
        }
        .run(run);
        let refuse = |it: &Candidate| {
            let now = self.shared.clock.now();
            lock(&store.compacting.refused).insert(it.part.file, (it.live, now));
        };
        match rewritten {
            Ok(new) => {
                let (after, file) = (new.size, new.file);
                if self.swap(run, new)? {
                    self.report.segments += run.members.len() as u64;
                    self.report.files += 1;
                    self.report.before += size;
                    self.report.after += after;
                    self.unlink_freed()?;
                    let live = run.members.iter().map(|it| it.live).sum();
                    let now = self.shared.clock.now();
                    let mut refused = lock(&store.compacting.refused);
                    run.members.iter().for_each(|it| {
                        refused.remove(&it.part.file);
                    });
                    refused.insert(file, (live, now));
                }
            }
            Err(RunError::NotWorthIt) => run.members.iter().for_each(refuse),
            Err(RunError::Closing) => return Ok(false),
            Err(error @ (RunError::Damaged(_) | RunError::Keep(_))) => {
                tracing::error!(%error, "segments are left as they are");
                self.report.damaged += run.members.len() as u64;
                run.members.iter().for_each(refuse);
            }
            Err(RunError::Log(error)) => return Err(log_error(&error)),
        }
        Ok(true)
    }
}

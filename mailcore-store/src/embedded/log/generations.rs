//! Which file of each segment counts: [`Generations`], and settling that at the
//! start, when a crash may have left more than one.
//!
//! A compacted segment gets its name when it is whole, counts from the moment
//! the index says so, and only then are the files it stands for removed, the
//! one of its own number first. So whichever of two files of one number is
//! chosen, nothing it needs is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::directory::{LogDirectory, LogError};
use super::segment::{SegmentFile, SegmentId};

/// The generation of each segment that was compacted; 0 for all others. Shared
/// by all who read the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generations(Arc<RwLock<BTreeMap<SegmentId, u32>>>);

impl Generations {
    pub(crate) fn of(&self, id: SegmentId) -> u32 {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&id).copied().unwrap_or(0)
    }

    /// This file counts from here on.
    pub(crate) fn set(&self, file: SegmentFile) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(file.id, file.generation);
    }

    fn replace(&self, all: BTreeMap<SegmentId, u32>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Those that were compacted.
    pub(crate) fn compacted(&self) -> Vec<SegmentFile> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .map(|(id, generation)| id.file(*generation))
            .collect()
    }
}

/// What the index says of the log's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Word {
    pub(crate) compacted: Vec<SegmentFile>,
    /// The segment its position is in.
    pub(crate) applied: SegmentId,
}

/// Files that do not count.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Other generations of segments that count.
    same: Vec<SegmentFile>,
    /// Segments that a compacted one stands for.
    stood_for: Vec<SegmentFile>,
}

/// Files by segment number.
type Candidates = BTreeMap<SegmentId, Vec<u32>>;

impl LogDirectory {
    /// Chooses the file of each segment that counts, and tells which others are
    /// to be [cleared](Self::clear). `None` when the index speaks of files that
    /// a later state of it gave up: then it is of no use.
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) fn settle(&self, word: Option<&Word>) -> Result<Option<Others>, LogError> {
        let mut there = Candidates::new();
        for file in self.all_files()? {
            there.entry(file.id).or_default().push(file.generation);
        }
        let chosen = match word {
            Some(word) => word
                .compacted
                .iter()
                .map(|it| (it.id, it.generation))
                .collect(),
            None => self.greatest(&there)?,
        };
        let stood_for = self.stood_for(&chosen, &there)?;
        if let Some(word) = word {
            let given_up = |id: &SegmentId, files: &Vec<u32>| {
                let generation = chosen.get(id).copied().unwrap_or(0);
                !files.contains(&generation) && !stood_for.contains(id)
            };
            let lost_place = stood_for.contains(&word.applied);
            if lost_place || there.iter().any(|(id, files)| given_up(id, files)) {
                return Ok(None);
            }
        }
        let mut others = Others::default();
        for (id, files) in there {
            let generation = chosen.get(&id).copied().unwrap_or(0);
            if stood_for.contains(&id) {
                others.stood_for.extend(files.iter().map(|it| id.file(*it)));
            } else if files.contains(&generation) {
                // Without the one that should count the rest is kept as it is.
                let rest = files.iter().filter(|it| **it != generation);
                others.same.extend(rest.map(|it| id.file(*it)));
            }
        }
        self.generations.replace(chosen);
        Ok(Some(others))
    }

    /// Removes the files that do not count, durably.
    ///
    /// # Errors
    /// [`LogError`]. The store must not be written then: a file that was not
    /// chosen today must not be there tomorrow.
    pub(crate) fn clear(&self, others: &Others) -> Result<(), LogError> {
        self.remove(&others.same)?;
        self.remove(&others.stood_for)?;
        self.remove_unfinished()
    }

    /// For an index without a word: the greatest generation with a sound header.
    fn greatest(&self, there: &Candidates) -> Result<BTreeMap<SegmentId, u32>, LogError> {
        let mut chosen = BTreeMap::new();
        for (id, files) in there {
            let mut best = files.last().copied().unwrap_or(0);
            for generation in files.iter().rev() {
                if self.header(id.file(*generation))?.is_some() {
                    best = *generation;
                    break;
                }
            }
            if best > 0 {
                chosen.insert(*id, best);
            }
        }
        Ok(chosen)
    }

    /// Segments that another, compacted one stands for.
    fn stood_for(
        &self,
        chosen: &BTreeMap<SegmentId, u32>,
        there: &Candidates,
    ) -> Result<BTreeSet<SegmentId>, LogError> {
        let mut found = BTreeSet::new();
        for (id, generation) in chosen {
            if there.get(id).is_some_and(|it| it.contains(generation))
                && let Some(header) = self.header(id.file(*generation))?
            {
                let between = there
                    .keys()
                    .filter(|it| (header.previous.next()..*id).contains(it));
                found.extend(between.copied());
            }
        }
        Ok(found)
    }

    /// Removes files and makes that durable.
    pub(crate) fn remove(&self, files: &[SegmentFile]) -> Result<(), LogError> {
        for file in files {
            let path = file.path(&self.path);
            match self.files.unlink(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LogError::io(&path, error));
                }
                _ => {}
            }
        }
        match files.is_empty() {
            true => Ok(()),
            false => self.sync(),
        }
    }

    /// Makes the directory's entries durable.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        let synced = self.files.sync_dir(&self.path);
        synced.map_err(|source| LogError::io(&self.path, source))
    }

    /// Removes what a compaction did not finish.
    fn remove_unfinished(&self) -> Result<(), LogError> {
        let names = self.files.list(&self.path);
        for name in names.map_err(|source| LogError::io(&self.path, source))? {
            let file = name.strip_suffix(".new");
            if file.and_then(SegmentFile::from_file_name).is_some() {
                let path = self.path.join(&name);
                self.files
                    .unlink(&path)
                    .map_err(|source| LogError::io(&path, source))?;
            }
        }
        Ok(())
    }
}

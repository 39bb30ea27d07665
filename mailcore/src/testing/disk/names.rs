//! The disk's names: what a listing shows, and which changes of names a power
//! cut may take back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::dice::Dice;
use super::whim::Whim;

/// Names a file.
pub(super) type Number = u64;

/// A change of names.
#[derive(Debug, Clone)]
enum Change {
    Link(PathBuf, Number),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, Number),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Number>) {
        match self {
            Self::Link(path, number) => drop(names.insert(path.clone(), *number)),
            Self::Unlink(path) => drop(names.remove(path)),
            Self::Rename(from, to, number) => {
                names.remove(from);
                names.insert(to.clone(), *number);
            }
        }
    }
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
struct Pending {
    change: Change,
    at: u64,
    /// The directories whose sync it waits for.
    waits_for: BTreeSet<PathBuf>,
}

/// The names of all files.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    live: BTreeMap<PathBuf, Number>,
    durable: BTreeMap<PathBuf, Number>,
    pending: Vec<Pending>,
    directories: BTreeSet<PathBuf>,
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

impl Names {
    pub(super) fn find(&self, path: &Path) -> Option<Number> {
        self.live.get(path).copied()
    }

    /// True when a file may be made in the directory of `path`.
    pub(super) fn has_parent(&self, path: &Path) -> bool {
        self.has_directory(&parent(path))
    }

    pub(super) fn has_directory(&self, path: &Path) -> bool {
        self.directories.contains(path)
    }

    pub(super) fn list(&self, directory: &Path) -> Vec<String> {
        let files = self.live.keys().chain(&self.directories);
        files
            .filter(|it| it.parent() == Some(directory))
            .filter_map(|it| it.file_name()?.to_str().map(str::to_owned))
            .collect()
    }

    /// Durable at once, as [`FileSystem::create_dir_all`] promises.
    ///
    /// [`FileSystem::create_dir_all`]: crate::files::FileSystem::create_dir_all
    pub(super) fn make_directories(&mut self, path: &Path) {
        self.directories
            .extend(path.ancestors().map(Path::to_owned));
    }

    /// A name that is durable.
    pub(super) fn add(&mut self, path: &Path, number: Number) {
        self.live.insert(path.to_owned(), number);
        self.durable.insert(path.to_owned(), number);
    }

    pub(super) fn link(&mut self, path: &Path, number: Number, now: u64) {
        self.change(Change::Link(path.to_owned(), number), [parent(path)], now);
    }

    pub(super) fn unlink(&mut self, path: &Path, now: u64) {
        self.change(Change::Unlink(path.to_owned()), [parent(path)], now);
    }

    pub(super) fn rename(&mut self, (from, to): (&Path, &Path), number: Number, now: u64) {
        let change = Change::Rename(from.to_owned(), to.to_owned(), number);
        self.change(change, [parent(from), parent(to)], now);
    }

    fn change<const N: usize>(&mut self, change: Change, directories: [PathBuf; N], at: u64) {
        change.apply(&mut self.live);
        self.pending.push(Pending {
            change,
            at,
            waits_for: directories.into_iter().collect(),
        });
    }

    /// The directory's names are durable.
    pub(super) fn sync(&mut self, directory: &Path) {
        let durable = &mut self.durable;
        self.pending.retain_mut(|pending| {
            pending.waits_for.remove(directory);
            let done = pending.waits_for.is_empty();
            if done {
                pending.change.apply(durable);
            }
            !done
        });
    }

    /// The sync of the directory failed: some changes are durable all the same.
    pub(super) fn sync_badly(&mut self, directory: &Path, dice: &Dice) {
        if dice.coin() {
            self.sync(directory);
        }
    }

    /// The names as the power cut leaves them.
    pub(super) fn after_cut(&self, whim: &Whim, dice: &Dice) -> Self {
        let mut names = self.durable.clone();
        for pending in &self.pending {
            if whim.for_one(dice).keeps(pending.at, dice) {
                pending.change.apply(&mut names);
            }
        }
        Self {
            live: names.clone(),
            durable: names,
            pending: Vec::new(),
            directories: self.directories.clone(),
        }
    }

    /// Files that have a name now.
    pub(super) fn named(&self) -> BTreeSet<Number> {
        self.live.values().copied().collect()
    }

    /// Files that have a name, now or after some cut.
    pub(super) fn reachable(&self) -> BTreeSet<Number> {
        let pending = self.pending.iter().filter_map(|it| match it.change {
            Change::Link(_, number) | Change::Rename(_, _, number) => Some(number),
            Change::Unlink(_) => None,
        });
        let names = self.live.values().chain(self.durable.values());
        names.copied().chain(pending).collect()
    }
}

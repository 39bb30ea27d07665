//! [`SimulatedDisk`]: a file system in memory that does what a real disk may
//! do when things go wrong.
//!
//! * **A power cut** ([`SimulatedDisk::cut_after`], [`SimulatedDisk::power_on`])
//!   loses, keeps, or keeps in part what was written and not synced: any subset
//!   of 512-octet sectors (so writes are reordered and torn), any subset of
//!   4-kB blocks, or all up to some moment. Lengths are durable with the file's
//!   sync, names (creations, renames, unlinks) with their directory's, or at
//!   the disk's whim.
//! * **A kill** ([`SimulatedDisk::after_kill`]) loses nothing, but what was not
//!   synced then still is not.
//! * **A fault** ([`SimulatedDisk::fail_nth`], [`SimulatedDisk::fail_from`])
//!   fails operations with EIO, ENOSPC, EROFS or EMFILE. After a failed sync
//!   the rest counts as clean, as on Linux: reads show it, no later sync writes
//!   it, and the cut takes it.
//! * **A full disk** ([`SimulatedDisk::fill`]) takes as much as fits.
//! * **A flipped bit** ([`SimulatedDisk::flip`]) is silent.
//!
//! Every choice comes from a seed, so a failure is found again. Operations are
//! counted by kind ([`SimulatedDisk::count`]), so that a test may assert how
//! many syncs something costs. Copies share their blocks: taking one costs next
//! to nothing.
//!
//! ```
//! use std::path::Path;
//! use mailcore::files::FileSystem;
//! use mailcore::testing::disk::{Ops, SimulatedDisk};
//!
//! let disk = SimulatedDisk::new(1);
//! disk.create_dir_all(Path::new("/store"))?;
//! let file = disk.create_new(Path::new("/store/log"))?;
//! disk.sync_dir(Path::new("/store"))?;
//! file.write_all_at(b"kept", 0)?;
//! file.sync_data()?;
//! file.write_all_at(b"perhaps", 4)?;
//! assert_eq!(disk.count(Ops::SYNC), 1);
//!
//! for seed in 0..20 {
//!     let disk = disk.power_on(seed);
//!     let mut found = [0; 11];
//!     let length = disk.open(Path::new("/store/log"))?.read_at(&mut found, 0)?;
//!     assert!(length >= 4 && found.starts_with(b"kept"));
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod content;
mod fault;
mod file;
mod inode;
mod names;
#[cfg(test)]
mod tests;
mod whim;

pub use fault::{Fault, Ops};

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dice::Dice;
use content::{BLOCK, Content};
use fault::Plan;
use inode::Inode;
use names::{Names, Number};
use whim::Whim;

/// A disk in memory. Clones are the same disk;
/// [`power_on`](SimulatedDisk::power_on) and
/// [`after_kill`](SimulatedDisk::after_kill) make others.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    names: Names,
    files: BTreeMap<Number, Inode>,
    last: Number,
    /// Operations so far, the disk's sense of time.
    now: u64,
    counts: [u64; Ops::KINDS],
    plans: Vec<Plan>,
    /// Changes left until the power goes.
    cut_in: Option<u64>,
    off: bool,
    /// Blocks in all; `None` for no limit.
    capacity: Option<u64>,
    dice: Dice,
}

/// How an operation is to go.
enum Go {
    Well,
    /// The power goes while it is done.
    Cut,
    Badly(Fault),
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl SimulatedDisk {
    /// An empty disk that has its root directory.
    pub fn new(seed: u64) -> Self {
        let mut names = Names::default();
        names.make_directories(Path::new("/"));
        Self::of(names, BTreeMap::new(), seed)
    }

    fn of(names: Names, files: BTreeMap<Number, Inode>, seed: u64) -> Self {
        let last = files.keys().next_back().copied().unwrap_or(0);
        let state = State {
            names,
            files,
            last,
            now: 0,
            counts: [0; Ops::KINDS],
            plans: Vec::new(),
            cut_in: None,
            off: false,
            capacity: None,
            dice: Dice::new(seed),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `n`-th operation of these kinds from now on, counted from 1, fails.
    pub fn fail_nth(&self, ops: Ops, n: u64, fault: Fault) {
        self.plan(ops, n, fault, false);
    }

    /// The `n`-th operation of these kinds from now on, counted from 1, and all
    /// after it fail, until [`SimulatedDisk::heal`].
    pub fn fail_from(&self, ops: Ops, n: u64, fault: Fault) {
        self.plan(ops, n, fault, true);
    }

    fn plan(&self, ops: Ops, n: u64, fault: Fault, lasts: bool) {
        self.state().plans.push(Plan {
            ops,
            left: n.max(1),
            fault,
            lasts,
        });
    }

    /// Ends every fault, those to come too, and makes room without limit. What
    /// a failed sync lost stays lost, and a cut is not undone.
    pub fn heal(&self) {
        let mut state = self.state();
        state.plans.clear();
        state.capacity = None;
    }

    /// The power goes after `n` more changes ([`Ops::CHANGES`]): the change
    /// after those fails, as does every operation from then on.
    pub fn cut_after(&self, n: u64) {
        self.state().cut_in = Some(n);
    }

    /// True once the power is gone.
    pub fn is_cut(&self) -> bool {
        self.state().off
    }

    /// The disk as it is found when the power comes back after a cut at this
    /// moment. Another seed finds another disk.
    #[must_use]
    pub fn power_on(&self, seed: u64) -> Self {
        let state = self.state();
        let dice = Dice::new(seed);
        let whim = Whim::new(&dice, state.now);
        let names = state.names.after_cut(&Whim::new(&dice, state.now), &dice);
        let named = names.named();
        let found = state.files.iter().filter(|it| named.contains(it.0));
        let files = found
            .map(|(number, file)| match file.is_dirty() {
                true => (*number, file.after_cut(&whim, &dice)),
                false => (*number, file.durable_content()),
            })
            .map(|(number, content)| (number, Inode::durable(content)))
            .collect();
        Self::of(names, files, dice.roll())
    }

    /// The disk as another process finds it after this one was killed: all that
    /// was written is there, and what was not synced still is not. Faults and
    /// cuts are not taken along.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        let reachable = state.names.reachable();
        let found = state.files.iter().filter(|it| reachable.contains(it.0));
        let files = found
            .map(|(number, file)| (*number, file.closed()))
            .collect();
        let after = Self::of(state.names.clone(), files, state.dice.roll());
        after.state().now = state.now;
        after
    }

    /// Copies a directory of the real file system, with all below it, to the
    /// same path of this disk, where it is durable. For stores made earlier.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn load(&self, directory: &Path) -> io::Result<()> {
        self.state().names.make_directories(directory);
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.load(&path)?;
                continue;
            }
            let mut content = Content::default();
            content.write(&std::fs::read(&path)?, 0, |_, _| {});
            let mut state = self.state();
            state.last += 1;
            let number = state.last;
            state.files.insert(number, Inode::durable(content));
            state.names.add(&path, number);
        }
        Ok(())
    }

    /// Turns a bit of a file over, in the cache and on the medium.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `InvalidInput` when it has no such
    /// bit.
    pub fn flip(&self, path: &Path, bit: u64) -> io::Result<()> {
        match self.state().file(path)?.flip(bit) {
            true => Ok(()),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Leaves room for `free` octets, counted in blocks of 4,096.
    pub fn fill(&self, free: u64) {
        let mut state = self.state();
        state.capacity = Some(state.used() + free / BLOCK as u64);
    }

    /// Octets of all files, in whole blocks.
    pub fn used(&self) -> u64 {
        self.state().used() * BLOCK as u64
    }

    /// Operations of these kinds so far, failed ones too.
    pub fn count(&self, ops: Ops) -> u64 {
        let state = self.state();
        ops.indices().map(|index| state.counts[index]).sum()
    }
}

impl State {
    /// Counts an operation and tells how it goes.
    ///
    /// # Errors
    /// The power is off.
    fn enter(&mut self, op: Ops) -> io::Result<Go> {
        if self.off {
            return Err(power_is_off());
        }
        self.now += 1;
        op.indices().for_each(|index| self.counts[index] += 1);
        if Ops::CHANGES.contains(op) {
            match &mut self.cut_in {
                Some(0) => {
                    self.off = true;
                    return Ok(Go::Cut);
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
        // All of them count it, and the first that strikes is the one.
        let faults: Vec<Fault> = self
            .plans
            .iter_mut()
            .filter_map(|it| it.meets(op))
            .collect();
        Ok(faults.first().map_or(Go::Well, |fault| Go::Badly(*fault)))
    }

    /// As [`State::enter`], for what is done or not done.
    fn enter_whole(&mut self, op: Ops) -> io::Result<()> {
        match self.enter(op)? {
            Go::Well => Ok(()),
            Go::Cut => Err(power_is_off()),
            Go::Badly(fault) => Err(fault.error()),
        }
    }

    /// Runs a change of names: done at the cut, for the disk to keep or not.
    fn rename_step(&mut self, op: Ops, change: impl FnOnce(&mut Self, u64)) -> io::Result<()> {
        let go = self.enter(op)?;
        if let Go::Badly(fault) = go {
            return Err(fault.error());
        }
        let now = self.now;
        change(self, now);
        match go {
            Go::Cut => Err(power_is_off()),
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut Inode> {
        let number = self.names.find(path).ok_or(io::ErrorKind::NotFound)?;
        self.inode(number)
    }

    fn inode(&mut self, number: Number) -> io::Result<&mut Inode> {
        let found = self.files.get_mut(&number);
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Blocks of all files that have a name or are open.
    fn used(&self) -> u64 {
        let named = self.names.named();
        let files = self.files.iter();
        let counted = files.filter(|(number, it)| it.open > 0 || named.contains(number));
        counted.map(|(_, it)| it.live.used()).sum()
    }

    /// Forgets files that nothing can lead to any more.
    fn sweep(&mut self) {
        let reachable = self.names.reachable();
        self.files
            .retain(|number, it| it.open > 0 || reachable.contains(number));
    }
}

//! The crash kit: shows that a store keeps what it acknowledged, whatever
//! happens to its disk.
//!
//! # What a store promises
//! * **Acknowledged is kept.** A change whose future returned `Ok` is there
//!   after any power cut: once, octet for octet, with the numbers that were
//!   told (UID, UIDVALIDITY, ModSeq, versions, event cursors).
//! * **All or nothing.** A change that was cut off is there wholly or not at
//!   all: a batch with all its deliveries, queue entries, state and events; a
//!   move at both ends; a rename with all mailboxes below it.
//! * **Refused is gone.** A change that returned an error is not seen, now or
//!   later. Only when the power goes before any later change was acknowledged
//!   may it be found again, and then it is whole.
//! * **Numbers go on.** No UID is used twice, ModSeq grows, a mailbox made
//!   anew under an old name has a greater UIDVALIDITY, who asks what vanished
//!   is told.
//! * **Deliveries are filed once**: asking again with the same delivery id,
//!   after whatever happened, files nothing twice.
//! * **Leases are gone** after a restart, entries are as acknowledged. Events
//!   keep their order, cursors and octets.
//! * **A fault costs what it hits.** When an operation of the disk fails,
//!   a request is refused with an error that says why
//!   ([`StoreError::DiskFull`] on a full disk), reading goes on, everything
//!   else goes on, and once the fault is over so does writing, without a
//!   restart.
//!
//! # What the kit does
//! It plays a fixed run through everything that the seams offer, and random
//! runs, on a [`SimulatedDisk`]: deliveries to several recipients, bodies that
//! are small and that are staged, APPEND, flags, COPY, MOVE, EXPUNGE, mailboxes,
//! queue, state, events, several at once. It cuts the power at the n-th change
//! to the disk for every n, opens the store on what several such disks may
//! hold, sometimes cuts again while the store recovers, and compares all that
//! is seen with a plain model of what was acknowledged. It fails operations
//! instead: once, or from some moment on.
//!
//! # Using it
//! A store that reaches its files through [`FileSystem`](crate::files) is
//! tested with one line, `crash::run(&open).await.assert_kept()`, where `open`
//! opens the store on a given disk:
//!
//! ```no_run
//! use mailcore::server::Stores;
//! use mailcore::testing::VirtualClock;
//! use mailcore::testing::crash::{self, BoxError, Opened};
//! use mailcore::testing::disk::SimulatedDisk;
//! # async fn my_store(_: SimulatedDisk) -> Result<Stores, BoxError> { unimplemented!() }
//! # fn open_my_store(_: SimulatedDisk, _: VirtualClock) -> Result<Stores, BoxError> { unimplemented!() }
//!
//! # async fn test() {
//! let open = |disk: &SimulatedDisk, clock: &VirtualClock| -> Result<Opened, BoxError> {
//!     Ok(Opened::from(open_my_store(disk.clone(), clock.clone())?))
//! };
//! crash::run(&open).await.assert_kept();
//! # }
//! ```
//! The disk has its root directory only; `open` makes what it needs. A store
//! with derived data elsewhere (an index that it can build anew), upkeep of its
//! own, or a check of itself implements [`Subject`].
//!
//! Dropping the [`Opened`] must close the store: files closed, threads ended.
//!
//! # When it fails
//! The report names a seed. `MAILCORE_SEED=<seed>` plays that round alone;
//! `MAILCORE_CRASH_ROUNDS=<n>` plays more rounds than the few a test run has
//! time for: with four rounds for each place to cut at, every place is tried.
//! A store with threads of its own may need several tries at one seed, since
//! the kit does not decide how its threads take turns.

mod compare;
mod model;
mod observe;
mod player;
mod report;
mod rounds;
mod script;
mod step;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::VirtualClock;
use super::disk::SimulatedDisk;
use crate::seams::StoreError;
use crate::server::Stores;
use rounds::Referee;

pub use report::{Report, Violation};

/// Why a store could not be opened.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A store under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the store that lies on `disk`, making it when there is none. An
    /// earlier one was dropped.
    ///
    /// # Errors
    /// Why it can't be opened: the disk fails, or its power went.
    async fn open(&self, disk: &SimulatedDisk, clock: &VirtualClock) -> Result<Opened, BoxError>;

    /// Data that the store derives from its disk and keeps elsewhere, as it is
    /// now; the store is closed. A cut may keep it, lose it, or put it back as
    /// it was when the store was closed before: the kit tries all three.
    fn save_derived(&self) -> Derived {
        Derived::default()
    }

    /// Makes the derived data be these, and nothing else.
    fn restore_derived(&self, _derived: &Derived) {}
}

#[async_trait]
impl<F> Subject for F
where
    F: Fn(&SimulatedDisk, &VirtualClock) -> Result<Opened, BoxError> + Send + Sync,
{
    async fn open(&self, disk: &SimulatedDisk, clock: &VirtualClock) -> Result<Opened, BoxError> {
        self(disk, clock)
    }
}

type Maintenance = Arc<dyn Fn() -> Result<(), StoreError> + Send + Sync>;
type Check = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// An open store.
pub struct Opened {
    stores: Stores,
    problems: Vec<String>,
    maintenance: Option<Maintenance>,
    check: Option<Check>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}

impl From<Stores> for Opened {
    fn from(stores: Stores) -> Self {
        Self {
            stores,
            problems: Vec::new(),
            maintenance: None,
            check: None,
        }
    }
}

impl Opened {
    /// What opening came upon that neither a cut nor a fault explains, such as
    /// damage.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<String>) -> Self {
        self.problems = problems;
        self
    }

    /// What the store does for itself now and then, such as compaction. May
    /// block; it is called where that is fine.
    #[must_use]
    pub fn with_maintenance(
        mut self,
        maintain: impl Fn() -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        self.maintenance = Some(Arc::new(maintain));
        self
    }

    /// A check of itself: what is wrong. May block.
    #[must_use]
    pub fn with_check(mut self, check: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    async fn maintain(&self) -> Result<(), StoreError> {
        match self.maintenance.clone() {
            Some(maintain) => blocking(move || maintain()).await,
            None => Ok(()),
        }
    }

    async fn check(&self) -> Vec<String> {
        match self.check.clone() {
            Some(check) => blocking(move || check()).await,
            None => Vec::new(),
        }
    }
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(job).await;
    done.expect("a store that panics fails the test")
}

/// Derived data as files: their names and octets.
#[derive(Debug, Clone, Default)]
pub struct Derived(pub BTreeMap<String, Vec<u8>>);

impl Derived {
    /// Reads those of a directory's files whose names `wanted` accepts.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn read(directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if wanted(&name) {
                let octets = std::fs::read(directory.join(&name))?;
                files.insert(name, octets);
            }
        }
        Ok(Self(files))
    }

    /// Replaces those of a directory's files whose names `wanted` accepts.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn write(&self, directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        for name in Self::read(directory, wanted)?.0.into_keys() {
            std::fs::remove_file(directory.join(name))?;
        }
        for (name, octets) in &self.0 {
            std::fs::write(directory.join(name), octets)?;
        }
        Ok(())
    }
}

/// How much is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The first round's seed; the others follow.
    pub seed: u64,
    /// How many rounds. A quarter each are faults and random runs, the rest are
    /// cuts of the fixed run.
    pub rounds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            rounds: 64,
        }
    }
}

impl Options {
    /// These, unless `MAILCORE_SEED` and `MAILCORE_CRASH_ROUNDS` say otherwise.
    /// A seed without a number of rounds is one round.
    ///
    /// # Panics
    /// When one of them is no number.
    #[must_use]
    pub fn or_from_env(self) -> Self {
        let number = |name| {
            let text = std::env::var(name).ok()?;
            let parsed = text.parse::<u64>();
            Some(parsed.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
        };
        let seed = number("MAILCORE_SEED");
        let rounds = number("MAILCORE_CRASH_ROUNDS");
        Self {
            seed: seed.unwrap_or(self.seed),
            rounds: rounds.unwrap_or(if seed.is_some() { 1 } else { self.rounds }),
        }
    }
}

/// Plays the default number of rounds, or what the environment says
/// ([`Options::or_from_env`]).
pub async fn run(subject: &dyn Subject) -> Report {
    run_with(subject, &Options::default().or_from_env()).await
}

/// Plays rounds. Ends early when promise after promise is broken.
pub async fn run_with(subject: &dyn Subject, options: &Options) -> Report {
    /// Enough to see what is wrong.
    const MAX_VIOLATIONS: usize = 20;
    let mut referee = Referee {
        subject,
        report: Report::default(),
    };
    referee.rehearse(options.seed).await;
    let rehearsed = referee.report.violations.is_empty();
    for round in 0..options.rounds {
        if !rehearsed || referee.report.violations.len() >= MAX_VIOLATIONS {
            break;
        }
        referee.round(options.seed.wrapping_add(round)).await;
    }
    referee.report
}

/// Plays the fixed run with nothing in its way: what applies to a store that
/// has no disk.
pub async fn rehearse(subject: &dyn Subject) -> Report {
    let mut referee = Referee {
        subject,
        report: Report::default(),
    };
    referee.rehearse(0).await;
    referee.report
}

//! Opening and closing: [`EmbeddedStore`] and what can stand in its way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use mailcore::event::EventCursor;
use mailcore::seams::{Clock, Entropy, OsEntropy, SystemClock};
use thiserror::Error;

use super::body::Bodies;
use super::body::extent::Extents;
use super::compact::{Compacting, Compaction};
use super::format::{self, FormatError, Found, Migration};
use super::fs::{DiskFileSystem, FileSystem};
use super::health::{Health, Space};
use super::index::{Index, Retention};
use super::layout::{Layout, io_error};
use super::lock::{self, Lock, LockError};
use super::log::{
    Damage, FORMAT, Generations, LogDirectory, LogError, LogOptions, LogWriter, StoreId,
};
use super::migrate;
use super::namespaces::Namespaces;
use super::open_index::{open_extents, open_index};
use super::replay::Replayed;
use super::reserve::Reserve;
use super::shared::{Parts, Shared, lock as held};
use super::working_copy::{self, WorkingCopy};
use super::writer::{Counts, Writer};

/// What a store is opened with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// Sizes of the log's files.
    pub log: LogOptions,
    /// How long events and deliveries are kept.
    pub retention: Retention,
    /// Octets of memory for what is known of messages without reading them:
    /// UIDs, flags, dates, sizes, about 70 for each; and up to three quarters of
    /// it for where their octets lie, about 80 and their own header lines for
    /// each, and summaries, about 1,500. 32 MiB by default, 0 for none.
    pub column_cache: usize,
    /// When and how fast the log is compacted.
    pub compaction: Compaction,
    /// Gives SAVEDATE, expiry of state, and UIDVALIDITY.
    pub clock: Arc<dyn Clock>,
    /// Gives a new store its identity.
    pub entropy: Arc<dyn Entropy>,
    /// Where the log and the large bodies are kept.
    pub file_system: Arc<dyn FileSystem>,
    /// What becomes of a store in an older format.
    pub migration: Migration,
    /// Opens a store for reading even where it could be written. Nothing below
    /// its directory is changed then.
    pub read_only: bool,
    /// Where a store that can't be written has a working copy of its index, in a
    /// folder of its own that is removed when the store is closed. The system's
    /// directory for temporary files by default; without room there the index is
    /// held in memory.
    pub work_directory: PathBuf,
    /// With less space on the disk than so many octets new mail is refused before
    /// it is sent ([`Commit::has_room`](mailcore::seams::Commit::has_room)), and
    /// an event tells operators. Deliveries from the queue, flags and expunges go
    /// on. 64 MiB by default; 0 for never.
    pub low_space: u64,
}

/// See [`EmbeddedOptions::low_space`].
const LOW_SPACE: u64 = 64 << 20;

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            log: LogOptions::default(),
            retention: Retention::default(),
            column_cache: 32 << 20,
            compaction: Compaction::default(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            file_system: Arc::new(DiskFileSystem),
            migration: Migration::default(),
            read_only: false,
            work_directory: std::env::temp_dir(),
            low_space: LOW_SPACE,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store object of this one, has it open.
    #[error(
        "{path}: {} owns this store; stop it, or talk to it through its control socket",
        named(*.holder)
    )]
    Locked {
        /// The store.
        path: PathBuf,
        /// The process that holds it, as far as the lock file tells.
        holder: Option<u32>,
    },
    /// The store is of a newer format, or an older one that is not to be
    /// changed, or none. Nothing was written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No copy of the store as it was could be kept. Nothing else was changed.
    #[error(
        "{path}: {source}; before a store of an older format is changed a copy is kept, which \
         needs room for one log segment: make room, or use the program that wrote this store"
    )]
    Copy {
        /// What was being copied.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("{path}: {source}; check that the directory exists and may be written")]
    Io {
        /// What was being opened.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// SQLite cannot open the index.
    #[error("{path}: {source}; the index is derived: it may be removed and is built anew")]
    Index {
        /// The index.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// The reason of [`EmbeddedOptions::read_only`].
const AS_TOLD: &str = "it was opened for reading only";

fn named(holder: Option<u32>) -> String {
    match holder {
        Some(process) if process == std::process::id() => "this process already".to_owned(),
        Some(process) => format!("process {process}"),
        None => "another process".to_owned(),
    }
}

/// What opening a store came upon.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenReport {
    /// Groups taken from the log into the index.
    pub replayed: u64,
    /// True when the index was missing or damaged and was built anew.
    pub rebuilt: bool,
    /// Octets of unfinished groups at the log's end that were dropped: what a
    /// crash cut off, never acknowledged.
    pub torn: u64,
    /// What could not be read. Everything else is served.
    pub damage: Vec<Damage>,
    /// Why the store is open for reading only; every change is answered with
    /// `StoreError::ReadOnly`.
    pub read_only: Option<String>,
    /// The copy of the store from before its format was changed, while it is
    /// there. It takes more and more space as the store goes on; whoever is
    /// content with the new version removes it.
    pub kept_copy: Option<PathBuf>,
}

/// A store in a directory: mailboxes, queue, state and events over one log.
///
/// Implements every storage seam of mailcore. Dropping it finishes what was
/// begun and joins the writer thread.
#[derive(Debug)]
pub struct EmbeddedStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) layout: Layout,
    pub(crate) identity: StoreId,
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) compacting: Compacting,
    pub(crate) retention: Retention,
    report: OpenReport,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The index of a store that can't be written.
    working_copy: Mutex<Option<WorkingCopy>>,
    /// `None` once the store is closed.
    lock: Mutex<Option<Lock>>,
}

impl EmbeddedStore {
    /// Opens the store in `path`, making it when the directory is empty or
    /// missing. Reads the log where the index is behind it. Blocks the thread.
    ///
    /// A store that the system does not let us write (a read-only file system,
    /// permissions) is opened for reading: [`OpenReport::read_only`].
    ///
    /// # Errors
    /// [`OpenError`]. Damage is none: it is named in [`EmbeddedStore::opened`].
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let layout = Layout::new(path.as_ref());
        let files = Arc::clone(&options.file_system);
        // First of all, and without writing: what is there may be none of ours.
        let found = format::look(&layout, &files)?;
        let taken = match (options.read_only, found) {
            (true, None) => {
                let missing = io::ErrorKind::NotFound.into();
                return Err(io_error(&layout.format(), missing));
            }
            (true, Some(_)) => lock::share(&layout.root, AS_TOLD.to_owned()),
            (false, Some(_)) => lock::take(&layout.root, true),
            (false, None) => {
                layout.make_directories(&*files)?;
                lock::take(&layout.root, false)
            }
        };
        match taken {
            Ok(lock @ Lock::Owned(_)) => Self::open_owned(layout, options, found, lock),
            Ok(Lock::Shared { file, reason }) => {
                let found = found.ok_or_else(|| {
                    let denied = io::ErrorKind::PermissionDenied.into();
                    io_error(&layout.root, denied)
                })?;
                let lock = Lock::Shared {
                    file,
                    reason: reason.clone(),
                };
                Self::open_read_only(layout, options, found, (lock, reason))
            }
            Err(LockError::Held(holder)) => Err(OpenError::Locked {
                path: layout.root,
                holder,
            }),
            Err(LockError::Io(source)) => Err(io_error(&layout.root.join("lock"), source)),
        }
    }

    fn open_owned(
        layout: Layout,
        options: EmbeddedOptions,
        found: Option<Found>,
        lock: Lock,
    ) -> Result<Self, OpenError> {
        let files = Arc::clone(&options.file_system);
        layout.make_directories(&*files)?;
        let identity = identify(&layout, found, &options)?;
        let directory = log_directory(&layout, &files, identity);
        let compacting = Compacting::new(&options, &directory);
        let copy = migrate::folder(&layout, FORMAT);
        let old = found.filter(Found::is_old);
        if let Some(found) = old {
            begin_migration(&layout, &directory, &copy, (found, options.migration))?;
        }
        let forget = found.is_some_and(|it| it.old_index);
        let (index, mut replayed, rebuilt) = open_index(&layout, &directory, forget)?;
        note_format(found, &mut replayed);
        if old.is_some() {
            // The one step that changes the format: all before it can be done again.
            name_format(&layout, &*files, (FORMAT, identity))?;
        }
        let sound = replayed.damage.is_empty();
        let extents = open_extents(&layout, &files, identity, (&index, sound))?;
        let log = LogWriter::open(directory.clone(), options.log, replayed.tail)?;
        let report = OpenReport {
            kept_copy: files.list(&copy).is_ok().then_some(copy),
            ..report(replayed, rebuilt)
        };
        let (sender, receiver) = mpsc::channel();
        let health = Health::writable(space(&layout, &options));
        let parts = parts(&layout, &options, &index, (extents, health));
        let shared = Arc::new(Shared::new(parts, Some(sender)));
        let writer = Writer {
            shared: Arc::clone(&shared),
            index,
            log,
            directory,
            reserve: Reserve::new(Arc::clone(&files), layout.root.join("reserve")),
            retention: options.retention,
            behind: false,
            counts: Counts::default(),
        };
        let thread = writer.start(receiver);
        let thread = thread.map_err(|source| io_error(&layout.root, source))?;
        Ok(Self {
            shared,
            layout,
            identity,
            files,
            compacting,
            retention: options.retention,
            report,
            writer: Mutex::new(Some(thread)),
            working_copy: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Writes nothing below the store's directory: the index is a copy, and the
    /// log is read where it ends.
    fn open_read_only(
        layout: Layout,
        options: EmbeddedOptions,
        found: Found,
        (lock, reason): (Lock, String),
    ) -> Result<Self, OpenError> {
        let files = Arc::clone(&options.file_system);
        let directory = log_directory(&layout, &files, found.identity);
        let compacting = Compacting::new(&options, &directory);
        let (working, mut replayed) =
            working_copy::open(&layout.index, &options.work_directory, &directory)?;
        note_format(Some(found), &mut replayed);
        let extents = Extents::open(
            Arc::clone(&files),
            layout.extents.clone(),
            found.identity,
            &|_| true,
        )
        .map_err(|source| io_error(&layout.extents, source))?;
        let health = Health::read_only(reason.clone());
        let parts = Parts {
            index_path: working.path().to_owned(),
            ..parts(&layout, &options, working.index(), (extents, health))
        };
        let report = OpenReport {
            read_only: Some(reason),
            ..report(replayed, false)
        };
        let layout = Layout {
            index: working.path().to_owned(),
            ..layout
        };
        Ok(Self {
            shared: Arc::new(Shared::new(parts, None)),
            layout,
            identity: found.identity,
            files,
            compacting,
            retention: options.retention,
            report,
            writer: Mutex::new(None),
            working_copy: Mutex::new(Some(working)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// What opening came upon.
    pub fn opened(&self) -> &OpenReport {
        &self.report
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        &self.layout.root
    }

    /// Finishes what was begun and ends the writer. Everything fails with
    /// `Unavailable` from then on. Blocks the thread; dropping does the same.
    pub fn close(&self) {
        self.compacting.close();
        drop(held(&self.shared.queue).take());
        if let Some(thread) = held(&self.writer).take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
        if let Some(working) = held(&self.working_copy).take() {
            self.shared.close_readers();
            drop(working);
        }
        drop(held(&self.lock).take());
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn space(layout: &Layout, options: &EmbeddedOptions) -> Space {
    Space::new(
        Arc::clone(&options.file_system),
        layout.root.clone(),
        options.low_space,
        Arc::clone(&options.clock),
    )
}

fn name_format(
    layout: &Layout,
    files: &dyn FileSystem,
    named: (u32, StoreId),
) -> Result<(), OpenError> {
    format::write(layout, files, named).map_err(|source| io_error(&layout.format(), source))
}

/// Whose store it is; named in a format file where none is, or a damaged one.
fn identify(
    layout: &Layout,
    found: Option<Found>,
    options: &EmbeddedOptions,
) -> Result<StoreId, OpenError> {
    let files = &*options.file_system;
    let Some(found) = found else {
        let identity = format::new_identity(&*options.entropy);
        name_format(layout, files, (FORMAT, identity))?;
        return Ok(identity);
    };
    // What is to be migrated is named when that is done.
    if found.damaged || !found.file && !found.is_old() {
        name_format(layout, files, (found.format, found.identity))?;
    }
    Ok(found.identity)
}

fn log_directory(layout: &Layout, files: &Arc<dyn FileSystem>, store: StoreId) -> LogDirectory {
    LogDirectory {
        files: Arc::clone(files),
        path: layout.log.clone(),
        store,
        generations: Generations::default(),
    }
}

/// What both ways of opening share.
fn parts(
    layout: &Layout,
    options: &EmbeddedOptions,
    index: &Index,
    (extents, health): (Extents, Health),
) -> Parts {
    let bodies = Bodies::new(
        Arc::clone(&options.file_system),
        layout.log.clone(),
        layout.extents.clone(),
        extents.store(),
        layout.index.clone(),
    );
    Parts {
        number: extents.store().number(),
        clock: Arc::clone(&options.clock),
        bodies: Arc::new(bodies),
        extents: Arc::new(extents),
        index_path: layout.index.clone(),
        health,
        newest_event: EventCursor(index.counters.event.saturating_sub(1)),
        column_cache: options.column_cache,
        undelete_for: options.retention.undelete_for,
        namespaces: Namespaces::read(index.connection()),
    }
}

/// A damaged format file is damage like any other.
fn note_format(found: Option<Found>, replayed: &mut Replayed) {
    if found.is_some_and(|it| it.damaged) {
        replayed.damage.push(Damage::FORMAT_FILE);
    }
}

fn report(replayed: Replayed, rebuilt: bool) -> OpenReport {
    OpenReport {
        replayed: replayed.groups,
        rebuilt,
        torn: replayed.tail.torn,
        damage: replayed.damage,
        ..OpenReport::default()
    }
}

/// Keeps a copy of a store in an older format, where that may be changed.
fn begin_migration(
    layout: &Layout,
    directory: &LogDirectory,
    copy: &Path,
    (found, migration): (Found, Migration),
) -> Result<(), OpenError> {
    if migration == Migration::Refuse {
        return Err(OpenError::Format(FormatError::Older {
            path: layout.format(),
            found: found.format,
        }));
    }
    tracing::info!(
        from = found.format,
        to = FORMAT,
        copy = %copy.display(),
        "the store is of an older format; it is migrated, and a copy is kept"
    );
    migrate::keep_copy(layout, directory, copy)
        .map_err(|(path, source)| OpenError::Copy { path, source })
}

//! Opening and closing: [`EmbeddedStore`], its options, its lock and its format
//! file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use mailcore::event::EventCursor;
use mailcore::seams::{Clock, Entropy, OsEntropy, SystemClock};
use thiserror::Error;

use super::body::Bodies;
use super::body::extent::Extents;
use super::fs::{DiskFileSystem, FileSystem};
use super::index::{Index, Retention, read};
use super::log::{Damage, FORMAT, LogDirectory, LogError, LogOptions, LogWriter, Lsn, StoreId};
use super::replay::{Reach, Replayed, catch_up};
use super::reserve::Reserve;
use super::sequencer::extent_body;
use super::shared::{Parts, Shared, lock};
use super::writer::{Counts, Writer};

/// Octets of the format file that are read.
const MAX_FORMAT_FILE: usize = 4_096;

/// What a store is opened with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// Sizes of the log's files.
    pub log: LogOptions,
    /// How long events and deliveries are kept.
    pub retention: Retention,
    /// Gives SAVEDATE, expiry of state, and UIDVALIDITY.
    pub clock: Arc<dyn Clock>,
    /// Gives a new store its identity.
    pub entropy: Arc<dyn Entropy>,
    /// Where the log and the large bodies are kept.
    pub file_system: Arc<dyn FileSystem>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            log: LogOptions::default(),
            retention: Retention::default(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            file_system: Arc::new(DiskFileSystem),
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store object of this one, has it open.
    #[error(
        "{0}: another process owns this store; stop it, or talk to it through its control socket"
    )]
    Locked(PathBuf),
    /// The store was written by a newer version.
    #[error(
        "{path}: format {found} is newer than {FORMAT}, which this program knows; use a newer program"
    )]
    Newer {
        /// The format file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
    /// The format file is not one.
    #[error(
        "{0}: not a mailcore store's format file; choose another directory or restore the file"
    )]
    NotAStore(PathBuf),
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
}

/// The paths of a store's parts.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) extents: PathBuf,
    pub(crate) index: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            log: root.join("log"),
            extents: root.join("extents"),
            index: root.join("index.db"),
        }
    }

    fn make_directories(&self, files: &dyn FileSystem) -> Result<(), OpenError> {
        for directory in [&self.root, &self.log, &self.extents] {
            files
                .create_dir_all(directory)
                .map_err(|source| io_error(directory, source))?;
        }
        Ok(())
    }

    /// A damaged index is put aside under this name, for whoever wants to know.
    fn set_aside(&self) -> PathBuf {
        self.root.join("index.db.damaged")
    }
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
    report: OpenReport,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// `None` once the store is closed.
    lock: Mutex<Option<File>>,
}

impl EmbeddedStore {
    /// Opens the store in `path`, making it when the directory is empty or
    /// missing. Reads the log where the index is behind it. Blocks the thread.
    ///
    /// # Errors
    /// [`OpenError`]. Damage is none: it is named in [`EmbeddedStore::opened`].
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let layout = Layout::new(path.as_ref());
        let files = Arc::clone(&options.file_system);
        layout.make_directories(&*files)?;
        let owned = take_lock(&layout.root)?;
        let identity = identity(&layout, &options)?;
        let directory = LogDirectory {
            files: Arc::clone(&files),
            path: layout.log.clone(),
            store: identity,
        };
        let (index, replayed, rebuilt) = open_index(&layout, &directory)?;
        let sound = replayed.damage.is_empty();
        let extents = open_extents(&layout, &files, identity, (&index, sound))?;
        let log = LogWriter::open(directory.clone(), options.log, replayed.tail)?;
        let bodies = Bodies::new(
            Arc::clone(&files),
            layout.log.clone(),
            layout.extents.clone(),
            identity,
        );
        let parts = Parts {
            number: identity.number(),
            clock: options.clock,
            bodies: Arc::new(bodies),
            extents: Arc::new(extents),
            index_path: layout.index.clone(),
            newest_event: EventCursor(index.counters.event.saturating_sub(1)),
        };
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::new(parts, sender));
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
        let thread = std::thread::Builder::new()
            .name("mailcore-store".into())
            .spawn(move || writer.run(receiver))
            .map_err(|source| io_error(&layout.root, source))?;
        let report = OpenReport {
            replayed: replayed.groups,
            rebuilt,
            torn: replayed.tail.torn,
            damage: replayed.damage,
        };
        let (writer, lock) = (Mutex::new(Some(thread)), Mutex::new(Some(owned)));
        Ok(Self {
            shared,
            layout,
            identity,
            files,
            report,
            writer,
            lock,
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
        drop(lock(&self.shared.queue).take());
        if let Some(thread) = lock(&self.writer).take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
        drop(lock(&self.lock).take());
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

/// One process owns a store. The lock goes with the process, however it ends.
fn take_lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| io_error(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

impl StoreId {
    fn hex(self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn from_hex(text: &str) -> Option<Self> {
        let value = u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)?;
        Some(Self(value.to_be_bytes()))
    }

    /// The number in blob keys and event ids; tells nothing of the identity.
    fn number(self) -> u64 {
        let mut octets = [0; 8];
        blake3::Hasher::new_derive_key("mailcore store number")
            .update(&self.0)
            .finalize_xof()
            .fill(&mut octets);
        u64::from_be_bytes(octets)
    }
}

/// The identity from the format file; a new one in a new store.
fn identity(layout: &Layout, options: &EmbeddedOptions) -> Result<StoreId, OpenError> {
    let path = layout.root.join("format");
    match read_format(&*options.file_system, &path) {
        Ok(text) => parse_format(&text, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = LogDirectory {
                files: Arc::clone(&options.file_system),
                path: layout.log.clone(),
                store: StoreId([0; 16]),
            };
            let id = match directory.any_identity()? {
                Some(id) => id,
                None => {
                    let mut octets = [0; 16];
                    options.entropy.fill(&mut octets);
                    StoreId(octets)
                }
            };
            write_format(layout, &*options.file_system, id)
                .map_err(|source| io_error(&path, source))?;
            Ok(id)
        }
        Err(source) => Err(io_error(&path, source)),
    }
}

/// The format file's text, as far as one can be long.
fn read_format(files: &dyn FileSystem, path: &Path) -> io::Result<String> {
    let mut octets = vec![0; MAX_FORMAT_FILE];
    let length = files.open_read(path)?.read_at(&mut octets, 0)?;
    octets.truncate(length);
    String::from_utf8(octets).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn parse_format(text: &str, path: &Path) -> Result<StoreId, OpenError> {
    let bad = || OpenError::NotAStore(path.to_owned());
    let mut lines = text.lines();
    if lines.next() != Some("mailcore store") {
        return Err(bad());
    }
    let found = lines
        .next()
        .and_then(|it| it.strip_prefix("format "))
        .and_then(|it| it.parse().ok())
        .ok_or_else(bad)?;
    if found > FORMAT {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    lines
        .next()
        .and_then(|it| it.strip_prefix("id "))
        .and_then(StoreId::from_hex)
        .ok_or_else(bad)
}

fn write_format(layout: &Layout, files: &dyn FileSystem, id: StoreId) -> io::Result<()> {
    let (new, path) = (layout.root.join("format.new"), layout.root.join("format"));
    match files.unlink(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create_new(&new)?;
    file.write_all_at(
        format!("mailcore store\nformat {FORMAT}\nid {}\n", id.hex()).as_bytes(),
        0,
    )?;
    file.sync_data()?;
    files.rename(&new, &path)?;
    files.sync_dir(&layout.root)
}

/// The index, in step with the log; built anew when it cannot be used.
fn open_index(
    layout: &Layout,
    directory: &LogDirectory,
) -> Result<(Index, Replayed, bool), OpenError> {
    let index_error = |source| OpenError::Index {
        path: layout.index.clone(),
        source,
    };
    let fresh = !layout.index.exists();
    if let Some(mut index) = Index::open(&layout.index, directory.store).map_err(index_error)? {
        let vouched = Lsn(index.applied.next.0.saturating_sub(1));
        match catch_up(&mut index, directory, Reach::all(vouched)) {
            Ok(replayed) => {
                let rebuilt = fresh && replayed.groups > 0;
                return Ok((index, replayed, rebuilt));
            }
            Err(LogError::Apply(error)) if super::index::is_damage(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    tracing::warn!(index = %layout.index.display(), "the index can't be used; building it anew from the log");
    set_aside(layout)?;
    let mut index = Index::open(&layout.index, directory.store)
        .map_err(index_error)?
        .ok_or_else(|| index_error(rusqlite::Error::InvalidQuery))?;
    let replayed = catch_up(&mut index, directory, Reach::all(Lsn(0)))?;
    Ok((index, replayed, true))
}

fn set_aside(layout: &Layout) -> Result<(), OpenError> {
    for suffix in ["-wal", "-shm"] {
        let mut name = layout.index.clone().into_os_string();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(Path::new(&name), error));
            }
            _ => {}
        }
    }
    match std::fs::rename(&layout.index, layout.set_aside()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(&layout.index, error))
        }
        _ => Ok(()),
    }
}

/// The extents, without those that nothing refers to. In a store with damage
/// all stay: what referred to them may be what is lost.
fn open_extents(
    layout: &Layout,
    files: &Arc<dyn FileSystem>,
    identity: StoreId,
    (index, sound): (&Index, bool),
) -> Result<Extents, OpenError> {
    let index_error = |source| OpenError::Index {
        path: layout.index.clone(),
        source,
    };
    if sound {
        index.forget_dead_extents().map_err(index_error)?;
    }
    let known = |id| !sound || !matches!(read::body(index.connection(), extent_body(id)), Ok(None));
    Extents::open(Arc::clone(files), layout.extents.clone(), identity, &known)
        .map_err(|source| io_error(&layout.extents, source))
}

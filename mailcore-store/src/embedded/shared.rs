//! What the writer thread and all handles share: the way to the writer, readers
//! of the index, and who has what open or leased.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mailcore::event::EventCursor;
use mailcore::message::BlobKey;
use mailcore::seams::{Clock, CommitError, StoreError};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, watch};

use super::body::extent::Extents;
use super::body::{Bodies, BodyPlace, StoredBody};
use super::columns::Budget;
use super::health::Health;
use super::index::read::BodyRow;
use super::index::{before, connect, is_damage};
use super::leases::Leases;
use super::live::Live;
use super::names::Names;
use super::namespaces::Namespaces;
use super::recent::Kept;
use super::request::{MAX_WAITING, Request};

/// What readers are told that would be shown less than was acknowledged.
const BEHIND: StoreError = StoreError::Unavailable("the index can't take what is in the log");
/// Connections kept open for readers.
const IDLE_READERS: usize = 4;
/// Mailboxes kept open after their last session.
const MAX_OPENED: usize = 256;
/// Mailboxes with mail that no session was told of; further ones go untold.
const MAX_UNTOLD: usize = 1 << 16;
/// Entries of the live table that trigger a removal of the dead ones.
const LIVE_SWEEP: usize = 1_024;

/// See the file's description.
pub(crate) struct Shared {
    /// Names this store in blob keys and event ids.
    pub(crate) number: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) extents: Arc<Extents>,
    pub(crate) index_path: PathBuf,
    /// Octets of all columns held.
    pub(crate) columns: Budget,
    /// How much is kept of what changed last.
    recent: Kept,
    /// Mailboxes by name.
    pub(crate) names: Names,
    /// How long removed messages can be brought back; zero for not at all.
    pub(crate) undelete_for: Duration,
    readers: Mutex<Vec<Connection>>,
    leases: Mutex<Leases>,
    live: Mutex<HashMap<u64, Weak<Live>>>,
    /// Mailboxes opened last, so that opening them again is cheap.
    opened: Mutex<VecDeque<Arc<Live>>>,
    /// The first message of each mailbox that no session was told of, of those
    /// filed since the store was opened.
    untold: Mutex<HashMap<u64, u32>>,
    /// Who waits for changes of an account.
    accounts: Mutex<HashMap<String, watch::Sender<u64>>>,
    pub(crate) spool_changed: watch::Sender<u64>,
    pub(crate) newest_event: watch::Sender<EventCursor>,
    /// `None` once the store is closed.
    pub(crate) queue: Mutex<Option<mpsc::Sender<Request>>>,
    /// Places in the queue.
    pub(crate) places: Arc<Semaphore>,
    /// Something that was acknowledged is not visible in the index yet.
    unseen: AtomicBool,
    /// It could not be made visible when that was tried last.
    behind: AtomicBool,
    /// The index turned out to be damaged, and the next start knows.
    doubted: AtomicBool,
    /// Whether changes can be made.
    pub(crate) health: Health,
    /// Parts of the state that hold something.
    pub(crate) namespaces: Namespaces,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("index", &self.index_path)
            .finish_non_exhaustive()
    }
}

/// What [`Shared`] is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) number: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) extents: Arc<Extents>,
    pub(crate) index_path: PathBuf,
    pub(crate) newest_event: EventCursor,
    /// Octets that mailboxes' columns may take.
    pub(crate) column_cache: usize,
    pub(crate) health: Health,
    pub(crate) undelete_for: Duration,
    pub(crate) namespaces: Namespaces,
}

impl Shared {
    pub(crate) fn new(parts: Parts, queue: Option<mpsc::Sender<Request>>) -> Self {
        Self {
            number: parts.number,
            clock: parts.clock,
            bodies: parts.bodies,
            extents: parts.extents,
            index_path: parts.index_path,
            columns: Budget::new(parts.column_cache),
            recent: Kept::default(),
            names: Names::default(),
            undelete_for: parts.undelete_for,
            readers: Mutex::default(),
            leases: Mutex::default(),
            live: Mutex::default(),
            opened: Mutex::default(),
            untold: Mutex::default(),
            accounts: Mutex::default(),
            spool_changed: watch::Sender::new(0),
            newest_event: watch::Sender::new(parts.newest_event),
            queue: Mutex::new(queue),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            unseen: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            health: parts.health,
            namespaces: parts.namespaces,
        }
    }

    /// True when the store was opened for reading.
    pub(crate) fn is_read_only(&self) -> bool {
        self.health.may_change().is_err()
    }

    /// As [`Health::has_room`]. When the answer changes, the writer is woken to
    /// tell operators.
    pub(crate) fn has_room(&self, octets: u64) -> bool {
        let room = self.health.has_room(octets);
        if self.health.untold().is_some()
            && let Some(queue) = &*lock(&self.queue)
        {
            // A writer that is gone tells nobody any more.
            drop(queue.send(Request::nothing()));
        }
        room
    }

    /// Notes whether readers have to ask before they see everything.
    pub(crate) fn set_unseen(&self, unseen: bool) {
        self.unseen.store(unseen, Ordering::Release);
    }

    /// Notes whether the index could not take what is in the log.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }

    /// Makes everything visible that was acknowledged so far.
    ///
    /// # Errors
    /// Why the index can't take it. What it has without that is no answer: a
    /// message that was acknowledged would seem not to exist.
    pub(crate) async fn reveal(&self) -> Result<(), StoreError> {
        if !self.unseen.load(Ordering::Acquire) {
            return Ok(());
        }
        let revealed = self.submit(|sequencer| {
            sequencer.notes.reveal = true;
            Ok(())
        });
        let revealed = revealed.await.map_err(|error| match error {
            CommitError::Store(error) => error,
            _ => BEHIND,
        });
        self.revealed(revealed)
    }

    /// As [`Shared::reveal`]; blocks the thread.
    ///
    /// # Errors
    /// As [`Shared::reveal`].
    pub(crate) fn reveal_blocking(&self) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::channel();
        let queue = lock(&self.queue).clone();
        if self.unseen.load(Ordering::Acquire)
            && let Some(queue) = queue
            && queue.send(Request::reveal(sender)).is_ok()
            && let Ok(revealed) = receiver.recv()
        {
            return self.revealed(revealed);
        }
        self.revealed(Ok(()))
    }

    /// The writer may have failed at what others asked for and still have shown
    /// everything; or have had nothing to write and not be able to show it.
    fn revealed(&self, answer: Result<(), StoreError>) -> Result<(), StoreError> {
        match answer {
            Err(error) if self.unseen.load(Ordering::Acquire) => Err(error),
            _ if self.behind.load(Ordering::Acquire) => Err(BEHIND),
            _ => Ok(()),
        }
    }

    /// Runs a read of the index on a thread that may block, on all that was
    /// acknowledged before.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection, &Arc<Self>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reveal().await?;
        let shared = Arc::clone(self);
        let job = move || {
            let conn = shared.reader().map_err(|error| index_error(&error))?;
            let result = read(&conn, &shared).map_err(|error| index_error(&error));
            if matches!(result, Err(StoreError::Damaged(_))) {
                shared.doubt_index();
            }
            let mut idle = lock(&shared.readers);
            if idle.len() < IDLE_READERS {
                idle.push(conn);
            }
            result
        };
        tokio::task::spawn_blocking(job)
            .await
            .map_err(|_| StoreError::Unavailable("the runtime is shutting down"))?
    }

    /// A connection that reads the index.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        if let Some(conn) = lock(&self.readers).pop() {
            return Ok(conn);
        }
        let conn = connect(&self.index_path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    /// Has the next start build the index anew: SQLite finds damage only where it
    /// comes by, and opening does not come by everywhere.
    pub(crate) fn doubt_index(&self) {
        if self.health.may_change().is_err() || self.doubted.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = in_doubt(&self.index_path);
        match File::create(&path).and_then(|file| file.sync_all()) {
            Ok(()) => tracing::error!(
                index = %self.index_path.display(),
                "the index is damaged; it is built anew from the log at the next start"
            ),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the index is damaged, and that can't be noted");
                self.doubted.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Closes idle connections.
    pub(crate) fn close_readers(&self) {
        lock(&self.readers).clear();
    }

    pub(crate) fn leases(&self) -> MutexGuard<'_, Leases> {
        lock(&self.leases)
    }

    /// The live counters of a mailbox, made when nobody has it open.
    pub(crate) fn live(&self, id: u64) -> Arc<Live> {
        let mut table = lock(&self.live);
        if let Some(live) = table.get(&id).and_then(Weak::upgrade) {
            return live;
        }
        if table.len() >= LIVE_SWEEP && table.len().is_power_of_two() {
            table.retain(|_, live| live.strong_count() > 0);
        }
        let live = Arc::new(Live::new(id, self.recent.clone()));
        table.insert(id, Arc::downgrade(&live));
        let mut opened = lock(&self.opened);
        if opened.len() >= MAX_OPENED {
            opened.pop_front();
        }
        opened.push_back(Arc::clone(&live));
        live
    }

    /// The live counters, when somebody has the mailbox open.
    pub(crate) fn live_if_open(&self, id: u64) -> Option<Arc<Live>> {
        lock(&self.live).get(&id).and_then(Weak::upgrade)
    }

    /// Every mailbox that somebody has open.
    pub(crate) fn all_live(&self) -> Vec<Arc<Live>> {
        lock(&self.live)
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Lets go of pages, those asked for longest ago first, until the rest is
    /// within the budget.
    pub(crate) fn trim_columns(&self) {
        if self.columns.excess() == 0 {
            return;
        }
        let mut live = self.all_live();
        live.sort_unstable_by_key(|it| it.asked());
        for it in live {
            if self.columns.excess() == 0 {
                return;
            }
            it.drop_pages();
        }
    }

    /// Lets go of all that is kept of what changed last, when that is too much:
    /// who watches has read it or reads it in the index.
    pub(crate) fn trim_recent(&self) {
        if self.recent.is_too_much() {
            self.all_live().iter().for_each(|it| it.forget_recent());
        }
    }

    /// True when somebody waits for changes of this mailbox.
    pub(crate) fn is_watched(&self, mailbox: u64) -> bool {
        let live = self.live_if_open(mailbox);
        live.is_some_and(|it| it.is_watched())
    }

    /// Notes the first message that was filed in each of these mailboxes.
    pub(crate) fn note_filed(&self, firsts: impl IntoIterator<Item = (u64, u32)>) {
        let mut untold = lock(&self.untold);
        for (mailbox, uid) in firsts {
            if untold.len() < MAX_UNTOLD {
                untold.entry(mailbox).or_insert(uid);
            }
        }
    }

    /// Takes what no session was told of: the first such message.
    pub(crate) fn claim_untold(&self, mailbox: u64) -> Option<u32> {
        lock(&self.untold).remove(&mailbox)
    }

    /// Tells of changes to an account from now on.
    pub(crate) fn watch_account(&self, account: &str) -> watch::Receiver<u64> {
        let mut accounts = lock(&self.accounts);
        if accounts.len() >= LIVE_SWEEP && accounts.len().is_power_of_two() {
            accounts.retain(|_, sender| sender.receiver_count() > 0);
        }
        accounts.entry(account.to_owned()).or_default().subscribe()
    }

    /// True when somebody waits for changes of one of these accounts.
    pub(crate) fn is_any_watched(&self, changed: &BTreeSet<Arc<str>>) -> bool {
        let accounts = lock(&self.accounts);
        !accounts.is_empty()
            && changed.iter().any(|account| {
                let sender = accounts.get(&**account);
                sender.is_some_and(|it| it.receiver_count() > 0)
            })
    }

    /// Tells those who wait for changes of accounts that did change.
    pub(crate) fn tell_accounts(&self, changed: impl Fn(&str) -> bool) {
        let accounts = lock(&self.accounts);
        for (_, sender) in accounts.iter().filter(|(account, _)| changed(account)) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// What was removed then or before is not brought back any more.
    pub(crate) fn removed_until(&self) -> i64 {
        before(self.clock.now(), self.undelete_for)
    }

    pub(crate) fn blob_key(&self, body: u64) -> BlobKey {
        BlobKey {
            store: self.number,
            content: u128::from(body),
        }
    }

    pub(crate) fn stored_body(&self, row: Option<BodyRow>) -> StoredBody {
        let (id, place, length) = row.map_or((0, BodyPlace::Lost, 0), |row| {
            (row.id, BodyPlace::of(&row), row.length)
        });
        StoredBody::new(
            Arc::clone(&self.bodies),
            (self.blob_key(id), id),
            place,
            length,
        )
    }
}

/// A lock whose holder panicked guards plain values that are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There while an index is known to be damaged.
pub(crate) fn in_doubt(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".in-doubt");
    PathBuf::from(name)
}

/// An error of the index as the seams name it.
pub(crate) fn index_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull,
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly("the index can't be written".into()),
        _ if is_damage(error) => StoreError::Damaged(format!(
            "the index ({error}); it is built anew from the log when the server is started anew"
        )),
        _ => StoreError::Io {
            context: "reading the index".into(),
            source: Arc::new(IndexFailure(error.to_string())),
        },
    }
}

/// SQLite's words; its own error type can't be shared between threads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct IndexFailure(String);

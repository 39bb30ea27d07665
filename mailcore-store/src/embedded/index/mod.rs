//! The index: a SQLite database derived from the log, for finding things.
//!
//! Losing it loses nothing. It is written by the one writer thread; readers
//! have connections of their own ([`read`]).

mod apply;
mod cache;
mod held;
pub(crate) mod read;
pub(crate) mod removed;
pub(crate) mod rights;
pub(crate) mod segments;
pub(crate) mod spool;
mod tidy;
mod vanished;

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use mailcore::mailbox::UidSet;
use mailcore::seams::QuotaUsage;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

pub(crate) use apply::{IN_EXTENT, LOST, Origin};
pub(crate) use cache::{Counters, MailboxState};
pub(crate) use segments::{MadeOne, Moved, Takeover};
pub use tidy::Retention;
pub(crate) use tidy::before;

use super::body::EXTENT_BODIES;
use super::log::{Lsn, Place, SegmentId, StoreId};
use super::recent::Fresh;
use cache::Cache;
use held::Held;
use read::MessageRow;

/// The layout of the tables. An index of another version is built anew.
pub(crate) const INDEX_VERSION: i64 = 5;
/// Where SQLite's VFS for databases in memory has its names; the same name is
/// the same database within the process (sqlite.org/uri.html, `vfs=memdb`).
pub(crate) const IN_MEMORY: &str = "file:";
/// Statements kept prepared in each connection.
const STATEMENTS: usize = 96;
/// Pages of write-ahead log before SQLite moves them into the database file.
/// Large, since each move costs syncs that no message should wait for.
const CHECKPOINT_PAGES: u32 = 4_000;

/// The writer's side of the index.
#[derive(Debug)]
pub(crate) struct Index {
    conn: Connection,
    cache: Cache,
    /// Rows of messages that the table does not have as they are.
    held: Held,
    /// The next numbers.
    pub(crate) counters: Counters,
    /// Up to where the log is applied.
    pub(crate) applied: Place,
    /// Up to where the table of numbers says that it is.
    noted: Place,
    /// Mailboxes deleted since the last group.
    pub(crate) deleted: Vec<u64>,
    /// The first message filed in each mailbox since the last group.
    pub(crate) filed: HashMap<u64, u32>,
    /// What changed since the last group in mailboxes that somebody watches.
    pub(crate) fresh: HashMap<u64, Fresh>,
    /// Accounts with a change since the last group that no mailbox's counters
    /// show: names, subscriptions, rights.
    pub(crate) touched: BTreeSet<Arc<str>>,
    /// Mailboxes with new rows in `vanished` since these were last made fewer.
    vanished_in: BTreeSet<u64>,
    /// Where the search for old deliveries goes on.
    swept: Vec<u8>,
}

/// Numbers are kept in SQLite's signed integers; none of ours reaches the sign.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Undoes [`signed`]; a negative number in a row is damage and reads as 0.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    conn.pragma_update(None, "cache_size", -8_000)?;
    Ok(conn)
}

impl Index {
    /// Opens or makes the database. `None` when there is one that cannot be
    /// used: damaged, of another version, or of another store.
    ///
    /// # Errors
    /// When the file cannot be opened or made.
    pub(crate) fn open(path: &Path, store: StoreId) -> rusqlite::Result<Option<Self>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        make_private(path);
        match connect(path, flags).and_then(|conn| Self::prepare(conn, store)) {
            Ok(index) => Ok(index),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn prepare(conn: Connection, store: StoreId) -> rusqlite::Result<Option<Self>> {
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        let tables: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            make_tables(&conn, store)?;
        }
        let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != INDEX_VERSION {
            return Ok(None);
        }
        let owner: Option<Vec<u8>> = conn
            .query_row("SELECT store FROM meta", [], |row| row.get(0))
            .optional()?;
        if owner.as_deref() != Some(&store.0[..]) {
            return Ok(None);
        }
        let (applied, counters) = read_meta(&conn)?;
        Ok(Some(Self {
            conn,
            cache: Cache::default(),
            held: Held::default(),
            counters,
            applied,
            noted: applied,
            deleted: Vec::new(),
            filed: HashMap::new(),
            fresh: HashMap::new(),
            touched: BTreeSet::new(),
            vanished_in: BTreeSet::new(),
            swept: Vec::new(),
        }))
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])
            .map(drop)
    }

    /// Writes the counters that groups changed.
    fn write_counters(&mut self) -> rusqlite::Result<()> {
        self.write_mailboxes()?;
        let (at, next) = (self.applied, self.counters);
        // What only looked or was refused leaves no trace.
        if at == self.noted {
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "UPDATE meta SET next_lsn = ?, segment = ?, place = ?, next_mailbox = ?, next_body = ?,
                 next_content = ?, next_version = ?, next_event = ?, next_validity = ?",
            )?
            .execute(params![
                signed(at.next.0),
                signed(at.segment.0),
                signed(at.offset),
                signed(next.mailbox),
                signed(next.body),
                signed(next.content),
                signed(next.version),
                signed(next.event),
                next.validity,
            ])?;
        self.noted = at;
        Ok(())
    }

    fn write_mailboxes(&self) -> rusqlite::Result<()> {
        let mut update = self.conn.prepare_cached(
            "UPDATE mailboxes SET uid_next = ?, modseq = ?, messages = ?, unseen = ?, deleted = ?, size = ? WHERE id = ?",
        )?;
        for state in self.cache.unwritten() {
            update.execute(params![
                signed(state.uid_next),
                signed(state.modseq),
                signed(state.messages),
                signed(state.unseen),
                signed(state.deleted),
                signed(state.size),
                signed(state.id),
            ])?;
        }
        Ok(())
    }

    /// Makes all that was written visible to readers.
    pub(crate) fn commit(&mut self) -> rusqlite::Result<()> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        self.write_all_held()?;
        self.write_counters()?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.cache.wrote();
        Ok(())
    }

    /// Begins a group, in the transaction of those before when they are not
    /// visible yet. There is no savepoint between them: SQLite would copy every
    /// page that a group touches, each time, for a failure that hardly ever
    /// comes, and what goes with a group that failed is in the log.
    pub(crate) fn begin_group(&self) -> rusqlite::Result<()> {
        match self.conn.is_autocommit() {
            true => self.begin(),
            false => Ok(()),
        }
    }

    /// After a commit: the mailboxes that changed, for their watchers.
    pub(crate) fn settle(&mut self) -> Vec<MailboxState> {
        let changed = self.cache.dirty().cloned().collect();
        self.cache.settle();
        changed
    }

    /// Forgets everything that is not visible to readers: the group begun last,
    /// and those before it that nobody has seen. [`Index::applied`] tells.
    ///
    /// # Errors
    /// When SQLite fails; the connection is then of no more use.
    pub(crate) fn rollback(&mut self) -> rusqlite::Result<()> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        self.forget()
    }

    /// Takes the numbers from the tables again.
    fn forget(&mut self) -> rusqlite::Result<()> {
        self.cache.forget();
        self.held.forget();
        self.deleted.clear();
        self.filed.clear();
        self.fresh.clear();
        self.touched.clear();
        (self.applied, self.counters) = read_meta(&self.conn)?;
        self.noted = self.applied;
        Ok(())
    }

    /// Moves what it can from SQLite's write-ahead log into the database file,
    /// in nobody's way.
    pub(crate) fn checkpoint_some(&self) -> rusqlite::Result<()> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Moves everything from SQLite's write-ahead log into the database file.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Those messages of `uids` that exist, ascending, as they are now.
    ///
    /// # Errors
    /// As SQLite's.
    pub(crate) fn messages(
        &mut self,
        mailbox: u64,
        uids: &UidSet,
    ) -> rusqlite::Result<Vec<MessageRow>> {
        self.write_held(mailbox)?;
        read::messages(&self.conn, mailbox, uids)
    }

    /// A mailbox by id.
    pub(crate) fn mailbox(&mut self, id: u64) -> rusqlite::Result<Option<&MailboxState>> {
        if self.cache.mailbox(id).is_none()
            && let Some(state) = read::mailbox_by_id(&self.conn, id)?
        {
            self.cache.insert(state);
        }
        Ok(self.cache.mailbox(id))
    }

    /// A mailbox by name.
    pub(crate) fn mailbox_named(
        &mut self,
        account: &str,
        name: &str,
    ) -> rusqlite::Result<Option<&MailboxState>> {
        let id = match self.cache.id(account, name) {
            Some(id) => id,
            None => match read::mailbox_by_name(&self.conn, account, name)? {
                // The counters held may be newer than the row.
                Some(state) if self.cache.mailbox(state.id).is_some() => state.id,
                Some(state) => {
                    let id = state.id;
                    self.cache.insert(state);
                    id
                }
                None => return Ok(None),
            },
        };
        Ok(self.cache.mailbox(id))
    }

    /// Removes extents that nothing refers to any more. Dead bodies in the log
    /// keep their rows: they tell which share of a segment is dead.
    pub(crate) fn forget_dead_extents(&self) -> rusqlite::Result<()> {
        self.conn
            .execute(
                "DELETE FROM bodies WHERE id >= ? AND refs <= 0",
                [signed(EXTENT_BODIES)],
            )
            .map(drop)
    }

    /// What the account's messages use, this group included.
    pub(crate) fn usage(&self, account: &str) -> rusqlite::Result<QuotaUsage> {
        self.write_mailboxes()?;
        read::usage(&self.conn, account)
    }
}

/// True when SQLite says that the file is not what it should be.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    ) || matches!(error, rusqlite::Error::QueryReturnedNoRows)
        || matches!(error.sqlite_error(), Some(it) if it.extended_code == rusqlite::ffi::SQLITE_ERROR)
}

/// Makes the file for its owner alone; SQLite's other files take its mode. A
/// failure shows when SQLite opens it.
fn make_private(path: &Path) {
    // One in memory has no file.
    if path.starts_with(IN_MEMORY) {
        return;
    }
    drop(
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path),
    );
}

fn make_tables(conn: &Connection, store: StoreId) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.execute_batch(include_str!("schema.sql"))?;
    let (start, next) = (Place::START, Counters::default());
    conn.execute(
        "INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            &store.0[..],
            signed(start.next.0),
            signed(start.segment.0),
            signed(start.offset),
            signed(next.mailbox),
            signed(next.body),
            signed(next.content),
            signed(next.version),
            signed(next.event),
            next.validity,
            i64::MIN,
        ],
    )?;
    conn.pragma_update(None, "user_version", INDEX_VERSION)?;
    conn.execute_batch("COMMIT")
}

fn read_meta(conn: &Connection) -> rusqlite::Result<(Place, Counters)> {
    let number = |row: &Row<'_>, at: usize| row.get(at).map(unsigned);
    conn.query_row(
        "SELECT next_lsn, segment, place, next_mailbox, next_body, next_content, next_version, next_event,
         next_validity FROM meta",
        [],
        |row| {
            let place = Place {
                next: Lsn(number(row, 0)?),
                segment: SegmentId(number(row, 1)?),
                offset: number(row, 2)?,
            };
            let counters = Counters {
                mailbox: number(row, 3)?,
                body: number(row, 4)?,
                content: number(row, 5)?,
                version: number(row, 6)?,
                event: number(row, 7)?,
                validity: row.get(8)?,
            };
            Ok((place, counters))
        },
    )
}

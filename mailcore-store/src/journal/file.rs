//! The file: made, opened, brought up to date. Knows no table.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mailcore::seams::JournalError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failed;
use super::schema::{APPLICATION_ID, STEPS};

/// How long another process's write is waited for.
const BUSY: Duration = Duration::from_secs(10);
/// Octets of write-ahead log that are kept when it could be shorter.
const WAL_KEPT: i64 = 4 * 1024 * 1024;
/// Pages copied at a time before an upgrade.
const COPY_PAGES: i32 = 1_024;

/// Opens or makes the file.
pub(super) fn open(path: &Path, steps: &[&str]) -> Result<Connection, JournalError> {
    let wrap = |error: rusqlite::Error| failed(path, error);
    make(path).map_err(|error| failed(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrap)?;
    prepare(&connection).map_err(wrap)?;
    let newest = version_of(steps);
    match found(&connection).map_err(wrap)? {
        Found::Empty => {
            // Takes effect only before the first table.
            connection
                .pragma_update(None, "auto_vacuum", "INCREMENTAL")
                .map_err(wrap)?;
            raise(&mut connection, 0, steps).map_err(wrap)?;
        }
        Found::Ours(version) if version == newest => {}
        Found::Ours(version) if version < newest => {
            copy(&connection, path, newest)?;
            raise(&mut connection, version, steps).map_err(wrap)?;
        }
        other => return Err(failed(path, other.refusal(newest))),
    }
    configure(&connection).map_err(wrap)?;
    Ok(connection)
}

/// Opens a file that is there, for reading alone.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, JournalError> {
    let wrap = |error: rusqlite::Error| failed(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrap)?;
    prepare(&connection).map_err(wrap)?;
    let newest = version_of(STEPS);
    match found(&connection).map_err(wrap)? {
        Found::Ours(version) if version == newest => Ok(connection),
        other => Err(failed(path, other.refusal(newest))),
    }
}

/// Moves what stands in the write-ahead log into the file itself.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn version_of(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}

/// Makes an empty file that the owner's group may read.
fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        match options.mode(0o640).open(path) {
            // The umask may have taken the group's right.
            Ok(file) => file.set_permissions(std::fs::Permissions::from_mode(0o640)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Settings of the connection alone: the file is not changed by them.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // The write-ahead log and its index stay when the last connection closes:
    // who may only read the file needs both, and can't make them.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What a power cut takes is read from the outbox again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT, |_| Ok(()))
}

/// What a file turned out to be.
enum Found {
    Empty,
    /// A journal of this version.
    Ours(i64),
    Foreign,
}

impl Found {
    fn refusal(&self, newest: i64) -> String {
        match self {
            Self::Ours(version) if *version > newest => format!(
                "written by a newer version (schema {version}, this program knows {newest}); \
                 run that version, or give another [journal] path"
            ),
            Self::Ours(version) => format!(
                "written by an older version (schema {version}, this program reads {newest}); \
                 start the server once, which brings it up to date"
            ),
            Self::Empty => "this file is empty; start the server once, which fills it".to_owned(),
            Self::Foreign => "this is not a mailcore journal; choose another file".to_owned(),
        }
    }
}

fn found(connection: &Connection) -> rusqlite::Result<Found> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (0, 0, 0) => Found::Empty,
        (APPLICATION_ID, version, _) if version > 0 => Found::Ours(version),
        _ => Found::Foreign,
    })
}

/// Runs the steps after `version`, all or none.
fn raise(connection: &mut Connection, version: i64, steps: &[&str]) -> rusqlite::Result<()> {
    let batch = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        batch.execute_batch(step)?;
    }
    batch.pragma_update(None, "application_id", APPLICATION_ID)?;
    batch.pragma_update(None, "user_version", version_of(steps))?;
    batch.commit()
}

/// Copies the file before its tables become those of `version`:
/// `journal.db.before-2`.
fn copy(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, JournalError> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-{version}{ending}"));
        PathBuf::from(name)
    };
    let (part, whole) = (beside(".part"), beside(""));
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&part, error));
        }
        _ => {}
    }
    make(&part).map_err(|error| failed(&part, error))?;
    let write = || -> rusqlite::Result<()> {
        let mut to = Connection::open(&part)?;
        let backup = rusqlite::backup::Backup::new(connection, &mut to)?;
        backup.run_to_completion(COPY_PAGES, Duration::ZERO, None)
    };
    write().map_err(|error| failed(&part, error))?;
    std::fs::rename(&part, &whole).map_err(|error| failed(&whole, error))?;
    Ok(whole)
}

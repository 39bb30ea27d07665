//! [`SqliteDirectory`]: a directory in one SQLite file.
//!
//! The file holds password hashes, so it is readable by its owner alone and
//! what is removed from it is overwritten. Its tables are described in
//! `docs/storage.md`.

mod load;
mod save;
mod schema;
mod secrets;

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailcore::seams::{Clock, DirectoryError, Entropy, OsEntropy, SystemClock};
use rusqlite::{Connection, TransactionBehavior};

use super::keep::{Change, Keep, Opened, ScriptKey};
use super::local::LocalDirectory;
use super::passwords::PasswordHashing;
use super::table::Table;
use schema::{Found, SCHEMA_VERSION};

/// A directory in a file, `directory.db`. Changes made by other processes are
/// seen within a second.
pub type SqliteDirectory = LocalDirectory<Database>;

impl SqliteDirectory {
    /// Opens or makes the file, on the computer's clock and randomness. Blocks.
    /// A file of an earlier schema is copied aside and brought to the present
    /// one; damaged sections are left out
    /// ([`opened`](LocalDirectory::opened)).
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] when the file can't be opened, is not a
    /// directory, or was written by a newer version, which leaves it as it is.
    pub fn open(path: impl AsRef<Path>, hashing: PasswordHashing) -> Result<Self, DirectoryError> {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        Self::open_with(path.as_ref(), hashing, clock, entropy)
    }

    /// As [`SqliteDirectory::open`], on the given clock and randomness.
    ///
    /// # Errors
    /// As [`SqliteDirectory::open`].
    pub fn open_with(
        path: &Path,
        hashing: PasswordHashing,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, DirectoryError> {
        Self::over(Database::open(path)?, hashing, clock, entropy)
    }
}

/// The file behind a [`SqliteDirectory`].
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    opened: Opened,
    /// `PRAGMA data_version` at the last read: changes when others write.
    seen: Option<i64>,
    /// True when something that ended may still be in the log, because another
    /// process was reading it.
    holds_ended_secret: bool,
}

impl Database {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// As [`SqliteDirectory::open`].
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |error: &dyn std::fmt::Display| {
            DirectoryError::Unavailable(format!("{}: {error}", path.display()))
        };
        refuse(&schema::peek(path).map_err(|error| failed(&error))?)
            .map_err(|error| failed(&error))?;
        make_private(path).map_err(|error| failed(&error))?;
        let mut connection = Connection::open(path).map_err(|error| failed(&error))?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(|error| failed(&error))?;
        let found = schema::inspect(&connection).map_err(|error| failed(&error))?;
        refuse(&found).map_err(|error| failed(&error))?;
        let mut opened = Opened::default();
        if let Found::Ours(version) = found
            && version < SCHEMA_VERSION
        {
            let copy = schema::copy_aside(&connection, path).map_err(|error| failed(&error))?;
            tracing::info!(from = version, copy = %copy.display(), "directory is migrated");
            opened.migrated = Some((version, copy));
        }
        configure(&connection).map_err(|error| failed(&error))?;
        if !matches!(found, Found::Ours(SCHEMA_VERSION)) {
            schema::migrate(&mut connection).map_err(|error| failed(&error))?;
            truncate_log(&connection).map_err(|error| failed(&error))?;
        }
        Ok(Self {
            connection,
            opened,
            seen: None,
            holds_ended_secret: false,
        })
    }

    fn write(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let seen = self.seen;
        let behavior = TransactionBehavior::Immediate;
        let batch = self.connection.transaction_with_behavior(behavior)?;
        // The rules looked at what was read then.
        if Some(data_version(&batch)?) != seen {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                Some("another process changed the directory meanwhile; try again".into()),
            ));
        }
        for change in changes {
            save::change(&batch, change)?;
        }
        batch.commit()?;
        self.holds_ended_secret |= changes.iter().any(Change::ends_secret);
        if self.holds_ended_secret {
            // What ended is overwritten in the file itself, and the log that
            // still holds it is cut. When another process reads the log, the
            // next write tries again; the change itself is done.
            self.holds_ended_secret = !truncate_log(&self.connection).unwrap_or(false);
        }
        Ok(())
    }
}

impl Keep for Database {
    const SHARED: bool = true;
    const HOLDS_SCRIPTS: bool = true;

    fn refresh(&mut self) -> Result<Option<Table>, DirectoryError> {
        let version = data_version(&self.connection).map_err(unavailable)?;
        if self.seen == Some(version) {
            return Ok(None);
        }
        // One transaction, so that all sections are of one moment.
        let batch = self
            .connection
            .unchecked_transaction()
            .map_err(unavailable)?;
        let table = load::table(&batch);
        drop(batch);
        self.seen = Some(version);
        Ok(Some(table))
    }

    fn save(&mut self, changes: &[Change]) -> Result<(), DirectoryError> {
        self.write(changes).map_err(unavailable)
    }

    fn script(&mut self, key: &ScriptKey) -> Result<Option<Arc<str>>, DirectoryError> {
        let text = save::read_script(&self.connection, key).map_err(unavailable)?;
        Ok(text.map(Into::into))
    }

    fn opened(&self) -> Opened {
        self.opened.clone()
    }
}

/// Changes when another connection has written.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn unavailable(error: rusqlite::Error) -> DirectoryError {
    DirectoryError::Unavailable(error.to_string())
}

/// Refuses what this program must not touch.
fn refuse(found: &Found) -> Result<(), String> {
    match found {
        Found::Empty => Ok(()),
        Found::Ours(version) if *version <= SCHEMA_VERSION => Ok(()),
        Found::Ours(version) => Err(format!(
            "written by a newer version (schema {version}, this program knows {SCHEMA_VERSION}); \
             run that version"
        )),
        Found::Foreign => Err("this is not a mailcore directory; choose another file".to_owned()),
    }
}

/// Makes the file, or takes all rights on it from others.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))
}

/// Moves the log into the file and cuts it to nothing; false when another
/// process is in the way.
fn truncate_log(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(|busy| busy == 0))
}

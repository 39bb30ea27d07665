//! [`SqliteJournal`]: what happened, in a SQLite file that any tool may read.
//!
//! The file is not part of the mail path: it may be removed, moved, or lie on
//! another disk. It is fed from the outbox by cursor, and the cursor is in it,
//! so that a crash costs nothing but the reading of some events again. Tables
//! and views are described in `docs/storage.md`, section "journal.db".

mod append;
mod file;
mod json;
mod read;
mod retain;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mailcore::event::{EventCursor, StoredEvent};
use mailcore::seams::{Journal, JournalError, JournalPage, JournalQuery, JournalRetention, Purged};
use mailcore::time::Timestamp;
use rusqlite::Connection;

use retain::Kind;

/// A journal in one SQLite file.
pub struct SqliteJournal {
    path: PathBuf,
    writer: Arc<Mutex<Connection>>,
    reader: JournalReader,
}

/// Reads a journal while another process, or nobody, has it open.
#[derive(Clone)]
pub struct JournalReader {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteJournal {
    /// Opens or makes the file. Blocks. A new file may be read by its owner's
    /// group; an old one keeps its rights. One of an older version is copied
    /// beside itself (`.before-2` and so on) and brought up to date.
    ///
    /// # Errors
    /// When the file can't be opened, is not a journal, or was written by a newer
    /// version: such a file is left as it is.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let writer = file::open(path, schema::STEPS)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Arc::new(Mutex::new(writer)),
            reader: JournalReader::open(path)?,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` with the writing connection, on a thread that may block.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        blocking(&self.path, &self.writer, work).await
    }
}

impl JournalReader {
    /// Opens a journal that is there, for reading alone. Blocks.
    ///
    /// # Errors
    /// When there is no such file, it is not a journal, or one of another version.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self {
            path: path.to_owned(),
            connection: Arc::new(Mutex::new(file::open_to_read(path)?)),
        })
    }

    /// Events that fit, newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn query(&self, query: &JournalQuery) -> Result<JournalPage, JournalError> {
        let query = query.clone();
        let work = move |connection: &mut Connection| read::page(connection, &query);
        blocking(&self.path, &self.connection, work).await
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, events: &[StoredEvent]) -> Result<(), JournalError> {
        let events = events.to_vec();
        self.write(move |connection| append::append(connection, &events))
            .await
    }

    async fn cursor(&self) -> Result<EventCursor, JournalError> {
        self.write(|connection| append::cursor(connection)).await
    }

    async fn query(&self, query: &JournalQuery) -> Result<JournalPage, JournalError> {
        self.reader.query(query).await
    }

    async fn purge(
        &self,
        now: Timestamp,
        retention: &JournalRetention,
    ) -> Result<Purged, JournalError> {
        let mut purged = Purged::default();
        for kind in Kind::ALL {
            let before = kind.oldest_kept(now, retention);
            // A slice at a time: appends take their turn in between.
            while {
                let removed = self
                    .write(move |it| retain::remove(it, kind, before, retain::SLICE))
                    .await?;
                kind.count(&mut purged, removed);
                removed.any()
            } {}
        }
        if let Some(limit) = retention.octets {
            while let Some((kind, removed)) = self
                .write(move |it| retain::remove_oldest(it, limit))
                .await?
            {
                kind.count(&mut purged, removed);
            }
        }
        loop {
            let freed = self.write(retain::give_back).await?;
            purged.octets += freed;
            if freed == 0 {
                return Ok(purged);
            }
        }
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        // All in one file, so that it can be copied; what can't be moved now is
        // moved by whoever opens it next.
        let connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file::checkpoint(&connection) {
            tracing::debug!(%error, "the journal's write-ahead log stays");
        }
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteJournal").field(&self.path).finish()
    }
}

impl fmt::Debug for JournalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JournalReader").field(&self.path).finish()
    }
}

fn failed(path: &Path, error: impl fmt::Display) -> JournalError {
    JournalError(format!("{}: {error}", path.display()))
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    connection: &Arc<Mutex<Connection>>,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, JournalError> {
    let connection = Arc::clone(connection);
    let work = move || {
        // A panic leaves a transaction that was rolled back: nothing half done.
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(path, error)),
        Err(error) => Err(failed(path, error)),
    }
}

//! What is not kept any longer goes, a slice at a time.

use mailcore::seams::{JournalRetention, Purged};
use mailcore::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Rows removed in one transaction, so that appends need not wait long.
pub(super) const SLICE: i64 = 1_000;
/// The same for what is removed to save space, so that little more goes than must.
const FINE_SLICE: i64 = 100;
/// Pages given back to the file system in one transaction.
const PAGES: i64 = 1_024;

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Messages,
    Sessions,
    Events,
    Statistics,
}

/// How many rows went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removed(usize);

impl Removed {
    pub(super) fn any(self) -> bool {
        self.0 > 0
    }
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::Messages,
        Self::Sessions,
        Self::Events,
        Self::Statistics,
    ];

    /// What is older goes.
    pub(super) fn oldest_kept(self, now: Timestamp, retention: &JournalRetention) -> i64 {
        let kept = match self {
            Self::Messages => retention.messages,
            Self::Sessions => retention.sessions,
            Self::Events => retention.events,
            Self::Statistics => retention.statistics,
        };
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        now.millis().saturating_sub(kept)
    }

    pub(super) fn count(self, purged: &mut Purged, removed: Removed) {
        let count = match self {
            Self::Messages => &mut purged.messages,
            Self::Sessions => &mut purged.sessions,
            Self::Events => &mut purged.events,
            Self::Statistics => &mut purged.statistics,
        };
        *count += removed.0 as u64;
    }

    /// Deletes at most `?2` rows older than `?1`, oldest first.
    fn delete(self) -> &'static str {
        match self {
            Self::Messages => {
                "DELETE FROM messages WHERE trace IN (SELECT trace FROM messages \
                 WHERE received_at < ?1 ORDER BY received_at, trace LIMIT ?2)"
            }
            Self::Sessions => {
                "DELETE FROM sessions WHERE session IN (SELECT session FROM sessions \
                 WHERE started_at < ?1 AND coalesce(ended_at, started_at) < ?1 \
                 ORDER BY started_at LIMIT ?2)"
            }
            Self::Events => {
                "DELETE FROM events WHERE number IN (SELECT number FROM events \
                 WHERE at < ?1 ORDER BY at LIMIT ?2)"
            }
            Self::Statistics => {
                "DELETE FROM statistics WHERE (hour, domain, kind) IN \
                 (SELECT hour, domain, kind FROM statistics \
                 WHERE hour < ?1 ORDER BY hour LIMIT ?2)"
            }
        }
    }

    fn oldest(self) -> &'static str {
        match self {
            Self::Messages => "SELECT min(received_at) FROM messages",
            Self::Sessions => "SELECT min(started_at) FROM sessions",
            Self::Events => "SELECT min(at) FROM events",
            Self::Statistics => "SELECT min(hour) FROM statistics",
        }
    }
}

/// Removes one slice of what is older than `before`, in milliseconds.
pub(super) fn remove(
    connection: &mut Connection,
    kind: Kind,
    before: i64,
    slice: i64,
) -> rusqlite::Result<Removed> {
    let batch = connection.transaction()?;
    if kind == Kind::Messages {
        batch
            .prepare_cached(
                "DELETE FROM recipients WHERE trace IN (SELECT trace FROM messages \
                 WHERE received_at < ?1 ORDER BY received_at, trace LIMIT ?2)",
            )?
            .execute(params![before, slice])?;
    }
    let removed = batch
        .prepare_cached(kind.delete())?
        .execute(params![before, slice])?;
    batch.commit()?;
    Ok(Removed(removed))
}

/// Removes a slice of what is oldest when the journal holds more than `limit`
/// octets; `None` when it does not, or when nothing is left.
pub(super) fn remove_oldest(
    connection: &mut Connection,
    limit: u64,
) -> rusqlite::Result<Option<(Kind, Removed)>> {
    if used(connection)? <= limit {
        return Ok(None);
    }
    let mut oldest: Option<(i64, Kind)> = None;
    for kind in [Kind::Messages, Kind::Sessions, Kind::Events] {
        let at = min(connection, kind)?;
        if let Some(at) = at.filter(|at| oldest.is_none_or(|(oldest, _)| *at < oldest)) {
            oldest = Some((at, kind));
        }
    }
    let last = match oldest {
        Some((_, kind)) => Some(kind),
        None => min(connection, Kind::Statistics)?.map(|_| Kind::Statistics),
    };
    let Some(kind) = last else { return Ok(None) };
    let removed = remove(connection, kind, i64::MAX, FINE_SLICE)?;
    Ok(removed.any().then_some((kind, removed)))
}

fn min(connection: &Connection, kind: Kind) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(kind.oldest())?
        .query_row([], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

/// Octets in use, without those that are free within the file.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(pages
        .saturating_mul(pragma(connection, "page_size")?)
        .cast_unsigned())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Makes the file smaller by what is free in it, up to a slice; how many octets
/// that were.
pub(super) fn give_back(connection: &mut Connection) -> rusqlite::Result<u64> {
    let before = pragma(connection, "page_count")?;
    {
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = vacuum.query([])?;
        // Each step frees a page.
        while rows.next()?.is_some() {}
    }
    let freed = before - pragma(connection, "page_count")?;
    if freed == 0 {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(freed
        .saturating_mul(pragma(connection, "page_size")?)
        .max(0)
        .cast_unsigned())
}

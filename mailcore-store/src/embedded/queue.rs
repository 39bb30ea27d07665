//! [`Spool`]: the durable queue's read side, and its leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::message::{Content, Message};
use mailcore::queue::{EntryStateKind, QueueEntry, QueueId, decode_entry, decode_progress};
use mailcore::seams::{
    Lease, LeaseLimit, Spool, SpoolCounts, SpoolQuery, SpoolSummary, StoreError,
};
use mailcore::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;

use super::index::read;
use super::index::spool::{self, SpoolRow};
use super::shared::Shared;
use super::store::EmbeddedStore;

/// Rows read at a time for a list.
const PAGE: usize = 256;

#[async_trait]
impl Spool for EmbeddedStore {
    async fn lease(
        &self,
        now: Timestamp,
        limit: LeaseLimit,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError> {
        // What can't be taken from the queue would be sent again and again.
        self.shared.health.changes_succeed()?;
        self.shared
            .read(move |conn, shared| {
                // Held throughout, so that two runners never take the same entry.
                let mut leases = shared.leases();
                leases.expire(now);
                let passed = |id| leases.is_leased(id);
                let due = spool::due(conn, EntryStateKind::Waiting, (now, limit), &passed)?;
                let mut taken = Vec::with_capacity(due.len());
                for id in due {
                    if let Some(row) = spool::entry(conn, id)?
                        && let Some(decoded) = decoded(&row)
                    {
                        let entry = Arc::new(with_content(conn, shared, decoded, row.body)?);
                        taken.push((entry, leases.take(id, now, lease_for)));
                    }
                }
                Ok(taken)
            })
            .await
    }

    async fn release(&self, id: QueueId, lease: Lease) -> Result<(), StoreError> {
        let mut leases = self.shared.leases();
        if leases.holds(id.0, lease) {
            leases.end(id.0);
            drop(leases);
            self.shared
                .spool_changed
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.shared
            .read(move |conn, shared| {
                let mut leases = shared.leases();
                leases.expire(shared.clock.now());
                spool::next_due(conn, &|id| leases.is_leased(id))
            })
            .await
    }

    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        self.shared
            .read(move |conn, shared| {
                let Some(row) = spool::entry(conn, id.0)? else {
                    return Ok(None);
                };
                let Some(decoded) = decoded(&row) else {
                    return Ok(None);
                };
                let entry = with_content(conn, shared, decoded, row.body)?;
                Ok(Some(Arc::new(entry)))
            })
            .await
    }

    async fn list(&self, query: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError> {
        let query = query.clone();
        self.shared
            .read(move |conn, shared| {
                let mut after = query.after.map(|id| id.0);
                let mut found = Vec::new();
                while found.len() < query.limit {
                    let rows = spool::page(conn, &query, after, PAGE)?;
                    let Some(last) = rows.last() else { break };
                    after = Some(last.id);
                    for row in rows {
                        if let Some(decoded) = decoded(&row)
                            && query.takes(&decoded)
                            && found.len() < query.limit
                        {
                            let entry = with_content(conn, shared, decoded, row.body)?;
                            found.push(SpoolSummary {
                                entry: Arc::new(entry),
                                leased: shared.leases().is_leased(row.id),
                            });
                        }
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn outlived(&self, now: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        let over = self.shared.read(move |conn, _| {
            let of =
                |state, limit| spool::due(conn, state, (now, LeaseLimit::all(limit)), &|_| false);
            let mut over = of(EntryStateKind::Kept, limit)?;
            over.append(&mut of(EntryStateKind::Bad, limit - over.len().min(limit))?);
            Ok(over)
        });
        Ok(over.await?.into_iter().map(QueueId).collect())
    }

    async fn due_after(&self, after: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        let found = self
            .shared
            .read(move |conn, _| spool::due_after(conn, after, limit));
        Ok(found.await?.into_iter().map(QueueId).collect())
    }

    async fn counts(&self) -> Result<SpoolCounts, StoreError> {
        self.shared.read(|conn, _| spool::counts(conn)).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.spool_changed.subscribe()
    }
}

/// The entry of a row, its content not looked up. One that cannot be read stays
/// where it is, is named in the log, and holds nothing else up.
fn decoded(row: &SpoolRow) -> Option<QueueEntry> {
    let nothing = Content::Inline(Bytes::new());
    decode_progress(&row.progress)
        .and_then(|progress| decode_entry(&row.fixed, progress, nothing))
        .inspect_err(
            |error| tracing::error!(id = %QueueId(row.id), %error, "a queue entry can't be read"),
        )
        .ok()
}

fn with_content(
    conn: &Connection,
    shared: &Arc<Shared>,
    entry: QueueEntry,
    body: u64,
) -> rusqlite::Result<QueueEntry> {
    let body = read::body(conn, body)?;
    let content = Content::Stored(Arc::new(shared.stored_body(body)));
    Ok(QueueEntry {
        message: Message::new(content).with_prefix(entry.message.prefix().to_vec()),
        ..entry
    })
}

//! [`Spool`]: the durable queue's read side, and its leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::message::Content;
use mailcore::queue::{QueueEntry, QueueId, decode_entry, decode_progress};
use mailcore::seams::{Lease, Spool, SpoolQuery, SpoolSummary, StoreError};
use mailcore::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;

use super::index::read::{self, SpoolRow};
use super::shared::Shared;
use super::store::EmbeddedStore;

/// Rows read at a time when a list is filtered by domain.
const PAGE: usize = 1_000;

#[async_trait]
impl Spool for EmbeddedStore {
    async fn lease(
        &self,
        now: Timestamp,
        limit: usize,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError> {
        // What can't be taken from the queue would be sent again and again.
        self.shared.health.changes_succeed()?;
        self.shared
            .read(move |conn, shared| {
                // Held throughout, so that two runners never take the same entry.
                let mut leases = shared.leases();
                leases.expire(now);
                let rows = read::spool_due(conn, now, limit, &|id| leases.is_leased(id))?;
                let mut taken = Vec::with_capacity(rows.len());
                for row in rows {
                    let id = row.id;
                    if let Some(entry) = entry(conn, shared, row)? {
                        taken.push((Arc::new(entry), leases.take(id, now, lease_for)));
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
                read::spool_next_due(conn, &|id| leases.is_leased(id))
            })
            .await
    }

    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        self.shared
            .read(move |conn, shared| match read::spool_entry(conn, id.0)? {
                Some(row) => Ok(entry(conn, shared, row)?.map(Arc::new)),
                None => Ok(None),
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
                    let rows = read::spool_page(conn, after, PAGE.min(query.limit.max(1)))?;
                    let Some(last) = rows.last() else { break };
                    after = Some(last.id);
                    for row in rows {
                        let leased = shared.leases().is_leased(row.id);
                        if let Some(entry) = entry(conn, shared, row)?
                            && matches(&entry, &query)
                            && found.len() < query.limit
                        {
                            found.push(SpoolSummary {
                                entry: Arc::new(entry),
                                leased,
                            });
                        }
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.shared.read(|conn, _| read::spool_count(conn)).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.spool_changed.subscribe()
    }
}

fn matches(entry: &QueueEntry, query: &SpoolQuery) -> bool {
    query.domain.as_ref().is_none_or(|domain| {
        entry
            .progress
            .recipients
            .iter()
            .any(|it| it.recipient.address.domain() == domain)
    })
}

/// The entry of a row. One that cannot be read stays where it is, is named in
/// the log, and holds nothing else up.
fn entry(
    conn: &Connection,
    shared: &Arc<Shared>,
    row: SpoolRow,
) -> rusqlite::Result<Option<QueueEntry>> {
    let body = read::body(conn, row.body)?;
    let content = Content::Stored(Arc::new(shared.stored_body(body)));
    let decoded = decode_progress(&row.progress)
        .and_then(|progress| decode_entry(&row.fixed, progress, content));
    Ok(decoded
        .inspect_err(
            |error| tracing::error!(id = %QueueId(row.id), %error, "a queue entry can't be read"),
        )
        .ok())
}

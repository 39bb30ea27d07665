//! Messages' summaries through an open mailbox.

use std::sync::Arc;

use mailcore::mailbox::{Uid, UidSet};
use mailcore::message::Summary;
use mailcore::seams::StoreError;

use super::index::read;
use super::storage::OpenMailbox;

/// Octets read to make a summary anew when the stored one cannot be read.
const SUMMARY_READ: u64 = 64 << 20;
/// Summaries that are looked for in memory on the runtime's own thread.
const AT_ONCE: u64 = 1_024;

type Found = Vec<(Uid, Arc<Summary>)>;

impl OpenMailbox {
    /// See [`mailcore::seams::Mailbox::summaries`].
    pub(super) async fn read_summaries(&self, uids: &UidSet) -> Result<Found, StoreError> {
        // What was expunged may still have a summary.
        let (columns, _) = self.columns(UidSet::EMPTY).await?;
        let uids = columns.uids.intersection(uids);
        let (mut held, missing) = self.held_summaries(uids);
        if missing.is_empty() {
            return Ok(held);
        }
        let (id, live) = (self.live.id, Arc::clone(&self.live));
        let read = self.shared.read(move |conn, shared| {
            let rows = read::summaries(conn, id, &missing)?;
            let rows = rows.into_iter().map(|(uid, it)| (uid, it.map(Arc::new)));
            let rows: Vec<(Uid, Option<Arc<Summary>>)> = rows.collect();
            live.summaries().put(&rows, &shared.columns);
            Ok(rows)
        });
        for (uid, summary) in read.await? {
            let summary = match summary {
                Some(summary) => Some(summary),
                None => self.summarize(uid).await?.map(Arc::new),
            };
            held.extend(summary.map(|it| (uid, it)));
        }
        held.sort_unstable_by_key(|(uid, _)| *uid);
        Ok(held)
    }

    /// Those that are held, and which are not.
    fn held_summaries(&self, uids: UidSet) -> (Found, UidSet) {
        if uids.len() > AT_ONCE {
            return (Vec::new(), uids);
        }
        let mut held = Vec::new();
        let mut missing = Vec::new();
        let summaries = self.live.summaries();
        for uid in uids.iter() {
            match summaries.get(uid) {
                Some(summary) => held.push((uid, Arc::clone(summary))),
                None => missing.push((uid, uid)),
            }
        }
        (held, UidSet::from_ranges(missing))
    }

    /// A summary that cannot be read (a newer form, or damage) made anew.
    async fn summarize(&self, uid: Uid) -> Result<Option<Summary>, StoreError> {
        match self.read_message(uid).await {
            Ok(message) => Ok(Some(Summary::scan(&message.read_all(SUMMARY_READ).await?))),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

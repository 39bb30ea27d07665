//! Removing what has had its time: expired state, old events, deliveries too
//! old to be tried again, removed messages that nobody wanted back.
//!
//! None of it needs a record: all follows from what the log says. An index that
//! is built anew has the old rows again for a while.

use std::time::Duration;

use mailcore::event::{EventCursor, StoredEvent};
use mailcore::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Index, read, signed};

/// Rows of each kind looked at in one go, so that no message waits long.
const STEP: usize = 10_000;
/// Events read at a time: most often the first is too young to go.
const LOOK: usize = 50;

/// How long a store keeps what is of use for a while only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Events kept for readers of the outbox; one that is further behind is
    /// told by a `Gap` event.
    pub events: u64,
    /// Events older than this go too.
    pub events_for: Duration,
    /// How long a delivery that is repeated is recognised. At least as long as
    /// anything stays in the queue (5 days by default, RFC 5321 section
    /// 4.5.4.1), or mail may be filed twice.
    pub deliveries_for: Duration,
    /// How long messages that were removed can be brought back
    /// ([`Undelete`](mailcore::seams::Undelete)); zero for not at all. What
    /// they take on disk is free after that.
    pub undelete_for: Duration,
    /// Expunges that a mailbox remembers one by one, for clients that come
    /// back after a while (RFC 7162 section 3.2.7). Those before are remembered
    /// as one: who asks for them is told of more UIDs than went away since.
    pub tombstones: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            events: 200_000,
            events_for: Duration::from_secs(30 * DAY),
            deliveries_for: Duration::from_secs(14 * DAY),
            undelete_for: Duration::from_secs(7 * DAY),
            tombstones: 1_000,
        }
    }
}

impl Index {
    /// Goes a step on with removing what is older at `now` than `keep` says;
    /// true when there is more to do at once.
    pub(crate) fn tidy(&mut self, now: Timestamp, keep: &Retention) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("DELETE FROM state WHERE expires <= ?")?
            .execute([now.millis()])?;
        self.tidy_events(before(now, keep.events_for), keep.events)?;
        self.tidy_deliveries(before(now, keep.deliveries_for))?;
        self.coalesce_vanished(keep.tombstones)?;
        self.release_removed(before(now, keep.undelete_for))
    }

    /// As [`Index::tidy`]; true until all of it is done.
    pub(crate) fn tidy_step(&mut self, now: Timestamp, keep: &Retention) -> rusqlite::Result<bool> {
        let before = read::first_event(&self.conn)?;
        let more = self.tidy(now, keep)?;
        let events_left = before != read::first_event(&self.conn)?;
        Ok(more || events_left || !self.swept.is_empty())
    }

    fn tidy_events(&self, oldest: i64, count: u64) -> rusqlite::Result<()> {
        let mut from = self.counters.event.saturating_sub(count);
        // In the order of their cursors they are in that of their times, but
        // for what a host says; one that is too young stops the search.
        for _ in 0..STEP / LOOK {
            let after = EventCursor(from.saturating_sub(1));
            let events = read::events(&self.conn, after, LOOK)?;
            let Some(last) = events.last() else { break };
            from = last.cursor.0 + 1;
            let young = |it: &&StoredEvent| it.event.at.millis() >= oldest;
            if let Some(first) = events.iter().find(young) {
                from = first.cursor.0;
                break;
            }
        }
        self.conn
            .prepare_cached("DELETE FROM events WHERE cursor < ?")?
            .execute([signed(from)])
            .map(drop)
    }

    /// Their ids are random and they have no index by age, which every delivery
    /// would pay for: the table is gone through in steps, over and over.
    fn tidy_deliveries(&mut self, oldest: i64) -> rusqlite::Result<()> {
        let end: Option<Vec<u8>> = self
            .conn
            .prepare_cached("SELECT id FROM deliveries WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?")?
            .query_row(params![self.swept, signed(STEP as u64)], |row| row.get(0))
            .optional()?;
        let all = [u8::MAX; 16];
        self.conn
            .prepare_cached("DELETE FROM deliveries WHERE id > ? AND id <= ? AND at < ?")?
            .execute(params![self.swept, end.as_deref().unwrap_or(&all), oldest])?;
        self.swept = end.unwrap_or_default();
        Ok(())
    }
}

/// What was then or earlier is `age` old at `now`.
pub(crate) fn before(now: Timestamp, age: Duration) -> i64 {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    now.millis().saturating_sub(age)
}

//! Tombstones: which UIDs went away at which ModSeq, kept one by one for the
//! newest expunges of a mailbox and as one for those before.

use mailcore::mailbox::{Uid, UidSet};
use rusqlite::{OptionalExtension, params};

use super::{Index, signed};

impl Index {
    /// Makes the rows of mailboxes that have more than twice `keep` expunges on
    /// record few again: all but the newest `keep` become ranges under their
    /// greatest ModSeq. Who asks since a time among them is told of more than
    /// went away since, never of less.
    pub(super) fn coalesce_vanished(&mut self, keep: u64) -> rusqlite::Result<()> {
        for mailbox in std::mem::take(&mut self.vanished_in) {
            // Rows under the least ModSeq may be what is left of earlier ones.
            let single: u64 = self
                .conn
                .prepare_cached(
                    "SELECT count(*) FROM vanished WHERE mailbox = ?1 AND modseq >
                     (SELECT min(modseq) FROM vanished WHERE mailbox = ?1)",
                )?
                .query_row([signed(mailbox)], |row| row.get(0).map(super::unsigned))?;
            if single > keep.saturating_mul(2) {
                self.coalesce(mailbox, keep)?;
            }
        }
        Ok(())
    }

    fn coalesce(&self, mailbox: u64, keep: u64) -> rusqlite::Result<()> {
        let until: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT modseq FROM vanished WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
            )?
            .query_row(params![signed(mailbox), signed(keep)], |row| row.get(0))
            .optional()?;
        let Some(until) = until else {
            return Ok(());
        };
        let old: Vec<(u32, u32)> = self
            .conn
            .prepare_cached(
                "DELETE FROM vanished WHERE mailbox = ? AND modseq <= ? RETURNING first, last",
            )?
            .query_map(params![signed(mailbox), until], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let ranges = old
            .into_iter()
            .filter_map(|(first, last)| Some((Uid::new(first)?, Uid::new(last)?)));
        let mut insert = self
            .conn
            .prepare_cached("INSERT OR REPLACE INTO vanished VALUES (?, ?, ?, ?)")?;
        for (first, last) in self.joined(mailbox, &UidSet::from_ranges(ranges))? {
            insert.execute(params![signed(mailbox), until, first, last])?;
        }
        Ok(())
    }

    /// Ranges with the gaps closed that hold no message: what lay there went
    /// away, too, or never was. There are no more than messages and one.
    fn joined(&self, mailbox: u64, gone: &UidSet) -> rusqlite::Result<Vec<(u32, u32)>> {
        let mut lives = self.conn.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE mailbox = ? AND uid > ? AND uid < ?)",
        )?;
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (first, last) in gone.ranges().map(|(a, b)| (a.value(), b.value())) {
            match joined.last_mut() {
                Some((_, end))
                    if !lives.query_row(params![signed(mailbox), *end, first], |row| {
                        row.get::<_, bool>(0)
                    })? =>
                {
                    *end = last;
                }
                _ => joined.push((first, last)),
            }
        }
        Ok(joined)
    }
}

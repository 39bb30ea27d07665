//! What the index knows of the log's files: which compacted ones count, where
//! bodies lie in them, and what nothing refers to any more.

use mailcore::mailbox::{ModSeq, Uid, UidSet};
use rusqlite::{Connection, params};

use super::{Index, Place, signed, unsigned};
use crate::embedded::body::EXTENT_BODIES;
use crate::embedded::log::{SegmentFile, SegmentId, Word};
use crate::embedded::record::{Effect, Floor, Numbers};

/// A body's new place in a compacted segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) id: u64,
    pub(crate) place: u64,
}

/// Expunges of a mailbox that were made one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MadeOne {
    pub(crate) mailbox: u64,
    /// The ModSeqs they had, ascending; the last is that of all now.
    pub(crate) modseqs: Vec<u64>,
    pub(crate) uids: Vec<(u32, u32)>,
}

/// What the index takes over with a compacted segment.
#[derive(Debug, Default)]
pub(crate) struct Takeover {
    pub(crate) moved: Vec<Moved>,
    pub(crate) expunges: Vec<MadeOne>,
}

/// The compacted segments that count.
pub(crate) fn compacted(conn: &Connection) -> rusqlite::Result<Vec<SegmentFile>> {
    conn.prepare_cached("SELECT number, generation FROM segments ORDER BY number")?
        .query_map([], |row| {
            Ok(SegmentId(unsigned(row.get(0)?)).file(row.get(1)?))
        })?
        .collect()
}

impl Index {
    /// What it says of the log's files; `None` when it has taken nothing in yet.
    pub(crate) fn word(&self) -> rusqlite::Result<Option<Word>> {
        let compacted = compacted(&self.conn)?;
        let fresh = compacted.is_empty() && self.applied == Place::START;
        Ok((!fresh).then_some(Word {
            compacted,
            applied: self.applied.segment,
        }))
    }

    /// Notes the compacted segments that it will be built from.
    pub(crate) fn adopt(&self, files: &[SegmentFile]) -> rusqlite::Result<()> {
        self.conn.execute("DELETE FROM segments", [])?;
        files.iter().try_for_each(|file| self.note(*file))
    }

    fn note(&self, file: SegmentFile) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO segments VALUES (?, ?)")?
            .execute(params![signed(file.id.0), file.generation])
            .map(drop)
    }

    /// Removes these bodies, to which nothing refers; those that were there. None
    /// is removed, and `None` returned, when something refers to one of them again.
    pub(crate) fn forget_bodies(&self, ids: &[u64]) -> rusqlite::Result<Option<Vec<u64>>> {
        let mut referred = self
            .conn
            .prepare_cached("SELECT 1 FROM bodies WHERE id = ? AND refs > 0")?;
        for id in ids {
            if referred.exists([signed(*id)])? {
                return Ok(None);
            }
        }
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM bodies WHERE id = ?")?;
        let mut removed = Vec::new();
        for id in ids {
            if delete.execute([signed(*id)])? > 0 {
                removed.push(*id);
            }
        }
        Ok(Some(removed))
    }

    /// From here on `file` counts, for all segments after `previous` up to its
    /// own number, and these bodies lie in it.
    pub(crate) fn take_compacted(
        &self,
        previous: SegmentId,
        file: SegmentFile,
        taken: &Takeover,
    ) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached("DELETE FROM segments WHERE number > ? AND number <= ?")?
            .execute([signed(previous.0), signed(file.id.0)])?;
        self.note(file)?;
        let mut update = self.conn.prepare_cached(
            "UPDATE bodies SET segment = ?, generation = ?, place = ? WHERE id = ?",
        )?;
        for body in &taken.moved {
            update.execute(params![
                signed(file.id.0),
                file.generation,
                signed(body.place),
                signed(body.id)
            ])?;
        }
        taken.expunges.iter().try_for_each(|it| self.make_one(it))
    }

    /// Puts the rows of these expunges under their greatest ModSeq. Rows of one
    /// ModSeq may stand for older expunges too, which were made few before: they
    /// go along, since nothing may be told of less.
    pub(crate) fn make_one(&self, expunges: &MadeOne) -> rusqlite::Result<()> {
        let mailbox = signed(expunges.mailbox);
        // Deleted meanwhile: nobody asks any more.
        let mut there = self
            .conn
            .prepare_cached("SELECT 1 FROM mailboxes WHERE id = ?")?;
        let Some(modseq) = expunges.modseqs.last() else {
            return Ok(());
        };
        if !there.exists([mailbox])? {
            return Ok(());
        }
        let mut delete = self.conn.prepare_cached(
            "DELETE FROM vanished WHERE mailbox = ? AND modseq = ? RETURNING first, last",
        )?;
        let mut ranges = expunges.uids.clone();
        for modseq in &expunges.modseqs {
            let rows = delete.query_map([mailbox, signed(*modseq)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            for row in rows {
                ranges.push(row?);
            }
        }
        let ranges = ranges
            .into_iter()
            .filter_map(|(first, last)| Some((Uid::new(first)?, Uid::new(last)?)));
        let mut insert = self
            .conn
            .prepare_cached("INSERT OR REPLACE INTO vanished VALUES (?, ?, ?, ?)")?;
        for (first, last) in UidSet::from_ranges(ranges).ranges() {
            insert.execute(params![
                mailbox,
                signed(*modseq),
                first.value(),
                last.value()
            ])?;
        }
        Ok(())
    }

    /// Removes up to `limit` extents that nothing refers to, but for those that
    /// are `held`; their body ids.
    pub(crate) fn forget_extents(
        &self,
        limit: usize,
        held: &dyn Fn(u64) -> bool,
    ) -> rusqlite::Result<Vec<u64>> {
        let mut dead: Vec<u64> = self
            .conn
            .prepare_cached("SELECT id FROM bodies WHERE id >= ? AND refs <= 0 LIMIT ?")?
            .query_map([signed(EXTENT_BODIES), signed(limit as u64)], |row| {
                row.get(0).map(unsigned)
            })?
            .collect::<rusqlite::Result<_>>()?;
        dead.retain(|id| !held(*id));
        Ok(self.forget_bodies(&dead)?.unwrap_or_default())
    }

    /// What compaction writes for the effects it left out.
    pub(super) fn apply_counted(&mut self, effect: &Effect) -> rusqlite::Result<()> {
        match effect {
            Effect::Floor(floor) => self.apply_floor(floor),
            Effect::Numbers(numbers) => self.apply_numbers(numbers),
            _ => Ok(()),
        }
    }

    fn apply_floor(&mut self, floor: &Floor) -> rusqlite::Result<()> {
        if let Some(account) = self.mailbox(floor.mailbox)?.map(|it| it.account.clone()) {
            let mut insert = self
                .conn
                .prepare_cached("INSERT OR REPLACE INTO threads VALUES (?, ?, ?)")?;
            for (key, thread) in &floor.threads {
                insert.execute(params![account, key.cast_signed(), thread.cast_signed()])?;
            }
        }
        self.change_mailbox(floor.mailbox, |state| {
            state.uid_next = state.uid_next.max(floor.uid_next);
            state.modseq = state.modseq.max(floor.modseq).max(ModSeq::MIN.value());
        })
    }

    fn apply_numbers(&mut self, numbers: &Numbers) -> rusqlite::Result<()> {
        let next = &mut self.counters;
        next.mailbox = next.mailbox.max(numbers.mailbox);
        next.body = next.body.max(numbers.body);
        next.content = next.content.max(numbers.content);
        next.version = next.version.max(numbers.version);
        next.event = next.event.max(numbers.event);
        next.validity = next.validity.max(numbers.validity);
        self.conn
            .prepare_cached("DELETE FROM events WHERE cursor < ?")?
            .execute([signed(numbers.first_event)])
            .map(drop)
    }
}

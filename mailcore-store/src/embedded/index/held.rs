//! Rows of messages that the writer has at hand since their flags changed: the
//! tables take them when somebody has to see them, however often they changed
//! until then.
//!
//! Whoever looks at the table of messages within the writer's transaction, or
//! takes rows out of it, writes what is held first ([`Index::write_held`]). All
//! of it can be dropped together with the transaction: the log has it.

use std::collections::{BTreeMap, HashMap};

use mailcore::mailbox::{Flags, MessageInfo, ModSeq, SystemFlag, Uid, UidSet};
use rusqlite::params;

use super::{Index, read, signed};
use crate::embedded::record::keywords_text;

/// Rows held before all are written and let go of.
const MAX_HELD: usize = 16_384;

/// Rows by mailbox.
#[derive(Debug, Default)]
pub(super) struct Held {
    mailboxes: HashMap<u64, Rows>,
    /// Rows of all mailboxes.
    count: usize,
}

/// Rows of one mailbox.
#[derive(Debug, Default)]
struct Rows {
    by_uid: BTreeMap<u32, Row>,
    /// Of these all that exist are held.
    covered: UidSet,
    /// Those that the table does not have as they are.
    changed: Vec<u32>,
}

#[derive(Debug)]
struct Row {
    info: MessageInfo,
    /// It is in [`Rows::changed`].
    changed: bool,
}

/// How counters differ after a change of flags.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Difference {
    pub(super) unseen: i64,
    pub(super) deleted: i64,
}

impl Held {
    /// Lets go of everything, written or not.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Rows {
    /// Which of `uids` have to be read.
    fn missing(&self, uids: &UidSet) -> UidSet {
        match single(uids) {
            Some(uid) if self.by_uid.contains_key(&uid.value()) => UidSet::EMPTY,
            _ => uids.difference(&self.covered),
        }
    }

    fn take(&mut self, uids: &UidSet, rows: Vec<read::MessageRow>) {
        for row in rows {
            let info = row.info;
            let changed = false;
            // One that is held may be newer.
            self.by_uid
                .entry(info.uid.value())
                .or_insert(Row { info, changed });
        }
        // One by one they would make a set of many ranges.
        if single(uids).is_none() {
            self.covered = UidSet::from_ranges(self.covered.ranges().chain(uids.ranges()));
        }
    }

    fn set(&mut self, (first, last): (u32, u32), flags: &Flags, modseq: ModSeq) -> Difference {
        let mut difference = Difference::default();
        for (uid, row) in self.by_uid.range_mut(first..=last) {
            let change =
                |flag| i64::from(flags.contains(flag)) - i64::from(row.info.flags.contains(flag));
            difference.unseen -= change(SystemFlag::Seen);
            difference.deleted += change(SystemFlag::Deleted);
            row.info.flags.clone_from(flags);
            row.info.modseq = modseq;
            if !std::mem::replace(&mut row.changed, true) {
                self.changed.push(*uid);
            }
        }
        difference
    }
}

fn single(uids: &UidSet) -> Option<Uid> {
    let mut ranges = uids.ranges();
    let (first, last) = ranges.next()?;
    (first == last && ranges.next().is_none()).then_some(first)
}

impl Index {
    /// Has the rows of those messages of `uids` that exist at hand.
    fn hold(&mut self, mailbox: u64, uids: &UidSet) -> rusqlite::Result<()> {
        let rows = self.held.mailboxes.entry(mailbox).or_default();
        let missing = rows.missing(uids);
        if !missing.is_empty() {
            let before = rows.by_uid.len();
            rows.take(uids, read::messages(&self.conn, mailbox, &missing)?);
            self.held.count += rows.by_uid.len() - before;
        }
        Ok(())
    }

    /// The messages of `uids` that exist, ascending, as they are now.
    ///
    /// # Errors
    /// As SQLite's.
    pub(crate) fn rows_to_change(
        &mut self,
        mailbox: u64,
        uids: &UidSet,
    ) -> rusqlite::Result<impl Iterator<Item = &MessageInfo>> {
        if self.held.count > MAX_HELD {
            self.let_go()?;
        }
        self.hold(mailbox, uids)?;
        let rows = self.held.mailboxes.get(&mailbox);
        let ranges: Vec<(Uid, Uid)> = uids.ranges().collect();
        Ok(ranges.into_iter().flat_map(move |(first, last)| {
            let range = first.value()..=last.value();
            rows.into_iter()
                .flat_map(move |it| it.by_uid.range(range.clone()))
                .map(|(_, row)| &row.info)
        }))
    }

    /// Gives messages other flags; what that makes of the counters.
    pub(super) fn change_held(
        &mut self,
        mailbox: u64,
        modseq: u64,
        messages: &[(u32, u32, Flags)],
    ) -> rusqlite::Result<Difference> {
        let uids = messages
            .iter()
            .filter_map(|(first, last, _)| Uid::new(*first).zip(Uid::new(*last)));
        self.hold(mailbox, &UidSet::from_ranges(uids))?;
        let mut difference = Difference::default();
        let Some(rows) = self.held.mailboxes.get_mut(&mailbox) else {
            return Ok(difference);
        };
        let modseq = ModSeq::new(modseq).unwrap_or(ModSeq::MIN);
        for (first, last, flags) in messages {
            let change = rows.set((*first, *last), flags, modseq);
            difference.unseen += change.unseen;
            difference.deleted += change.deleted;
        }
        if self.held.count > MAX_HELD {
            self.let_go()?;
        }
        Ok(difference)
    }

    /// Before rows of this mailbox are read from the table.
    pub(super) fn write_held(&mut self, mailbox: u64) -> rusqlite::Result<()> {
        match self.held.mailboxes.get_mut(&mailbox) {
            Some(rows) => write(&self.conn, mailbox, rows),
            None => Ok(()),
        }
    }

    /// Before messages of this mailbox come or go in the table.
    pub(super) fn release_held(&mut self, mailbox: u64) -> rusqlite::Result<()> {
        self.write_held(mailbox)?;
        if let Some(rows) = self.held.mailboxes.remove(&mailbox) {
            self.held.count -= rows.by_uid.len();
        }
        Ok(())
    }

    /// As [`Index::release_held`], for a message that comes: its number may be
    /// among those of which all are held.
    pub(super) fn release_held_at(&mut self, mailbox: u64, uid: u32) -> rusqlite::Result<()> {
        let knows = |rows: &Rows| {
            let covers = Uid::new(uid).is_none_or(|uid| rows.covered.contains(uid));
            covers || rows.by_uid.contains_key(&uid)
        };
        match self.held.mailboxes.get(&mailbox).is_some_and(knows) {
            true => self.release_held(mailbox),
            false => Ok(()),
        }
    }

    /// Writes everything that is held and not written.
    pub(super) fn write_all_held(&mut self) -> rusqlite::Result<()> {
        for (mailbox, rows) in &mut self.held.mailboxes {
            write(&self.conn, *mailbox, rows)?;
        }
        Ok(())
    }

    fn let_go(&mut self) -> rusqlite::Result<()> {
        self.write_all_held()?;
        self.held.forget();
        Ok(())
    }

    /// Lets go of what is held, after a commit.
    pub(crate) fn forget_held(&mut self) {
        self.held.forget();
    }
}

/// Writes a mailbox's changed rows, those that are alike and next to each other
/// by one statement.
fn write(conn: &rusqlite::Connection, mailbox: u64, rows: &mut Rows) -> rusqlite::Result<()> {
    if rows.changed.is_empty() {
        return Ok(());
    }
    rows.changed.sort_unstable();
    let mut update = conn.prepare_cached(
        "UPDATE messages SET flags = ?, keywords = ?, modseq = ?
         WHERE mailbox = ? AND uid BETWEEN ? AND ?",
    )?;
    let by_uid = &rows.by_uid;
    let row = |uid: u32| by_uid.get(&uid).map(|it| &it.info);
    let alike = |a: &u32, b: &u32| {
        a.checked_add(1) == Some(*b)
            && row(*a)
                .zip(row(*b))
                .is_some_and(|(a, b)| a.modseq == b.modseq && a.flags == b.flags)
    };
    for run in rows.changed.chunk_by(alike) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let Some(info) = row(*first) else {
            continue;
        };
        update.execute(params![
            info.flags.system_bits(),
            keywords_text(&info.flags),
            signed(info.modseq.value()),
            signed(mailbox),
            first,
            last
        ])?;
    }
    for uid in std::mem::take(&mut rows.changed) {
        if let Some(row) = rows.by_uid.get_mut(&uid) {
            row.changed = false;
        }
    }
    Ok(())
}

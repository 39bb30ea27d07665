//! Which messages an open mailbox has and which is the first unseen one, held in
//! memory and brought up to date with what changed since.

use mailcore::mailbox::{ModSeq, SystemFlag, Uid, UidSet};
use rusqlite::Connection;

use super::index::read;

/// Ranges of UIDs that are held; a mailbox with more is read anew each time.
const MAX_RANGES: usize = 4_096;

/// A mailbox's messages as of a ModSeq.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    pub(crate) as_of: ModSeq,
    pub(crate) uids: UidSet,
    pub(crate) first_unseen: Option<Uid>,
}

impl Overview {
    /// The overview now, from the one that was held; `None` when there is no
    /// such mailbox.
    ///
    /// # Errors
    /// As SQLite's.
    pub(crate) fn read(
        conn: &Connection,
        mailbox: u64,
        held: Option<Self>,
    ) -> rusqlite::Result<Option<Self>> {
        let snapshot = conn.unchecked_transaction()?;
        let Some(status) = read::mailbox_by_id(conn, mailbox)?.map(|it| it.status()) else {
            return Ok(None);
        };
        let as_of = status.highest_modseq;
        let overview = match held {
            Some(held) if held.as_of == as_of => held,
            Some(held) if held.as_of < as_of => held.advance(conn, mailbox, as_of)?,
            _ => Self {
                as_of,
                uids: read::uids(conn, mailbox)?,
                first_unseen: match status.unseen {
                    0 => None,
                    _ => read::first_unseen(conn, mailbox, 1)?,
                },
            },
        };
        snapshot.finish()?;
        Ok(Some(overview))
    }

    fn advance(self, conn: &Connection, mailbox: u64, as_of: ModSeq) -> rusqlite::Result<Self> {
        let changed = read::changed(conn, mailbox, self.as_of)?;
        let gone = read::vanished(conn, mailbox, self.as_of)?;
        let came = changed.iter().map(|row| (row.uid, row.uid));
        let all = UidSet::from_ranges(self.uids.ranges().chain(came));
        let mut unseen = changed
            .iter()
            .filter(|row| !row.flags.contains(SystemFlag::Seen));
        let changed_first = unseen.next().map(|row| row.uid);
        // Before the one that was first there was none but those changed since.
        let later = match self.first_unseen {
            Some(from) => read::first_unseen(conn, mailbox, from.value())?,
            None => None,
        };
        Ok(Self {
            as_of,
            uids: without(&all, &gone),
            first_unseen: changed_first.into_iter().chain(later).min(),
        })
    }

    /// False for one that would take too much memory.
    pub(crate) fn may_be_held(&self) -> bool {
        self.uids.ranges().count() <= MAX_RANGES
    }
}

/// `uids` without those that are `gone`.
fn without(uids: &UidSet, gone: &UidSet) -> UidSet {
    let holes: Vec<(u64, u64)> = gone.ranges().map(wide).collect();
    let mut kept = Vec::new();
    for (first, last) in uids.ranges().map(wide) {
        let mut from = first;
        let begin = holes.partition_point(|(_, end)| *end < first);
        for (start, end) in holes.iter().skip(begin).take_while(|it| it.0 <= last) {
            if *start > from {
                kept.extend(narrow(from, start - 1));
            }
            from = end + 1;
        }
        if from <= last {
            kept.extend(narrow(from, last));
        }
    }
    UidSet::from_ranges(kept)
}

fn wide((first, last): (Uid, Uid)) -> (u64, u64) {
    (first.value().into(), last.value().into())
}

fn narrow(first: u64, last: u64) -> Option<(Uid, Uid)> {
    let uid = |value| u32::try_from(value).ok().and_then(Uid::new);
    uid(first).zip(uid(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holes_are_cut(all in prop::collection::vec(1u32..60, 0..40), gone in prop::collection::vec(1u32..60, 0..40)) {
            let set = |of: &[u32]| of.iter().filter_map(|it| Uid::new(*it)).collect::<UidSet>();
            let want: Vec<u32> = all.iter().copied().filter(|it| !gone.contains(it)).collect();
            prop_assert_eq!(without(&set(&all), &set(&gone)), set(&want));
        }
    }
}
